"""What the scripts that export full-size pipelines with random weights share: the published configurations that are the same for both, the
arguments, and the folder that is made."""

import argparse
import os
import shutil
from pathlib import Path

from transformers import CLIPTokenizer

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("SD_ONNX_TEST_CACHE") or Path.home() / ".cache" / "sd-onnx")

# That of CLIP ViT-L/14.
TEXT_ENCODER = dict(
    vocab_size=49408,
    hidden_size=768,
    intermediate_size=3072,
    projection_dim=768,
    num_hidden_layers=12,
    num_attention_heads=12,
    max_position_embeddings=77,
    hidden_act="quick_gelu",
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
    latent_channels=4,
    norm_num_groups=32,
)
SCHEDULER = dict(
    num_train_timesteps=1000,
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    steps_offset=1,
)


def tokenizer(pad_token="<|endoftext|>"):
    """CLIP's own where Tools/fetch-clip-vocabulary.sh has put it into the cache, else the embedded model's."""
    vocabulary = CACHE / "clip-vocabulary"
    if not (vocabulary / "vocab.json").exists() or not (vocabulary / "merges.txt").exists():
        print(f"no CLIP vocabulary in {vocabulary}: the embedded model's tokenizer goes in its place")
        vocabulary = ROOT / "Models" / "emoji" / "tokenizer"
    files = str(vocabulary / "vocab.json"), str(vocabulary / "merges.txt")
    return CLIPTokenizer(*files, model_max_length=77, pad_token=pad_token)


def arguments(description, opset, opset_text):
    """A parser of the arguments that every export takes. opset: the default, whose meaning opset_text says."""
    parser = argparse.ArgumentParser(description=description.split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="is made, and must not be there")
    parser.add_argument("--opset", type=int, default=opset, help=f"default: {opset_text}")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights (default: 0)")
    return parser


def export(folder, needed, make):
    """Makes the folder, lets `make` fill it and prints its size; it is removed where that fails. needed: bytes of free disk."""
    if folder.exists():
        raise SystemExit(f"{folder} is there already")
    folder.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder.parent).free < needed:
        raise SystemExit(f"{folder}: {needed / 1e9:.0f} GB of free disk are needed")
    folder.mkdir()
    try:
        make()
    except BaseException:
        shutil.rmtree(folder)
        raise
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    print(f"{folder}: {size / 1e9:.2f} GB")
