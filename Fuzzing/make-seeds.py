#!/usr/bin/env python3
"""Writes Fuzzing/Seeds: small valid inputs for the targets whose formats the tests have no small file of."""

import io
import json
import pathlib
import struct
import zipfile
import zlib

SEEDS = pathlib.Path(__file__).resolve().parent / "Seeds"
# Between the files of an input that stands for several: a byte that no UTF-8 text has.
SEPARATOR = b"\xff"


def write(target, name, content):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def text(value):
    return json.dumps(value, separators=(",", ":")).encode()


def tokenizers():
    tokens = "a b c t a</w> b</w> c</w> t</w> ca cat</w> , !</w> 2</w> <|startoftext|> <|endoftext|>".split()
    vocabulary = {token: number for number, token in enumerate(tokens)}
    merges = b"#version: 0.2\nc a\nca t</w>\n"
    configuration = {
        "model_max_length": 77,
        "bos_token": {"__type": "AddedToken", "content": "<|startoftext|>"},
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "add_prefix_space": False,
        "do_lower_case": True,
    }
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "!", "unk_token": "<|endoftext|>"}
    flags = {"special": True, "normalized": True, "lstrip": False, "rstrip": False, "single_word": False}
    document = {
        "version": "1.0",
        "truncation": {"max_length": 77},
        "padding": None,
        "added_tokens": [
            {"id": 13, "content": "<|startoftext|>"} | flags,
            {"id": 14, "content": "<|endoftext|>", "special": True, "normalized": False},
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "NFC"},
                {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
                {"type": "Lowercase"},
            ],
        },
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": []},
        "post_processor": {"type": "RobertaProcessing", "sep": ["<|endoftext|>", 14], "cls": ["<|startoftext|>", 13]},
        "model": {
            "type": "BPE",
            "unk_token": "<|endoftext|>",
            "end_of_word_suffix": "</w>",
            "vocab": vocabulary,
            "merges": ["c a", "ca t</w>"],
        },
    }
    prompt = "A cat, 2 cats! <cat-toy> é ’s".encode()
    files = [text(vocabulary), merges, b"", text(configuration), text(special), text({"<cat-toy>": 15}), prompt]
    write("tokenizer", "files", SEPARATOR.join(files))
    write("tokenizer", "document", SEPARATOR.join([b"", b"", text(document), text(configuration), b"", b"", prompt]))
    write("tokenizer", "both", SEPARATOR.join([text(vocabulary), merges, text(document), b"{}", b"", b"", prompt]))
    return document


def schedulers():
    ddim = {
        "_class_name": "DDIMScheduler",
        "_diffusers_version": "0.35.2",
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": False,
        "num_train_timesteps": 10,
        "prediction_type": "epsilon",
        "set_alpha_to_one": False,
        "steps_offset": 1,
        "timestep_spacing": "leading",
        "trained_betas": None,
        "thresholding": True,
        "dynamic_thresholding_ratio": 0.995,
        "sample_max_value": 1.0,
    }
    dpm = {
        "_class_name": "DPMSolverMultistepScheduler",
        "algorithm_type": "sde-dpmsolver++",
        "solver_order": 3,
        "solver_type": "midpoint",
        "use_karras_sigmas": True,
        "final_sigmas_type": "zero",
        "lower_order_final": True,
        "euler_at_final": False,
        "lambda_min_clipped": -5.1,
        "variance_type": None,
        "use_lu_lambdas": False,
    }
    euler = {
        "_class_name": "EulerDiscreteScheduler",
        "trained_betas": [0.1, 0.2, 0.3],
        "num_train_timesteps": 3,
        "interpolation_type": "linear",
        "use_beta_sigmas": True,
        "sigma_min": None,
        "sigma_max": None,
        "timestep_type": "discrete",
        "rescale_betas_zero_snr": True,
    }
    write("scheduler", "ddim.json", text(ddim))
    write("scheduler", "dpm.json", text(ddim | dpm))
    write("scheduler", "euler.json", text(euler))
    return ddim


def configurations(document, scheduler):
    graph = ["diffusers", "OnnxRuntimeModel"]
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.35.2",
        "feature_extractor": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": graph,
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": graph,
        "vae_decoder": graph,
        "requires_safety_checker": False,
        "safety_checker": [None, None],
    }
    unet = {
        "_class_name": "UNet2DConditionModel",
        "in_channels": 4,
        "out_channels": 4,
        "sample_size": 16,
        "cross_attention_dim": 64,
        "time_cond_proj_dim": None,
        "block_out_channels": [32, 64],
    }
    vae = {
        "_class_name": "AutoencoderKL",
        "block_out_channels": [32, 64, 64],
        "latent_channels": 4,
        "scaling_factor": 0.18215,
        "sample_size": 64,
        "shift_factor": None,
    }
    encoder = {
        "architectures": ["CLIPTextModel"],
        "hidden_size": 64,
        "max_position_embeddings": 77,
        "vocab_size": 16,
        "eos_token_id": 14,
        "num_hidden_layers": 2,
    }
    write("configuration", "folder", SEPARATOR.join(text(file) for file in [index, unet, vae, encoder, scheduler, document]))


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, depth, color, row, extra=b""):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + row) * height))
    return b"\x89PNG\r\n\x1a\n" + header + extra + pixels + chunk(b"IEND", b"")


def pictures():
    # One entry of a TIFF directory: orientation 6.
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    write("png", "gray1.png", png(9, 2, 1, 0, b"\xaa\x80"))
    gamma = chunk(b"gAMA", struct.pack(">I", 45455))
    write("png", "rgb.png", png(2, 2, 8, 2, bytes(range(6)), gamma + chunk(b"tEXt", b"parameters\0a fox")))
    palette = chunk(b"PLTE", bytes(range(6))) + chunk(b"tRNS", b"\0\x80")
    write("png", "palette.png", png(2, 2, 8, 3, b"\0\1", palette))
    annotated = chunk(b"eXIf", exif) + chunk(b"iTXt", b"parameters\0\0\0\0\0a fox")
    write("png", "rgba16.png", png(1, 2, 16, 6, bytes(range(8)), annotated))
    write("png", "grayalpha.png", png(2, 1, 8, 4, b"\1\2\3\4", chunk(b"cHRM", bytes(32)) + chunk(b"sRGB", b"\0")))


def jpegs():
    """Those of the tests that stand for a kind each."""
    listed = json.loads((SEEDS.parent.parent / "Tests" / "References" / "jpeg.json").read_text())["pictures"]
    for name in ("pillow-gray", "sampled-420", "ycc-p", "ycc-a", "rgb-ap", "cmyk-r", "ycck-s", "turned-6"):
        write("jpeg", f"{name}.jpg", bytes.fromhex(listed[name]["file"]))


def metadata():
    """Those of the tests, behind a byte that stands for the key."""
    keys = ["parameters", "prompt", "Comment", "invokeai_metadata", "sd-metadata", "sd-onnx"]
    listed = json.loads((SEEDS.parent.parent / "Tests" / "References" / "picture-texts.json").read_text())
    texts = [{"parameters": entry["text"]} for entry in listed["infotexts"][:3]] + [entry["texts"] for entry in listed["foreign"]]
    for number, entry in enumerate(texts):
        for key, text in entry.items():
            if key in keys:
                write("metadata", f"{number}-{key}", bytes([keys.index(key)]) + text.encode())


def npy(description, content, version=1):
    prefix = 10 if version == 1 else 12
    text = description.encode()
    text += b" " * (63 - (prefix + len(text)) % 64) + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + content


def arrays():
    write("npy", "f4.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", bytes(24)))
    write("npy", "big.npy", npy("{'descr': '>i8', 'fortran_order': True, 'shape': (2, 2), }", bytes(32)))
    write("npy", "v2.npy", npy("{'descr': '|b1', 'fortran_order': False, 'shape': (), }", b"\1", 2))
    half = npy("{'descr': '<f2', 'fortran_order': False, 'shape': (3,), }", bytes(6), 3)
    write("npy", "v3.npy", half)
    for name, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", method) as archive:
            for array in ("a", "b/c"):
                archive.writestr(zipfile.ZipInfo(f"{array}.npy"), half, method)
        write("npz", f"{name}.npz", content.getvalue())


if __name__ == "__main__":
    configurations(tokenizers(), schedulers())
    pictures()
    jpegs()
    metadata()
    arrays()
