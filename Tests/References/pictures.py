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
"""

import argparse
import json
import shutil
from pathlib import Path

import diffusers
import numpy as np
import torch
from optimum.onnxruntime import ORTStableDiffusionPipeline
from PIL import Image

from common import ROOT, write_json

SCHEDULERS = ["DDPMScheduler", "DDIMScheduler", "PNDMScheduler", "PNDMScheduler-plms", "EulerDiscreteScheduler"]
# With one prompt each, twenty steps, side by side in one file. Left out are DPM++ SDE, whose noise is torchsde's own, and the two of
# flow matching, which the pipeline can't use: they have no init_noise_sigma.
ONE_PROMPT = [
    "DDIMInverseScheduler", "DEISMultistepScheduler", "DPMSolverMultistepScheduler", "DPMSolverMultistepScheduler-karras",
    "DPMSolverMultistepScheduler-sde", "DPMSolverMultistepScheduler-3m", "DPMSolverSinglestepScheduler",
    "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "EDMEulerScheduler", "EDMDPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "HeunDiscreteScheduler-karras", "IPNDMScheduler",
    "LCMScheduler", "LMSDiscreteScheduler", "SASolverScheduler", "TCDScheduler", "UniPCMultistepScheduler",
    "UniPCMultistepScheduler-karras",
]  # fmt: skip
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


def pictures(*arguments):
    """uint8 [height, batch · width, 3], rounded as diffusers' numpy_to_pil does."""
    images = (run(*arguments) * 255).round().astype(np.uint8)
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
    for scheduler in ONE_PROMPT:
        strips.append(pictures(pipeline, scheduler, "apple", 1, 64, 64))
        entries.append(entry_for(scheduler, "apple", 1, 64, 64, file, len(strips) - 1))
        print(scheduler, flush=True)
    Image.fromarray(np.concatenate(strips, axis=1)).save(folder / file, optimize=True)
    write_json(folder / "index.json", entries)


if __name__ == "__main__":
    main()
