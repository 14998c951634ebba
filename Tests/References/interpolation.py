"""Makes the pictures that interpolated prompts are compared with: diffusers' own pipeline over the embedded model, given a weighted mean of two
prompts' embeddings.

    interpolation.py        Tests/SDPipelineTests/Fixtures/interpolation/

Writes pictures.png, all pictures side by side, and index.json, an array of
    {"scheduler", "prompt", "other", "share", "negative_prompt", "steps", "guidance_scale", "seed", "column"}
"""

import diffusers
import numpy as np
import torch
from optimum.onnxruntime import ORTStableDiffusionPipeline
from PIL import Image

from common import ROOT, write_json
from pictures import ORIGINAL

FOLDER = ROOT / "Tests" / "SDPipelineTests" / "Fixtures" / "interpolation"
# (scheduler, prompt, other prompt, share, negative prompt, steps, guidance scale, seed)
RUNS = [
    ("DDIMScheduler", "a fox", "an owl", 0.25, None, 12, 4.0, 7), ("DDIMScheduler", "a fox", "an owl", 0.5, "rain", 12, 4.0, 7),
    ("EulerAncestralDiscreteScheduler", "a red apple on a blue background", "a penguin", 0.75, None, 10, 5.0, 3),
    ("DDIMScheduler", "a fox", "a rocket on a black background", 0.1, None, 10, 1.0, 9),
]  # fmt: skip


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    pipeline = ORTStableDiffusionPipeline.from_pretrained(str(ROOT / "Models" / "emoji"))
    pipeline.set_progress_bar_config(disable=True)
    entries, strips = [], []
    for scheduler, prompt, other, share, negative, steps, scale, seed in RUNS:
        pipeline.scheduler = getattr(diffusers, scheduler).from_config(ORIGINAL)
        embeddings = [pipeline.encode_prompt(text, "cpu", 1, True, negative) for text in (prompt, other)]
        mixed = (1 - share) * embeddings[0][0] + share * embeddings[1][0]
        image = pipeline(
            prompt_embeds=mixed, negative_prompt_embeds=embeddings[0][1], num_inference_steps=steps, guidance_scale=scale,
            generator=torch.Generator("cpu").manual_seed(seed), output_type="np").images[0]  # fmt: skip
        entries.append({
            "scheduler": scheduler, "prompt": prompt, "other": other, "share": share, "negative_prompt": negative, "steps": steps,
            "guidance_scale": scale, "seed": seed, "column": len(strips)})  # fmt: skip
        strips.append((image * 255).round().astype(np.uint8))
    Image.fromarray(np.concatenate(strips, axis=1)).save(FOLDER / "pictures.png", optimize=True)
    write_json(FOLDER / "index.json", entries)


if __name__ == "__main__":
    main()
