"""Makes the pictures that the pipeline's tests compare with: diffusers' own pipeline in float32 over the embedded model's ONNX
files (optimum's ORTStableDiffusionPipeline), for every scheduler, four of them with
several prompts, alone and four at a time.

    pictures.py [--output FOLDER]       default: Tests/SDPipelineTests/Fixtures/pictures

Writes index.json, an array of
    {"scheduler", "scheduler_options", "prompt", "negative_prompt", "steps", "guidance_scale", "seed", "width", "height",
     "batch", "file", "column", "initial_latents", "final_latents"}
A scheduler is made from the model's own scheduler_config.json with scheduler_options added. The pictures of an entry stand
side by side in `file`, `batch` of them from column `column` on, each width × height; all of a batch come from one generator,
torch.Generator("cpu").manual_seed(seed). The latents (.npy, before the scheduler's init_noise_sigma and after the last step)
are there for two entries, null for the others.

noised.png shows the first picture of DDIMScheduler-apple.png whose latents (the most likely ones) got noise of timesteps 0, 250, 500 and
999, decoded: forward diffusion with torch.Generator("cpu").manual_seed(3).

image-to-image.json and image-to-image.png: the same picture as the start of other prompts, an array of
    {"scheduler", "scheduler_options", "prompt", "steps", "strength", "guidance_scale", "seed", "batch", "column"}
"""

import argparse
import json
import shutil
from pathlib import Path

import diffusers
import numpy as np
import torch
from optimum.onnxruntime import ORTStableDiffusionImg2ImgPipeline, ORTStableDiffusionPipeline
from PIL import Image

from brownian import SDE, BrownianPath
from common import ROOT, write_json

SCHEDULERS = ["DDPMScheduler", "DDIMScheduler", "PNDMScheduler", "PNDMScheduler-plms", "EulerDiscreteScheduler"]
# With one prompt each, twenty steps, side by side in one file.
ONE_PROMPT = [
    "DDIMInverseScheduler", "DEISMultistepScheduler", "DPMSolverMultistepScheduler", "DPMSolverMultistepScheduler-karras",
    "DPMSolverMultistepScheduler-sde", "DPMSolverMultistepScheduler-3m", "DPMSolverSinglestepScheduler",
    "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "EDMEulerScheduler", "EDMDPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "HeunDiscreteScheduler-karras", "IPNDMScheduler",
    "LCMScheduler", "LMSDiscreteScheduler", "SASolverScheduler", "TCDScheduler", "UniPCMultistepScheduler",
    "UniPCMultistepScheduler-karras",
]  # fmt: skip
# The same, in a loop of this script's: DPM++ SDE with its noise from the generator instead of torchsde, and the two of flow matching, which
# diffusers' pipeline can't use since they have no init_noise_sigma.
IN_A_LOOP = ["DPMSolverSDEScheduler", "FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"]
LATENT_CHANNELS = 4
# What a name in SCHEDULERS adds to the model's configuration. SD 1.x is published with PNDM without its Runge-Kutta steps.
OPTIONS = {
    "PNDMScheduler-plms": {"skip_prk_steps": True},
    "DPMSolverMultistepScheduler-karras": {"use_karras_sigmas": True},
    "DPMSolverMultistepScheduler-sde": {"algorithm_type": "sde-dpmsolver++"},
    "DPMSolverMultistepScheduler-3m": {"solver_order": 3},
    "HeunDiscreteScheduler-karras": {"use_karras_sigmas": True},
    "UniPCMultistepScheduler-karras": {"use_karras_sigmas": True},
}
# name: (prompt, negative prompt, steps, guidance scale, seed)
PROMPTS = {
    "apple": ("a red apple on a blue background", None, 20, 4.0, 0),
    "fox": ("a fox", None, 25, 4.0, 42),
    "rocket": ("a rocket on a black background", None, 15, 7.5, 1234),
    "octopus": ("an octopus", None, 12, 1.0, 7),
    "empty": ("", None, 20, 4.0, 99),
    "penguin": ("a penguin on a yellow background", "a red background", 25, 7.5, 2**40 + 12345),
    "pizza": ("A slice of PIZZA, on a green background!", None, 18, 4.0, 2026),
    "owl": ("an owl and a crab on a pink background", None, 16, 7.5, 2**32 - 1),
}
# (scheduler, name of the prompt, width, height)
OTHER_SIZES = [("DDIMScheduler", "apple", 96, 64), ("EulerDiscreteScheduler", "fox", 64, 112)]
# (scheduler, name of the prompt, strength, batch)
FROM_A_PICTURE = [
    ("DDIMScheduler", "fox", 0.5, 1), ("DDPMScheduler", "rocket", 0.8, 2), ("EulerAncestralDiscreteScheduler", "fox", 0.75, 1),
    ("HeunDiscreteScheduler", "rocket", 0.6, 1), ("DPMSolverMultistepScheduler", "pizza", 0.5, 2), ("PNDMScheduler-plms", "owl", 0.9, 1),
]  # fmt: skip
# The scheduler configuration that the model comes with; every scheduler is made from it, never from another's.
ORIGINAL = json.loads((ROOT / "Models" / "emoji" / "scheduler" / "scheduler_config.json").read_text())
WITH_LATENTS = {("DDIMScheduler", "apple", 1), ("EulerDiscreteScheduler", "fox", 4)}


def run(pipeline, scheduler, name, batch, width, height, kind="np"):
    prompt, negative, steps, scale, seed = PROMPTS[name]
    kind_of_scheduler = getattr(diffusers, scheduler.split("-")[0])
    pipeline.scheduler = kind_of_scheduler.from_config(ORIGINAL, **OPTIONS.get(scheduler, {}))
    return pipeline(
        prompt,
        negative_prompt=negative,
        num_inference_steps=steps,
        guidance_scale=scale,
        width=width,
        height=height,
        num_images_per_prompt=batch,
        generator=torch.Generator("cpu").manual_seed(seed),
        output_type=kind,
    ).images


def run_in_a_loop(pipeline, scheduler, name, batch, width, height):
    prompt, negative, steps, scale, seed = PROMPTS[name]
    kind = getattr(SDE, scheduler, None) or getattr(diffusers, scheduler)
    generator = torch.Generator("cpu").manual_seed(seed)
    shape = (batch, LATENT_CHANNELS, height // pipeline.vae_scale_factor, width // pipeline.vae_scale_factor)
    draw = lambda: torch.randn(shape, generator=generator)
    return in_a_loop(pipeline, kind, prompt, negative, steps, scale, batch, draw)


def in_a_loop(pipeline, kind, prompt, negative, steps, scale, batch, draw):
    """What StableDiffusionPipeline does, with a scheduler that it can't use. draw: () → noise of the latents' shape."""
    made = kind.from_config(ORIGINAL)
    made.set_timesteps(steps)
    latents = draw() * getattr(made, "init_noise_sigma", 1.0)
    BrownianPath.draw = draw
    with_prompt, without = pipeline.encode_prompt(prompt, torch.device("cpu"), batch, True, negative)
    states = torch.cat([without, with_prompt])
    for timestep in made.timesteps:
        seen = made.scale_model_input(latents, timestep) if hasattr(made, "scale_model_input") else latents
        both = pipeline.unet(torch.cat([seen, seen]), timestep, encoder_hidden_states=states, return_dict=False)[0]
        first, second = both.chunk(2)
        latents = made.step(first + scale * (second - first), timestep, latents, return_dict=False)[0]
    images = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor, return_dict=False)[0]
    return pipeline.image_processor.postprocess(images.detach(), output_type="np")


def pictures(pipeline, scheduler, *arguments):
    """uint8 [height, batch · width, 3], rounded as diffusers' numpy_to_pil does."""
    made = run_in_a_loop if scheduler in IN_A_LOOP else run
    images = (made(pipeline, scheduler, *arguments) * 255).round().astype(np.uint8)
    return np.concatenate(list(images), axis=1)


def entry_for(scheduler, name, batch, width, height, file, column):
    prompt, negative, steps, scale, seed = PROMPTS[name]
    return {
        "scheduler": scheduler.split("-")[0],
        "scheduler_options": OPTIONS.get(scheduler, {}),
        "prompt": prompt,
        "negative_prompt": negative,
        "steps": steps,
        "guidance_scale": scale,
        "seed": seed,
        "width": width,
        "height": height,
        "batch": batch,
        "file": file,
        "column": column,
        "initial_latents": None,
        "final_latents": None,
    }


def write_latents(pipeline, entry, name, folder):
    batch, width, height, scheduler = (entry[k] for k in ("batch", "width", "height", "scheduler"))
    generator = torch.Generator("cpu").manual_seed(entry["seed"])
    factor = pipeline.vae_scale_factor
    initial = torch.randn((batch, LATENT_CHANNELS, height // factor, width // factor), generator=generator).numpy()
    final = np.asarray(run(pipeline, scheduler, name, batch, width, height, "latent"))
    for kind, value in (("initial", initial), ("final", final)):
        file = f"{scheduler}-{name}-{batch}-{kind}.npy"
        np.save(folder / file, value.astype(np.float32))
        entry[f"{kind}_latents"] = file


def noised(pipeline, picture):
    """uint8 [height, 4 · width, 3] from uint8 [height, width, 3]."""
    scheduler = diffusers.DDPMScheduler.from_config(ORIGINAL)
    scale = pipeline.vae.config.scaling_factor
    pixels = pipeline.image_processor.preprocess(Image.fromarray(picture))
    latents = pipeline.vae.encode(pixels, return_dict=False)[0].mode() * scale
    noise = torch.randn(latents.shape, generator=torch.Generator("cpu").manual_seed(3))
    steps = [scheduler.add_noise(latents, noise, torch.tensor([timestep])) for timestep in (0, 250, 500, 999)]
    images = [pipeline.vae.decode(step / scale, return_dict=False)[0] for step in steps]
    images = pipeline.image_processor.postprocess(torch.cat(images).detach(), output_type="np")
    return np.concatenate(list((images * 255).round().astype(np.uint8)), axis=1)


def from_a_picture(folder, picture):
    pipeline = ORTStableDiffusionImg2ImgPipeline.from_pretrained(str(ROOT / "Models" / "emoji"))
    pipeline.set_progress_bar_config(disable=True)
    entries, strips, column = [], [], 0
    for scheduler, name, strength, batch in FROM_A_PICTURE:
        prompt, negative, steps, scale, seed = PROMPTS[name]
        pipeline.scheduler = getattr(diffusers, scheduler.split("-")[0]).from_config(ORIGINAL, **OPTIONS.get(scheduler, {}))
        images = pipeline(
            prompt, Image.fromarray(picture), strength, num_inference_steps=steps, guidance_scale=scale, num_images_per_prompt=batch,
            generator=torch.Generator("cpu").manual_seed(seed), output_type="np").images  # fmt: skip
        strips += list((images * 255).round().astype(np.uint8))
        entries.append({
            "scheduler": scheduler.split("-")[0], "scheduler_options": OPTIONS.get(scheduler, {}), "prompt": prompt, "steps": steps,
            "strength": strength, "guidance_scale": scale, "seed": seed, "batch": batch, "column": column})  # fmt: skip
        column += batch
    Image.fromarray(np.concatenate(strips, axis=1)).save(folder / "image-to-image.png", optimize=True)
    write_json(folder / "image-to-image.json", entries)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    fixtures = ROOT / "Tests" / "SDPipelineTests" / "Fixtures" / "pictures"
    arguments.add_argument("--output", type=Path, default=fixtures)
    folder = arguments.parse_args().output
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pipeline = ORTStableDiffusionPipeline.from_pretrained(str(ROOT / "Models" / "emoji"))
    pipeline.set_progress_bar_config(disable=True)
    entries = []
    for scheduler in SCHEDULERS:
        for name in PROMPTS:
            file = f"{scheduler}-{name}.png"
            strips, column = [], 0
            for batch in (1, 4):
                strips.append(pictures(pipeline, scheduler, name, batch, 64, 64))
                entry = entry_for(scheduler, name, batch, 64, 64, file, column)
                column += batch
                if (scheduler, name, batch) in WITH_LATENTS:
                    write_latents(pipeline, entry, name, folder)
                entries.append(entry)
            Image.fromarray(np.concatenate(strips, axis=1)).save(folder / file, optimize=True)
            print(file, flush=True)
    for scheduler, name, width, height in OTHER_SIZES:
        file = f"{scheduler}-{name}-{width}x{height}.png"
        Image.fromarray(pictures(pipeline, scheduler, name, 1, width, height)).save(folder / file, optimize=True)
        entries.append(entry_for(scheduler, name, 1, width, height, file, 0))
        print(file, flush=True)
    file, strips = "one-prompt.png", []
    for scheduler in ONE_PROMPT + IN_A_LOOP:
        strips.append(pictures(pipeline, scheduler, "apple", 1, 64, 64))
        entries.append(entry_for(scheduler, "apple", 1, 64, 64, file, len(strips) - 1))
        print(scheduler, flush=True)
    Image.fromarray(np.concatenate(strips, axis=1)).save(folder / file, optimize=True)
    apple = np.asarray(Image.open(folder / "DDIMScheduler-apple.png"))[:, :64]
    Image.fromarray(noised(pipeline, apple)).save(folder / "noised.png", optimize=True)
    from_a_picture(folder, apple)
    write_json(folder / "index.json", entries)


if __name__ == "__main__":
    main()
