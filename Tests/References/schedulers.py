"""Reference values for the schedulers, from diffusers 0.35.2.

Run with a Python that has torch, diffusers 0.35.2 and scipy:

    python Tests/References/schedulers.py

Writes beside this file, in schedulers/:

  cases.json    what was run: class, configuration, request, options of a step, counts
  values.bin    little-endian float32: the start sample, the noise draws, then of each case init_noise_sigma,
                timesteps, sigmas, one add_noise result, and the sample after every step
  configs.json  what from_config makes of a file for a class

The model is a formula, so that no network is needed: output = 0.3 * input + 0.0005 * timestep, in float32.
"""

import json
import os
import warnings

os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")

import diffusers  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

SHAPE = (2, 2, 2, 2)
DRAWS = 64
STEPS = (1, 2, 5, 20, 50)
FEW = (1, 5, 20)
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schedulers")


def model(sample, timestep, variance_type=None):
    output = sample * 0.3 + torch.as_tensor(timestep).to(torch.float32) * 0.0005
    if variance_type == "learned":
        return torch.cat([output, sample * sample * 0.01], dim=1)
    if variance_type == "learned_range":
        return torch.cat([output, sample * 0.05], dim=1)
    return output


def rounded_root(tensor):
    return plain_sqrt(tensor.double()).to(tensor.dtype)


# MKL's single-precision square root, which torch uses on x86, is off by one unit in the last place in one value of
# five, and not alike on all processors. With betas rescaled to zero terminal SNR this is magnified (to 2e-6 in a sigma,
# and to 5e-5 in samples on the scale of the first sigma, 4096). So the references are made with IEEE's correctly
# rounded root, which torch has on other machines.
plain_sqrt, plain_pow = torch.Tensor.sqrt, torch.Tensor.__pow__
torch.Tensor.sqrt = rounded_root
torch.Tensor.__pow__ = lambda tensor, power: rounded_root(tensor) if power == 0.5 else plain_pow(tensor, power)


class Draws:
    """Hands out the same draws in the same order to every case, as a seeded torch.Generator does."""

    def __init__(self, table):
        self.table, self.next = table, 0

    def __call__(self, shape, **kwargs):
        assert tuple(shape) == SHAPE
        self.next += 1
        return self.table[self.next - 1]


def run(case, start, table):
    scheduler = getattr(diffusers, case["class"]).from_config(dict(case["config"]))
    for key in ("timesteps", "sigmas"):
        if key in case:
            scheduler.set_timesteps(**{key: case[key]})
    if "steps" in case:
        scheduler.set_timesteps(case["steps"])
    draws = Draws(table)
    for module in ("ddpm", "ddim", "euler_discrete"):
        getattr(diffusers.schedulers, f"scheduling_{module}").randn_tensor = draws
    timesteps = scheduler.timesteps
    sigma = torch.as_tensor(scheduler.init_noise_sigma, dtype=torch.float32)
    sample = start * sigma
    noisy = scheduler.add_noise(start, table[0], timesteps[len(timesteps) // 2 :][:1])
    samples = []
    for index, timestep in list(enumerate(timesteps))[case.get("begin", 0) :]:
        if hasattr(scheduler, "_step_index"):
            scheduler._step_index = index
        output = model(scheduler.scale_model_input(sample, timestep), timestep, case["config"].get("variance_type"))
        sample = scheduler.step(output, timestep, sample, **case.get("options", {})).prev_sample
        samples.append(sample)
    sigmas = getattr(scheduler, "sigmas", torch.zeros(0))
    case["timestep_count"], case["sigma_count"], case["draw_count"] = len(timesteps), len(sigmas), draws.next
    values = [sigma.reshape(1), timesteps, sigmas, noisy.flatten(), torch.stack(samples).flatten()]
    values = np.concatenate([value.numpy().astype("<f4") for value in values])
    assert np.isfinite(values).all(), case
    return values


def cases():
    def add(cls, config, steps=FEW, **more):
        for count in steps:
            yield {"class": cls, "config": config, "steps": count, **more}

    spacings = ("linspace", "leading", "trailing")
    types = ("epsilon", "sample", "v_prediction")
    for cls in ("DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler"):
        yield from add(cls, {}, STEPS)
        plain = {**SD, "clip_sample": False} if cls != "EulerDiscreteScheduler" else SD
        yield from add(cls, {**plain, "steps_offset": 1}, STEPS)
        for spacing in spacings:
            for kind in types:
                yield from add(cls, {**plain, "timestep_spacing": spacing, "prediction_type": kind})
        yield from add(cls, {**plain, "beta_schedule": "squaredcos_cap_v2"})
        yield from add(cls, {**plain, "num_train_timesteps": 60, "trained_betas": [0.001 * i for i in range(1, 61)]})
        for spacing in ("leading", "trailing"):
            for kind in ("sample", "v_prediction"):
                zero = {"rescale_betas_zero_snr": True, "timestep_spacing": spacing, "prediction_type": kind}
                yield from add(cls, {**plain, **zero})
    for cls in ("DDIMScheduler", "DDPMScheduler"):
        yield from add(cls, {**SD, "clip_sample_range": 2.5})
        threshold = {"thresholding": True, "sample_max_value": 3.0}
        yield from add(cls, {**SD, **threshold})
        yield from add(cls, {**SD, **threshold, "dynamic_thresholding_ratio": 0.7, "prediction_type": "sample"})
    for eta in (0.5, 1.0):
        yield from add("DDIMScheduler", {**SD, "clip_sample": False, "steps_offset": 1}, STEPS, options={"eta": eta})
    yield from add("DDIMScheduler", SD, options={"eta": 0.5, "use_clipped_model_output": True})
    yield from add("DDIMScheduler", {**SD, "clip_sample": False, "set_alpha_to_one": False}, STEPS)
    yield from add("DDPMScheduler", {"beta_schedule": "sigmoid", "clip_sample": False})
    for kind in ("fixed_small_log", "fixed_large", "learned", "learned_range"):
        yield from add("DDPMScheduler", {**SD, "variance_type": kind})
    yield {"class": "DDPMScheduler", "config": SD, "timesteps": [950, 700, 300, 299, 10]}

    pndm = {**SD, "skip_prk_steps": True, "steps_offset": 1}
    yield from add("PNDMScheduler", pndm, STEPS)
    yield from add("PNDMScheduler", {}, (4, 5, 20, 50))
    for spacing in spacings:
        for kind in ("epsilon", "v_prediction"):
            options = {"timestep_spacing": spacing, "prediction_type": kind}
            yield from add("PNDMScheduler", {**pndm, **options})
            yield from add("PNDMScheduler", {**SD, **options}, (4, 5, 20))
    yield from add("PNDMScheduler", {**pndm, "set_alpha_to_one": True, "beta_schedule": "squaredcos_cap_v2"})

    # A run that starts in the middle, as image-to-image does.
    for begin in (3, 12, 19):
        for cls in ("DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler", "PNDMScheduler"):
            config = dict(pndm) if cls == "PNDMScheduler" else SD
            yield from add(cls, config, (20,), begin=begin)

    euler = "EulerDiscreteScheduler"
    for sigmas in ("karras", "exponential", "beta"):
        yield from add(euler, {**SD, f"use_{sigmas}_sigmas": True}, STEPS)
    yield from add(euler, {**SD, "use_karras_sigmas": True, "sigma_min": 0.1, "sigma_max": 10.0, "timestep_spacing": "leading"})
    yield from add(euler, {**SD, "final_sigmas_type": "sigma_min"})
    yield from add(euler, {**SD, "interpolation_type": "log_linear"})
    yield from add(euler, {**SD, "timestep_type": "continuous", "prediction_type": "v_prediction"})
    churn = {"s_churn": 3.0, "s_tmin": 0.5, "s_tmax": 10.0, "s_noise": 1.01}
    yield from add(euler, SD, STEPS, options=churn)
    yield from add(euler, {**SD, "prediction_type": "v_prediction"}, options={"s_churn": 50.0})
    yield {"class": euler, "config": SD, "timesteps": [999, 850, 736, 645, 24]}
    yield {"class": euler, "config": SD, "sigmas": [14.6, 6.475, 3.861, 0.5, 0.0]}


def configs():
    files = [
        {"_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", **SD, "num_train_timesteps": 1000,
         "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None, "clip_sample": False},
        {"_class_name": "PNDMScheduler", **SD, "skip_prk_steps": True},
        {"_class_name": "DDIMScheduler", **SD, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True,
         "timestep_spacing": "trailing", "steps_offset": 3, "clip_sample": True},
        {"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True, "timestep_spacing": "leading",
         "_use_default_values": ["timestep_spacing"], "sigma_max": 9.5, "interpolation_type": "log_linear"},
    ]  # fmt: skip
    result = []
    for file in files:
        for target in ("DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler", "PNDMScheduler"):
            for in_pipeline in (False, True):
                scheduler = getattr(diffusers, file["_class_name"]).from_config(dict(file))
                if in_pipeline:
                    parts = dict.fromkeys(("vae", "text_encoder", "tokenizer", "unet", "safety_checker", "feature_extractor"))
                    scheduler = diffusers.StableDiffusionPipeline(
                        **parts, scheduler=scheduler, requires_safety_checker=False).scheduler  # fmt: skip
                cls = getattr(diffusers, target)
                resolved = scheduler if target == file["_class_name"] else cls.from_config(scheduler.config)
                keys = sorted(cls._get_init_keys(cls) - {"self"})
                values = {key: resolved.config[key] for key in keys}
                result.append({"file": file, "class": target, "in_pipeline": in_pipeline, "values": values})
    return result


def main():
    torch.set_num_threads(1)
    generator = torch.Generator("cpu").manual_seed(7)
    start = torch.randn(SHAPE, generator=generator)
    table = torch.stack([torch.randn(SHAPE, generator=generator) for _ in range(DRAWS)])
    values = [start.numpy().flatten().astype("<f4"), table.numpy().flatten().astype("<f4")]
    listed = list(cases())
    values += [run(case, start, table) for case in listed]
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, "cases.json"), "w") as file:
        header = {"diffusers": diffusers.__version__, "shape": SHAPE, "draws": DRAWS}
        lines = ",\n".join(json.dumps(case, sort_keys=True, separators=(",", ":")) for case in listed)
        file.write(json.dumps(header)[:-1] + ', "cases": [\n' + lines + "\n]}\n")
    with open(os.path.join(FOLDER, "configs.json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(config, sort_keys=True) for config in configs()) + "\n]\n")
    np.concatenate(values).tofile(os.path.join(FOLDER, "values.bin"))
    print(f"{len(listed)} cases")


if __name__ == "__main__":
    main()
