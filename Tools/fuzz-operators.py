#!/usr/bin/env python3
"""Draws operators with their attributes, shapes and types, runs them with ONNX Runtime and with "sd-onnx verify", and keeps each case
in which the two differ as a backend-test folder. Those whose difference is known, and whose fault it is, are listed in
Tests/References/fuzz-explained.txt; another one makes the exit code 1.

The same seed draws the same cases. What ONNX Runtime refuses is drawn again, and counted.
"""

import argparse
import fnmatch
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, TypeProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parent.parent
F, D, H = np.float32, np.float64, np.float16
INTS = [np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint16, np.uint32, np.uint64]
OPSETS = [9, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21]
DRAWERS = {}


def drawer(*names, since=7):
    def register(function):
        for name in names:
            DRAWERS[name] = (function, since)
        return function

    return register


class Draw:
    """What is drawn for one case."""

    def __init__(self, seed, index):
        self.random = np.random.default_rng([seed, index])

    def number(self, low, high):
        return int(self.random.integers(low, high + 1))

    def pick(self, values):
        return values[self.number(0, len(values) - 1)]

    def maybe(self, chance=0.5):
        return self.random.random() < chance

    def shape(self, low=1, high=4, largest=6, empty=True):
        shape = [self.number(1, largest) for _ in range(self.number(low, high))]
        if empty and shape and self.maybe(0.03):
            shape[self.number(0, len(shape) - 1)] = 0
        return shape

    def array(self, shape, dtype=F, low=-4.0, high=4.0, special=True):
        dtype = np.dtype(dtype)
        if dtype == bool:
            return self.random.integers(0, 2, shape).astype(bool)
        if dtype.kind in "iu":
            bounds = np.iinfo(dtype)
            low, high = max(int(low * 8), bounds.min), min(int(high * 8), bounds.max)
            return self.random.integers(low, high + 1, shape).astype(dtype)
        value = self.random.uniform(low, high, shape).astype(dtype)
        if special and value.size and self.maybe(0.1):
            value = np.array(value)
            value.flat[self.number(0, value.size - 1)] = self.pick([np.nan, np.inf, -np.inf, 0.0, -0.0])
        return value

    def broadcast(self, shape):
        """A shape that broadcasts with another."""
        return [1 if self.maybe(0.3) else n for n in shape[self.number(0, len(shape)) if self.maybe(0.4) else 0 :]]

    def axis(self, shape):
        return self.number(-len(shape), len(shape) - 1)


@drawer("Add", "Sub", "Mul", "Div")
def arithmetic(d, name, opset):
    shape, dtype = d.shape(0), d.pick([F, F, D, np.int32, np.int64] + ([H] if opset >= 13 else []) + (INTS if opset >= 14 else []))
    a, b = d.array(shape, dtype), d.array(d.broadcast(shape), dtype)
    if name == "Div" and a.dtype.kind in "iu":
        b = np.where(b == 0, np.ones_like(b), b)
    return [a, b] if d.maybe() else [b, a] if name != "Div" or a.dtype.kind == "f" else [a, b], {}


@drawer("Pow")
def powers(d, name, opset):
    shape = d.shape(0)
    base = d.array(shape, d.pick([F, D] + ([np.int32, np.int64] if opset >= 12 else [])), low=-3, high=3)
    if base.dtype.kind == "i":
        return [base // 4, d.array(d.broadcast(shape), base.dtype, low=0, high=0.5)], {}
    return [base, d.array(d.broadcast(shape), base.dtype)], {}


@drawer("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", since=13)
def comparisons(d, name, opset):
    shape, dtype = d.shape(0), d.pick([F, D, np.int32, np.int64] + ([H] if name != "Equal" else [bool]))
    return [d.array(shape, dtype), d.array(d.broadcast(shape), dtype)], {}


@drawer("And", "Or", "Xor")
def logic(d, name, opset):
    shape = d.shape(0)
    return [d.array(shape, bool), d.array(d.broadcast(shape), bool)], {}


@drawer("Abs", "Neg", "Sign", since=9)
def signs(d, name, opset):
    return [d.array(d.shape(0), d.pick([F, D, np.int32, np.int64, np.int8]))], {}


@drawer("Exp", "Sqrt", "Log", "Sin", "Cos", "Tanh", "Sigmoid", "Erf", "Floor", "Ceil", "Reciprocal", "Atan", "Relu", "Softsign", "Softplus",
        "Tan", "Sinh", "Cosh", "Asinh", since=9)
def unary(d, name, opset):
    return [d.array(d.shape(0), d.pick([F, F, D] if name in ("Exp", "Sqrt", "Tanh", "Sigmoid", "Floor", "Ceil", "Reciprocal", "Relu", "Log") else [F]))], {}


@drawer("Asin", "Acos", "Atanh", "Acosh", since=9)
def inverses(d, name, opset):
    return [d.array(d.shape(0), F, low=-1.2 if name != "Acosh" else 0.5, high=1.2 if name != "Acosh" else 5)], {}


@drawer("Round", since=11)
def rounding(d, name, opset):
    return [np.round(d.array(d.shape(0), d.pick([F, D]), special=False) * 2) / 2 if d.maybe() else d.array(d.shape(0))], {}


@drawer("IsNaN", since=13)
def tests(d, name, opset):
    return [d.array(d.shape(0), d.pick([F, D]))], {}


@drawer("IsInf", since=10)
def infinities(d, name, opset):
    return [d.array(d.shape(0), d.pick([F, D]))], {"detect_negative": d.number(0, 1), "detect_positive": d.number(0, 1)}


@drawer("LeakyRelu", "Elu", "ThresholdedRelu", since=10)
def parametric(d, name, opset):
    return [d.array(d.shape(0))], {"alpha": float(d.random.uniform(-1, 2))} if d.maybe(0.8) else {}


@drawer("Selu", "HardSigmoid", since=9)
def two_parameters(d, name, opset):
    names = ("alpha", "gamma" if name == "Selu" else "beta")
    return [d.array(d.shape(0))], {n: float(d.random.uniform(0.1, 1.5)) for n in names if d.maybe()}


@drawer("Celu", since=12)
def celu(d, name, opset):
    return [d.array(d.shape(0))], {"alpha": float(d.random.uniform(0.2, 2))}


@drawer("HardSwish", since=14)
def hard_swish(d, name, opset):
    return [d.array(d.shape(0))], {}


@drawer("Mish", since=18)
def mish(d, name, opset):
    return [d.array(d.shape(0))], {}


@drawer("Gelu", since=20)
def gelu(d, name, opset):
    return [d.array(d.shape(0))], {"approximate": d.pick(["none", "tanh"])}


@drawer("PRelu", since=9)
def prelu(d, name, opset):
    shape = d.shape(1)
    return [d.array(shape), d.array(d.broadcast(shape))], {}


@drawer("Clip", since=11)
def clip(d, name, opset):
    dtype = d.pick([F, D, np.int32, np.int64, np.int8, np.uint8] if opset >= 12 else [F])
    low = np.array(1, dtype) if d.maybe() else None
    return [d.array(d.shape(0), dtype), low, np.array(3, dtype) if d.maybe() else None], {}


@drawer("Min", "Max", since=13)
def extremes(d, name, opset):
    shape, dtype = d.shape(0), d.pick([F, D, np.int32, np.int64])
    return [d.array(shape, dtype)] + [d.array(d.broadcast(shape), dtype) for _ in range(d.number(0, 2))], {}


@drawer("Sum", "Mean", since=8)
def sums(d, name, opset):
    shape = d.shape(0)
    return [d.array(shape)] + [d.array(d.broadcast(shape)) for _ in range(d.number(0, 2))], {}


@drawer("Where", since=9)
def where(d, name, opset):
    shape, dtype = d.shape(0), d.pick([F, np.int64, np.int32, np.uint8, D])
    return [d.array(d.broadcast(shape), bool), d.array(shape, dtype), d.array(d.broadcast(shape), dtype)], {}


@drawer("Mod", since=13)
def modulo(d, name, opset):
    shape, dtype = d.shape(0), d.pick([F, np.int32, np.int64, np.int8])
    b = d.array(d.broadcast(shape), dtype, special=False)
    return [d.array(shape, dtype, special=False), np.where(b == 0, np.ones_like(b), b)], {"fmod": 1 if dtype == F else d.number(0, 1)}


@drawer("Cast", since=13)
def cast(d, name, opset):
    kinds = {F: 1, D: 11, H: 10, np.int8: 3, np.uint8: 2, np.int16: 5, np.int32: 6, np.int64: 7, np.uint16: 4, np.uint32: 12, np.uint64: 13, bool: 9}
    source, target = d.pick(list(kinds)), d.pick(list(kinds))
    # What becomes of numbers that have no place in an integer type isn't defined.
    return [d.array(d.shape(0), source, low=0, special=False)], {"to": kinds[target]}


@drawer("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp",
        "ReduceLogSum", since=11)
def reductions(d, name, opset):
    shape = d.shape(1, empty=False)
    positive = name == "ReduceLogSum"
    x = d.array(shape, d.pick([F, F, np.int32] if not name.startswith("ReduceLog") and name not in ("ReduceL2",) else [F]),
                low=0.1 if positive else -3, high=3, special=False)
    count = d.number(0, len(shape))
    axes = sorted(d.random.choice(len(shape), count, replace=False).tolist())
    axes = [a - len(shape) if d.maybe(0.3) else a for a in axes]
    more = {"keepdims": d.number(0, 1)} if d.maybe(0.8) else {}
    if opset >= (13 if name == "ReduceSum" else 18):
        if d.maybe(0.3):
            more["noop_with_empty_axes"] = d.number(0, 1)
        return [x] + ([np.array(axes, np.int64)] if axes or d.maybe(0.3) else []), more
    return [x], more | ({"axes": axes} if axes else {})


@drawer("ArgMax", "ArgMin", since=12)
def arguments(d, name, opset):
    shape = d.shape(1, empty=False)
    x = np.round(d.array(shape, d.pick([F, np.int32]), special=False))
    return [x], {"axis": d.axis(shape), "keepdims": d.number(0, 1), "select_last_index": d.number(0, 1)}


@drawer("Softmax", "LogSoftmax", "Hardmax", since=9)
def softmaxes(d, name, opset):
    shape = d.shape(1, empty=False)
    return [d.array(shape, F, special=False)], {"axis": d.axis(shape) if opset >= 11 else d.number(0, len(shape) - 1)} if d.maybe(0.8) else {}


@drawer("CumSum", since=14)
def cumulative(d, name, opset):
    shape = d.shape(1)
    x = d.array(shape, d.pick([F, D, np.int32, np.int64]), special=False)
    return [x, np.array(d.axis(shape), np.int64)], {"exclusive": d.number(0, 1), "reverse": d.number(0, 1)}


@drawer("MatMul", since=9)
def products(d, name, opset):
    m, k, n = (d.number(1, 9) for _ in range(3))
    batch = d.shape(0, 2, empty=False)
    dtype = d.pick([F, F, D, np.int32, np.int64])
    form = d.number(0, 3)
    a = [k] if form == 1 else (d.broadcast(batch) if form == 3 else batch) + [m, k]
    b = [k] if form == 2 else batch + [k, n]
    return [d.array(a, dtype, special=False), d.array(b, dtype, special=False)], {}


@drawer("Gemm", since=11)
def gemm(d, name, opset):
    m, k, n = (d.number(1, 12) for _ in range(3))
    a, b = d.number(0, 1), d.number(0, 1)
    more = {"transA": a, "transB": b}
    for key in ("alpha", "beta"):
        if d.maybe():
            more[key] = float(d.random.uniform(-2, 2))
    inputs = [d.array([k, m] if a else [m, k], special=False), d.array([n, k] if b else [k, n], special=False)]
    if d.maybe(0.7):
        inputs.append(d.array(d.pick([[n], [m, n], [1, n], [m, 1], [1], []]), special=False))
    return inputs, more


def window(d, rank, name):
    kernel = [d.number(1, 3) for _ in range(rank)]
    more = {"kernel_shape": kernel}
    if d.maybe():
        more["strides"] = [d.number(1, 3) for _ in range(rank)]
    if d.maybe(0.3):
        more["auto_pad"] = d.pick(["SAME_UPPER", "SAME_LOWER", "VALID"])
    elif d.maybe():
        more["pads"] = [d.number(0, k - 1) for k in kernel] + [d.number(0, k - 1) for k in kernel]
    if d.maybe(0.4) and "auto_pad" not in more:
        more["dilations"] = [d.number(1, 2) for _ in range(rank)]
    return more


@drawer("Conv", since=11)
def convolution(d, name, opset):
    rank, group = d.number(1, 3), d.pick([1, 1, 1, 2, 3])
    channels, outputs = group * d.number(1, 4), group * d.number(1, 4)
    more, smallest = window(d, rank, name) | {"group": group}, 5
    if d.maybe(0.2) and "auto_pad" not in more:
        # Some taps see nothing but padding.
        more["dilations"], smallest = [d.number(1, 12) for _ in range(rank)], 1
        reach = [dilation * (k - 1) for k, dilation in zip(more["kernel_shape"], more["dilations"])]
        more["pads"] = [(r + 1) // 2 + d.number(0, 1) for r in reach] + [(r + 1) // 2 for r in reach]
    x = d.array([d.number(1, 2), channels] + [d.number(smallest, 9) for _ in range(rank)], special=False)
    inputs = [x, d.array([outputs, channels // group] + more["kernel_shape"], special=False)]
    return inputs + ([d.array([outputs], special=False)] if d.maybe() else []), more


@drawer("ConvTranspose", since=11)
def transposed(d, name, opset):
    rank, group = d.number(1, 2), d.pick([1, 1, 2])
    channels, outputs = group * d.number(1, 3), d.number(1, 3)
    more = window(d, rank, name) | {"group": group}
    more.pop("auto_pad", None)
    if d.maybe(0.3) and "strides" in more:
        more["output_padding"] = [d.number(0, s - 1) for s in more["strides"]]
    x = d.array([d.number(1, 2), channels] + [d.number(3, 6) for _ in range(rank)], special=False)
    inputs = [x, d.array([channels, outputs] + more["kernel_shape"], special=False)]
    return inputs + ([d.array([outputs * group], special=False)] if d.maybe() else []), more


@drawer("MaxPool", "AveragePool", "LpPool", since=11)
def pooling(d, name, opset):
    rank = d.number(1, 3)
    more = window(d, rank, name)
    if name != "MaxPool" and opset < (19 if name == "AveragePool" else 18):
        more.pop("dilations", None)
    if name != "LpPool" or opset >= 18:
        more["ceil_mode"] = d.number(0, 1)
    if name == "AveragePool":
        more["count_include_pad"] = d.number(0, 1)
    return [d.array([d.number(1, 2), d.number(1, 3)] + [d.number(5, 9) for _ in range(rank)], special=False)], more


@drawer("GlobalAveragePool", "GlobalMaxPool", since=9)
def global_pooling(d, name, opset):
    return [d.array([d.number(1, 2), d.number(1, 3)] + [d.number(1, 6) for _ in range(d.number(1, 3))], special=False)], {}


@drawer("BatchNormalization", since=15)
def batches(d, name, opset):
    channels = d.number(1, 5)
    x = d.array([d.number(1, 3), channels] + [d.number(1, 4) for _ in range(d.number(0, 2))], special=False)
    rest = [d.array([channels], special=False) for _ in range(3)] + [d.array([channels], low=0.2, special=False)]
    return [x] + rest, {"epsilon": float(d.random.uniform(1e-5, 0.1))} if d.maybe() else {}


@drawer("LayerNormalization", since=17)
def layers(d, name, opset):
    shape = d.shape(1, empty=False)
    axis = d.axis(shape)
    tail = shape[axis:]
    inputs = [d.array(shape, special=False), d.array(tail, special=False)]
    return inputs + ([d.array(tail, special=False)] if d.maybe() else []), {"axis": axis}


@drawer("InstanceNormalization", since=9)
def instances(d, name, opset):
    channels = d.number(1, 4)
    x = d.array([d.number(1, 2), channels] + [d.number(2, 5) for _ in range(d.number(1, 2))], special=False)
    return [x, d.array([channels], special=False), d.array([channels], special=False)], {}


@drawer("LRN", since=13)
def local(d, name, opset):
    x = d.array([d.number(1, 2), d.number(1, 7), d.number(1, 4), d.number(1, 4)], special=False)
    return [x], {"size": d.pick([1, 3, 5]), "alpha": 0.01, "beta": 0.75, "bias": 1.5}


@drawer("Transpose", since=9)
def transposes(d, name, opset):
    shape = d.shape(0)
    x = d.array(shape, d.pick([F, np.int64, np.uint8, D]))
    return [x], {"perm": d.random.permutation(len(shape)).tolist()} if shape and d.maybe(0.8) else {}


@drawer("Concat", since=11)
def concatenations(d, name, opset):
    shape = d.shape(1)
    axis = d.axis(shape)
    dtype, parts = d.pick([F, np.int64, np.int32]), []
    for _ in range(d.number(1, 4)):
        one = list(shape)
        one[axis] = d.number(0 if d.maybe(0.1) else 1, 4)
        parts.append(d.array(one, dtype))
    return parts, {"axis": axis}


@drawer("Slice", since=11)
def slices(d, name, opset):
    shape = d.shape(1, largest=8)
    axes = sorted(d.random.choice(len(shape), d.number(1, len(shape)), replace=False).tolist())
    starts, ends = ([d.number(-10, 10) for _ in axes] for _ in range(2))
    steps = [d.pick([1, 1, 2, 3, -1, -2]) for _ in axes]
    inputs = [np.array(v, d.pick([np.int64, np.int32])) for v in (starts, ends, axes, steps)]
    kind = inputs[0].dtype
    return [d.array(shape, d.pick([F, np.int64, np.uint8]))] + [v.astype(kind) for v in inputs], {}


@drawer("Pad", since=13)
def pads(d, name, opset):
    shape = d.shape(1, 4, empty=False)
    mode = d.pick(["constant", "constant", "reflect", "edge"] + (["wrap"] if opset >= 19 else []))
    most = [2 if mode in ("constant", "edge") else n - 1 for n in shape]
    amounts = [d.number(0, max(m, 0)) for m in most] + [d.number(0, max(m, 0)) for m in most]
    inputs = [d.array(shape, F), np.array(amounts, np.int64)]
    return inputs + ([np.array(1.5, F)] if mode == "constant" and d.maybe() else []), {"mode": mode}


@drawer("Gather", since=11)
def gathers(d, name, opset):
    shape = d.shape(1, empty=False)
    axis = d.axis(shape)
    indices = d.random.integers(-shape[axis], shape[axis], d.shape(0, 3)).astype(d.pick([np.int64, np.int32]))
    return [d.array(shape, d.pick([F, np.int64, np.uint8])), indices], {"axis": axis}


@drawer("GatherElements", since=11)
def elements(d, name, opset):
    shape = d.shape(1, empty=False)
    axis = d.axis(shape)
    other = [d.number(1, n) for n in shape]
    other[axis] = d.number(1, 5)
    return [d.array(shape), d.random.integers(-shape[axis], shape[axis], other).astype(np.int64)], {"axis": axis}


@drawer("ScatterElements", since=18)
def scatters(d, name, opset):
    shape = d.shape(1, empty=False)
    axis, reduction = d.axis(shape), d.pick(["none", "add", "mul", "max", "min"])
    other = [d.number(1, n) for n in shape]
    indices = np.argsort(d.random.random(other), axis=axis) if reduction == "none" else d.random.integers(-shape[axis], shape[axis], other)
    return [d.array(shape, special=False), indices.astype(np.int64), d.array(other, special=False)], {"axis": axis, "reduction": reduction}


@drawer("GatherND", since=12)
def gather_nd(d, name, opset):
    shape = d.shape(1, empty=False)
    depth = d.number(1, len(shape))
    lead = d.shape(0, 2, empty=False)
    indices = np.stack([d.random.integers(-n, n, lead) for n in shape[:depth]], -1) if lead else np.array([d.number(0, n - 1) for n in shape[:depth]])
    return [d.array(shape), indices.astype(np.int64)], {}


@drawer("Expand", since=8)
def expands(d, name, opset):
    shape = d.shape(0)
    return [d.array(d.broadcast(shape), d.pick([F, np.int64, np.int32])), np.array(shape, np.int64)], {}


@drawer("Tile", since=9)
def tiles(d, name, opset):
    shape = d.shape(1)
    return [d.array(shape, d.pick([F, np.int64, np.uint8])), np.array([d.number(0 if d.maybe(0.05) else 1, 3) for _ in shape], np.int64)], {}


@drawer("Squeeze", since=13)
def squeezes(d, name, opset):
    shape = [1 if d.maybe() else d.number(1, 4) for _ in range(d.number(1, 5))]
    ones = [k - (len(shape) if d.maybe(0.3) else 0) for k, n in enumerate(shape) if n == 1]
    return [d.array(shape)] + ([np.array(ones, np.int64)] if ones and d.maybe() else []), {}


@drawer("Unsqueeze", since=13)
def unsqueezes(d, name, opset):
    shape = d.shape(0, 3)
    count = d.number(1, 3)
    axes = d.random.choice(len(shape) + count, count, replace=False)
    return [d.array(shape), axes.astype(np.int64)], {}


@drawer("Reshape", since=14)
def reshapes(d, name, opset):
    shape = d.shape(1, empty=False)
    target = d.random.permutation(shape).tolist()
    if d.maybe():
        target[d.number(0, len(target) - 1)] = -1
    elif target[0] == shape[0] and d.maybe():
        target[0] = 0
    return [d.array(shape), np.array(target, np.int64)], {}


@drawer("Flatten", since=11)
def flattens(d, name, opset):
    shape = d.shape(1)
    return [d.array(shape)], {"axis": d.number(-len(shape), len(shape))}


@drawer("Split", since=18)
def splits(d, name, opset):
    shape = d.shape(1, empty=False)
    axis = d.axis(shape)
    parts = d.number(1, shape[axis])
    sizes = np.diff([0, *sorted(d.random.choice(range(1, shape[axis]), parts - 1, replace=False).tolist()), shape[axis]]) if shape[axis] > 1 else [shape[axis]]
    return [d.array(shape), np.array(sizes, np.int64)], {"axis": axis}, len(sizes)


@drawer("DepthToSpace", "SpaceToDepth", since=13)
def depths(d, name, opset):
    block = d.number(1, 3)
    channels, height, width = d.number(1, 3), d.number(1, 3), d.number(1, 3)
    if name == "DepthToSpace":
        return [d.array([d.number(1, 2), channels * block * block, height, width])], {"blocksize": block, "mode": d.pick(["DCR", "CRD"])}
    return [d.array([d.number(1, 2), channels, height * block, width * block])], {"blocksize": block}


@drawer("TopK", since=11)
def top(d, name, opset):
    shape = d.shape(1, empty=False)
    axis = d.axis(shape)
    return [d.array(shape, special=False), np.array([d.number(1, shape[axis])], np.int64)], {"axis": axis, "largest": d.number(0, 1), "sorted": 1}, 2


@drawer("OneHot", since=11)
def one_hot(d, name, opset):
    shape, depth = d.shape(0, 3), d.number(1, 5)
    return [d.random.integers(-depth - 1, depth + 1, shape).astype(np.int64), np.array(depth, np.int64), np.array([2, 5], F)], {"axis": d.number(-len(shape) - 1, len(shape))}


@drawer("NonZero", since=13)
def non_zero(d, name, opset):
    return [np.round(d.array(d.shape(1), d.pick([F, np.int32, np.int64]), low=-1, high=1, special=False))], {}


@drawer("Trilu", since=14)
def triangles(d, name, opset):
    shape = d.shape(2)
    return [d.array(shape, d.pick([F, D, np.int64]))] + ([np.array(d.number(-5, 5), np.int64)] if d.maybe() else []), {"upper": d.number(0, 1)}


@drawer("Unique", since=11)
def unique(d, name, opset):
    shape = d.shape(1, 3, empty=False)
    x = np.round(d.array(shape, d.pick([F, np.int64]), low=-2, high=2, special=False))
    return [x], {"sorted": d.number(0, 1)} | ({"axis": d.axis(shape)} if d.maybe() else {}), 4


@drawer("Resize", since=11)
def resizes(d, name, opset):
    shape = [d.number(1, 2), d.number(1, 3), d.number(2, 6), d.number(2, 6)]
    mode = d.pick(["nearest", "linear", "cubic"])
    more = {"mode": mode, "coordinate_transformation_mode": d.pick(["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"])}
    if mode == "nearest":
        more["nearest_mode"] = d.pick(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
    if mode == "cubic":
        more["cubic_coeff_a"] = d.pick([-0.75, -0.5])
        more["exclude_outside"] = d.number(0, 1)
    if d.maybe():
        sizes = shape[:2] + [d.number(1, 9), d.number(1, 9)]
        return [d.array(shape, special=False), np.zeros(0, F), np.zeros(0, F), np.array(sizes, np.int64)], more
    return [d.array(shape, special=False), np.zeros(0, F), np.array([1, 1, d.pick([0.5, 1.5, 2, 2.5]), d.pick([0.6, 1, 2, 3])], F)], more


@drawer("Einsum", since=12)
def einsum(d, name, opset):
    sizes = {letter: d.number(1, 4) for letter in "ijkl"}
    terms = ["".join(d.random.permutation(list("ijkl"))[: d.number(1, 3)]) for _ in range(d.number(1, 2))]
    used = sorted(set("".join(terms)))
    output = "".join(d.random.permutation(used)[: d.number(0, len(used))])
    return [d.array([sizes[c] for c in t], special=False) for t in terms], {"equation": f"{','.join(terms)}->{output}"}


@drawer("QuantizeLinear", since=13)
def quantize(d, name, opset):
    shape = d.shape(1, empty=False)
    axis = d.axis(shape)
    dtype = d.pick([np.int8, np.uint8])
    size = [shape[axis]] if d.maybe() else []
    return [d.array(shape, low=-40, high=40, special=False), d.array(size, low=0.05, high=1, special=False), d.array(size, dtype, low=0, high=2)], {"axis": axis}


@drawer("DequantizeLinear", since=13)
def dequantize(d, name, opset):
    shape = d.shape(1, empty=False)
    axis = d.axis(shape)
    dtype = d.pick([np.int8, np.uint8])
    size = [shape[axis]] if d.maybe() else []
    return [d.array(shape, dtype, low=-15, high=15), d.array(size, low=0.05, high=1, special=False), d.array(size, dtype, low=0, high=2)], {"axis": axis}


@drawer("DynamicQuantizeLinear", since=11)
def dynamic(d, name, opset):
    return [d.array(d.shape(1, empty=False), special=False)], {}, 3


@drawer("MatMulInteger", since=10)
def integer_products(d, name, opset):
    m, k, n = (d.number(1, 40) for _ in range(3))
    a, b = d.pick([np.uint8, np.int8]), d.pick([np.uint8, np.int8])
    inputs = [d.array([m, k], a, low=-15, high=15), d.array([k, n], b, low=-15, high=15)]
    return inputs + ([d.array([], a, low=0, high=3), d.array([], b, low=0, high=3)] if d.maybe() else []), {}


@drawer("ConvInteger", "QLinearConv", since=10)
def integer_convolutions(d, name, opset):
    """Bytes in groups of all kinds: each channel for itself, few channels, one group."""
    rank = d.number(1, 3)
    own, outputs = d.pick([(1, 1), (1, 1), (1, 2), (4, 4), (8, 8), (4, 3), (3, 5), (12, 20)])
    group = d.pick([1, 2, 5, 16, 33] if own == 1 else [1, 2, 3, 5])
    more = window(d, rank, name) | {"group": group}
    a, b = d.pick([np.uint8, np.int8]), d.pick([np.uint8, np.int8])
    if name == "ConvInteger":
        # ONNX Runtime has these alone.
        a = b = np.uint8
    x = d.array([d.number(1, 2), group * own] + [d.number(5, 14) for _ in range(rank)], a, low=-15, high=31)
    w = d.array([group * outputs, own] + more["kernel_shape"], b, low=-15, high=31)
    size = [group * outputs] if d.maybe() and b == np.int8 else []
    zeros = [d.array([], a, low=0, high=3), np.zeros(size, b) if size else d.array([], b, low=0, high=3)]
    if name == "ConvInteger":
        return [x, w] + zeros, more
    scales = [np.array(s, F) for s in (0.01, d.array(size, low=0.01, high=0.1, special=False), 0.3)]
    result = [scales[2], d.array([], a, low=0, high=3)]
    bias = [d.array([group * outputs], np.int32, low=-90, high=90)] if d.maybe() else []
    return [x, scales[0], zeros[0], w, scales[1], zeros[1], *result, *bias], more


@drawer("GRU", "LSTM", "RNN", since=14)
def recurrent(d, name, opset):
    gates = {"GRU": 3, "LSTM": 4, "RNN": 1}[name]
    length, batch, size, hidden = d.number(1, 4), d.number(1, 3), d.number(1, 5), d.number(1, 5)
    direction = d.pick(["forward", "reverse", "bidirectional"])
    count = 2 if direction == "bidirectional" else 1
    inputs = [d.array([length, batch, size], special=False), d.array([count, gates * hidden, size], special=False),
              d.array([count, gates * hidden, hidden], special=False)]
    inputs.append(d.array([count, 2 * gates * hidden], special=False) if d.maybe() else None)
    inputs.append(d.random.integers(1, length + 1, batch).astype(np.int32) if d.maybe(0.3) else None)
    inputs.append(d.array([count, batch, hidden], special=False) if d.maybe(0.4) else None)
    more = {"hidden_size": hidden, "direction": direction}
    if name == "GRU":
        more["linear_before_reset"] = d.number(0, 1)
    if d.maybe(0.2):
        more["clip"] = 1.5
    return inputs, more, 3 if name == "LSTM" else 2


@drawer("GridSample", since=16)
def grids(d, name, opset):
    x = d.array([d.number(1, 2), d.number(1, 3), d.number(2, 5), d.number(2, 5)], special=False)
    grid = d.array([x.shape[0], d.number(1, 4), d.number(1, 4), 2], low=-1.3, high=1.3, special=False)
    modes = ["linear", "nearest", "cubic"] if opset >= 20 else ["bilinear", "nearest", "bicubic"]
    return [x, grid], {"mode": d.pick(modes), "padding_mode": d.pick(["zeros", "border", "reflection"]), "align_corners": d.number(0, 1)}


@drawer("RoiAlign", since=10)
def regions(d, name, opset):
    x = d.array([d.number(1, 3), d.number(1, 4), d.number(1, 9), d.number(1, 9)], special=False)
    corners = d.array([d.number(1, 5), 2, 2], low=-2, high=20, special=False)
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    more = {
        "output_height": d.number(1, 4), "output_width": d.number(1, 4), "sampling_ratio": d.pick([0, 0, 1, 2, 3]),
        "spatial_scale": d.pick([0.25, 0.5, 1.0]), "mode": d.pick(["avg", "avg", "max"])}
    if opset >= 16:
        more["coordinate_transformation_mode"] = d.pick(["half_pixel", "output_half_pixel"])
    return [x, boxes, d.random.integers(0, x.shape[0], len(boxes)).astype(np.int64)], more


@drawer("CenterCropPad", since=18)
def crops(d, name, opset):
    shape = d.shape(1, empty=False)
    return [d.array(shape), np.array([d.number(1, 8) for _ in shape], np.int64)], {}


@drawer("ReverseSequence", since=10)
def reversed_sequences(d, name, opset):
    x = d.array([d.number(1, 4), d.number(1, 4)] + d.shape(0, 2, empty=False))
    time = d.number(0, 1)
    lengths = d.random.integers(1, x.shape[time] + 1, x.shape[1 - time]).astype(np.int64)
    return [x, lengths], {"time_axis": time, "batch_axis": 1 - time}


@drawer("Compress", since=11)
def compress(d, name, opset):
    shape = d.shape(1, empty=False)
    axis = d.axis(shape)
    return [d.array(shape), d.array([d.number(1, shape[axis])], bool)], {"axis": axis}


def case(seed, index):
    """A name, the attributes as text, a model of one node, its inputs, and what ONNX Runtime makes of them."""
    d = Draw(seed, index)
    name = d.pick(sorted(DRAWERS))
    function, since = DRAWERS[name]
    opset = d.pick([v for v in OPSETS if v >= since] or [since])
    inputs, attributes, *more = function(d, name, opset)
    outputs = [f"y{k}" for k in range(more[0] if more else 1)]
    names = [f"x{k}" if v is not None else "" for k, v in enumerate(inputs)]
    given = {n: np.asarray(v) for n, v in zip(names, inputs) if n}
    fixed = {n for n in list(given)[1:] if d.maybe(0.4)}
    node = helper.make_node(name, names, outputs, **attributes)
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in given.items() if n not in fixed]
    constants = [numpy_helper.from_array(given[n], n) for n in fixed]
    results = [helper.make_value_info(n, TypeProto()) for n in outputs]
    model = helper.make_model(
        helper.make_graph([node], "g", infos, results, initializer=constants), opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = session.run(None, {n: v for n, v in given.items() if n not in fixed})
    for info, value in zip(model.graph.output, values):
        info.CopyFrom(helper.make_tensor_value_info(info.name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape))
    text = ",".join(f"{k}={v}" for k, v in sorted(attributes.items())).replace(" ", "")
    if name == "Resize":
        text += ",sizes" if len(inputs) > 3 else ",scales"
    return f"{name}-{opset}-{index}", text, model, [numpy_helper.from_array(given[i.name], i.name) for i in model.graph.input], [
        numpy_helper.from_array(v, i.name) for v, i in zip(values, model.graph.output)]


def write(folder, model, inputs, outputs):
    (folder / "test_data_set_0").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    # Sums of products in another order; half precision rounds once here and after every step there.
    half = any(t.data_type == TensorProto.FLOAT16 for t in inputs + outputs)
    (folder / "data.json").write_text(json.dumps({"rtol": 2e-3 if half else 2e-4, "atol": 2e-3 if half else 2e-5}))
    for side, tensors in (("input", inputs), ("output", outputs)):
        for k, tensor in enumerate(tensors):
            (folder / "test_data_set_0" / f"{side}_{k}.pb").write_bytes(tensor.SerializeToString())


def explanations():
    lines = (ROOT / "Tests" / "References" / "fuzz-explained.txt").read_text().splitlines()
    return [line.split(" ", 1) for line in lines if line and not line.startswith("#")]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--output", type=Path, default=ROOT / ".build" / "fuzz-operators", help="the folder of the differences")
    parser.add_argument("--program", type=Path, default=ROOT / ".build" / "release" / "sd-onnx")
    options = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    np.seterr(all="ignore")
    shutil.rmtree(options.output, ignore_errors=True)
    known, explained, refused, found, done = explanations(), Counter(), Counter(), [], 0
    batch, size, attributes = options.output / "batch", 500, {}
    for start in range(options.first, options.first + options.cases, size):
        shutil.rmtree(batch, ignore_errors=True)
        for index in range(start, min(start + size, options.first + options.cases)):
            try:
                name, text, *parts = case(options.seed, index)
                attributes[name] = text
            except Exception as error:
                refused[str(error).split(":")[0][:60]] += 1
                continue
            write(batch / name, *parts)
            done += 1
        for flag in ([], ["--no-optimize"]) if batch.exists() else ():
            answer = subprocess.run([options.program, "verify", batch, "--json", *flag], capture_output=True, text=True)
            for entry in json.loads(answer.stdout)["cases"]:
                if entry["status"] == "passed":
                    continue
                text = f"{entry['name']} {attributes[entry['name']]} {entry.get('reason', '')}"
                reason = next((r for p, r in known if fnmatch.fnmatch(text, p)), None)
                if reason:
                    explained[reason] += 1
                elif entry["name"] not in [f[0] for f in found]:
                    found.append((entry["name"], entry.get("reason", "")))
                    shutil.copytree(batch / entry["name"], options.output / entry["name"])
                    print(f"{' '.join(flag)} {text}".strip(), flush=True)
    shutil.rmtree(batch, ignore_errors=True)
    print(f"{done} cases of seed {options.seed}, {sum(refused.values())} drawn that ONNX Runtime refuses, {len(found)} unexplained differences")
    for reason, count in explained.most_common():
        print(f"  explained {count}: {reason}")
    if found:
        sys.exit(f"The differences are in {options.output}.")


if __name__ == "__main__":
    main()
