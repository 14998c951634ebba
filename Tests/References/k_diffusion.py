"""Writes what k-diffusion's samplers make of a formula that stands for a network, into Tests/References/k-diffusion.json (committed).

Run from the repository's root. Reads k-diffusion 0.1.1.post1 out of its wheel, which pip downloads once into the cache: of the package
only sampling.py and external.py are used, so that what the rest of it needs isn't installed.

    alphas_cumprod is that of Stable Diffusion: betas from 0.00085 to 0.012, scaled_linear
    start          the sample before it is multiplied by the first noise level
    draws          standard normal noise, used in this order by every run
    runs           scheduler (its name here), prediction type, the noise levels or the number of steps, the evaluation that the run begins
                   with, and what the sampler did: the noise level, the timestep and the sample of every evaluation of the model, the
                   last sample, and how many draws it took
    schedules      noise levels by name and number of steps

The model is output = 0.3 * input + 0.0005 * timestep, in float32, behind k-diffusion's own wrappers for epsilon and v.

Two are not in k-diffusion. Restart (Xu et al. 2023, arXiv:2306.14878, algorithm 1) is put together here of k-diffusion's Heun steps and
Karras' levels, with the numbers of steps that AUTOMATIC1111's web UI has for it. dpm++2mv2 is that of stable-diffusion.cpp, after
discussion 8457 of that web UI: the second-order correction is weighed by the ratio of the longer to the shorter of two neighbouring steps,
and the factor of the prediction taken for their mean.
"""

import importlib
import json
import subprocess
import sys
import types

import numpy as np
import torch
from common import CACHE, ROOT

VERSION = "0.1.1.post1"
SHAPE = (1, 1, 2, 3)
DRAWS = 64
# Align Your Steps (Sabour et al. 2024), research.nvidia.com/labs/toronto-ai/AlignYourSteps/howto.html.
AYS = {
    "ays": [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029],
    "ays-sdxl": [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029],
}


def load():
    """The modules sampling and external of the wheel, without the packages that only the rest needs."""
    folder = CACHE / "wheels"
    if not (found := list(folder.glob(f"k_diffusion-{VERSION}-*.whl"))):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--dest", str(folder), f"k-diffusion=={VERSION}"], check=True)
        found = list(folder.glob(f"k_diffusion-{VERSION}-*.whl"))
    absent = {"torchsde": {}, "torchdiffeq": {"odeint": None}, "torchvision": {}, "torchvision.transforms": {"functional": None}}
    for name, contents in absent.items():
        module = sys.modules.setdefault(name, types.ModuleType(name))
        vars(module).update(contents)
    package = types.ModuleType("k_diffusion_wheel")
    package.__path__ = [f"{found[0]}/k_diffusion"]
    sys.modules[package.__name__] = package
    return (importlib.import_module(f"{package.__name__}.{name}") for name in ("sampling", "external"))


sampling, external = load()


def network(sample, timestep):
    return sample * 0.3 + timestep.to(torch.float32).view(-1, 1, 1, 1) * 0.0005


class Watched:
    """A denoiser that remembers what it was called with."""

    def __init__(self, denoiser):
        self.denoiser, self.calls = denoiser, []

    def __call__(self, sample, sigma):
        self.calls.append((float(sigma[0]), float(self.denoiser.sigma_to_t(sigma)[0]), sample))
        return self.denoiser(sample, sigma)


def dpmpp_2m_v2(model, x, sigmas, **_):
    previous = None
    time = lambda sigma: -sigma.log()
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones([len(x)]))
        h, factor, mixed = time(sigmas[i + 1]) - time(sigmas[i]), None, denoised
        if previous is None or sigmas[i + 1] == 0:
            factor = (-h).exp() - 1
        else:
            before = time(sigmas[i]) - time(sigmas[i - 1])
            longer, shorter = max(before, h), min(before, h)
            ratio = longer / shorter
            factor = (-(longer + shorter) / 2).exp() - 1
            mixed = (1 + 1 / (2 * ratio)) * denoised - 1 / (2 * ratio) * previous
        x, previous = sigmas[i + 1] / sigmas[i] * x - factor * mixed, denoised
    return x


def restart(model, x, sigmas, noise_sampler, **_):
    nearest = lambda value: int((sigmas - value).abs().argmin())
    steps, once, times = len(sigmas) - 1, 0, 0
    if steps >= 36:
        once, times = steps // 4, 2
    elif steps >= 20:
        once, times = 9, 1
    if times:
        sigmas = sampling.get_sigmas_karras(steps - once * times, float(sigmas[-2]), float(sigmas[0]))
    low, high = nearest(0.1), nearest(2)
    heun = lambda x, levels: sampling.sample_heun(model, x, levels, disable=True)
    x = heun(x, sigmas[: low + 1])
    for _ in range(times if high < low else 0):
        again = sampling.get_sigmas_karras(once + 1, float(sigmas[low]), float(sigmas[high]))[:-1]
        x = heun(x + noise_sampler() * (again[0] ** 2 - sigmas[low] ** 2) ** 0.5, again)
    return heun(x, sigmas[low:])


def run(name, prediction, start, draws, sigmas=None, steps=None, begin=0):
    wrapper = {"epsilon": external.DiscreteEpsDDPMDenoiser, "v_prediction": external.DiscreteVDDPMDenoiser}[prediction]
    model = Watched(wrapper(network, alphas(), quantize=False))
    taken = []

    def noise(*_):
        taken.append(None)
        return draws[len(taken) - 1]

    sampler = {
        "euler": sampling.sample_euler, "euler-a": sampling.sample_euler_ancestral, "heun": sampling.sample_heun,
        "dpm2": sampling.sample_dpm_2, "dpm2-a": sampling.sample_dpm_2_ancestral, "lms": sampling.sample_lms,
        "dpm++2s-a": sampling.sample_dpmpp_2s_ancestral, "dpm++3m-sde": sampling.sample_dpmpp_3m_sde,
        "dpm++2m-v2": dpmpp_2m_v2, "restart": restart,
    }  # fmt: skip
    # The samplers without noise of their own draw with torch where they churn, which they don't here.
    has_noise = name.endswith("-a") or name in ("dpm++3m-sde", "restart")
    if name == "dpm-fast":
        low, high = float(model.denoiser.sigma_min), float(model.denoiser.sigma_max)
        last = sampling.sample_dpm_fast(model, start * high, low, high, steps, disable=True, noise_sampler=noise)
        # It calls the sampler of noise and multiplies what comes by 0.
        taken.clear()
    else:
        more = {"noise_sampler": noise} if has_noise else {}
        last = sampler[name](model, start * sigmas[begin], sigmas[begin:], disable=True, **more)
    rounded = lambda values: [float(f"{value:.9g}") for value in values]
    return {
        "scheduler": name, "prediction": prediction, "steps": steps or len(sigmas) - 1,
        "sigmas": None if steps else rounded(sigmas.tolist()), "begin": begin,
        "evaluations": rounded(sigma for sigma, _, _ in model.calls), "timesteps": rounded(t for _, t, _ in model.calls),
        "samples": [rounded(sample.flatten().tolist()) for _, _, sample in model.calls] + [rounded(last.flatten().tolist())],
        "draws": len(taken),
    }  # fmt: skip


def alphas():
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    return torch.cumprod(1 - betas, 0)


def runs(start, draws):
    levels = external.DiscreteEpsDDPMDenoiser(network, alphas(), quantize=False)
    karras = lambda count: sampling.get_sigmas_karras(count, float(levels.sigma_min), float(levels.sigma_max))
    exponential = lambda count: sampling.get_sigmas_exponential(count, float(levels.sigma_min), float(levels.sigma_max))
    unending = torch.tensor([14.0, 6.0, 2.0, 0.7, 0.2])
    for name in ("dpm++2s-a", "dpm++3m-sde", "dpm++2m-v2", "euler", "euler-a", "heun", "dpm2", "dpm2-a", "lms"):
        for prediction in ("epsilon", "v_prediction"):
            for sigmas in (levels.get_sigmas(7), karras(10), exponential(3), karras(2)):
                yield run(name, prediction, start, draws, sigmas)
        if not name.startswith(("dpm2", "heun")):
            yield run(name, "epsilon", start, draws, unending)
        if name != "lms":
            yield run(name, "epsilon", start, draws, karras(8), begin=3)
    for prediction in ("epsilon", "v_prediction"):
        for steps in (1, 2, 3, 4, 5, 6, 12):
            yield run("dpm-fast", prediction, start, draws, steps=steps)
        for sigmas in (levels.get_sigmas(5), levels.get_sigmas(20), karras(24), levels.get_sigmas(36), exponential(41)):
            yield run("restart", prediction, start, draws, sigmas)


def schedules():
    levels = external.DiscreteEpsDDPMDenoiser(network, alphas(), quantize=False)
    low, high = levels.sigma_min.double(), levels.sigma_max.double()

    def ays(table, count):
        """The levels of ten steps and their end, evenly in the logarithms; the last becomes 0."""
        positions = np.linspace(0, 1, count + 1)
        return np.exp(np.interp(positions, np.linspace(0, 1, len(table)), np.log(table)))[:-1]

    share = lambda count: torch.linspace(0, 1, count, dtype=torch.float64)
    makers = {name: (lambda count, table=table: ays(table, count)) for name, table in AYS.items()} | {
        # Sabour et al. 2024, theorem 3.1, with `count` levels down to that of the first training timestep.
        "kl-optimal": lambda count: torch.tan(share(count) * low.atan() + (1 - share(count)) * high.atan()),
        "sgm-uniform": lambda count: levels.t_to_sigma(torch.linspace(999, 0, count + 1)[:-1]),
        "simple": lambda count: torch.stack([levels.sigmas[-(1 + int(i * 1000 / count))] for i in range(count)]),
        "polyexponential": lambda count: sampling.get_sigmas_polyexponential(count, float(low), float(high))[:-1],
        "karras": lambda count: sampling.get_sigmas_karras(count, float(low), float(high))[:-1],
        "uniform": lambda count: levels.get_sigmas(count)[:-1],
    }
    # A single step is at the last training timestep here, and at the first one where diffusers spreads timesteps.
    counts = lambda name: (2, 7, 10, 20) if name in ("karras", "uniform", "polyexponential") else (1, 2, 7, 10, 20)
    return {
        name: {str(count): [float(f"{float(v):.9g}") for v in make(count)] for count in counts(name)}
        for name, make in makers.items()
    }


def main():
    torch.set_num_threads(1)
    generator = torch.Generator("cpu").manual_seed(11)
    start = torch.randn(SHAPE, generator=generator)
    draws = [torch.randn(SHAPE, generator=generator) for _ in range(DRAWS)]
    flat = lambda tensor: [float(f"{value:.9g}") for value in tensor.flatten().tolist()]
    document = {
        "start": flat(start), "draws": [flat(draw) for draw in draws], "runs": list(runs(start, draws)),
        "schedules": schedules(),
    }  # fmt: skip
    lines = [
        f'"start":{json.dumps(document["start"])}',
        f'"draws":{json.dumps(document["draws"])}',
        '"runs":[\n' + ",\n".join(json.dumps(item, separators=(",", ":")) for item in document["runs"]) + "\n]",
        f'"schedules":{json.dumps(document["schedules"])}',
    ]
    (ROOT / "Tests/References/k-diffusion.json").write_text("{" + ",\n".join(lines) + "}\n")
    print(len(document["runs"]), "runs")


if __name__ == "__main__":
    main()
