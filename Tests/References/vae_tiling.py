"""A picture through the embedded model's VAE in tiles, by the tiling of diffusers' AutoencoderKL (0.35.2) over the model's graphs in ONNX
Runtime.

    vae_tiling.py [--output FOLDER]       default: Tests/SDPipelineTests/Fixtures/vae-tiling

Writes start.png; for tiles of 64 pixels (the size that the VAE was trained at) and of 32 encoded-N.npy, the latents of start.png
(the most likely ones, times the scaling factor), and decoded-N.png, the picture of the latents that the whole of start.png has; these
latents as encoded-whole.npy, and their picture as decoded-whole.png. index.json: {"N": the mean and the largest difference of decoded-N.png
from decoded-whole.png, of 255}.
"""

import argparse
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from diffusers import AutoencoderKL
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from common import ROOT, write_json

MODEL = ROOT / "Models" / "emoji"
FIXTURES = ROOT / "Tests" / "SDPipelineTests" / "Fixtures"
# Neither is a multiple of a tile: the last tiles are smaller.
WIDTH, HEIGHT = 240, 112


class Graph(torch.nn.Module):
    def __init__(self, component):
        super().__init__()
        self.session = onnxruntime.InferenceSession(MODEL / component / "model.onnx")

    def forward(self, values):
        name = self.session.get_inputs()[0].name
        return torch.from_numpy(self.session.run(None, {name: values.numpy()})[0])


def autoencoder(pixels=None):
    vae = AutoencoderKL.from_config(AutoencoderKL.load_config(MODEL / "vae_decoder" / "config.json")).eval()
    vae.encoder, vae.decoder = Graph("vae_encoder"), Graph("vae_decoder")
    # The graphs have these inside.
    vae.quant_conv, vae.post_quant_conv = torch.nn.Identity(), torch.nn.Identity()
    if pixels:
        vae.enable_tiling()
        factor = 2 ** (len(vae.config.block_out_channels) - 1)
        vae.tile_sample_min_size, vae.tile_latent_min_size = pixels, pixels // factor
    return vae


def start_picture():
    rows = [Image.open(FIXTURES / "pictures" / f"DDIMScheduler-{name}.png").convert("RGB") for name in ("apple", "fox")]
    picture = Image.new("RGB", (WIDTH, HEIGHT))
    for index, row in enumerate(rows):
        picture.paste(row, (0, 64 * index))
    return picture


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=FIXTURES / "vae-tiling")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    picture = start_picture()
    picture.save(folder / "start.png")
    processor = VaeImageProcessor()
    pixels = processor.preprocess(picture)

    def encoded(vae):
        return vae.encode(pixels).latent_dist.mode() * vae.config.scaling_factor

    def decoded(vae, latents):
        return processor.postprocess(vae.decode(latents / vae.config.scaling_factor).sample, output_type="pil")[0]

    whole = autoencoder()
    latents = encoded(whole)
    np.save(folder / "encoded-whole.npy", latents.numpy())
    expected = decoded(whole, latents)
    expected.save(folder / "decoded-whole.png")
    differences = {}
    for side in (64, 32):
        vae = autoencoder(side)
        np.save(folder / f"encoded-{side}.npy", encoded(vae).numpy())
        made = decoded(vae, latents)
        made.save(folder / f"decoded-{side}.png")
        difference = np.abs(np.asarray(made, int) - np.asarray(expected, int))
        differences[str(side)] = {"mean": float(difference.mean()), "largest": int(difference.max())}
    write_json(folder / "index.json", differences)


if __name__ == "__main__":
    main()
