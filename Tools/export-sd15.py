#!/usr/bin/env python3
"""Exports a full-size Stable Diffusion 1.5 pipeline with random weights to ONNX, for measuring memory and time: 860 M
parameters in the U-Net, 123 M in the text encoder, 84 M in the VAE. Its pictures are noise.

    Tools/setup-python.sh
    ~/.cache/sd-onnx/venv/bin/python Tools/export-sd15.py FOLDER [--opset N] [--seed N]

Needs about 12 GB of disk while it runs (4.3 GB stay), 10 GB of memory and three minutes. The configurations are those that
SD 1.5 was published with. The tokenizer is CLIP's own where Tools/fetch-clip-vocabulary.sh has put it into the cache, else the embedded
model's, whose 2,048 ids are a subset of those that the text encoder accepts.
"""

import argparse
import os
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from optimum.exporters.onnx import main_export
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("SD_ONNX_TEST_CACHE") or Path.home() / ".cache" / "sd-onnx")

UNET = dict(
    sample_size=64,
    in_channels=4,
    out_channels=4,
    center_input_sample=False,
    flip_sin_to_cos=True,
    freq_shift=0,
    down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    block_out_channels=(320, 640, 1280, 1280),
    layers_per_block=2,
    downsample_padding=1,
    mid_block_scale_factor=1,
    act_fn="silu",
    norm_num_groups=32,
    norm_eps=1e-5,
    cross_attention_dim=768,
    attention_head_dim=8,
)
TEXT_ENCODER = dict(
    vocab_size=49408,
    hidden_size=768,
    intermediate_size=3072,
    projection_dim=768,
    num_hidden_layers=12,
    num_attention_heads=12,
    max_position_embeddings=77,
    hidden_act="quick_gelu",
    layer_norm_eps=1e-5,
    pad_token_id=1,
    bos_token_id=0,
    eos_token_id=2,
)
VAE = dict(
    in_channels=3,
    out_channels=3,
    down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4,
    block_out_channels=(128, 256, 512, 512),
    layers_per_block=2,
    act_fn="silu",
    latent_channels=4,
    norm_num_groups=32,
    sample_size=512,
    scaling_factor=0.18215,
)
SCHEDULER = dict(
    num_train_timesteps=1000,
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    skip_prk_steps=True,
    set_alpha_to_one=False,
    steps_offset=1,
)


def tokenizer():
    vocabulary = CACHE / "clip-vocabulary"
    if (vocabulary / "vocab.json").exists() and (vocabulary / "merges.txt").exists():
        return CLIPTokenizer(str(vocabulary / "vocab.json"), str(vocabulary / "merges.txt"), model_max_length=77)
    print(f"no CLIP vocabulary in {vocabulary}: the embedded model's tokenizer goes in its place")
    return CLIPTokenizer.from_pretrained(ROOT / "Models" / "emoji" / "tokenizer", model_max_length=77)


def save_pipeline(folder, seed):
    torch.manual_seed(seed)
    pipeline = StableDiffusionPipeline(
        text_encoder=CLIPTextModel(CLIPTextConfig(**TEXT_ENCODER)),
        unet=UNet2DConditionModel(**UNET),
        vae=AutoencoderKL(**VAE),
        tokenizer=tokenizer(),
        scheduler=PNDMScheduler(**SCHEDULER),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--opset", type=int, default=None, help="default: optimum's own choice")
    arguments.add_argument("--seed", type=int, default=0, help="of the random weights (default: 0)")
    options = arguments.parse_args()
    pipeline = options.folder.with_name(options.folder.name + ".diffusers")
    try:
        save_pipeline(pipeline, options.seed)
        main_export(
            str(pipeline),
            str(options.folder),
            task="text-to-image",
            opset=options.opset,
            do_validation=False,
            local_files_only=True,
        )
    finally:
        shutil.rmtree(pipeline, ignore_errors=True)
    size = sum(f.stat().st_size for f in options.folder.rglob("*") if f.is_file())
    print(f"{options.folder}: {size / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
