"""Reference values for the schedulers, from diffusers 0.35.2.

    schedulers.py

Writes to $SD_ONNX_TEST_CACHE (default ~/.cache/sd-onnx), in schedulers/:

  cases.json     what was run: class, configuration, request, options of a step, counts
  values.bin     little-endian float32: the start sample, the noise draws, then of each case init_noise_sigma,
                 timesteps, sigmas, one add_noise result (where the class has one), and the sample after every step
  configs.json   what from_config makes of a file for a class
  named.json     noise levels that stand for a list and not for a setting: Align Your Steps and Laplace
  manifest.json  the number of cases, those left out since diffusers refuses them or gives numbers that aren't finite, with the reason, and
                 this script's checksum: it runs again where that has changed

Every scheduler runs with 1, 2, 5, 20 and 50 steps and each of its prediction types, and with each of its options in fewer steps. The
model is a formula, so that no network is needed: output = 0.3 * input + 0.0005 * timestep, in float32.
"""

import hashlib
import importlib
import json
import os
import types
import warnings
from pathlib import Path

os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")

import diffusers  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from brownian import SDE, BrownianPath  # noqa: E402
from common import CACHE, write_json  # noqa: E402
from diffusers.schedulers import AysSchedules  # noqa: E402
from scipy import stats  # noqa: E402

SHAPE = (2, 2, 2, 2)
DRAWS = 128
STEPS = (1, 2, 5, 20, 50)
FEW = (2, 5, 20)
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
FOLDER = CACHE / "schedulers"
MODULES = [
    importlib.import_module(f"diffusers.schedulers.{file.stem}")
    for file in sorted((Path(diffusers.__file__).parent / "schedulers").glob("scheduling_*.py"))
    if "flax" not in file.stem
]


def find(name):
    return SDE.DPMSolverSDEScheduler if name == "DPMSolverSDEScheduler" else getattr(diffusers, name)


def model(sample, timestep, variance_type=None):
    output = sample * 0.3 + torch.as_tensor(timestep).to(torch.float32) * 0.0005
    if variance_type == "learned":
        return torch.cat([output, sample * sample * 0.01], dim=1)
    if variance_type == "learned_range":
        return torch.cat([output, sample * 0.05], dim=1)
    return output


# Single-precision roots, exponentials, logarithms and angles of torch on x86 are off by one unit in the last place in up to one value of
# five, and not alike on all processors. With betas rescaled to zero terminal SNR this is magnified (to 2e-6 in a sigma, and to 5e-5
# in samples on the scale of the first sigma, 4096). So the references are made with correctly rounded ones.
def rounded(function):
    def apply(tensor, *args, **kwargs):
        dtype = tensor.dtype if tensor.is_floating_point() else torch.float32
        return function(tensor.double(), *args, **kwargs).to(dtype)

    return apply


plain_pow = torch.Tensor.__pow__
for name in ("sqrt", "exp", "expm1", "log", "sin", "atan2"):
    function = rounded(getattr(torch.Tensor, name))
    setattr(torch.Tensor, name, function)
    setattr(torch, name, function)
rounded_pow = rounded(plain_pow)
torch.Tensor.__pow__ = lambda tensor, power: (plain_pow if isinstance(power, int) else rounded_pow)(tensor, power)



def rounded_log(value):
    """numpy's logarithm, of torch's tensors too, with that of single precision correctly rounded: numpy's own differs between processors,
    and with it the timesteps that are looked up between logarithms."""
    if isinstance(value, torch.Tensor):
        return torch.log(value)
    if getattr(value, "dtype", None) == np.float32:
        return np.log(value, dtype=np.float64).astype(np.float32)
    return np.log(value)


for module in MODULES:
    if hasattr(module, "np"):
        module.np = types.SimpleNamespace(**vars(np))
        module.np.log = rounded_log


class Draws:
    """Hands out the same draws in the same order to every case, as a seeded torch.Generator does."""

    def __init__(self, table):
        self.table, self.next = table, 0

    def __call__(self, shape, **kwargs):
        assert tuple(shape) == SHAPE
        self.next += 1
        return self.table[self.next - 1]


def noisy_sample(scheduler, start, noise, index):
    timesteps = scheduler.timesteps[index:][:1]
    if hasattr(scheduler, "_step_index"):
        scheduler._step_index = scheduler._begin_index = index
    if hasattr(scheduler, "scale_noise"):
        noisy = scheduler.scale_noise(start, timesteps, noise)
    else:
        noisy = scheduler.add_noise(start, noise, timesteps) if hasattr(scheduler, "add_noise") else torch.zeros(0)
    if hasattr(scheduler, "_step_index"):
        scheduler._step_index = scheduler._begin_index = None
    return noisy


def run(case, start, table):
    scheduler = find(case["class"]).from_config(dict(case["config"]))
    for key in ("timesteps", "sigmas"):
        if key in case:
            scheduler.set_timesteps(**{key: case[key]})
    if "steps" in case:
        scheduler.set_timesteps(case["steps"])
    draws = Draws(table)
    BrownianPath.draw = lambda: draws(SHAPE)
    for module in MODULES:
        if hasattr(module, "randn_tensor"):
            module.randn_tensor = draws
    torch.randn_like = lambda tensor: draws(tensor.shape)
    timesteps = scheduler.timesteps
    sigma = torch.as_tensor(scheduler.init_noise_sigma if hasattr(scheduler, "init_noise_sigma") else 1.0, dtype=torch.float32)
    sample = start * sigma
    noisy = noisy_sample(scheduler, start, table[0], len(timesteps) // 2)
    samples = []
    for index, timestep in list(enumerate(timesteps))[case.get("begin", 0) :]:
        if hasattr(scheduler, "_step_index"):
            scheduler._step_index = index
        scaled = scheduler.scale_model_input(sample, timestep) if hasattr(scheduler, "scale_model_input") else sample
        output = model(scaled, timestep, case["config"].get("variance_type"))
        sample = scheduler.step(output, timestep, sample, **case.get("options", {})).prev_sample
        samples.append(sample)
    sigmas = getattr(scheduler, "sigmas", torch.zeros(0))
    case["timestep_count"], case["sigma_count"], case["draw_count"] = len(timesteps), len(sigmas), draws.next
    case["noisy_count"] = noisy.numel()
    values = [sigma.reshape(1), timesteps, sigmas, noisy.flatten(), torch.stack(samples).flatten()]
    values = np.concatenate([value.numpy().astype("<f4") for value in values])
    if not np.isfinite(values).all():
        raise ValueError("numbers that aren't finite")
    return values


TYPES = ("epsilon", "sample", "v_prediction")
TWO_TYPES = ("epsilon", "v_prediction")
SPACINGS = [{"timestep_spacing": spacing} for spacing in ("linspace", "leading", "trailing")] + [
    {"timestep_spacing": "leading", "steps_offset": 1}]  # fmt: skip
NO_LINSPACE = SPACINGS[1:]
SIGMAS = [{f"use_{name}_sigmas": True} for name in ("karras", "exponential", "beta")]
BETAS = [
    {"beta_schedule": "linear"}, {"beta_schedule": "squaredcos_cap_v2"},
    {"num_train_timesteps": 60, "trained_betas": [0.001 * i for i in range(1, 61)]},
]  # fmt: skip
ZERO = [{"rescale_betas_zero_snr": True, "timestep_spacing": spacing} for spacing in ("leading", "trailing")]
THRESHOLD = [
    {"thresholding": True, "sample_max_value": 3.0},
    {"thresholding": True, "sample_max_value": 3.0, "dynamic_thresholding_ratio": 0.7},
]
CLIP = [{"clip_sample": True}, {"clip_sample": True, "clip_sample_range": 2.5}]
FLOW = [{"use_flow_sigmas": True, "prediction_type": "flow_prediction", **shift} for shift in ({}, {"flow_shift": 3.0})]
LOWERED = [{"lambda_min_clipped": -5.1, **spacing} for spacing in SPACINGS[:3]]
FINAL = [{"final_sigmas_type": "sigma_min"}]
CHURN = ({"s_churn": 3.0, "s_tmin": 0.5, "s_tmax": 10.0, "s_noise": 1.01}, {"s_churn": 50.0})
COSINE = {"beta_schedule": "squaredcos_cap_v2"}
DPM = [
    {"algorithm_type": kind, "solver_type": solver, "solver_order": order, "final_sigmas_type": end, **more}
    for kind, ends in (
        ("dpmsolver++", ("zero", "sigma_min")), ("dpmsolver", ("sigma_min",)), ("sde-dpmsolver++", ("zero", "sigma_min")),
        ("sde-dpmsolver", ("sigma_min",)))
    for solver in ("midpoint", "heun")
    for order in (1, 2, 3)
    for end in ends
    for more in ({}, {"lower_order_final": False}, {"lower_order_final": True})
]
PLAIN = {**SD, "clip_sample": False}
# class: (configuration, prediction types, options)
MATRIX = {
    "DDPMScheduler": (PLAIN, TYPES, SPACINGS + BETAS + ZERO + THRESHOLD + CLIP + [{"beta_schedule": "sigmoid"}] + [
        {"variance_type": kind} for kind in ("fixed_small_log", "fixed_large", "learned", "learned_range")]),
    "DDIMScheduler": (PLAIN, TYPES, SPACINGS + BETAS + ZERO + THRESHOLD + CLIP + [{"set_alpha_to_one": False}]),
    "DDIMInverseScheduler": (PLAIN, TYPES, NO_LINSPACE + BETAS + CLIP + [{"set_alpha_to_one": False}]),
    "PNDMScheduler": (SD, TYPES, SPACINGS + BETAS + [
        {"skip_prk_steps": True, **more} for more in [{}, {"set_alpha_to_one": True}] + SPACINGS]),
    "LMSDiscreteScheduler": (SD, TYPES, SPACINGS + BETAS + SIGMAS),
    "EulerDiscreteScheduler": (SD, TYPES, SPACINGS + BETAS + ZERO + SIGMAS + FINAL + [
        {"use_karras_sigmas": True, "sigma_min": 0.1, "sigma_max": 10.0, "timestep_spacing": "leading"},
        {"interpolation_type": "log_linear"}, {"timestep_type": "continuous"}]),
    "EulerAncestralDiscreteScheduler": (SD, TWO_TYPES, SPACINGS + BETAS + ZERO),
    "HeunDiscreteScheduler": (SD, TYPES, SPACINGS + BETAS + SIGMAS + CLIP + [{"beta_schedule": "exp"}]),
    "KDPM2DiscreteScheduler": (SD, TWO_TYPES, SPACINGS + BETAS + SIGMAS),
    "KDPM2AncestralDiscreteScheduler": (SD, TWO_TYPES, SPACINGS + BETAS + SIGMAS),
    "DPMSolverSDEScheduler": (SD, TWO_TYPES, SPACINGS + BETAS + SIGMAS),
    "DPMSolverMultistepScheduler": (SD, TYPES, SPACINGS + BETAS + ZERO + SIGMAS + THRESHOLD + FLOW + LOWERED + FINAL + DPM + [
        {"use_lu_lambdas": True}, {"use_lu_lambdas": True, **COSINE}, {"use_karras_sigmas": True, **COSINE},
        {"euler_at_final": True, "final_sigmas_type": "sigma_min"}, {"solver_type": "logrho"},
        {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min", "thresholding": True}]),
    "DPMSolverSinglestepScheduler": (SD, TYPES, BETAS + SIGMAS + THRESHOLD + FLOW + LOWERED[:1] + FINAL + [
        option for option in DPM if option["algorithm_type"] != "sde-dpmsolver"]),
    "DEISMultistepScheduler": (SD, TYPES, SPACINGS + BETAS + SIGMAS + THRESHOLD + FLOW + [
        {"solver_order": order, **more} for order in (1, 2, 3) for more in ({}, {"lower_order_final": False})]),
    "UniPCMultistepScheduler": (SD, TYPES, SPACINGS + BETAS + ZERO + SIGMAS + THRESHOLD + FLOW + FINAL + [
        {"solver_order": order, "solver_type": kind, "final_sigmas_type": end, "predict_x0": x0, **more}
        for order in (1, 2, 3) for kind in ("bh1", "bh2") for end in ("zero", "sigma_min") for x0 in (True, False)
        for more in ({}, {"lower_order_final": False}, {"disable_corrector": [0, 1]})] + [
        {"final_sigmas_type": "sigma_min", **sigmas} for sigmas in SIGMAS + FLOW] + [
        {"predict_x0": False, "final_sigmas_type": "sigma_min", **threshold} for threshold in THRESHOLD]),
    "IPNDMScheduler": ({}, ("epsilon",), [{"trained_betas": [1.0, 0.9, 0.7, 0.5, 0.2, 0.0]}]),
    "SASolverScheduler": (SD, TYPES, SPACINGS + BETAS + SIGMAS + THRESHOLD + FLOW + LOWERED + [
        {"predictor_order": predictor, "corrector_order": corrector, "algorithm_type": kind, **more}
        for predictor in (1, 2, 3) for corrector in (1, 2, 3) for kind in ("data_prediction", "noise_prediction")
        for more in ({}, {"lower_order_final": False})]),
    "LCMScheduler": (SD, TYPES, BETAS[:2] + CLIP + THRESHOLD + [
        {"original_inference_steps": 100}, {"timestep_scaling": 2.0}, {"set_alpha_to_one": False}, {"rescale_betas_zero_snr": True}]),
    "TCDScheduler": (SD, TYPES, BETAS[:2] + [
        {"original_inference_steps": 100}, {"set_alpha_to_one": False}, {"rescale_betas_zero_snr": True}]),
    "EDMEulerScheduler": ({}, TWO_TYPES, FINAL + [
        {"sigma_schedule": "exponential"}, {"sigma_min": 0.01, "sigma_max": 20.0, "sigma_data": 1.0, "rho": 5.0}]),
    "EDMDPMSolverMultistepScheduler": ({}, TWO_TYPES, FINAL + THRESHOLD + [
        option for option in DPM if option["algorithm_type"].endswith("++")] + [
        {"sigma_schedule": "exponential"}, {"sigma_min": 0.01, "sigma_max": 20.0, "sigma_data": 1.0, "rho": 5.0}]),
    "FlowMatchEulerDiscreteScheduler": ({}, (None,), SIGMAS + [
        {"shift": 3.0}, {"shift": 3.0, "shift_terminal": 0.1}, {"invert_sigmas": True}, {"stochastic_sampling": True}]),
    "FlowMatchHeunDiscreteScheduler": ({}, (None,), [{"shift": 3.0}]),
}  # fmt: skip


def cases():
    def add(cls, config, steps=FEW, **more):
        for count in steps:
            yield {"class": cls, "config": config, "steps": count, **more}

    for cls, (plain, kinds, options) in MATRIX.items():
        for kind in kinds:
            typed = {**plain, "prediction_type": kind} if kind else plain
            yield from add(cls, typed, STEPS)
            for option in options:
                if "prediction_type" not in option or kind == kinds[0]:
                    yield from add(cls, {**typed, **option})
        yield from add(cls, {}, STEPS)

    for eta in (0.5, 1.0):
        yield from add("DDIMScheduler", {**PLAIN, "steps_offset": 1}, STEPS, options={"eta": eta})
    yield from add("DDIMScheduler", SD, options={"eta": 0.5, "use_clipped_model_output": True})
    for eta in (0.0, 0.5, 1.0):
        yield from add("TCDScheduler", SD, options={"eta": eta})
    for churn in CHURN:
        for cls in ("EulerDiscreteScheduler", "EDMEulerScheduler", "FlowMatchHeunDiscreteScheduler"):
            yield from add(cls, SD if cls.startswith("Euler") else {}, STEPS, options=churn)
    yield from add("EulerDiscreteScheduler", {**SD, "prediction_type": "v_prediction"}, options=CHURN[1])
    yield from add("DPMSolverSDEScheduler", SD, options={"s_noise": 0.9})

    # A run that starts in the middle, as image-to-image does: at a whole step.
    for cls, (plain, kinds, options) in MATRIX.items():
        if cls != "DDIMInverseScheduler":
            evaluations = find(cls).order
            config = {**plain, "skip_prk_steps": True} if cls == "PNDMScheduler" else plain
            for begin in (3, 12, 19):
                yield from add(cls, config, (20,), begin=begin * evaluations)

    given = [999, 850, 736, 645, 545, 455, 343, 233, 124, 24]
    listed = (
        "DDPMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler", "DPMSolverMultistepScheduler",
        "DPMSolverSinglestepScheduler", "LCMScheduler", "TCDScheduler")  # fmt: skip
    for cls in listed:
        for timesteps in (given, [950, 700, 300, 299, 10]):
            yield {"class": cls, "config": SD, "timesteps": timesteps}
    yield {"class": "FlowMatchEulerDiscreteScheduler", "config": {"shift": 2.0}, "timesteps": [999, 600, 250.5, 10]}
    yield {"class": "EulerDiscreteScheduler", "config": SD, "sigmas": [14.6, 6.475, 3.861, 0.5, 0.0]}
    yield {"class": "FlowMatchEulerDiscreteScheduler", "config": {"shift": 2.0}, "sigmas": [1.0, 0.75, 0.5, 0.125]}


def configs():
    files = [
        {"_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", **SD, "num_train_timesteps": 1000,
         "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None, "clip_sample": False},
        {"_class_name": "PNDMScheduler", **SD, "skip_prk_steps": True},
        {"_class_name": "DDIMScheduler", **SD, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True,
         "timestep_spacing": "trailing", "steps_offset": 3, "clip_sample": True},
        {"_class_name": "DPMSolverMultistepScheduler", **SD, "lambda_min_clipped": -float("inf"), "solver_type": "heun",
         "algorithm_type": "sde-dpmsolver++", "solver_order": 3, "use_lu_lambdas": True, "thresholding": False},
        {"_class_name": "DEISMultistepScheduler", **SD, "solver_type": "logrho", "algorithm_type": "deis", "variance_type": None},
        {"_class_name": "UniPCMultistepScheduler", **SD, "solver_type": "bh1", "disable_corrector": [0, 2], "solver_order": 3},
        {"_class_name": "HeunDiscreteScheduler", **SD, "prediction_type": "v_prediction", "clip_sample": True},
        {"_class_name": "LCMScheduler", **SD, "original_inference_steps": 100, "timestep_spacing": "trailing"},
        {"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True, "timestep_spacing": "leading",
         "_use_default_values": ["timestep_spacing"], "sigma_max": 9.5, "interpolation_type": "log_linear"},
    ]  # fmt: skip
    result = []
    for file in files:
        for target in MATRIX:
            for in_pipeline in (False, True):
                scheduler = find(file["_class_name"]).from_config(dict(file))
                if in_pipeline:
                    parts = dict.fromkeys(("vae", "text_encoder", "tokenizer", "unet", "safety_checker", "feature_extractor"))
                    scheduler = diffusers.StableDiffusionPipeline(
                        **parts, scheduler=scheduler, requires_safety_checker=False).scheduler  # fmt: skip
                cls = find(target)
                try:
                    resolved = scheduler if target == file["_class_name"] else cls.from_config(scheduler.config)
                except (ValueError, NotImplementedError):
                    continue
                keys = sorted(cls._get_init_keys(cls) - {"self", "kwargs"})
                values = {key: resolved.config[key] for key in keys}
                result.append({"file": json.dumps(file), "class": target, "in_pipeline": in_pipeline, "values": values})
    return result


def loglinear(levels, count):
    """The first `count` of `count` + 1 levels between those given, evenly in the logarithms, as Align Your Steps' authors recommend."""
    return np.exp(np.interp(np.linspace(0, 1, count + 1), np.linspace(0, 1, len(levels)), np.log(levels)))[:-1].tolist()


def laplace(count, smallest, largest):
    """Quantiles of a Laplace distribution over ln σ with location 0 and scale 0.5, from scipy; probabilities stay 5e-6 away from 0 and 1, as
    in k-diffusion."""
    share = np.linspace(0, 1, count)
    logarithms = stats.laplace.ppf(1 - (np.minimum(share, 1 - share) + 5e-6), scale=0.5)
    logarithms[share == 0.5] = 0
    return np.clip(np.exp(np.where(share < 0.5, 1, -1) * logarithms), smallest, largest).tolist()


def named():
    # The authors' end, 0.029, is 0 in diffusers' list, which is one of ten steps.
    ays = AysSchedules["StableDiffusionSigmas"][:-1]
    products = diffusers.DDIMScheduler(**SD).alphas_cumprod
    sigmas = ((1 - products) / products).sqrt().double().numpy()
    return {
        "ays_timesteps": AysSchedules["StableDiffusionTimesteps"],
        "ays": {count: ays if count == 10 else loglinear([*ays, 0.029], count) for count in (2, 5, 10, 20)},
        "laplace": {count: laplace(count, sigmas[0], sigmas[-1]) for count in (2, 5, 10, 20)},
    }


def main():
    checksum = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    manifest = FOLDER / "manifest.json"
    if manifest.exists() and json.loads(manifest.read_text()).get("script") == checksum:
        print(f"{FOLDER} is there")
        return
    torch.set_num_threads(1)
    generator = torch.Generator("cpu").manual_seed(7)
    start = torch.randn(SHAPE, generator=generator)
    table = torch.stack([torch.randn(SHAPE, generator=generator) for _ in range(DRAWS)])
    values = [start.numpy().flatten().astype("<f4"), table.numpy().flatten().astype("<f4")]
    listed, left_out = [], []
    for case in cases():
        try:
            values.append(run(case, start, table))
            listed.append(case)
        except Exception as error:
            left_out.append({**case, "reason": f"{type(error).__name__}: {error}"})
    FOLDER.mkdir(parents=True, exist_ok=True)
    header = {"diffusers": diffusers.__version__, "shape": SHAPE, "draws": DRAWS}
    lines = ",\n".join(json.dumps(case, sort_keys=True, separators=(",", ":")) for case in listed)
    (FOLDER / "cases.json").write_text(json.dumps(header)[:-1] + ', "cases": [\n' + lines + "\n]}\n")
    (FOLDER / "configs.json").write_text(
        "[\n" + ",\n".join(json.dumps(config, sort_keys=True) for config in configs()) + "\n]\n")
    np.concatenate(values).tofile(FOLDER / "values.bin")
    write_json(FOLDER / "named.json", named())
    write_json(manifest, {"script": checksum, "cases": len(listed), "left_out": left_out})
    print(f"{len(listed)} cases, {len(left_out)} left out")


if __name__ == "__main__":
    main()
