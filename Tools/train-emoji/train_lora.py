"""Trains a small LoRA of the emoji model, a style that all of its pictures take on, and saves it with kohya's keys.

    python train_lora.py --model FOLDER --minutes 12 --output night.safetensors

FOLDER is the model in diffusers' form (the parts that the other scripts here make, with model_index.json); emoji.npz and concepts.txt
are those that it was trained with. The style `night`: the glyph in dim blue light, with a rim where light from above falls on it, on
a dark sky with stars, whatever background the caption names.

The adapter has two factors of rank 4 for each attention layer and each convolution of 3×3 pixels of the U-Net, and none for the text
encoder: everything that it is asked for is drawn by night.
"""

import argparse
import json
import time

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTokenizer

from train_unet import COLOURS, LENGTH, SCHEDULE, Captions
from train_vae import glyphs

LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2", "conv_shortcut", "proj_in", "proj_out")


def night(glyph, generator):
    """Glyphs (N, 4, 64, 64), premultiplied, as pictures (N, 3, 64, 64) in -1...1."""
    count = len(glyph)
    height = torch.linspace(0, 1, 64).view(1, 1, 64, 1)
    top, bottom = (torch.tensor(colour).view(1, 3, 1, 1) for colour in ((0.02, 0.03, 0.11), (0.10, 0.12, 0.34)))
    sky = (top + (bottom - top) * height).expand(count, 3, 64, 64).clone()
    stars = (torch.rand(count, 1, 64, 64, generator=generator) < 0.006).float()
    stars = stars + 0.35 * F.max_pool2d(stars, 3, 1, 1)
    sky = sky + stars.clamp(0, 1) * torch.tensor((0.95, 0.95, 0.8)).view(1, 3, 1, 1)
    colour, alpha = glyph[:, :3], glyph[:, 3:]
    light = colour.mean(1, keepdim=True)
    dim = (0.55 * colour + 0.45 * light) * torch.tensor((0.38, 0.46, 0.85)).view(1, 3, 1, 1)
    # What is inside, with outside above it.
    above = F.pad(alpha, (0, 0, 2, 0))[:, :, :64]
    rim = (alpha - above).clamp(0, 1) * torch.tensor((0.75, 0.85, 1.0)).view(1, 3, 1, 1)
    return (dim + rim + (1 - alpha) * sky).clamp(0, 1) * 2 - 1


class Adapted(torch.nn.Module):
    """A layer with two factors beside it."""

    def __init__(self, layer, rank):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        weight = layer.weight
        self.down = torch.nn.Parameter(torch.randn(rank, *weight.shape[1:]) / weight[0].numel() ** 0.5)
        self.up = torch.nn.Parameter(torch.zeros(weight.shape[0], rank, *[1] * (weight.dim() - 2)))

    def forward(self, x):
        if isinstance(self.layer, torch.nn.Linear):
            return self.layer(x) + F.linear(F.linear(x, self.down), self.up)
        inner = F.conv2d(x, self.down, stride=self.layer.stride, padding=self.layer.padding)
        return self.layer(x) + F.conv2d(inner, self.up)


def adapt(unet, rank):
    """Puts factors beside the layers: name → module."""
    found = [name for name, _ in unet.named_modules() if any(name.endswith("." + layer) for layer in LAYERS)]
    adapted = {}
    for name in found:
        parent, _, last = name.rpartition(".")
        module = Adapted(unet.get_submodule(name), rank)
        setattr(unet.get_submodule(parent), last, module)
        adapted[name] = module
    return adapted


def save(path, adapted, rank, steps, words):
    tensors = {}
    for name, module in adapted.items():
        key = f"lora_unet_{name.replace('.', '_')}"
        tensors[f"{key}.lora_down.weight"] = module.down.detach().half().contiguous()
        tensors[f"{key}.lora_up.weight"] = module.up.detach().half().contiguous()
        tensors[f"{key}.alpha"] = torch.tensor(float(rank)).half()
    metadata = {
        "ss_output_name": "night", "ss_network_dim": str(rank), "ss_network_alpha": str(rank), "ss_steps": str(steps),
        "ss_base_model_version": "sd-onnx emoji", "modelspec.title": "night",
        "modelspec.description": "draws emoji by night", "ss_tag_frequency": json.dumps({"emoji": words}),
    }  # fmt: skip
    save_file(tensors, path, metadata=metadata)


@torch.no_grad()
def encode(vae, chosen, generator, skies=3):
    """Moments of every concept under a few skies: (skies, concepts, 8, 16, 16)."""
    made = []
    for _ in range(skies):
        for batch in chosen.split(64):
            posterior = vae.encode(night(batch, generator)).latent_dist
            made.append(torch.cat([posterior.mean, posterior.std], 1))
    return torch.cat(made).view(skies, len(chosen), 8, 16, 16)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--model", default=".")
    arguments.add_argument("--concepts", default="concepts.txt")
    arguments.add_argument("--minutes", type=float, default=12)
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--rank", type=int, default=4)
    arguments.add_argument("--output", default="night.safetensors")
    options = arguments.parse_args()
    torch.manual_seed(0)
    random, generator = np.random.default_rng(0), torch.Generator().manual_seed(1)

    part = lambda kind, name: kind.from_pretrained(options.model, subfolder=name, torch_dtype=torch.float32)
    tokenizer = CLIPTokenizer.from_pretrained(f"{options.model}/tokenizer")
    vae, unet, text_encoder = part(AutoencoderKL, "vae"), part(UNet2DConditionModel, "unet"), part(CLIPTextModel, "text_encoder")
    scale = vae.config.scaling_factor
    captions = Captions(options.concepts, random)
    latents = encode(vae.eval(), glyphs()[captions.indices], generator)
    unet.requires_grad_(False), text_encoder.requires_grad_(False).eval()
    adapted = adapt(unet, options.rank)
    parameters = [parameter for module in adapted.values() for parameter in (module.down, module.up)]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=1e-3, betas=(0.9, 0.99))
    alphas_cumprod = DDPMScheduler(**SCHEDULE).alphas_cumprod

    begin, step, words = time.time(), 0, {}
    while (done := (time.time() - begin) / 60 / options.minutes) < 1:
        optimizer.param_groups[0]["lr"] = 2e-3 * min(1, (step + 1) / 50) * max(0.02, 1 - done)
        concept = random.integers(len(captions.names), size=options.batch)
        colour = np.where(random.random(options.batch) < 0.5, 0, random.integers(len(COLOURS), size=options.batch))
        texts = ["" if random.random() < 0.1 else captions(i, c) for i, c in zip(concept, colour)]
        for index in concept:
            words[captions.names[index]] = words.get(captions.names[index], 0) + 1
        ids = tokenizer(texts, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids
        moments = latents[torch.randint(len(latents), (options.batch,), generator=generator), torch.from_numpy(concept)]
        clean = moments[:, :4] + moments[:, 4:] * torch.randn(options.batch, 4, 16, 16, generator=generator)
        noise = torch.randn(clean.shape, generator=generator)
        timestep = torch.randint(1000, (options.batch,), generator=generator)
        signal = alphas_cumprod[timestep]
        weight = signal.view(-1, 1, 1, 1)
        noisy = weight.sqrt() * clean * scale + (1 - weight).sqrt() * noise
        with torch.autocast("cpu", dtype=torch.bfloat16):
            with torch.no_grad():
                hidden = text_encoder(input_ids=ids).last_hidden_state
            predicted = unet(noisy, timestep, hidden).sample
        error = ((predicted.float() - noise) ** 2).mean((1, 2, 3))
        snr = signal / (1 - signal)
        loss = (snr.clamp(max=5) / snr * error).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            print(step, f"{time.time() - begin:.0f}s mse {error.mean().item():.4f}", flush=True)
        if step % 200 == 0:
            save(options.output, adapted, options.rank, step, words)
    save(options.output, adapted, options.rank, step, words)


if __name__ == "__main__":
    main()
