#!/usr/bin/env python3
"""Times sd-onnx against ONNX Runtime on quantised graphs, alternating, and each against the graph in float32.

    compare_quantised.py MODEL_FOLDER WORK_FOLDER [--rows text-encoder-int8 ...] [--networks FOLDER] [--rounds 5] [--threads 2] [--program FILE] [--json FILE]

MODEL_FOLDER is a full-size Stable Diffusion 1.5 export (Tools/export-sd15.py). What onnxruntime.quantization makes of its graphs, and a
ResNet-50 with random weights, is written to WORK_FOLDER where it isn't there yet: dynamic int8 of the matrix products (int8 weights),
blocks of 32 with 4 bits, and static QDQ (uint8 values, int8 weights with a scale for each channel). With --networks FOLDER it is those of
NETWORKS instead, with random weights and as static QDQ, which network_models.py exports to that folder; MODEL_FOLDER isn't read then. The
ratio is that of the medians; sd-onnx is measured by its own `bench`, the median of three warm runs in each round.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import network_models

ROOT = Path(__file__).resolve().parents[2]
TEXT = {"input_ids": (1, 77)}
STATES = {"timestep": (), "encoder_hidden_states": (1, 77, 768)}
# Name: the graph, what it is made of, how, and the shapes of its inputs.
ROWS = {
    "text-encoder-int8": ("text_encoder", "dynamic", TEXT),
    "text-encoder-4-bits": ("text_encoder", "blocks", TEXT),
    "text-encoder-4-bits-int8": ("text_encoder", "blocks-int8", TEXT),
    "unet-32-int8": ("unet", "dynamic", {"sample": (1, 4, 32, 32), **STATES}),
    "unet-64-int8": ("unet", "dynamic", {"sample": (1, 4, 64, 64), **STATES}),
    "resnet-50-qdq": ("resnet50", "static", {"x": (1, 3, 224, 224)}),
}
NETWORKS = ["mobilenet-v3", "efficientnet-b0", "vit-b", "bert-base", "whisper-tiny-encoder", "esrgan-small", *network_models.QUANTISED]


def make_resnet(path):
    """ResNet-50 (He et al., 2015; strides in the 3×3 convolutions) with random weights and batch normalisation folded."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(50)
    nodes, weights = [], []

    def constant(*shape, scale):
        weights.append(numpy_helper.from_array((scale * generator.standard_normal(shape)).astype(np.float32), f"w{len(weights)}"))
        return weights[-1].name

    def node(operator, *inputs, **attributes):
        nodes.append(helper.make_node(operator, list(inputs), [f"v{len(nodes)}"], f"{operator}_{len(nodes)}", **attributes))
        return nodes[-1].output[0]

    def conv(x, inputs, outputs, size, stride=1, gain=2.0):
        kernel = constant(outputs, inputs, size, size, scale=(gain / (inputs * size * size)) ** 0.5)
        more = {"kernel_shape": [size, size], "strides": [stride, stride], "pads": [size // 2] * 4}
        return node("Conv", x, kernel, constant(outputs, scale=0.1), **more)

    x = node("Relu", conv("x", 3, 64, 7, 2))
    x = node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(count):
            step = stride if block == 0 else 1
            y = node("Relu", conv(x, channels, width, 1))
            y = node("Relu", conv(y, width, width, 3, step))
            y = conv(y, width, 4 * width, 1, gain=0.5)
            if block == 0:
                x = conv(x, channels, 4 * width, 1, step, gain=1.0)
            x = node("Relu", node("Add", y, x))
            channels = 4 * width
    x = node("Flatten", node("GlobalAveragePool", x))
    y = node("Gemm", x, constant(1000, 2048, scale=0.02), constant(1000, scale=0.1), transB=1)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "resnet50", [value("x", TensorProto.FLOAT, [1, 3, 224, 224])], [value(y, TensorProto.FLOAT, [1, 1000])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def quantise(source, target, kind, inputs):
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    from onnxruntime.quantization.shape_inference import quant_pre_process

    target.parent.mkdir(parents=True, exist_ok=True)
    if kind == "dynamic":
        quantize_dynamic(source, target, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8, use_external_data_format=True)
    elif kind.startswith("blocks"):
        level = 4 if kind.endswith("int8") else None
        quantizer = MatMulNBitsQuantizer(onnx.load(source), bits=4, block_size=32, is_symmetric=True, accuracy_level=level)
        quantizer.process()
        quantizer.model.save_model_to_file(str(target), True)
    else:

        class Calibration(CalibrationDataReader):
            generator = np.random.default_rng(3)
            left = 2

            def get_next(self):
                self.left -= 1
                return {name: self.draw(name, shape) for name, shape in inputs.items()} if self.left >= 0 else None

            def draw(self, name, shape):
                if name in ("input_ids", "attention_mask"):
                    return np.ones(shape, np.int64)
                return self.generator.standard_normal(shape).astype(np.float32)

        prepared = target.with_suffix(".prepared.onnx")
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared, target, Calibration(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8)
        prepared.unlink()


def find(component, kind, inputs, options):
    """The graph in float32, and the quantised one."""
    if options.networks:
        source = network_models.make(component, options.networks)
    elif component == "resnet50":
        source = options.work / "resnet50" / "model.onnx"
        if not source.exists():
            source.parent.mkdir(parents=True, exist_ok=True)
            make_resnet(source)
    else:
        source = options.model / component / "model.onnx"
    target = options.work / f"{component}-{kind}" / "model.onnx"
    if not target.exists():
        quantise(source, target, kind, inputs)
    return source, target


def compare(graph, shapes, options):
    from compare_peers import Peer, make_inputs, own_output

    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(shapes)
        for name, value in inputs.items():
            np.save(Path(folder) / f"{name}.npy", value)
        peer = Peer("onnxruntime", graph, folder, options)
        peer.run()
        times = {"sd-onnx": [], "onnxruntime": []}
        for _ in range(options.rounds):
            report = Path(folder) / "bench.json"
            command = [options.program, "bench", str(graph), "--iterations", "3", "--warmup", "1", "--json", str(report)]
            command += ["--threads", str(options.threads)]
            for name, shape in shapes.items():
                if shape:
                    command += ["--shape", f"{name}={','.join(map(str, shape))}"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            times["sd-onnx"].append(json.loads(report.read_text())["median_ms"] / 1000)
            times["onnxruntime"].append(statistics.median(peer.run() for _ in range(3)))
        expected = np.load(Path(folder) / "onnxruntime.out.npy")
        peer.close()
        own = own_output(options.program, graph, inputs, "fp32", folder)
    return times, float(np.abs(own - expected).max() / np.abs(expected).max())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--networks", type=Path)
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, *NETWORKS])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--program", default=str(ROOT / ".build/release/sd-onnx"))
    parser.add_argument("--without-float32", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.precision = "fp32"
    # The quantiser names every bias that it copies.
    logging.getLogger().setLevel(logging.WARNING)
    rows = {name: (name, "static", network_models.shapes(name)) for name in NETWORKS} if options.networks else ROWS
    results = []
    for row in options.rows or rows:
        component, kind, inputs = rows[row]
        graphs = dict(zip(("float32", "quantised"), find(component, kind, inputs, options)))
        if options.without_float32:
            del graphs["float32"]
        result = {"row": row}
        for name, graph in graphs.items():
            times, error = compare(graph, inputs, options)
            medians = {program: statistics.median(values) for program, values in times.items()}
            ratio = medians["onnxruntime"] / medians["sd-onnx"]
            result[name] = {"seconds": medians, "all_seconds": times, "ratio": ratio, "relative_error": error}
            print(
                f"{row}, {name}: sd-onnx {medians['sd-onnx']:.4f} s, onnxruntime {medians['onnxruntime']:.4f} s; "
                f"{ratio:.2f} times as fast; relative error {error:.1e}", flush=True)
        results.append(result)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
