"""Makes Tests/SDPipelineTests/Fixtures/freeu: pictures of the embedded model with FreeU.

    freeu.py

The judge is diffusers' own pipeline over the embedded model's ONNX files (optimum's ORTStableDiffusionPipeline), with a U-Net to which FreeU is added as
diffusers' apply_freeu has it: the mask is made by its lines, and the Fourier transforms are ONNX's DFT, by ONNX Runtime.

Writes index.json, an array of {"prompt", "negative_prompt", "steps", "guidance_scale", "seed", "width", "height", "freeu", "file"}, and the pictures.
"""

import re
import shutil
import tempfile
from pathlib import Path

import diffusers
import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from optimum.onnxruntime import ORTStableDiffusionPipeline

from common import ROOT, write_json

MODEL = ROOT / "Models" / "emoji"
FACTOR, LEVELS = 4, 3
# (prompt, negative prompt, steps, guidance scale, seed, width, height, [b1, b2, s1, s2])
PICTURES = [
    ("a red apple on a blue background", None, 20, 5.0, 7, 64, 64, [1.2, 1.3, 0.9, 0.4]),
    ("a fox", "a red background", 15, 4.0, 42, 64, 64, [1.1, 0.9, 0.5, 1.3]),
    ("a rocket on a black background", None, 12, 5.0, 3, 96, 80, [1.2, 1.2, 0.6, 0.2]),
]


def filter_mask(height, width, scale):
    """diffusers' fourier_filter with a threshold of 1, before ifftshift turns the spectrum back."""
    mask = torch.ones(height, width)
    row, column = height // 2, width // 2
    mask[row - 1 : row + 1, column - 1 : column + 1] = scale
    return torch.fft.ifftshift(mask).numpy()


class Editor:
    def __init__(self, graph):
        self.graph, self.nodes, self.count = graph, [], 0

    def constant(self, values):
        self.count += 1
        name = f"freeu.constant.{self.count}"
        self.graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def add(self, kind, inputs, **attributes):
        self.count += 1
        name = f"freeu.{kind}.{self.count}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def scaled(self, hidden, factor):
        """The first half of the channels times factor."""
        axis = self.constant(np.array([1], np.int64))
        sizes = self.add("Shape", [hidden], start=1, end=2)
        half = self.add("Div", [sizes, self.constant(np.array([2], np.int64))])
        first = self.add("Slice", [hidden, self.constant(np.array([0], np.int64)), half, axis])
        second = self.add("Slice", [hidden, half, sizes, axis])
        return self.add("Concat", [self.add("Mul", [first, self.constant(np.float32(factor))]), second], axis=1)

    def filtered(self, skip, mask):
        value = self.add("Unsqueeze", [skip, self.constant(np.array([4], np.int64))])
        for inverse in (0, 1):
            for axis in (2, 3):
                value = self.add("DFT", [value], axis=axis, inverse=inverse)
            if not inverse:
                value = self.add("Mul", [value, self.constant(mask.astype(np.float32)[:, :, None])])
        return self.add("Gather", [value, self.constant(np.array(0, np.int64))], axis=4)


def with_freeu(model, factors, width, height):
    model = onnx.ModelProto.FromString(model.SerializeToString())
    editor = Editor(model.graph)
    nodes = list(model.graph.node)
    result = []
    for node in nodes:
        found = re.fullmatch(r"/up_blocks\.([01])/Concat(_\d+)?", node.name)
        if found:
            block = int(found[1])
            size = [side // FACTOR >> (LEVELS - 1 - block) for side in (height, width)]
            hidden, skip = node.input
            node.input[0] = editor.scaled(hidden, factors[block])
            node.input[1] = editor.filtered(skip, filter_mask(*size, factors[2 + block]))
            result += editor.nodes
            editor.nodes = []
        result.append(node)
    del model.graph.node[:]
    model.graph.node.extend(result)
    return model


def main():
    folder = ROOT / "Tests" / "SDPipelineTests" / "Fixtures" / "freeu"
    folder.mkdir(parents=True, exist_ok=True)
    plain = onnx.load(MODEL / "unet" / "model.onnx")
    entries = []
    for index, (prompt, negative, steps, scale, seed, width, height, factors) in enumerate(PICTURES):
        with tempfile.TemporaryDirectory() as temporary:
            copy = Path(temporary) / "model"
            shutil.copytree(MODEL, copy)
            onnx.save(with_freeu(plain, factors, width, height), copy / "unet" / "model.onnx")
            pipeline = ORTStableDiffusionPipeline.from_pretrained(str(copy))
            pipeline.set_progress_bar_config(disable=True)
            pipeline.scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config)
            picture = pipeline(
                prompt, negative_prompt=negative, num_inference_steps=steps, guidance_scale=scale, width=width, height=height,
                generator=torch.Generator("cpu").manual_seed(seed)).images[0]  # fmt: skip
        picture.save(folder / f"{index}.png", optimize=True)
        entries.append({
            "prompt": prompt, "negative_prompt": negative, "steps": steps, "guidance_scale": scale, "seed": seed, "width": width,
            "height": height, "freeu": factors, "file": f"{index}.png"})  # fmt: skip
    write_json(folder / "index.json", entries)


if __name__ == "__main__":
    main()
