"""Single-node models of operator versions and variants that ONNX's published cases leave out, with ONNX Runtime's results, in
<cache>/ort-cases: the layout and the manifest.json of onnx_node_cases.py.

The opset of a case picks the operator's version: Softmax at 11 is Softmax-11, Pad at 10 is Pad-2, and so on. The manifest has
one more field: "onnx_reference" says whether ONNX's own reference implementation "agrees", "differs" or "cannot run" the case;
where it differs, read the specification before believing either.
"""

import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from common import CACHE
from onnx_node_cases import Place, agrees

RECIPE = 5
RTOL, ATOL = 1e-5, 1e-6
# Sums of products with both signs cancel, so these families need more than ATOL: about the sum of the magnitudes (up to 100)
# times the float32 rounding unit times the root of the number of terms.
ATOL_OF = {"convolutions": 2e-5, "products": 2e-5, "reductions": 1e-5, "recurrent": 1e-5, "normalisations": 5e-6}
CASES = []


def random(*shape, low=-2.0, high=2.0, dtype=np.float32):
    generator = np.random.default_rng([11, len(CASES), *shape])
    if np.issubdtype(dtype, np.integer):
        return generator.integers(int(low), int(high), shape).astype(dtype)
    return generator.uniform(low, high, shape).astype(dtype)


def ints(*values):
    return np.array(values, np.int64)


class Constant(np.ndarray):
    """An input that is an initializer of the graph instead of a graph input."""


def constant(value):
    return np.asarray(value).view(Constant)


def case(operator, opset, inputs, outputs=1, label="", atol=None, domain="", **attributes):
    """Adds a case. inputs may hold None for an optional input that isn't there; outputs counts them, or lists which exist. With a
    domain, such as com.microsoft, opset is that domain's version."""
    CASES.append((operator, opset, inputs, outputs, label, atol, attributes, domain))


def both(operator, opset, data, *others, label="", **attributes):
    """The same node with its further inputs as graph inputs and as initializers: decided at run time, and ahead of it."""
    case(operator, opset, [data, *others], label=f"{label}_runtime", **attributes)
    fixed = [constant(o) if o is not None else None for o in others]
    case(operator, opset, [data, *fixed], label=f"{label}_constant", **attributes)


def activations():
    for opset, axis in [(7, 1), (7, 2), (11, 1), (11, -1), (11, 0), (12, 2), (13, -1), (13, 1), (13, 0)]:
        for name in ("Softmax", "LogSoftmax", "Hardmax"):
            case(name, opset, [random(2, 3, 5)], label=f"axis{axis}", axis=axis)
    for name in ("Softmax", "LogSoftmax", "Hardmax"):
        case(name, 9, [random(2, 3, 4)], label="default_axis")
        case(name, 13, [random(2, 3, 4)], label="default_axis")
    case("Softmax", 13, [random(2, 3, 500, low=-90, high=90)], label="large", axis=-1)
    for opset in (7, 13, 16):
        for name, attributes in {
            "LeakyRelu": {"alpha": 0.2},
            "Elu": {"alpha": 0.7},
            "Selu": {},
            "HardSigmoid": {"alpha": 0.3, "beta": 0.4},
            "Sigmoid": {},
            "Tanh": {},
            "Relu": {},
            "Softplus": {},
            "Softsign": {},
            "ThresholdedRelu": {"alpha": 0.5},
        }.items():
            if name != "ThresholdedRelu" or opset >= 10:
                case(name, opset, [random(3, 17)], **attributes)
    case("Relu", 13, [random(3, 5)])
    for slope in ((3, 1, 1), (1,), (3, 4, 5)):
        for opset in (7, 9, 16):
            both("PRelu", opset, random(2, 3, 4, 5), random(*slope), label=f"slope{len(slope)}{slope[-1]}")
    for opset in (20,):
        for approximate in ("none", "tanh"):
            case("Gelu", opset, [random(4, 33, low=-6, high=6)], label=approximate, approximate=approximate)
    case("Erf", 9, [random(4, 33, low=-6, high=6)])
    case("Erf", 13, [random(4, 33, low=-6, high=6)])
    case("HardSwish", 14, [random(4, 33, low=-6, high=6)])
    case("Mish", 18, [random(4, 33, low=-6, high=6)])
    case("Celu", 12, [random(4, 33)], alpha=1.5)


def clip_and_minmax():
    for opset in (6, 7):
        case("Clip", opset, [random(3, 5)], label="both", min=-0.5, max=0.75)
        case("Clip", opset, [random(3, 5)], label="min", min=-0.5)
        case("Clip", opset, [random(3, 5)], label="none")
    for opset in (11, 12, 13):
        low, high = np.float32(-0.5), np.float32(0.75)
        both("Clip", opset, random(3, 5), low, high, label="both")
        both("Clip", opset, random(3, 5), low, label="min")
        both("Clip", opset, random(3, 5), None, high, label="max")
        case("Clip", opset, [random(3, 5)], label="none")
    case("Clip", 13, [random(3, 5, low=-9, high=9, dtype=np.int64), ints(-3).reshape(()), ints(4).reshape(())], label="int64")
    for name in ("Min", "Max", "Sum", "Mean"):
        for opset in (6, 8, 13):
            case(name, opset, [random(3, 4)], label="one")
            case(name, opset, [random(3, 4), random(3, 4), random(3, 4)], label="three")
            if opset >= 8:
                case(name, opset, [random(3, 1, 4), random(2, 1), random(1)], label="broadcast")
    for name in ("Min", "Max"):
        case(name, 12, [random(3, 4, low=-9, high=9, dtype=np.int64), random(4, low=-9, high=9, dtype=np.int64)], label="int64")


def slices_and_pads():
    for opset in (1, 9):
        case("Slice", opset, [random(5, 6, 7)], label="axes", starts=[1, -3], ends=[4, 100], axes=[0, 2])
        case("Slice", opset, [random(5, 6, 7)], label="no_axes", starts=[1, 2], ends=[-1, 4])
    for opset in (10, 11, 13):
        both("Slice", opset, random(5, 6, 7), ints(1, -1), ints(4, -100), ints(0, 2), ints(1, -2), label="steps")
        both("Slice", opset, random(5, 6, 7), ints(1, 0), ints(-1, 2**62), label="plain")
        both("Slice", opset, random(5, 6, 7), ints(4), ints(2), ints(1), label="empty")
        if opset >= 11:
            both("Slice", opset, random(5, 6, 7), ints(5), ints(-(2**62)), ints(-1), ints(-1), label="reverse")
    for mode in ("constant", "reflect", "edge"):
        value = {"value": 1.5} if mode == "constant" else {}
        case("Pad", 10, [random(2, 3, 4, 5)], label=mode, mode=mode, pads=[0, 0, 1, 2, 0, 0, 2, 1], **value)
        for opset in (11, 13, 18, 19):
            both("Pad", opset, random(2, 3, 4, 5), ints(0, 0, 1, 2, 0, 0, 2, 1), label=mode, mode=mode)
    for opset in (11, 13, 18, 19):
        both("Pad", opset, random(3, 4), ints(1, -1, 0, 2), np.float32(2.5), label="negative")
        case("Pad", opset, [random(3, 4), ints(1, 0, 2, 1)], label="default_mode")
    both("Pad", 18, random(2, 3, 4), ints(1, 2, 2, 0), np.float32(-1), ints(0, -1), label="axes")
    both("Pad", 19, random(2, 3, 4), ints(1, 2, 2, 3), None, ints(-1, 1), label="axes_wrap", mode="wrap")
    both("Pad", 13, random(3, 4, low=-9, high=9, dtype=np.int64), ints(1, 0, 2, 1), ints(7).reshape(()), label="int64")


def splits():
    case("Split", 10, [random(6, 4)], outputs=3, label="equal", axis=0)
    case("Split", 10, [random(6, 4)], outputs=2, label="sizes", axis=0, split=[2, 4])
    case("Split", 11, [random(2, 6)], outputs=2, label="negative_axis", axis=-1, split=[1, 5])
    for opset in (13, 18):
        case("Split", opset, [random(2, 6), ints(1, 5)], outputs=2, label="sizes_runtime", axis=-1)
        case("Split", opset, [random(2, 6), constant(ints(1, 5))], outputs=2, label="sizes_constant", axis=-1)
    case("Split", 13, [random(2, 6)], outputs=3, label="equal", axis=1)
    case("Split", 18, [random(2, 7)], outputs=3, label="uneven", axis=1, num_outputs=3)
    case("Split", 18, [random(8, 2)], outputs=4, label="even", axis=0, num_outputs=4)
    case("Split", 13, [random(3, 4), constant(ints(0, 3))], outputs=2, label="empty_part", axis=0)


def shapes():
    for opset in (1, 11):
        case("Squeeze", opset, [random(1, 3, 1, 4)], label="axes", axes=[0, 2])
        case("Squeeze", opset, [random(1, 3, 1, 4)], label="all")
        case("Unsqueeze", opset, [random(3, 4)], label="axes", axes=[0, 3])
    case("Squeeze", 11, [random(1, 3, 1, 4)], label="negative", axes=[-2])
    case("Unsqueeze", 11, [random(3, 4)], label="negative", axes=[-1, 1])
    for opset in (13, 21):
        both("Squeeze", opset, random(1, 3, 1, 4), ints(-2, 0), label="axes")
        case("Squeeze", opset, [random(1, 3, 1, 4)], label="all")
        both("Unsqueeze", opset, random(3, 4), ints(-1, 1), label="axes")
    for opset in (5, 13, 14, 19, 21):
        both("Reshape", opset, random(2, 3, 4), ints(0, -1), label="zero_and_rest")
        both("Reshape", opset, random(2, 3, 4), ints(4, 3, -1), label="rest")
        both("Reshape", opset, random(1, 1), np.zeros(0, np.int64), label="scalar")
    both("Reshape", 14, random(0, 3, 4), ints(3, 0, 8), label="allowzero", allowzero=1)
    for opset in (1, 9, 11, 13, 21):
        for axis in (0, 1, 2, 3):
            case("Flatten", opset, [random(2, 3, 4)], label=f"axis{axis}", axis=axis)
    case("Flatten", 11, [random(2, 3, 4)], label="negative", axis=-1)
    for opset in (1, 13, 21):
        for perm in ([0, 2, 1], [2, 1, 0], [1, 0, 2]):
            case("Transpose", opset, [random(3, 4, 5)], label="".join(map(str, perm)), perm=perm)
        case("Transpose", opset, [random(3, 4, 5)], label="default")
        case("Shape", opset, [random(3, 4, 5)])
        case("Size", opset, [random(3, 4, 5)])
    case("Transpose", 13, [random(2, 8, 9, 4)], label="heads", perm=[0, 2, 1, 3])
    case("Transpose", 13, [random(2, 8, 9, 4)], label="channels_last", perm=[0, 2, 3, 1])
    for start, end in ((1, None), (-2, None), (0, -1), (5, 9), (-9, 2), (2, 1)):
        bounds = {"start": start} | ({} if end is None else {"end": end})
        case("Shape", 15, [random(3, 4, 5)], label=f"{start}_{end}", **bounds)
    for opset in (10, 11, 13):
        case("Concat", opset, [random(2, 3), random(2, 1), random(2, 4)], axis=1)
    case("Concat", 11, [random(2, 3), random(0, 3), random(1, 3)], label="empty_part", axis=-2)
    for opset in (8, 13):
        both("Expand", opset, random(3, 1), ints(2, 1, 6), label="both_ways")
        both("Expand", opset, random(3, 1), ints(1), label="smaller")
        both("Expand", opset, random(1), ints(2, 0), label="empty")
    for opset in (6, 13):
        both("Tile", opset, random(2, 3), ints(2, 3))
    for opset in (1, 13):
        case("DepthToSpace", opset, [random(2, 8, 3, 4)], blocksize=2)
        case("SpaceToDepth", opset, [random(2, 2, 4, 6)], blocksize=2)
    case("DepthToSpace", 11, [random(2, 8, 3, 4)], label="crd", blocksize=2, mode="CRD")
    for opset in (1, 13):
        case("Identity", opset, [random(2, 3)])
    case("ConstantOfShape", 9, [ints(2, 3)], value=helper.make_tensor("v", TensorProto.INT64, [1], [7]))
    case("ConstantOfShape", 9, [ints(2, 0)], label="empty")
    for a, b, c in ((0, 10, 3), (10, 0, -4), (5, 5, 1)):
        case("Range", 11, [np.int64(a), np.int64(b), np.int64(c)], label=f"int_{a}_{b}_{c}")
        case("Range", 11, [np.float32(a), np.float32(b), np.float32(c) / 2], label=f"float_{a}_{b}_{c}")
    for opset in (11, 14):
        for upper in (0, 1):
            if opset == 14:
                case("Trilu", opset, [random(2, 4, 5), ints(1).reshape(())], label=f"upper{upper}", upper=upper)


def reductions():
    names = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum"]
    names += ["ReduceLogSumExp", "ReduceSumSquare"]
    for name in names:
        low = 0.1 if name == "ReduceLogSum" else -2.0
        for opset in (7, 11):
            case(name, opset, [random(3, 4, 5, low=low)], label="axes", axes=[0, 2], keepdims=0)
            case(name, opset, [random(3, 4, 5, low=low)], label="keep", axes=[1])
            case(name, opset, [random(3, 4, 5, low=low)], label="all", keepdims=0)
        case(name, 11, [random(3, 4, 5, low=low)], label="negative", axes=[-1])
        if name != "ReduceSum":
            case(name, 13, [random(3, 4, 5, low=low)], label="negative", axes=[-1, 0])
        both(name, 13 if name == "ReduceSum" else 18, random(3, 4, 5, low=low), ints(-1, 0), label="axes", keepdims=0)
        empty = {"noop_with_empty_axes": 1}
        if name in ("ReduceSum", "ReduceMean", "ReduceMax"):
            opset = 13 if name == "ReduceSum" else 18
            case(name, opset, [random(3, 4), constant(np.zeros(0, np.int64))], label="noop", **empty)
            case(name, opset, [random(3, 4), constant(np.zeros(0, np.int64))], label="all_of_empty")
    for name in ("ArgMax", "ArgMin"):
        for opset in (1, 11, 12, 13):
            data = random(4, 5, low=0, high=3, dtype=np.int32 if opset > 1 else np.float32)
            case(name, opset, [data], label="keep", axis=1)
            case(name, opset, [data], label="flat", axis=0, keepdims=0)
            if opset >= 12:
                case(name, opset, [data], label="last", axis=-1, select_last_index=1)
    for opset in (11, 14):
        for exclusive, reverse in ((0, 0), (1, 0), (0, 1), (1, 1)):
            label = f"exclusive{exclusive}_reverse{reverse}"
            case("CumSum", opset, [random(3, 4), np.int32(1)], label=label, exclusive=exclusive, reverse=reverse)
    case("TopK", 1, [random(3, 8)], outputs=2, axis=-1, k=3)
    case("TopK", 10, [random(3, 8), ints(3)], outputs=2, axis=-1)
    for largest in (0, 1):
        case("TopK", 11, [random(3, 8), ints(3)], outputs=2, label=f"largest{largest}", axis=1, largest=largest, sorted=1)


def normalisations():
    weights = [random(4, low=0.5, high=1.5), random(4), random(4), random(4, low=0.5, high=1.5)]
    for opset in (7, 9, 14, 15):
        case("BatchNormalization", opset, [random(2, 4, 3, 5), *map(constant, weights)], epsilon=1e-3)
        case("BatchNormalization", opset, [random(2, 4), *map(constant, weights)], label="flat")
    case("InstanceNormalization", 6, [random(2, 4, 3, 5), *weights[:2]], epsilon=1e-3)
    case("InstanceNormalization", 6, [random(2, 4, 60), *weights[:2]], label="flat")
    for axis in (-1, 1):
        shape = (3, 5)[0 if axis == 1 else 1 :]
        label = f"axis{axis}"
        case("LayerNormalization", 17, [random(2, 3, 5), random(*shape), random(*shape)], label=label, axis=axis, epsilon=1e-4)
    case("LayerNormalization", 17, [random(2, 3, 5), random(5)], label="no_bias")
    case("LayerNormalization", 17, [random(2, 3, 5), random(5), random(5)], outputs=3, label="three_outputs")
    case("GroupNormalization", 18, [random(2, 4, 3, 5), random(2), random(2)], num_groups=2, epsilon=1e-4)
    case("GroupNormalization", 21, [random(2, 4, 3, 5), random(4), random(4)], num_groups=2, epsilon=1e-4)
    for opset in (1, 13):
        case("LRN", opset, [random(2, 7, 3, 4)], size=3, alpha=0.01, beta=0.6, bias=1.5)
    for p in (1, 2):
        case("LpNormalization", 1, [random(3, 5)], label=f"p{p}", axis=-1, p=p)
    for opset in (9, 13):
        case("MeanVarianceNormalization", opset, [random(2, 4, 3, 5)], axes=[0, 2, 3])
    for opset in (7, 10):
        case("Dropout", opset, [random(3, 4)], ratio=0.3)
    for opset in (12, 13):
        case("Dropout", opset, [random(3, 4)])
        case("Dropout", opset, [random(3, 4), np.float32(0.5)], outputs=2, label="mask")
        case("Dropout", opset, [random(3, 4), np.float32(0.5), np.array(False)], label="not_training")


def resizes():
    data = random(1, 2, 4, 5)
    scales = np.array([1, 1, 2, 3], np.float32)
    fractions = np.array([1, 1, 0.7, 1.7], np.float32)
    for mode in ("nearest", "linear"):
        case("Upsample", 7, [data], label=mode, mode=mode, scales=[1.0, 1.0, 2.0, 3.0])
        case("Upsample", 9, [data, constant(scales)], label=mode, mode=mode)
        case("Resize", 10, [data, constant(scales)], label=mode, mode=mode)
        case("Resize", 10, [data, constant(fractions)], label=f"{mode}_fractions", mode=mode)
    places = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
    for opset in (11, 13, 18, 19):
        region = constant(np.zeros(0, np.float32)) if opset == 11 else None
        for place in places:
            for mode in ("nearest", "linear", "cubic"):
                rounding = ["round_prefer_floor", "floor", "ceil", "round_prefer_ceil"] if mode == "nearest" else [None]
                for how in rounding:
                    settings = dict(mode=mode, coordinate_transformation_mode=place) | ({"nearest_mode": how} if how else {})
                    if mode == "cubic":  # sixteen products of both signs
                        settings["atol"] = 4e-6
                    label = "_".join(filter(None, [mode, place, how]))
                    case("Resize", opset, [data, region, constant(scales)], label=f"{label}_scales", **settings)
                    if place != "align_corners":  # ONNX Runtime rounds the output's length first, ONNX's own cases don't
                        case("Resize", opset, [data, region, constant(fractions)], label=f"{label}_fractions", **settings)
                    sizes = constant(ints(1, 2, 7, 3))
                    case("Resize", opset, [data, region, region, sizes], label=f"{label}_sizes", **settings)
    case("Resize", 13, [data, None, scales], label="runtime_scales", mode="nearest", nearest_mode="floor")
    case("Resize", 13, [data, None, None, ints(1, 2, 8, 15)], label="runtime_sizes", mode="linear")
    case("Resize", 18, [data, None, None, constant(ints(7, 3))], label="axes", mode="linear", axes=[2, 3])
    for mode in ("linear", "cubic"):
        smaller = constant(np.array([1, 1, 0.5, 0.4], np.float32))
        case("Resize", 18, [random(1, 2, 8, 10), None, smaller], label=f"antialias_{mode}", mode=mode, antialias=1)
    outside = dict(exclude_outside=1, cubic_coeff_a=-0.5)
    case("Resize", 13, [data, None, constant(scales)], label="cubic_outside", atol=4e-6, mode="cubic", **outside)


def convolutions():
    image, kernel, bias = random(2, 4, 9, 7), random(6, 4, 3, 3), random(6)
    for opset in (1, 11, 22):
        case("Conv", opset, [image, kernel, bias], label="plain")
        case("Conv", opset, [image, constant(kernel), constant(bias)], label="same", pads=[1, 1, 1, 1])
        case("Conv", opset, [image, kernel], label="stride", pads=[0, 0, 1, 1], strides=[2, 2])
        case("Conv", opset, [image, random(6, 2, 3, 3), bias], label="groups", group=2, pads=[1, 0, 1, 2])
        case("Conv", opset, [image, random(4, 1, 3, 3)], label="depthwise", group=4, pads=[1, 1, 1, 1])
        case("Conv", opset, [image, random(8, 1, 3, 3)], label="depthwise_twice", group=4, strides=[2, 1])
        case("Conv", opset, [image, random(6, 4, 1, 1), bias], label="pointwise")
        case("Conv", opset, [image, kernel], label="dilated", dilations=[2, 3], pads=[2, 3, 2, 3])
        case("Conv", opset, [image, random(6, 4, 2, 3)], label="same_upper", auto_pad="SAME_UPPER", strides=[2, 2])
        case("Conv", opset, [image, random(6, 4, 2, 3)], label="same_lower", auto_pad="SAME_LOWER", strides=[2, 2])
        case("Conv", opset, [image, kernel], label="valid", auto_pad="VALID")
        case("Conv", opset, [random(2, 4, 20), random(6, 4, 3), bias], label="line", pads=[1, 1], strides=[2])
        case("Conv", opset, [random(1, 2, 5, 6, 4), random(3, 2, 2, 3, 2), random(3)], label="volume", pads=[1, 0, 1, 0, 1, 0])
        flipped = random(4, 3, 3, 3)
        case("ConvTranspose", opset, [image, flipped, random(3)], label="plain")
        case("ConvTranspose", opset, [image, flipped], label="stride", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
        case("ConvTranspose", opset, [image, random(4, 2, 3, 3)], label="groups", group=2, dilations=[2, 1])
        case("ConvTranspose", opset, [image, flipped], label="shape", strides=[2, 2], output_shape=[18, 14])
        case("ConvTranspose", opset, [random(1, 4, 6), random(4, 2, 3)], label="line", strides=[3])
    for opset in (7, 10, 11, 19, 22):
        case("AveragePool", opset, [image], label="plain", kernel_shape=[3, 2], strides=[2, 2])
        case("AveragePool", opset, [image], label="padded", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        case("AveragePool", opset, [image], label="counted", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
        case("AveragePool", opset, [image], label="same", kernel_shape=[3, 2], auto_pad="SAME_UPPER", strides=[2, 2])
    for opset in (1, 8, 10, 11, 12, 22):
        case("MaxPool", opset, [image], label="plain", kernel_shape=[3, 2], strides=[2, 2])
        case("MaxPool", opset, [image], label="padded", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        if opset >= 8:
            case("MaxPool", opset, [image], outputs=2, label="indices", kernel_shape=[2, 2], strides=[2, 2])
        if opset >= 10:
            case("MaxPool", opset, [image], label="ceil", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
            case("MaxPool", opset, [image], label="dilated", kernel_shape=[2, 2], dilations=[2, 3])
    for opset in (1, 22):
        case("GlobalAveragePool", opset, [image])
        case("GlobalMaxPool", opset, [image])
    for opset in (10, 11, 18):
        case("LpPool", opset, [image], kernel_shape=[3, 2], p=3, strides=[2, 1])
    case("GlobalLpPool", 10, [image], p=2)


def products():
    for opset in (7, 9, 11, 13):
        for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
            left = random(*((5, 3) if a else (3, 5)))
            right = random(*((4, 5) if b else (5, 4)))
            case("Gemm", opset, [left, right, random(4)], label=f"{a}{b}", transA=a, transB=b, alpha=0.5, beta=2.0)
        for shape in ((3, 4), (3, 1), (1,), ()):
            label = "c" + "x".join(map(str, shape))
            case("Gemm", opset, [random(3, 5), constant(random(5, 4)), constant(random(*shape))], label=label)
        if opset >= 11:
            case("Gemm", opset, [random(3, 5), random(5, 4)], label="no_c")
    shapes = [((5,), (5,)), ((3, 5), (5,)), ((5,), (5, 4)), ((3, 5), (5, 4)), ((2, 3, 5), (5, 4)), ((2, 1, 3, 5), (4, 5, 6))]
    shapes += [((1, 1), (1, 1)), ((2, 3, 17), (2, 17, 33)), ((2, 0, 5), (5, 4)), ((3, 0), (0, 4)), ((2, 3, 5), (2, 5))]
    for opset in (1, 9, 13):
        for left, right in shapes:
            label = "x".join(map(str, left)) + "_" + "x".join(map(str, right))
            if label.endswith("_2x5"):
                continue
            case("MatMul", opset, [random(*left), random(*right)], label=label)
        case("MatMul", opset, [random(7, 65), constant(random(65, 70))], label="constant")
    for equation, sizes in {"bij,bjk->bik": [(2, 3, 4), (2, 4, 5)], "ij->ji": [(3, 4)], "ii->i": [(4, 4)], "bhqd,bhkd->bhqk": [
        (2, 3, 4, 5),
        (2, 3, 6, 5),
    ], "i,j->ij": [(3,), (4,)], "...ij,...jk->...ik": [(2, 3, 4), (2, 4, 5)], "ij,ij": [(3, 4), (3, 4)]}.items():
        case("Einsum", 12, [random(*s) for s in sizes], label=equation, equation=equation)


def elementwise():
    pairs = [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1, 5), (4, 1)), ((), (2, 3)), ((2, 3), (1,)), ((0, 3), (3,)), ((1,), (1,))]
    for name in ("Add", "Sub", "Mul", "Div"):
        for opset in (7, 13, 14):
            for left, right in pairs:
                label = "x".join(map(str, left)) + "_" + "x".join(map(str, right))
                case(name, opset, [random(*left), random(*right, low=0.5)], label=label)
            whole = dict(dtype=np.int64)
            case(name, opset, [random(3, 4, low=-20, high=20, **whole), random(4, low=1, high=6, **whole)], label="int64")
            case(name, opset, [random(3, 4, dtype=np.float64), random(4, low=0.5, dtype=np.float64)], label="double")
    for opset in (7, 12, 13, 15):
        case("Pow", opset, [random(3, 4, low=0.1), np.float32(2)], label="square")
        case("Pow", opset, [random(3, 4, low=0.1), random(4)], label="broadcast")
    case("Pow", 12, [random(3, 4), ints(3).reshape(())], label="mixed")
    case("Pow", 13, [random(3, 4), constant(np.float32(2))], label="negative_base")
    for name in ("Equal", "Greater", "Less"):
        for opset in (7, 9, 11, 13):
            kind = np.int32 if name == "Equal" else np.float32
            if not (name != "Equal" and opset == 11):
                case(name, opset, [random(3, 4, low=0, high=3, dtype=kind), random(4, low=0, high=3, dtype=kind)])
    for name in ("GreaterOrEqual", "LessOrEqual"):
        for opset in (12, 16):
            case(name, opset, [random(3, 4, low=0, high=3, dtype=np.int64), random(4, low=0, high=3, dtype=np.int64)])
    for name in ("And", "Or", "Xor"):
        case(name, 7, [random(3, 4) > 0, random(4) > 0])
    case("Not", 1, [random(3, 4) > 0])
    for opset in (9, 16):
        case("Where", opset, [random(3, 1) > 0, random(1, 4), random(3, 4)])
        case("Where", opset, [random(2) > 0, ints(1, 2), ints(3).reshape(())], label="int64")
    for opset in (10, 13):
        sevens = [random(3, 4, low=-20, high=20, dtype=np.int64), ints(7, -7, 3, -3)]
        case("Mod", opset, sevens, label="int")
        case("Mod", opset, sevens, label="int_fmod", fmod=1)
        case("Mod", opset, [random(3, 4), random(4, low=0.5)], label="float", fmod=1)
    for name in ("Abs", "Neg", "Floor", "Ceil", "Exp", "Sqrt", "Reciprocal", "Log"):
        for opset in (6, 13):
            case(name, opset, [random(3, 17, low=0.1 if name in ("Sqrt", "Log", "Reciprocal") else -2)])
    case("Round", 11, [np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999997], np.float32)])
    for name in ("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Atanh"):
        low, high = (-0.9, 0.9) if name in ("Asin", "Acos", "Atanh") else (-3, 3)
        for opset in (9, 22):
            case(name, opset, [random(3, 17, low=low, high=high)])
    for name in ("Sin", "Cos"):
        case(name, 7, [random(3, 17, low=-1000, high=1000)], label="large")
    case("Acosh", 9, [random(3, 17, low=1.1, high=9)])
    case("Sign", 9, [random(3, 4)])
    case("IsNaN", 9, [np.array([0, np.nan, np.inf, -np.inf], np.float32)])
    case("IsInf", 10, [np.array([0, np.nan, np.inf, -np.inf], np.float32)], detect_negative=0)


def casts():
    numbers = np.array([0, -0.0, 1.5, -1.5, 2.5, 3e4, -7.999, 100.49], np.float32)
    kinds = ["FLOAT", "FLOAT16", "DOUBLE", "INT64", "INT32", "INT16", "INT8", "BOOL"]
    for opset in (6, 9, 13, 19, 21):
        for source in ("FLOAT", "INT64", "BOOL", "FLOAT16", "DOUBLE", "INT32", "UINT8"):
            small = np.clip(numbers, 0 if source == "UINT8" else -100, 100)
            data = small.astype(helper.tensor_dtype_to_np_dtype(getattr(TensorProto, source)))
            for target in kinds:
                case("Cast", opset, [data], label=f"{source}_{target}", to=getattr(TensorProto, target))


def gathers():
    for opset in (1, 11, 13):
        both("Gather", opset, random(5, 4, 3), ints(0, 3, 1, 1).reshape(2, 2), label="axis1", axis=1)
        both("Gather", opset, random(5, 4, 3), ints(2).reshape(()), label="scalar", axis=0)
        both("Gather", opset, random(5, 4), np.array([4, 0], np.int32), label="int32")
        if opset >= 11:
            both("Gather", opset, random(5, 4, 3), ints(-1, -3), label="negative", axis=-1)
            both("GatherElements", opset, random(3, 4), ints(0, -1, 2, 1).reshape(2, 2), axis=1)
            both("GatherND", opset, random(3, 4, 5), ints(0, 1, 2, 3).reshape(2, 2), label="rows")
        if opset == 13:
            both("GatherND", opset, random(2, 3, 4), ints(1, 2).reshape(2, 1), label="batch", batch_dims=1)
    where, values = ints(1, 0, 2, 0).reshape(2, 2), random(2, 2)
    case("Scatter", 9, [random(3, 4), where, values], axis=1)
    for opset in (11, 13, 16, 18):
        case("ScatterElements", opset, [random(3, 4), where, values], axis=1)
        case("ScatterND", opset, [random(4, 3), ints(2, 0).reshape(2, 1), random(2, 3)])
    for how in ("add", "mul", "max", "min"):
        opset = 16 if how in ("add", "mul") else 18
        case("ScatterElements", opset, [random(3, 4), where, values], label=how, axis=0, reduction=how)
        case("ScatterND", opset, [random(4, 3), ints(2, 2).reshape(2, 1), random(2, 3)], label=how, reduction=how)
    for opset in (9, 13):
        case("NonZero", opset, [np.array([[1, 0, 2], [0, 0, 3]], np.float32)])
    for opset in (9, 11):
        case("OneHot", opset, [ints(0, 3, 1), ints(4).reshape(()), np.array([-1, 1], np.float32)])
        case("Compress", opset, [random(3, 4), np.array([False, True, True])], axis=0)
    case("EyeLike", 9, [random(3, 4)], k=1)
    case("ReverseSequence", 10, [random(4, 3), ints(4, 2, 1)], time_axis=0, batch_axis=1)


def recurrent():
    hidden, size, steps, batch = 5, 3, 4, 2
    for name, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        for direction, count in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
            for opset in (7, 14):
                data = [random(steps, batch, size), random(count, gates * hidden, size), random(count, gates * hidden, hidden)]
                data.append(random(count, 2 * gates * hidden))
                outputs = 3 if name == "LSTM" else 2
                case(name, opset, data, outputs=outputs, label=direction, hidden_size=hidden, direction=direction)
    data = [random(steps, batch, size), random(1, 3 * hidden, size), random(1, 3 * hidden, hidden)]
    case("GRU", 7, data, outputs=2, label="reset_first", hidden_size=hidden, linear_before_reset=1)


def quantised():
    scale, zero = np.float32(0.1), np.uint8(120)
    case("QuantizeLinear", 10, [random(3, 4, low=-9, high=9), scale, zero])
    case("DequantizeLinear", 10, [random(3, 4, low=0, high=255, dtype=np.uint8), scale, zero])
    scales, zeros = np.array([0.1, 0.2, 0.05], np.float32), np.array([3, -4, 0], np.int8)
    case("QuantizeLinear", 13, [random(3, 4, low=-9, high=9), scales, zeros], axis=0)
    case("DequantizeLinear", 13, [random(3, 4, low=-128, high=127, dtype=np.int8), scales, zeros], axis=0)
    case("DynamicQuantizeLinear", 11, [random(3, 4)], outputs=3)
    left, right = random(3, 5, low=0, high=255, dtype=np.uint8), random(5, 4, low=-128, high=127, dtype=np.int8)
    case("MatMulInteger", 10, [left, right, np.uint8(12), np.int8(3)])
    image, kernel = random(1, 2, 5, 5, low=0, high=255, dtype=np.uint8), random(3, 2, 3, 3, low=0, high=255, dtype=np.uint8)
    case("ConvInteger", 10, [image, kernel, np.uint8(7)], pads=[1, 1, 1, 1])


def larger():
    """Extents of more than a block of vectors, and of a rest behind them."""
    for mode in ("linear", "cubic"):
        for how in ("half_pixel", "align_corners", "asymmetric"):
            for shape, sizes in (((1, 3, 37, 23), (41, 50)), ((2, 1, 19, 70), (33, 20)), ((1, 1, 5, 4), (7, 3))):
                inputs = [random(*shape), None, None, constant(ints(*shape[:2], *sizes))]
                label = f"{mode}_{how}_{sizes[0]}"
                case("Resize", 19, inputs, label=label, mode=mode, coordinate_transformation_mode=how, atol=2e-6)
    case("Resize", 18, [random(1, 20, 37, 29), None, None, constant(ints(1, 20, 18, 11))], label="antialias", mode="linear", antialias=1, atol=2e-6)
    case("Resize", 13, [random(2, 3, 600), None, constant(np.array([1, 1, 1.7], np.float32))], label="one_axis", mode="linear", atol=2e-6)
    case("Resize", 13, [random(1, 2, 9, 10, 17), None, None, constant(ints(1, 2, 12, 7, 40))], label="three_axes", mode="linear", atol=2e-6)
    region = constant(np.array([0, 0, 0.2, -0.3, 1, 1, 0.9, 1.2], np.float32))
    inputs = [random(1, 2, 20, 30), region, None, constant(ints(1, 2, 25, 35))]
    case("Resize", 13, inputs, label="region", mode="linear", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=1.5, atol=2e-6)
    for dtype in (np.float32, np.int8, np.int64):
        for shape, order in (((3, 37, 41), [0, 2, 1]), ((5, 2, 40), [0, 2, 1]), ((50, 3), [1, 0]), ((4, 9, 33, 2), [0, 3, 1, 2]), ((1, 150, 160, 3), [0, 3, 1, 2]), ((1500, 66), [1, 0])):
            case("Transpose", 13, [random(*shape, low=-90, high=90, dtype=dtype)], label=f"{np.dtype(dtype).name}_{len(shape)}_{shape[1]}", perm=order)
    case("DepthToSpace", 13, [random(1, 8, 5, 19)], label="wide", blocksize=2, mode="CRD")
    case("SpaceToDepth", 13, [random(1, 2, 6, 38)], label="wide", blocksize=2)
    case("Tile", 13, [random(3, 5, 20), constant(ints(2, 3, 2))], label="wide")
    for mode in ("constant", "reflect", "edge"):
        case("Pad", 13, [random(2, 3, 4, 9, 18), constant(ints(0, 0, 1, 2, 3, 0, 0, 1, 0, 1))], label=f"five_axes_{mode}", mode=mode)
    for name in ("ArgMax", "ArgMin"):
        for axis in (0, 1):
            for last in (0, 1):
                values = random(5, 7, 83, low=-4, high=4, dtype=np.int64).astype(np.float32)
                case(name, 13, [values], label=f"rows{axis}_{last}", axis=axis, select_last_index=last)
    for count in (1, 5, 32, 33, 60):
        for largest in (0, 1):
            for axis in (1, 2):
                values = random(3, 61, 67, low=-9, high=9, dtype=np.int64).astype(np.float32)
                case("TopK", 11, [values, constant(ints(count))], 2, label=f"{count}_{largest}_{axis}", axis=axis, largest=largest)
    case("GatherElements", 13, [random(4, 9, 33), random(4, 9, 33, low=-9, high=9, dtype=np.int64)], label="rows", axis=1)
    case("ScatterElements", 18, [random(9, 33), random(4, 33, low=-9, high=9, dtype=np.int64), random(4, 33)], label="sum", axis=0, reduction="add", atol=1e-5)
    case("Conv", 11, [random(1, 8, 5, 9, 10), constant(random(8, 1, 3, 3, 3))], label="depthwise_3d", group=8, pads=[1] * 6, atol=2e-5)
    case("Conv", 11, [random(2, 8, 5, 9, 10), constant(random(12, 2, 2, 3, 3))], label="grouped_3d", group=4, strides=[1, 2, 1], atol=2e-5)
    for kernel, strides in (([5, 5], [1, 1]), ([3, 3], [2, 2]), ([7, 5], [1, 2]), ([13, 13], [1, 1])):
        more = {"kernel_shape": kernel, "strides": strides, "pads": [kernel[0] // 2, kernel[1] // 2] * 2}
        case("MaxPool", 12, [random(2, 3, 21, 26)], label=f"{kernel[0]}_{strides[1]}", **more)
        case("AveragePool", 11, [random(2, 3, 21, 26)], label=f"{kernel[0]}_{strides[1]}", atol=2e-6, **more)
    case("Atan", 7, [random(300, low=-30, high=30)], label="wide")


def removed():
    for opset in (1, 6, 9):
        case("ImageScaler", opset, [random(2, 3, 4, 5)], scale=1.5, bias=[0.25, -1.0, 2.0])
        case("Crop", opset, [random(2, 3, 6, 7)], label="border", border=[1, 2, 3, 0])
        case("Crop", opset, [random(2, 3, 6, 7)], label="size", border=[1, 2, 0, 0], scale=[3, 2])
        case("Affine", opset, [random(3, 5)], alpha=2.0, beta=-3.0)
        case("Affine", opset, [random(3, 5)], label="defaults")
        case("Scale", opset, [random(3, 5)], scale=0.25)
        case("ScaledTanh", opset, [random(3, 5)], alpha=2.0, beta=0.5)
        case("ParametricSoftplus", opset, [random(3, 5)], alpha=2.0, beta=0.5)
    both("DynamicSlice", 1, random(5, 6, 7), ints(1, -4), ints(4, 100), ints(2, 0), label="axes")
    both("DynamicSlice", 1, random(5, 6, 7), ints(1), ints(-1), label="no_axes")


def withdrawn():
    """Versions that the standard has withdrawn, or only ever had as experiments."""
    case("ThresholdedRelu", 6, [random(3, 5)], alpha=0.5)
    case("ThresholdedRelu", 1, [random(3, 5)])
    for opset in (1, 8):
        for across in (0, 1):
            for scales in (0, 1):
                case(
                    "MeanVarianceNormalization", opset, [random(2, 3, 4, 5)], label=f"{across}_{scales}", across_channels=across,
                    normalize_variance=scales)
        for shape in ((2, 3, 5, 16), (2, 3, 20), (2, 3, 2, 3, 4)):
            case("MeanVarianceNormalization", opset, [random(*shape)], label=f"default_{len(shape)}")
            case("MeanVarianceNormalization", opset, [random(*shape)], label=f"across_{len(shape)}", across_channels=1)


FAMILIES = [activations, clip_and_minmax, slices_and_pads, splits, shapes, reductions, normalisations, resizes, convolutions]
FAMILIES += [products, elementwise, casts, gathers, recurrent, quantised, larger, removed, withdrawn]


def build(operator, opset, inputs, outputs, attributes, domain):
    names = [f"x{k}" if v is not None else "" for k, v in enumerate(inputs)]
    given = [(n, np.asarray(v)) for n, v in zip(names, inputs) if v is not None and not isinstance(v, Constant)]
    fixed = [numpy_helper.from_array(np.asarray(v), n) for n, v in zip(names, inputs) if isinstance(v, Constant)]
    results = [f"y{k}" for k in range(outputs)]
    node = helper.make_node(operator, names, results, domain=domain, **attributes)
    sources = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in given]
    graph = helper.make_graph([node], operator, sources, [helper.make_empty_tensor_value_info(r) for r in results], fixed)
    imports = [helper.make_opsetid("", opset if domain == "" else 17)]
    # IR version 4 at least: in version 3 an initializer had to be a graph input too.
    lowest = max(4, helper.find_min_ir_version_for(imports))
    if domain:
        imports.append(helper.make_opsetid(domain, opset))
    model = helper.make_model(graph, opset_imports=imports, ir_version=lowest)
    return model, given


def reference_says(model, given, results, rtol, atol):
    try:
        wanted = ReferenceEvaluator(model).run(None, dict(given))
        return "agrees" if all(agrees(g, w, rtol, atol) for g, w in zip(results, wanted)) else "differs"
    except Exception:  # an operator version that it doesn't have
        return "cannot run"


def make(name, recipe, families):
    """Writes the cases that the families add to <cache>/name, with ONNX Runtime's results, or those of the function that is a case's
    attribute "reference"."""
    warnings.filterwarnings("ignore")
    onnxruntime.set_default_logger_severity(4)
    folder = CACHE / name
    made = f"{recipe} {onnx.__version__} {onnxruntime.__version__}\n"
    stamp = folder / "made-by.txt"
    if stamp.exists() and stamp.read_text() == made:
        print(f"{folder} is there")
        return
    for family in families:
        first = len(CASES)
        family()
        default = ATOL_OF.get(family.__name__, ATOL)
        CASES[first:] = [(*c[:5], default if c[5] is None else c[5], *c[6:]) for c in CASES[first:]]
    place, refused = Place(name), []
    for operator, opset, inputs, outputs, label, atol, attributes, domain in CASES:
        words = "".join(c if c.isalnum() or c == "_" else "-" for c in label.strip("_"))
        name = "_".join(filter(None, [operator, str(opset), words]))
        reference = attributes.pop("reference", None)
        try:
            model, given = build(operator, opset, inputs, outputs, attributes, domain)
            if reference:
                results = reference(*inputs)
            else:
                session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
                results = session.run(None, dict(given))
        except Exception as error:
            refused.append(f"{name}: {error}".replace("\n", " ")[:160])
            continue
        for info, value in zip(model.graph.output, results):
            dtype = helper.np_dtype_to_tensor_dtype(value.dtype)
            info.CopyFrom(helper.make_tensor_value_info(info.name, dtype, value.shape))
        sides = [numpy_helper.from_array(np.asarray(v), n).SerializeToString() for n, v in given]
        wanted = [numpy_helper.from_array(v, f"y{k}").SerializeToString() for k, v in enumerate(results)]
        source = reference.__doc__ if reference else f"onnxruntime {onnxruntime.__version__}"
        entry = place.add(name, model, sides, wanted, source, RTOL, atol)
        entry["onnx_reference"] = reference_says(model, given, results, RTOL, atol)
    place.finish()
    stamp.write_text(made)
    if refused:
        print(f"{len(refused)} that ONNX Runtime doesn't run:", *refused, sep="\n  ")


if __name__ == "__main__":
    make("ort-cases", RECIPE, FAMILIES)
