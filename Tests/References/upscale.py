"""Makes tiny super-resolution networks, and what ONNX Runtime makes of a picture with them, untiled.

    upscale.py      Tests/SDPipelineTests/Fixtures/upscale/

Networks enlarge by the nearest pixel and add what two convolutions of 3×3 find: they see 2 pixels to each side. picture.png has transparency.
cases.json: an array of {"network", "factor", "white", "file"}; of those with bytes white is null. Results are rounded to bytes, as Real-ESRGAN
does it. `fixed` has the weights of `rgb`, and so its result.
"""

import shutil

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper
from PIL import Image

from common import ROOT, write_json

FOLDER = ROOT / "Tests" / "SDPipelineTests" / "Fixtures" / "upscale"
SIZE = (53, 38)


class Network(torch.nn.Module):
    def __init__(self, channels, factor, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.factor = factor
        self.first = torch.nn.Conv2d(channels, 6, 3, padding=1)
        self.second = torch.nn.Conv2d(6, channels * factor**2, 3, padding=1)

    def forward(self, x):
        detail = torch.nn.functional.pixel_shuffle(self.second(torch.relu(self.first(x))), self.factor)
        return torch.nn.functional.interpolate(x, scale_factor=self.factor, mode="nearest") + 0.3 * detail


class Halving(Network):
    """Halves its input twice on the way, as U-Nets do: sides have to be multiples of 4."""

    def __init__(self, seed):
        super().__init__(3, 2, seed)
        self.down = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.down2 = torch.nn.Conv2d(8, 3 * 16, 3, stride=2, padding=1)

    def forward(self, x):
        return super().forward(x + 0.2 * torch.nn.functional.pixel_shuffle(self.down2(torch.relu(self.down(x))), 4))


class Wrapped(torch.nn.Module):
    """Another form of numbers around a network of 0 to 1."""

    def __init__(self, network, kind):
        super().__init__()
        self.network, self.kind = network, kind

    def forward(self, x):
        if self.kind == "bytes":
            return (self.network(x.float() / 255).clamp(0, 1) * 255).round().to(torch.uint8)
        if self.kind == "half":
            return self.network(x.float()).half()
        return self.network(x.permute(0, 3, 1, 2) / 255).permute(0, 2, 3, 1) * 255


def export(name, module, example, axes=(2, 3)):
    FOLDER.mkdir(parents=True, exist_ok=True)
    dynamic = {"input": {0: "batch"} | {axis: f"side{axis}" for axis in axes}} if axes else None
    torch.onnx.export(
        module.eval(), (example,), str(FOLDER / f"{name}.onnx"), input_names=["input"], output_names=["output"], dynamic_axes=dynamic,
        opset_version=17, dynamo=False)  # fmt: skip


def bytes_of(values):
    return (values.astype(np.float32).clip(0, 1) * 255).round().astype(np.uint8)


def answer(name, value):
    session = onnxruntime.InferenceSession(str(FOLDER / f"{name}.onnx"), providers=["CPUExecutionProvider"])
    return session.run(None, {"input": value})[0]


def first(image):
    """[1, 3, height, width], 0 to 1."""
    return (np.asarray(image, np.float32) / 255).transpose(2, 0, 1)[None]


def results(image):
    values = first(image)
    stored = np.asarray(image)
    yield "rgb", 4, "1", bytes_of(answer("rgb", values))[0].transpose(1, 2, 0)
    yield "fixed", 4, "1", bytes_of(answer("rgb", values))[0].transpose(1, 2, 0)
    yield "half", 2, "1", bytes_of(answer("half", values.astype(np.float16)))[0].transpose(1, 2, 0)
    yield "bytes", 3, None, answer("bytes", stored.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)
    yield "last", 2, "255", bytes_of(answer("last", stored[None].astype(np.float32)) / 255)[0]
    # Continued by the outermost pixels, to multiples of 4.
    height, width = values.shape[2:]
    padded = np.pad(values, ((0, 0), (0, 0), (0, -height % 4), (0, -width % 4)), mode="edge")
    yield "halving", 2, "1", bytes_of(answer("halving", padded))[0].transpose(1, 2, 0)[: 2 * height, : 2 * width]
    luminance, blue, red = image.convert("YCbCr").split()
    larger = bytes_of(answer("luminance", np.asarray(luminance, np.float32)[None, None] / 255))[0, 0]
    size = (2 * width, 2 * height)
    # Rows first, as Pillow up to version 12 in one call.
    colours = [part.resize((size[0], height), Image.Resampling.BICUBIC).resize(size, Image.Resampling.BICUBIC) for part in (blue, red)]
    merged = Image.merge("YCbCr", [Image.fromarray(larger), *colours]).convert("RGB")
    yield "luminance", 2, "1", np.asarray(merged)


def refused():
    """Graphs that enlarge no pictures."""

    def save(name, nodes, outputs, inputs=("input",), shape=("n", 3, "h", "w"), initializers=()):
        graph = helper.make_graph(
            nodes, name, [helper.make_tensor_value_info(value, TensorProto.FLOAT, shape) for value in inputs],
            [helper.make_tensor_value_info(value, TensorProto.FLOAT, None) for value in outputs], list(initializers))  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, FOLDER / f"{name}.onnx")

    scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 1.5, 1.5])
    save("refused-fraction", [helper.make_node("Resize", ["input", "", "scales"], ["output"])], ["output"], initializers=[scales])
    save("refused-vector", [helper.make_node("ReduceMean", ["input"], ["output"], axes=[2, 3], keepdims=0)], ["output"])
    save("refused-two", [helper.make_node("Add", ["input", "other"], ["output"])], ["output"], inputs=("input", "other"))
    save("refused-channels", [helper.make_node("Relu", ["input"], ["output"])], ["output"], shape=("n", 5, "h", "w"))
    save("refused-infinite", [helper.make_node("Log", ["input"], ["output"])], ["output"])


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    rgb = Network(3, 4, 1)
    example = torch.rand(1, 3, 16, 20)
    export("rgb", rgb, example)
    export("fixed", rgb, torch.rand(1, 3, 24, 20), axes=None)
    export("half", Wrapped(Network(3, 2, 2), "half"), example.half())
    export("bytes", Wrapped(Network(3, 3, 3), "bytes"), (example * 255).to(torch.uint8))
    export("last", Wrapped(Network(3, 2, 4), "last"), torch.rand(1, 16, 20, 3) * 255, axes=(1, 2))
    export("halving", Halving(5), example)
    export("luminance", Network(1, 2, 6), example[:, :1])
    source = Image.open(ROOT / "Tests" / "SDPipelineTests" / "Fixtures" / "pictures" / "DDIMScheduler-fox.png").convert("RGB")
    image = source.crop((3, 5, 3 + SIZE[0], 5 + SIZE[1]))
    with_opacity = image.copy()
    with_opacity.putalpha(Image.radial_gradient("L").resize(SIZE))
    with_opacity.save(FOLDER / "picture.png")
    cases = []
    for network, factor, white, pixels in results(image):
        file = f"{network}.png" if network != "fixed" else "rgb.png"
        Image.fromarray(np.ascontiguousarray(pixels)).save(FOLDER / file, optimize=True)
        cases.append({"network": f"{network}.onnx", "factor": factor, "white": white, "file": file})
    write_json(FOLDER / "cases.json", cases)
    refused()


if __name__ == "__main__":
    main()
