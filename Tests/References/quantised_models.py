"""Writes <cache>/quantised-models: small networks as onnxruntime.quantization rewrites them (dynamic; static as QDQ and as operators; blocks
of few bits) and as other tools write QDQ, each a folder in the form of ONNX's backend tests with ONNX Runtime's results on the same file,
and in `tolerance.txt` by what part of the largest number another runtime may differ: what rounding leaves of products of float32, or, where
values between nodes are quantised, two of their steps.

Signed weights are of seven bits: where a processor has no VNNI, ONNX Runtime's products of eight saturate.
"""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

from common import CACHE

RECIPE = 4
OPSET = 17
generator = np.random.default_rng(17)


def random(*shape, scale=1.0):
    return (scale * generator.standard_normal(shape)).astype(np.float32)


class Network:
    """A graph with one input, node by node."""

    def __init__(self, shape, rank):
        self.rank = rank
        self.nodes, self.weights, self.last = [], [], "x"
        self.shape = shape

    def add(self, operator, *weights, second=None, **attributes):
        inputs = [name for name in (self.last, second) if name]
        for values in weights:
            self.weights.append(numpy_helper.from_array(values, f"w{len(self.weights)}"))
            inputs.append(self.weights[-1].name)
        self.last = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [self.last], f"{operator}_{len(self.nodes)}", **attributes))
        return self.last

    def save(self, path):
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes, "network", [value("x", TensorProto.FLOAT, self.shape)],
            [value(self.last, TensorProto.FLOAT, [None] * self.rank)], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(onnx.shape_inference.infer_shapes(model), path)


def perceptron():
    network = Network([2, 7, 36], 3)
    start = network.add("MatMul", random(36, 50, scale=0.2))
    network.add("Add", random(50))
    network.add("Relu")
    network.add("MatMul", random(50, 50, scale=0.2))
    network.add("Add", random(50))
    network.add("Add", second=start)
    network.add("MatMul", random(50, 33, scale=0.2))
    return network


def pictures():
    network = Network([2, 3, 23, 21], 2)
    network.add("Conv", random(16, 3, 3, 3, scale=0.3), random(16), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    network.add("Relu")
    start = network.add("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    network.add("Conv", random(24, 16, 1, 1, scale=0.3), random(24), kernel_shape=[1, 1])
    network.add("Relu")
    network.add("Conv", random(24, 1, 3, 3, scale=0.3), random(24), kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=24)
    network.add("Conv", random(16, 6, 3, 2, scale=0.3), random(16), kernel_shape=[3, 2], pads=[2, 0, 2, 1], dilations=[2, 1], group=4)
    network.add("Add", second=start)
    network.add("Relu")
    network.add("GlobalAveragePool")
    network.add("Flatten")
    network.add("Gemm", random(10, 16, scale=0.3), random(10), transB=1)
    return network


def mobile():
    """Depthwise and grouped convolutions, activations in several steps, squeeze and excite, a concatenation."""
    network = Network([2, 3, 23, 21], 2)
    network.add("Conv", random(16, 3, 3, 3, scale=0.3), random(16), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    network.add("HardSwish")
    start = network.add("Conv", random(16, 1, 5, 5, scale=0.3), random(16), kernel_shape=[5, 5], pads=[2, 2, 2, 2], group=16)
    network.add("Sigmoid")
    start = network.add("Mul", second=start)
    network.add("GlobalAveragePool")
    network.add("Conv", random(8, 16, 1, 1), random(8), kernel_shape=[1, 1])
    network.add("Relu")
    network.add("Conv", random(16, 8, 1, 1), random(16), kernel_shape=[1, 1])
    network.add("HardSigmoid", alpha=1 / 6)
    start = network.add("Mul", second=start)
    network.add("Conv", random(16, 4, 3, 3, scale=0.3), random(16), kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=4)
    network.add("LeakyRelu", alpha=0.1)
    network.add("Concat", second=start, axis=1)
    network.add("Conv", random(24, 32, 1, 1, scale=0.3), random(24), kernel_shape=[1, 1])
    network.add("Slice", np.array([4]), np.array([20]), np.array([1]))
    network.add("Transpose", perm=[0, 2, 3, 1])
    network.add("Transpose", perm=[0, 3, 1, 2])
    network.add("GlobalAveragePool")
    network.add("Reshape", np.array([0, -1]))
    network.add("Gemm", random(10, 16, scale=0.3), random(10), transB=1)
    return network


def windows():
    """What attention in windows moves, and GELU in its steps."""
    network = Network([2, 7, 36], 3)
    network.add("MatMul", random(36, 48, scale=0.2))
    network.add("Pad", np.array([0, 0, 0, 0, 1, 0]))
    network.add("Reshape", np.array([2, 2, 4, 48]))
    network.add("Transpose", perm=[0, 2, 1, 3])
    network.add("Gather", np.array([3, 0, 1]), axis=1)
    start = network.add("Reshape", np.array([2, 6, 48]))
    network.add("Div", np.array(2**0.5, np.float32))
    network.add("Erf")
    network.add("Add", np.array(1, np.float32))
    network.add("Mul", second=start)
    network.add("Mul", np.array(0.5, np.float32))
    network.add("MatMul", random(48, 33, scale=0.2))
    return network


def attention():
    """Softmax along rows that are rounded by a table, and along shorter ones."""
    network = Network([2, 7, 36], 4)
    network.add("MatMul", random(36, 300, scale=0.4))
    network.add("Softmax", axis=-1)
    network.add("MatMul", random(300, 33, scale=4))
    network.add("Softmax", axis=2)
    network.add("MatMul", random(33, 12, scale=0.5))
    return network


def quantized(network, source, scale, kind=np.uint8):
    """QuantizeLinear and DequantizeLinear by one scale."""
    network.last = source
    parameters = (np.float32(scale), kind(0))
    network.add("QuantizeLinear", *parameters)
    return network.add("DequantizeLinear", *parameters)


def dequantized_weights(network, *shape):
    """Weights of int8 with a scale for each index of the first axis."""
    weights = random(*shape, scale=0.3)
    scales = np.abs(weights).reshape(shape[0], -1).max(1) / 63
    levels = np.rint(weights / scales.reshape(-1, *[1] * (len(shape) - 1))).astype(np.int8)
    network.last = None
    return network.add("DequantizeLinear", levels, scales.astype(np.float32), np.zeros(shape[0], np.int8), axis=0)


def convolved(network, source, outputs, channels, size, **attributes):
    weights = dequantized_weights(network, outputs, channels, size, size)
    network.last = source
    return network.add("Conv", random(outputs), second=weights, pads=[size // 2] * 4, **attributes)


def late_pictures():
    """As NNCF writes it: biases of float32, nothing quantised behind what moves elements, and an output that isn't quantised."""
    network = Network([2, 3, 23, 21], 4)
    convolved(network, quantized(network, "x", 0.03, np.int8), 16, 3, 3)
    first = quantized(network, network.add("Relu"), 0.03)
    network.last = first
    pooled = network.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    branch = quantized(network, convolved(network, pooled, 16, 16, 3), 0.05, np.int8)
    network.last = branch
    network.add("Add", second=pooled)
    joined = quantized(network, network.add("Relu"), 0.05)
    network.last = joined
    wide = network.add("MaxPool", kernel_shape=[3, 3], pads=[1] * 4)
    network.last = joined
    convolved(network, network.add("Concat", second=wide, axis=1), 6, 32, 3, strides=[2, 2])
    network.add("Relu")
    return network


def late_weights():
    """As torch.onnx writes a linear layer whose weights are quantised row by row."""
    network = Network([2, 7, 36], 3)
    weights = dequantized_weights(network, 20, 36)
    network.last = weights
    turned = network.add("Transpose", perm=[1, 0])
    network.last = quantized(network, "x", 0.03, np.int8)
    network.add("MatMul", second=turned)
    network.add("Add", random(20))
    return network


class Calibration(CalibrationDataReader):
    def __init__(self, shape):
        self.left = [{"x": random(*shape)} for _ in range(4)]

    def get_next(self):
        return self.left.pop() if self.left else None


def variants(folder):
    """Names, model files and tolerances."""
    networks = {"perceptron": perceptron(), "pictures": pictures(), "mobile": mobile(), "windows": windows(), "attention": attention()}
    for name, network in networks.items():
        network.save(folder / f"{name}.onnx")
    source, picture = folder / "perceptron.onnx", folder / "pictures.onnx"
    for kind, reduced in ((QuantType.QInt8, True), (QuantType.QUInt8, False)):
        for each in (False, True):
            name = f"dynamic-{kind.name}{'-columns' if each else ''}"
            quantize_dynamic(source, folder / name, weight_type=kind, per_channel=each, reduce_range=reduced)
            yield name, folder / name, 2e-5
    for name, network in (("dynamic-conv", picture), ("dynamic-mobile", folder / "mobile.onnx")):
        quantize_dynamic(network, folder / name, weight_type=QuantType.QUInt8)
        yield name, folder / name, 2e-5
    pairs = {"u8s8": (QuantType.QUInt8, QuantType.QInt8), "u8u8": (QuantType.QUInt8, QuantType.QUInt8), "s8s8": (QuantType.QInt8, QuantType.QInt8)}
    for name, network in networks.items():
        model, shape = folder / f"{name}.onnx", network.shape
        for label, (activations, weights) in pairs.items():
            for form in (QuantFormat.QDQ, QuantFormat.QOperator):
                for each in (False, True):
                    if form == QuantFormat.QOperator and label == "s8s8":
                        continue
                    name = f"static-{model.stem}-{form.name}-{label}{'-channels' if each else ''}"
                    quantize_static(
                        model, folder / name, Calibration(shape), quant_format=form, per_channel=each,
                        reduce_range=weights == QuantType.QInt8, activation_type=activations, weight_type=weights)
                    yield name, folder / name, 2e-2
    for name, network in (("written-pictures", late_pictures()), ("written-weights", late_weights())):
        network.save(folder / name)
        yield name, folder / name, 2e-2
    # At accuracy level 4 both factors may be rounded to int8.
    for bits, symmetric, level in ((4, True, None), (4, False, None), (8, True, None), (8, False, None), (4, True, 4)):
        quantizer = MatMulNBitsQuantizer(
            onnx.load(source), bits=bits, block_size=32, is_symmetric=symmetric, accuracy_level=level)
        quantizer.process()
        name = f"blocks-{bits}{'' if symmetric else '-zeros'}{f'-level-{level}' if level else ''}"
        quantizer.model.save_model_to_file(str(folder / name), False)
        yield name, folder / name, 2e-2 if level else 2e-5


def main():
    folder = CACHE / "quantised-models"
    stamp = folder / "made-by.txt"
    made = f"{RECIPE} {onnx.__version__} {onnxruntime.__version__}\n"
    if stamp.exists() and stamp.read_text() == made:
        print(f"{folder} is there")
        return
    part = CACHE / f"quantised-models.{os.getpid()}.part"
    with tempfile.TemporaryDirectory() as models:
        for name, model, tolerance in variants(Path(models)):
            options = onnxruntime.SessionOptions()
            # Its own softmax of bytes rounds in another way than the operators that it takes the place of, and files as other tools write
            # them mean what their operators say.
            if "attention" in name or "written" in name:
                options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            x = random(*session.get_inputs()[0].shape)
            y = session.run(None, {"x": x})[0]
            data = part / name / "test_data_set_0"
            data.mkdir(parents=True)
            shutil.copy(model, part / name / "model.onnx")
            (part / name / "tolerance.txt").write_text(f"{tolerance}\n")
            (data / "input_0.pb").write_bytes(numpy_helper.from_array(x, "x").SerializeToString())
            (data / "output_0.pb").write_bytes(numpy_helper.from_array(y, session.get_outputs()[0].name).SerializeToString())
            print(name, sorted({node.op_type for node in onnx.load(model).graph.node}), flush=True)
    (part / "made-by.txt").write_text(made)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


if __name__ == "__main__":
    main()
