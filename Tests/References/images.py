"""Reference files for pictures and arrays, from Pillow, diffusers 0.35.2 and numpy.

Run with a Python that has torch, diffusers 0.35.2, numpy and pillow:

    python Tests/References/images.py

Writes beside this file images.json (PNG files of every kind, each with the 8-bit RGB values that Pillow reads, turned
upright: with the alpha channel left out, and laid over white; pictures resized by Pillow; and pixels of a VAE with the
bytes that VaeImageProcessor makes of them) and arrays.json (.npy files, each with its elements in C order,
little-endian). Bytes are hexadecimal.

Of gray pictures of 16 bits, which Pillow clips to 255 on the way to RGB, the upper eight bits count, as of all others. The
gray that is transparent in a picture of 2 or 4 bits is a value of as many (PNG specification, 11.3.1.1); Pillow compares it
with pixels that are scaled to 8.
"""

import io
import json
import os
import struct
import warnings
import zlib

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
from PIL import Image, ImageOps, PngImagePlugin  # noqa: E402

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


def exif(orientation, order="<"):
    """A TIFF structure with two entries: ImageWidth, and Orientation as a short."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(order + "HHIHH", 0x0100, 3, 1, WIDTH, 0) + struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(order + "IH", 8, 2) + entries + struct.pack(order + "I", 0)


def pictures():
    """Names and PNG files."""
    random = np.random.default_rng(1)
    rgb = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    alpha = random.integers(0, 256, (HEIGHT, WIDTH, 1), dtype=np.uint8)
    alpha[0, :4, 0] = (0, 255, 1, 254)
    gray = rgb[..., :1]

    def saved(image, **options):
        file = io.BytesIO()
        image.save(file, "PNG", **options)
        return file.getvalue()

    def written(values, kind, extra=b"", interlaced=False):
        """Values of 8 or 16 bits."""
        stored = values.astype(values.dtype.newbyteorder(">"))
        parts = [stored[y::dy, x::dx] for x, y, dx, dy in ADAM7] if interlaced else [stored]
        rows = [row.tobytes() for part in parts if part.size for row in part]
        return png(rows, 8 * values.itemsize, kind, interlaced, extra)

    rgba = np.concatenate([rgb, alpha], axis=2)
    gray_alpha = np.concatenate([gray, alpha], axis=2)
    yield "rgb8", saved(Image.fromarray(rgb))
    yield "rgba8", saved(Image.fromarray(rgba))
    yield "gray8", saved(Image.fromarray(gray[..., 0]))
    yield "gray-alpha8", saved(Image.fromarray(gray_alpha))
    palette = Image.fromarray(rgb).quantize(16)
    yield "palette", saved(palette)
    for depth in (1, 2, 4):
        values = random.integers(0, 2**depth, (HEIGHT, WIDTH))
        rows = [packed(row, depth) for row in values]
        yield f"gray{depth}", png(rows, depth, 0)
        colors = chunk(b"PLTE", random.integers(0, 256, 3 * 2**depth, dtype=np.uint8).tobytes())
        yield f"palette{depth}", png(rows, depth, 3, extra=colors)
        opacity = chunk(b"tRNS", random.integers(0, 256, 2**depth - 1, dtype=np.uint8).tobytes())
        yield f"palette{depth}-transparent", png(rows, depth, 3, extra=colors + opacity)
    yield "palette-transparent", saved(palette, transparency=bytes(range(0, 256, 17)))
    yield "rgb8-transparent", written(rgb, 2, chunk(b"tRNS", rgb[2, 3].astype(">u2").tobytes()))
    yield "gray8-transparent", written(gray, 0, chunk(b"tRNS", gray[2, 3].astype(">u2").tobytes()))
    # A 16-bit value of 257 times a byte is exactly that byte; of others the upper eight bits count.
    wide = random.integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)
    yield "rgb16", written(rgb.astype(np.uint16) * 257, 2)
    yield "rgb16-any", written(wide[..., :3], 2)
    yield "rgba16", written(wide, 6)
    yield "gray16", written(wide[..., :1], 0)
    yield "gray-alpha16", written(wide[..., :2], 4)
    for name, values, kind in (("rgb8", rgb, 2), ("rgba8", rgba, 6), ("gray-alpha8", gray_alpha, 4), ("rgba16", wide, 6)):
        yield f"{name}-interlaced", written(values, kind, interlaced=True)
    yield "gray16-interlaced", written(wide[..., :1], 0, interlaced=True)
    yield "gray-alpha16-interlaced", written(wide[..., :2], 4, interlaced=True)
    yield "rgb16-interlaced", written(wide[..., :3], 2, interlaced=True)
    # Depths below 8 bits: each pass has rows of whole bytes of its own.
    for depth in (1, 2, 4):
        values = random.integers(0, 2**depth, (HEIGHT, WIDTH))
        passes = [values[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        rows = [packed(row, depth) for part in passes if part.size for row in part]
        yield f"gray{depth}-interlaced", png(rows, depth, 0, True)
        key = chunk(b"tRNS", struct.pack(">H", int(values[0, 0])))
        yield f"gray{depth}-transparent-interlaced", png(rows, depth, 0, True, key)
        yield f"gray{depth}-transparent", png([packed(row, depth) for row in values], depth, 0, extra=key)
        colors = chunk(b"PLTE", random.integers(0, 256, 3 * 2**depth, dtype=np.uint8).tobytes())
        yield f"palette{depth}-interlaced", png(rows, depth, 3, True, colors)
    # A palette with fewer colours than its depth allows, and one with transparency and a background.
    few = random.integers(0, 5, (HEIGHT, WIDTH))
    colors = chunk(b"PLTE", random.integers(0, 256, 15, dtype=np.uint8).tobytes())
    yield "palette8-few", png([packed(row, 8) for row in few], 8, 3, extra=colors)
    extra = colors + chunk(b"tRNS", b"\0\x80") + chunk(b"bKGD", b"\4")
    yield "palette8-few-transparent", png([packed(row, 8) for row in few], 8, 3, extra=extra)
    yield "palette4-few-transparent", png([packed(row, 4) for row in few], 4, 3, extra=extra)
    # Data in several chunks, one of them empty; an animation's first picture; colours suggested for screens.
    whole = written(rgb, 2)
    start, data = whole[:33], zlib.compress(b"".join(b"\0" + row.tobytes() for row in rgb))
    parts = [chunk(b"IDAT", part) for part in (data[:1], b"", data[1:40], data[40:])]
    yield "rgb8-in-parts", start + b"".join(parts) + whole[-12:]
    animation = chunk(b"acTL", struct.pack(">II", 1, 0))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0))
    yield "rgb8-animated", start + animation + frame + whole[33:]
    yield "rgb8-suggested", written(rgb, 2, chunk(b"PLTE", bytes(range(24))))
    # What a file says of colours changes no stored value.
    primaries = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 60000, 35000, 21000, 71000, 14000, 7000))
    profile = b"wide\0\0" + zlib.compress(bytes(range(256)) * 2)
    for name, extra in {
        "gamma": chunk(b"gAMA", struct.pack(">I", 45455)), "gamma-linear": chunk(b"gAMA", struct.pack(">I", 100000)),
        "gamma-dark": chunk(b"gAMA", struct.pack(">I", 22727)), "primaries": primaries, "srgb": chunk(b"sRGB", b"\1"),
        "gamma-primaries": chunk(b"gAMA", struct.pack(">I", 62500)) + primaries, "profile": chunk(b"iCCP", profile),
        "background": chunk(b"bKGD", struct.pack(">3H", 255, 0, 0)), "bits": chunk(b"sBIT", b"\5\6\5"),
    }.items():  # fmt: skip
        yield f"rgb8-{name}", written(rgb, 2, extra)
        yield f"rgba16-{name}", written(wide, 6, extra if name != "bits" else chunk(b"sBIT", b"\5\6\5\4"))
    yield "gray16-gamma", written(wide[..., :1], 0, chunk(b"gAMA", struct.pack(">I", 100000)))
    yield "gray-alpha8-background", written(gray_alpha, 4, chunk(b"bKGD", struct.pack(">H", 0)))
    # How the camera was held; 0 and 9 mean nothing.
    for orientation in range(10):
        yield f"turned-{orientation}", written(rgb, 2, chunk(b"eXIf", exif(orientation)))
    yield "turned-6-big-endian", written(rgba, 6, chunk(b"eXIf", exif(6, ">")))
    yield "turned-8-marked", written(rgb, 2, chunk(b"eXIf", b"Exif\0\0" + exif(8)))
    behind = written(rgb, 2)
    yield "turned-5-behind", behind[:-12] + chunk(b"eXIf", exif(5)) + behind[-12:]
    for name, text in {"attribute": 'tiff:Orientation="3"', "element": "<tiff:Orientation>7</tiff:Orientation>"}.items():
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", f"<x:xmpmeta>{text}</x:xmpmeta>")
        yield f"turned-xmp-{name}", saved(Image.fromarray(rgb), pnginfo=info)


def opened(file):
    """What Pillow reads, turned upright."""
    image = Image.open(io.BytesIO(file))
    if image.mode == "I;16":
        image = Image.fromarray((np.array(image) >> 8).astype(np.uint8))
    depth = file[24]
    if image.mode == "L" and depth in (2, 4) and "transparency" in image.info:
        image.info["transparency"] *= 255 // (2**depth - 1)
    return ImageOps.exif_transpose(image)


def seen(name, file):
    """With the alpha channel left out, and over white."""
    image = opened(file)
    over = Image.new("RGB", image.size, "white")
    full = image.convert("RGBA")
    over.paste(full, mask=full.getchannel("A"))
    return {
        "file": file.hex(), "width": image.width, "height": image.height, "rgb": image.convert("RGB").tobytes().hex(),
        "white": over.tobytes().hex()}  # fmt: skip


def resized():
    """Pictures by Pillow's Lanczos filter, which VaeImageProcessor resizes with."""
    random = np.random.default_rng(4)
    for (width, height), size in [
        ((7, 5), (7, 5)), ((7, 5), (16, 12)), ((7, 5), (16, 5)), ((7, 5), (7, 3)), ((70, 70), (64, 64)), ((72, 68), (80, 64)),
        ((31, 90), (16, 16)), ((1, 1), (4, 4)), ((3, 200), (8, 8)),
    ]:  # fmt: skip
        # Sharp edges, where a filter overshoots, and noise.
        values = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        values[: height // 2] = np.where(values[: height // 2] > 127, 255, 0)
        image = Image.fromarray(values)
        # Rows first, as Pillow did in one call up to version 12; later ones choose the order by the sizes.
        wide = image.resize((size[0], height), Image.Resampling.LANCZOS)
        result = wide.resize(size, Image.Resampling.LANCZOS)
        yield {"width": width, "height": height, "pixels": image.tobytes().hex(), "to": size, "resized": result.tobytes().hex()}


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
    pixels, rounded, normal = vae_pixels()
    result = {"images": {name: seen(name, file) for name, file in pictures()}, "resized": list(resized())}
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
