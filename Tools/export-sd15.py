#!/usr/bin/env python3
"""Exports a full-size Stable Diffusion 1.5 pipeline with random weights to ONNX, for measuring memory and time: 860 M
parameters in the U-Net, 123 M in the text encoder, 84 M in the VAE. Its pictures are noise.

    Tools/setup-python.sh
    ~/.cache/sd-onnx/venv/bin/python Tools/export-sd15.py FOLDER [--opset N] [--seed N]

Needs about 12 GB of disk while it runs (4.3 GB stay), 10 GB of memory and three minutes. The configurations are those that
SD 1.5 was published with. The tokenizer is CLIP's own where Tools/fetch-clip-vocabulary.sh has put it into the cache, else the embedded
model's, whose 2,048 ids are a subset of those that the text encoder accepts.
"""

import shutil

import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from optimum.exporters.onnx import main_export
from transformers import CLIPTextConfig, CLIPTextModel

import full_size

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
VAE = dict(**full_size.VAE, sample_size=512, scaling_factor=0.18215)
SCHEDULER = dict(**full_size.SCHEDULER, skip_prk_steps=True, set_alpha_to_one=False)


def save_pipeline(folder, seed):
    torch.manual_seed(seed)
    pipeline = StableDiffusionPipeline(
        text_encoder=CLIPTextModel(CLIPTextConfig(**full_size.TEXT_ENCODER)),
        unet=UNet2DConditionModel(**UNET),
        vae=AutoencoderKL(**VAE),
        tokenizer=full_size.tokenizer(),
        scheduler=PNDMScheduler(**SCHEDULER),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)


def export(folder, opset, seed):
    pipeline = folder.with_name(folder.name + ".diffusers")
    try:
        save_pipeline(pipeline, seed)
        main_export(
            str(pipeline),
            str(folder),
            task="text-to-image",
            opset=opset,
            do_validation=False,
            local_files_only=True,
        )
    finally:
        shutil.rmtree(pipeline, ignore_errors=True)


def main():
    options = full_size.arguments(__doc__, None, "optimum's own choice").parse_args()
    full_size.export(options.folder, 12e9, lambda: export(options.folder, options.opset, options.seed))


if __name__ == "__main__":
    main()
