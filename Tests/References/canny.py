"""Makes Tests/SDPipelineTests/Fixtures/canny: pictures, and their edges as OpenCV finds them.

OpenCV is installed into an environment of its own, beside what requirements.txt names:

    python -m pip install opencv-python-headless==5.0.0.93
    python canny.py

Writes NAME.png, the pictures, and NAME-edges.png, their edges for each of the thresholds in index.json, one below the other.
"""

import cv2
import numpy as np
from PIL import Image, ImageDraw

from common import ROOT, write_json

THRESHOLDS = [(100, 200), (50, 150), (0, 0), (0, 60), (20.7, 99.3), (300, 300), (150, 700), (1000, 2000)]


def smooth(width, height):
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    waves = [0.5 + 0.4 * np.sin(17 * x + 2 * y), 0.2 + 0.6 * x, 0.5 + 0.35 * np.cos(29 * x * y + 1)]
    picture = Image.fromarray((255 * np.stack(waves, axis=-1)).round().astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((width * 0.3, height * 0.2, width * 0.7, height * 0.75), fill=(210, 60, 40))
    draw.line((0, height, width, height * 0.1), fill=(250, 250, 90), width=3)
    draw.polygon([(5, 5), (30, 9), (12, 40)], fill=(10, 200, 240))
    return np.asarray(picture)


def main():
    folder = ROOT / "Tests" / "SDPipelineTests" / "Fixtures" / "canny"
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(5)
    noise = random.integers(0, 256, (29, 37, 3), dtype=np.uint8)
    pictures = {
        "shapes": smooth(97, 71),
        "noise": noise,
        # Few values, so that gradients are often equal.
        "steps": (noise // 128 * 90 + 40).astype(np.uint8),
        "blurred": cv2.GaussianBlur(random.integers(0, 256, (50, 64, 3), dtype=np.uint8), (0, 0), 2.0),
        "row": noise[:1],
        "column": np.ascontiguousarray(noise[:, :1]),
        "pixel": noise[:1, :1],
        "four": noise[:2, :2],
        "plain": np.full((8, 8, 3), 77, np.uint8),
    }
    for name, values in pictures.items():
        values = np.ascontiguousarray(values)
        Image.fromarray(values).save(folder / f"{name}.png", optimize=True)
        edges = [cv2.Canny(values, low, high) for low, high in THRESHOLDS]
        Image.fromarray(np.concatenate(edges)).save(folder / f"{name}-edges.png", optimize=True)
    write_json(folder / "index.json", {"opencv": cv2.__version__, "pictures": list(pictures), "thresholds": THRESHOLDS})


if __name__ == "__main__":
    main()
