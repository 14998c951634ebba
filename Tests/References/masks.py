"""Reference values for resize modes and masks, from Pillow, diffusers 0.35.2 and torch.

Run with a Python that has torch, diffusers 0.35.2, numpy and pillow:

    python Tests/References/masks.py

Writes masks.json beside this file. Bytes are hexadecimal, of masks one a pixel, of pictures three; floats are
little-endian float32.

- "resized": pictures and masks in another size, by VaeImageProcessor's resize modes ("fill" is fit here, "crop" fill).
- "masks": what a picture file is as a mask, by the rule of AUTOMATIC1111's web interface: transparency where there is any, else
  luminance.
- "blurred": Pillow's GaussianBlur.
- "regions": VaeImageProcessor.get_crop_region.
- "inpainting": the mask in latents' size and the masked picture, as StableDiffusionInpaintPipeline prepares them.
- "pasted": VaeImageProcessor.apply_overlay, with and without a region.
- "filled": the colours around, as AUTOMATIC1111's mask content "fill" makes them.
- "outpainted": the picture with room on its sides.
"""

import json
import pathlib
import warnings

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from diffusers.image_processor import VaeImageProcessor  # noqa: E402
from images import opened, pictures  # noqa: E402
from PIL import Image, ImageFilter, ImageOps  # noqa: E402

FOLDER = pathlib.Path(__file__).resolve().parent
LANCZOS = Image.Resampling.LANCZOS


def drawn(width, height, seed=1):
    """A gradient, an edge and some noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    planes = [255 * x / max(width - 1, 1), 255 * y / max(height - 1, 1), np.where(x + y < width, 250, 5)]
    values = np.stack(planes, axis=-1) + random.normal(0, 15, (height, width, 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def mask(width, height, boxes, blur=0):
    """White boxes (left, top, right, bottom) on black."""
    values = np.zeros((height, width), np.uint8)
    for left, top, right, bottom in boxes:
        values[top:bottom, left:right] = 255
    return Image.fromarray(values).filter(ImageFilter.GaussianBlur(blur))


def entry(image, name):
    return {"width": image.width, "height": image.height, name: image.tobytes().hex()}


def rows_first(resize):
    """Image.resize in two calls, rows first, as Pillow did in one call up to version 12; later ones choose the order by the sizes."""

    def resized(self, size, resample=None, box=None, reducing_gap=None):
        if box is not None or resample != LANCZOS:
            return resize(self, size, resample=resample, box=box, reducing_gap=reducing_gap)
        return resize(resize(self, (size[0], self.height), LANCZOS), size, LANCZOS)

    return resized


def resized():
    processor = VaeImageProcessor()
    for (width, height), size in [
        ((40, 24), (32, 32)), ((24, 40), (32, 32)), ((40, 24), (48, 24)), ((40, 20), (48, 24)), ((9, 7), (48, 16)), ((7, 9), (16, 48)),
        ((33, 31), (16, 16)), ((50, 3), (16, 48)), ((3, 50), (48, 16)), ((1, 1), (24, 8)), ((45, 35), (48, 32)), ((32, 32), (32, 32)),
        ((100, 1), (16, 16)), ((31, 47), (24, 40)),
    ]:  # fmt: skip
        image = drawn(width, height)
        for name, mode in {"fit": "fill", "fill": "crop"}.items():
            # diffusers gives Pillow a side of 0 there.
            if name == "fit" and (width * size[1] // height == 0 or height * size[0] // width == 0):
                continue
            made = processor.resize(image, height=size[1], width=size[0], resize_mode=mode)
            gray = processor.resize(image.convert("L"), height=size[1], width=size[0], resize_mode=mode).convert("L")
            yield entry(image, "pixels") | {
                "mode": name, "to": size, "resized": made.tobytes().hex(), "gray": image.convert("L").tobytes().hex(),
                "gray_resized": gray.tobytes().hex()}  # fmt: skip


def as_mask(file):
    image = opened(file)
    full = image.convert("RGBA")
    opacity = full.getchannel("A")
    if opacity.getextrema() != (255, 255):
        return opacity.point(lambda value: 255 if value > 128 else 0)
    return image.convert("RGB").convert("L")


def blurred():
    radii = (0, 0.01, 0.1, 0.5, 1, 1.7, 2, 3.25, 4, 8, 16, 64, 256, 1000)
    for number, (width, height, mode) in enumerate([(1, 1, "L"), (2, 1, "L"), (13, 17, "RGB"), (40, 23, "L"), (9, 64, "L")]):
        image = drawn(width, height, number).convert(mode)
        made = [image.filter(ImageFilter.GaussianBlur(radius)).tobytes().hex() for radius in radii]
        yield entry(image, "pixels") | {"channels": len(mode), "radii": radii, "blurred": made}


def regions():
    random = np.random.default_rng(5)
    for width, height in [(64, 64), (96, 64), (50, 70), (128, 40)]:
        for size in [(64, 64), (96, 64), (64, 112)]:
            for padding in (0, 1, 8, 32, 500):
                left, right = sorted(random.choice(width + 1, 2, replace=False).tolist())
                top, bottom = sorted(random.choice(height + 1, 2, replace=False).tolist())
                box = (left, top, right, bottom)
                region = VaeImageProcessor.get_crop_region(mask(width, height, [box]), *size, pad=padding)
                yield {"width": width, "height": height, "box": box, "size": size, "padding": padding, "region": region}
    for boxes in [[(0, 0, 1, 1)], [(63, 63, 64, 64)], [(0, 0, 64, 64)], [(0, 0, 64, 1)], [(0, 0, 1, 64)]]:
        for size in [(64, 64), (64, 32), (32, 64), (48, 64)]:
            region = VaeImageProcessor.get_crop_region(mask(64, 64, boxes), *size, pad=3)
            yield {"width": 64, "height": 64, "box": boxes[0], "size": size, "padding": 3, "region": region}


def inpainting():
    images = VaeImageProcessor(vae_scale_factor=8)
    masks = VaeImageProcessor(vae_scale_factor=8, do_normalize=False, do_binarize=True, do_convert_grayscale=True)
    for width, height, factor, blur in [(48, 32, 8, 3), (24, 40, 4, 2), (24, 16, 8, 0)]:
        image, drawing = drawn(width, height), mask(width, height, [(5, 3, width - 9, height // 2), (0, height - 4, 7, height)], blur)
        pixels = images.preprocess(image, height=height, width=width)
        condition = masks.preprocess(drawing, height=height, width=width)
        masked = pixels * (condition < 0.5)
        sizes = [(height // factor, width // factor), (height // factor - 1, width // factor + 3), (7, 5)]
        latents = [torch.nn.functional.interpolate(condition, size=size) for size in sizes]
        yield entry(image, "pixels") | {
            "mask": drawing.tobytes().hex(), "binary": condition.numpy().astype(np.uint8).tobytes().hex(),
            "masked": (masked + 0.0).numpy().astype("<f4").tobytes().hex(), "latent_sizes": sizes,
            "latents": [latent.numpy().astype("<f4").tobytes().hex() for latent in latents]}  # fmt: skip


def pasted():
    processor = VaeImageProcessor()
    for width, height, boxes, blur, size, padding in [
        (40, 40, [(10, 5, 30, 30)], 0, None, 0), (40, 40, [(10, 5, 30, 30)], 4, None, 0), (25, 35, [(0, 0, 10, 15)], 3, None, 0),
        (40, 40, [(14, 10, 20, 18)], 2, (32, 32), 4), (60, 50, [(40, 34, 54, 49)], 2, (32, 24), 8),
        (60, 50, [(1, 1, 4, 4)], 1, (24, 32), 0),
    ]:  # fmt: skip
        original, drawing = drawn(width, height, 1), mask(width, height, boxes, blur)
        region, made = None, drawn(width, height, 2).rotate(180)
        if size:
            region = processor.get_crop_region(drawing, *size, pad=padding)
            made = drawn(*size, 2).rotate(180)
        result = processor.apply_overlay(drawing, original, made, region)
        yield entry(original, "pixels") | {
            "mask": drawing.tobytes().hex(), "made": entry(made, "pixels"), "region": region, "result": result.tobytes().hex()}


def filled():
    """Blurs of what isn't masked, of ever smaller radius, one over the other; the last is the picture itself."""
    for width, height, boxes, blur in [(40, 30, [(10, 8, 25, 22)], 0), (64, 48, [(0, 0, 40, 48)], 4), (16, 16, [(0, 0, 16, 16)], 0)]:
        image, drawing = drawn(width, height), mask(width, height, boxes, blur)
        visible = Image.new("RGBa", image.size)
        visible.paste(image.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(drawing))
        result = Image.new("RGBA", image.size)
        for radius, times in ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1)):
            layer = visible.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
            for _ in range(times):
                result.alpha_composite(layer)
        yield entry(image, "pixels") | {"mask": drawing.tobytes().hex(), "filled": result.convert("RGB").tobytes().hex()}


def outpainted():
    """The outermost pixels carried outwards, blurred by a quarter of the largest side, and the picture laid over it."""
    for width, height, sides in [(24, 16, (8, 0, 0, 0)), (24, 16, (4, 8, 12, 16)), (5, 3, (0, 0, 0, 1)), (1, 1, (3, 3, 3, 3))]:
        left, top, right, bottom = sides
        image, drawing = drawn(width, height), mask(width, height, [(width // 4, 0, width // 2, height)])
        edges = np.pad(np.asarray(image), ((top, bottom), (left, right), (0, 0)), mode="edge")
        large = Image.fromarray(edges).filter(ImageFilter.GaussianBlur(max(sides) / 4))
        large.paste(image, (left, top))
        new = Image.new("L", large.size, 255)
        new.paste(0, (left, top, left + width, top + height))
        both = Image.new("L", large.size, 255)
        both.paste(drawing, (left, top))
        yield entry(image, "pixels") | {
            "sides": sides, "mask": drawing.tobytes().hex(), "result": entry(large, "pixels"), "new": new.tobytes().hex(),
            "both": both.tobytes().hex()}  # fmt: skip


def main():
    Image.Image.resize = rows_first(Image.Image.resize)
    result = {
        "resized": list(resized()),
        "masks": {
            name: {"file": file.hex(), "width": made.width, "height": made.height, "mask": made.tobytes().hex()}
            for name, file in pictures()
            for made in [as_mask(file)]
        },
        "blurred": list(blurred()),
        "regions": list(regions()),
        "inpainting": list(inpainting()),
        "pasted": list(pasted()),
        "filled": list(filled()),
        "outpainted": list(outpainted()),
    }
    with open(FOLDER / "masks.json", "w") as file:
        json.dump(result, file, indent=0)


if __name__ == "__main__":
    main()
