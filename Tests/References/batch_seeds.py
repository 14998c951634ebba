"""Makes the pictures that batches with a generator for each picture are compared with: diffusers' own pipelines over the embedded model,
given a list of generators, the seed of each one more than that of the one before (modulo 2^64).

    batch_seeds.py [--output FOLDER]       default: Tests/SDPipelineTests/Fixtures/batch-seeds

Writes pictures.png, all pictures side by side, and index.json, an array of
    {"scheduler", "scheduler_options", "prompt", "steps", "strength", "guidance_scale", "seed", "batch", "column"}
with a strength where the run starts from the first picture of Fixtures/pictures/DDIMScheduler-apple.png, else null.
"""

import argparse
from pathlib import Path

import diffusers
import numpy as np
import torch
from optimum.onnxruntime import ORTStableDiffusionImg2ImgPipeline, ORTStableDiffusionPipeline
from PIL import Image

from brownian import SDE
from common import ROOT, write_json
from pictures import LATENT_CHANNELS, OPTIONS, ORIGINAL, in_a_loop

FIXTURES = ROOT / "Tests" / "SDPipelineTests" / "Fixtures"
# (scheduler, prompt, steps, guidance scale, seed, batch, strength)
RUNS = [
    ("DDIMScheduler", "a fox", 12, 4.0, 5, 3, None), ("DDPMScheduler", "a red apple on a blue background", 20, 4.0, 2**64 - 1, 3, None),
    ("EulerAncestralDiscreteScheduler", "an owl", 12, 5.0, 5, 3, None), ("KDPM2AncestralDiscreteScheduler", "a fox", 8, 4.0, 11, 2, None),
    ("DPMSolverMultistepScheduler-sde", "a rocket on a black background", 12, 4.0, 2**32 - 1, 3, None),
    ("SASolverScheduler", "a penguin", 12, 4.0, 7, 2, None), ("LCMScheduler", "a fox", 8, 1.0, 3, 2, None),
    ("DPMSolverSDEScheduler", "a fox", 8, 4.0, 9, 3, None), ("DDIMScheduler", "a fox", 15, 4.0, 42, 3, 0.6),
    ("EulerAncestralDiscreteScheduler", "a slice of pizza", 12, 5.0, 8, 2, 0.75), ("DDPMScheduler", "an owl", 20, 4.0, 1, 2, 0.5),
]  # fmt: skip


def generators(seed, batch):
    return [torch.Generator("cpu").manual_seed((seed + index) % 2**64) for index in range(batch)]


def drawing(pipeline, seed, batch):
    """DPM++ SDE's noise, from the generators instead of torchsde."""
    sources = generators(seed, batch)
    shape = (1, LATENT_CHANNELS, 64 // pipeline.vae_scale_factor, 64 // pipeline.vae_scale_factor)
    return lambda: torch.cat([torch.randn(shape, generator=source) for source in sources])


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--output", type=Path, default=FIXTURES / "batch-seeds")
    folder = arguments.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    model = str(ROOT / "Models" / "emoji")
    from_text = ORTStableDiffusionPipeline.from_pretrained(model)
    from_picture = ORTStableDiffusionImg2ImgPipeline.from_pretrained(model)
    for pipeline in (from_text, from_picture):
        pipeline.set_progress_bar_config(disable=True)
    apple = Image.open(FIXTURES / "pictures" / "DDIMScheduler-apple.png").convert("RGB").crop((0, 0, 64, 64))
    entries, strips, column = [], [], 0
    for scheduler, prompt, steps, scale, seed, batch, strength in RUNS:
        options = OPTIONS.get(scheduler, {})
        scheduler = scheduler.split("-")[0]
        pipeline = from_text if strength is None else from_picture
        if hasattr(SDE, scheduler):
            draw = drawing(pipeline, seed, batch)
            images = in_a_loop(pipeline, getattr(SDE, scheduler), prompt, None, steps, scale, batch, draw)
        else:
            pipeline.scheduler = getattr(diffusers, scheduler).from_config(ORIGINAL, **options)
            start = {} if strength is None else {"image": apple, "strength": strength}
            images = pipeline(
                prompt, num_inference_steps=steps, guidance_scale=scale, num_images_per_prompt=batch,
                generator=generators(seed, batch), output_type="np", **start).images  # fmt: skip
        strips += list((images * 255).round().astype(np.uint8))
        entries.append({
            "scheduler": scheduler, "scheduler_options": options, "prompt": prompt, "steps": steps, "strength": strength,
            "guidance_scale": scale, "seed": seed, "batch": batch, "column": column})  # fmt: skip
        column += batch
        print(scheduler, flush=True)
    Image.fromarray(np.concatenate(strips, axis=1)).save(folder / "pictures.png", optimize=True)
    write_json(folder / "index.json", entries)


if __name__ == "__main__":
    main()
