"""Reference files for pictures and arrays, from Pillow, diffusers 0.35.2 and numpy.

Run with a Python that has torch, diffusers 0.35.2, numpy and pillow:

    python Tests/References/images.py

Writes beside this file images.json (PNG files of every kind, each with the 8-bit RGB values that a decoder must give,
and pixels of a VAE with the bytes that VaeImageProcessor makes of them) and arrays.json (.npy files, each with its
elements in C order, little-endian). Bytes are hexadecimal.
"""

import io
import json
import os
import struct
import warnings
import zlib

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

FOLDER = os.path.dirname(os.path.abspath(__file__))
WIDTH, HEIGHT = 7, 5
# First pixel, and steps between pixels, of each of Adam7's passes.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(rows, depth, kind, interlaced=False, extra=b""):
    """A PNG written by hand from rows of bytes, for what Pillow doesn't write."""
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, kind, 0, 0, int(interlaced))
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def packed(values, depth):
    bits = "".join(format(int(value), f"0{depth}b") for value in values)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def pictures():
    random = np.random.default_rng(1)
    rgb = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    alpha = random.integers(0, 256, (HEIGHT, WIDTH, 1), dtype=np.uint8)
    gray = rgb[..., :1]
    gray_rgb = np.repeat(gray, 3, axis=2)

    def saved(image):
        file = io.BytesIO()
        image.save(file, "PNG")
        return file.getvalue()

    yield "rgb8", saved(Image.fromarray(rgb)), rgb
    yield "rgba8", saved(Image.fromarray(np.concatenate([rgb, alpha], axis=2))), rgb
    yield "gray8", saved(Image.fromarray(gray[..., 0])), gray_rgb
    yield "gray-alpha8", saved(Image.fromarray(np.concatenate([gray, alpha], axis=2))), gray_rgb
    palette = Image.fromarray(rgb).quantize(16)
    yield "palette", saved(palette), np.array(palette.convert("RGB"))
    for depth in (1, 2, 4):
        values = random.integers(0, 2**depth, (HEIGHT, WIDTH))
        bytes8 = (values * (255 // (2**depth - 1))).astype(np.uint8)
        yield f"gray{depth}", png([packed(row, depth) for row in values], depth, 0), np.repeat(bytes8[..., None], 3, axis=2)
    # A 16-bit value of 257 times a byte is exactly that byte.
    wide = (rgb.astype(">u2") * 257).astype(">u2")
    yield "rgb16", png([row.tobytes() for row in wide], 16, 2), rgb
    yield "gray16", png([row.tobytes() for row in wide[..., 0].copy()], 16, 0), gray_rgb
    passes = [rgb[y::dy, x::dx] for x, y, dx, dy in ADAM7]
    rows = [row.tobytes() for part in passes if part.size for row in part]
    yield "rgb8-interlaced", png(rows, 8, 2, interlaced=True), rgb
    gamma = chunk(b"gAMA", struct.pack(">I", 45455))
    yield "rgb8-gamma", png([row.tobytes() for row in rgb], 8, 2, extra=gamma), rgb


def vae_pixels():
    import torch
    from diffusers.image_processor import VaeImageProcessor

    random = np.random.default_rng(2)
    pixels = random.uniform(-1.3, 1.3, (2, 3, 4, 5)).astype("<f4")
    # Halves: x * 127.5 + 127.5 is a whole number and a half.
    pixels[0, :, :2] = ((np.arange(30) * 8 + 0.5) / 127.5 - 1).reshape(3, 2, 5)
    processor = VaeImageProcessor()
    images = processor.postprocess(torch.from_numpy(pixels), output_type="pil")
    images = np.stack([np.array(image) for image in images])
    normal = VaeImageProcessor.normalize(VaeImageProcessor.numpy_to_pt(images.astype(np.float32) / 255.0))
    return pixels, images, normal.numpy().astype("<f4")


def arrays():
    random = np.random.default_rng(3)
    for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"):
        values = random.uniform(0, 100, (2, 3, 4))
        values = (values > 50) if code == "b1" else values.astype(code)
        yield f"{code}", values, (1, 0)
        if code != "b1" and values.itemsize > 1:
            yield f"{code}-big", values.astype(">" + code), (1, 0)
        yield f"{code}-fortran", np.asfortranarray(values), (1, 0)
    yield "scalar", np.array(2.5, "f4"), (1, 0)
    yield "empty", np.zeros((0, 3), "f4"), (1, 0)
    yield "vector", np.arange(5, dtype="i8"), (1, 0)
    yield "version2", np.arange(6, dtype="f4").reshape(2, 3), (2, 0)
    yield "version3", np.arange(6, dtype="f4").reshape(2, 3), (3, 0)


def main():
    images = {name: {"file": file.hex(), "rgb": rgb.tobytes().hex()} for name, file, rgb in pictures()}
    pixels, rounded, normal = vae_pixels()
    result = {"width": WIDTH, "height": HEIGHT, "images": images}
    result["vae"] = {"shape": pixels.shape, "pixels": pixels.tobytes().hex(), "bytes": rounded.tobytes().hex(),
                     "normalized": normal.tobytes().hex()}  # fmt: skip
    with open(os.path.join(FOLDER, "images.json"), "w") as file:
        json.dump(result, file, indent=0)
    listed = {}
    for name, values, version in arrays():
        file = io.BytesIO()
        np.lib.format.write_array(file, values, version=version)
        little = np.ascontiguousarray(values).reshape(values.shape).astype(values.dtype.newbyteorder("<"))
        listed[name] = {"dtype": values.dtype.str[1:], "shape": values.shape, "file": file.getvalue().hex(),
                        "data": little.tobytes().hex()}  # fmt: skip
    with open(os.path.join(FOLDER, "arrays.json"), "w") as file:
        json.dump(listed, file, indent=0)


if __name__ == "__main__":
    main()
