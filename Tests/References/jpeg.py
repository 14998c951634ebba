"""Reference files for JPEG, from Pillow.

Run with a Python that has numpy and pillow, on a machine with a C compiler and libjpeg-dev:

    python Tests/References/jpeg.py

Writes jpeg.json beside this file: JPEG files of every kind (jpeg_encoder.c writes those that Pillow doesn't), each with the
8-bit RGB values that Pillow reads, turned upright; and files that are refused, each with what its error has to say. Bytes
are hexadecimal.
"""

import io
import json
import pathlib
import re
import struct
import subprocess
import tempfile

import numpy as np
from PIL import Image, ImageOps

FOLDER = pathlib.Path(__file__).resolve().parent


def picture(width, height, channels, seed=1):
    """A gradient, an edge and some noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    planes = [255 * x / max(width - 1, 1), 255 * y / max(height - 1, 1), np.where(x + y < width, 230, 20), 255 - 6 * x - y]
    values = np.stack(planes[:channels], axis=-1) + random.normal(0, 12, (height, width, channels))
    return values.clip(0, 255).astype(np.uint8)


class Encoder:
    def __init__(self, folder):
        self.program = folder / "jpeg_encoder"
        subprocess.run(["cc", "-o", self.program, FOLDER / "jpeg_encoder.c", "-ljpeg"], check=True)

    def encode(self, values, colors, stored, sampling="", flags="", quality=85):
        height, width = values.shape[:2]
        command = [self.program, width, height, colors, stored, sampling, quality, flags]
        return subprocess.run([str(part) for part in command], input=values.tobytes(), stdout=subprocess.PIPE, check=True).stdout


def exif(orientation, order="<", kind=3):
    """A TIFF structure with two entries: ImageWidth, and Orientation as a short or a long."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(order + ("I" if kind == 4 else "HH"), *([orientation] if kind == 4 else [orientation, 0]))
    entries = struct.pack(order + "HHIHH", 0x0100, 3, 1, 19, 0) + struct.pack(order + "HHI", 0x0112, kind, 1) + value
    return b"Exif\0\0" + mark + struct.pack(order + "IH", 8, 2) + entries + struct.pack(order + "I", 0)


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def inserted(file, *parts):
    """A file with segments behind its start."""
    return file[:2] + b"".join(parts) + file[2:]


def pictures(encoder):
    rgb, gray, inks = picture(19, 13, 3), picture(19, 13, 1), picture(19, 13, 4)

    def saved(values, **options):
        file = io.BytesIO()
        Image.fromarray(values).save(file, "JPEG", **options)
        return file.getvalue()

    yield "pillow-rgb", saved(rgb)
    yield "pillow-gray", saved(gray[..., 0])
    yield "pillow-progressive", saved(rgb, progressive=True, quality=40)
    for width, height in ((1, 1), (8, 8), (16, 16), (17, 1), (1, 17), (33, 40)):
        yield f"size-{width}x{height}", saved(picture(width, height, 3))
    for name, sampling in {
        "444": "111111", "422": "211111", "420": "221111", "440": "121111", "411": "411111", "410": "421111", "odd": "221211",
        "blue-full": "222211", "three": "311111",
    }.items():  # fmt: skip
        for flags in ("", "p"):
            yield f"sampled-{name}{'-progressive' * bool(flags)}", encoder.encode(rgb, "rgb", "ycc", sampling, flags)
    for flags in ("p", "s", "r", "pr", "a", "ap", "n"):
        yield f"ycc-{flags}", encoder.encode(rgb, "rgb", "ycc", "221111", flags)
        yield f"gray-{flags}", encoder.encode(gray, "gray", "gray", "", flags)
        yield f"rgb-{flags}", encoder.encode(rgb, "rgb", "rgb", "", flags)
        yield f"cmyk-{flags}", encoder.encode(inks, "cmyk", "cmyk", "", flags)
        yield f"ycck-{flags}", encoder.encode(inks, "cmyk", "ycck", "22111122", flags)
    yield "rough", encoder.encode(rgb, "rgb", "ycc", "221111", quality=5)
    yield "fine", encoder.encode(rgb, "rgb", "ycc", "111111", quality=100)
    plain = encoder.encode(rgb, "rgb", "ycc", "111111")
    for orientation in range(10):
        yield f"turned-{orientation}", inserted(plain, segment(0xE1, exif(orientation)))
    yield "turned-6-big-endian", inserted(plain, segment(0xE1, exif(6, ">")))
    yield "turned-8-long", inserted(plain, segment(0xE1, exif(8, ">", 4)))
    yield "turned-gray", inserted(encoder.encode(gray, "gray", "gray", flags="p"), segment(0xE1, exif(5)))
    for name, text in {"attribute": 'tiff:Orientation="3"', "element": "<tiff:Orientation>7</tiff:Orientation>"}.items():
        xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + f"<x:xmpmeta>{text}</x:xmpmeta>".encode())
        yield f"turned-xmp-{name}", inserted(plain, xmp)
        yield f"turned-xmp-{name}-behind", inserted(plain, segment(0xE1, exif(6)), xmp)
    # What changes nothing: comments, profiles, fill bytes before a marker, what lies behind the end, a later JFIF.
    yield "comment", inserted(plain, segment(0xFE, b"\xff\xd9\xff\xda" * 9))
    yield "profile", inserted(plain, segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(200)))
    yield "filled", inserted(plain, b"\xff\xff\xff")
    yield "trailer", plain + segment(0xE1, exif(6)) + b"\0" * 9
    yield "frequencies", encoder.encode(gray, "gray", "gray", flags="f")
    yield "later-jfif", plain.replace(b"JFIF\0\1", b"JFIF\0\2", 1)


def refused(encoder):
    """Files and what is said of them."""
    rgb = picture(19, 13, 3)
    plain = encoder.encode(rgb, "rgb", "ycc", "111111")
    frame = plain.index(b"\xff\xc0")
    scan = plain.index(b"\xff\xda")

    def changed(position, *values):
        return plain[:position] + bytes(values) + plain[position + len(values) :]

    yield "no-end", plain[:-2], "its data end early"
    yield "half", plain[: scan + (len(plain) - scan) // 2], "its data end early"
    yield "header-alone", plain[:scan], "its data end early"
    yield "start-alone", plain[:2], "its data end early"
    yield "early-end", plain[: scan + 60] + plain[-2:], "its data end early"
    progressive = encoder.encode(rgb, "rgb", "ycc", "111111", "p")
    scans = [match.start() for match in re.finditer(b"\xff\xda", progressive)]
    yield "without-last-scan", progressive[: scans[-1]], "its data end early"
    yield "twelve-bits", changed(frame + 4, 12), "its values have 12 bits, expected 8"
    yield "no-rows", changed(frame + 5, 0, 0), "its header says that it has no pixels"
    yield "no-columns", changed(frame + 7, 0, 0), "its header says that it has no pixels"
    yield "wide", changed(frame + 7, 0xFF, 0xFF), "Maximum supported image dimension is 65500 pixels"
    yield "lossless", changed(frame + 1, 0xC3), "its compression is lossless"
    yield "hierarchical", changed(frame + 1, 0xC5), "its compression is hierarchical"
    yield "ls", plain[:2] + b"\xff\xf7" + plain[4:], "Unsupported marker type 0xf7"
    yield "two", encoder.encode(rgb[..., :2].copy(), "two", "two"), "its pixels have 2 values, expected 1, 3 or 4"
    yield "no-tables", plain.replace(plain[plain.index(b"\xff\xdb") :][:134], b""), "Quantization table"
    yield "extra", plain[:-2] + b"\0\0\0" + plain[-2:], "its data have stray bytes"
    marked = encoder.encode(picture(40, 40, 1), "gray", "gray", flags="r")
    first = marked.index(b"\xff\xd0")
    yield "lost-restart", marked[:first] + marked[first + 2 :], "its data have stray bytes"
    flat = encoder.encode(np.full((13, 19, 1), 90, np.uint8), "gray", "gray", flags="f")
    last = flat.rindex(b"\xff\xda")
    yield "scans-without-end", flat[:-2] + flat[last:-2] * 600 + flat[-2:], "it has more than 500 scans"


def seen(file):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(file)))
    return {"file": file.hex(), "width": image.width, "height": image.height, "rgb": image.convert("RGB").tobytes().hex()}


def main():
    with tempfile.TemporaryDirectory() as folder:
        encoder = Encoder(pathlib.Path(folder))
        result = {"pictures": {name: seen(file) for name, file in pictures(encoder)}}
        result["refused"] = {name: {"file": file.hex(), "says": says} for name, file, says in refused(encoder)}
    with open(FOLDER / "jpeg.json", "w") as file:
        json.dump(result, file, indent=0)


if __name__ == "__main__":
    main()
