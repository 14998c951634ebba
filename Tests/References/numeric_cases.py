"""Small models whose results depend on numbers at the edge (NaN, infinities, ties, no turns of a loop, ranges of half precision), and
operators as ONNX Runtime's optimiser writes them, with what they should give, in <cache>/numeric-cases: the layout and the manifest.json
of onnx_node_cases.py.

The results are ONNX Runtime's, but for half precision that is rounded after every node, which onnx's own evaluator computes, for nearest
neighbours of given sizes, which are computed in fractions, and for the shapes of what a loop without turns stacks, which follow from its
body.
"""

import math
import shutil
from fractions import Fraction

import numpy as np
import onnx
import onnxruntime
from ml_dtypes import bfloat16
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from common import CACHE, write_json

RECIPE = 9
FOLDER = CACHE / "numeric-cases"
MICROSOFT = "com.microsoft"
NAN, INF = np.nan, np.inf
MANIFEST = []


def random(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng([7, seed, *shape]).uniform(-2, 2, shape).astype(dtype)


def floats(*values, dtype=np.float32):
    return np.array(values, dtype)


def node(operator, inputs, outputs, domain="", **attributes):
    return helper.make_node(operator, inputs, outputs, domain=domain, **attributes)


def declared(name, value):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)


def model(name, nodes, inputs, outputs, constants=None, opset=17, imports=True):
    outputs = [o if isinstance(o, onnx.ValueInfoProto) else helper.make_empty_tensor_value_info(o) for o in outputs]
    initializers = [
        value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value), key)
        for key, value in (constants or {}).items()
    ]
    graph = helper.make_graph(nodes, name, [declared(k, v) for k, v in inputs.items()], outputs, initializers)
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(MICROSOFT, 1)] if imports else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def run(proto, inputs, optimizes=True):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if not optimizes:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def add(name, nodes, inputs, outputs=("y",), constants=None, expected=None, rtol=1e-5, atol=1e-6, optimizes=True, **options):
    proto = model(name, nodes, inputs, outputs, constants, **options)
    if expected is None:
        expected = run(proto, inputs, optimizes)
    place = FOLDER / name
    place.mkdir(parents=True)
    (place / "model.onnx").write_bytes(proto.SerializeToString())
    names = [o.name if isinstance(o, onnx.ValueInfoProto) else o for o in outputs]
    files = {"inputs": list(inputs.items()), "outputs": list(zip(names, expected))}
    entry = {
        "name": name,
        "operators": sorted({(n.domain, n.op_type) for n in nodes}),
        "opsets": {i.domain: i.version for i in proto.opset_import},
        "rtol": rtol,
        "atol": atol,
    }
    entry["operators"] = [{"domain": d, "name": o} for d, o in entry["operators"]]
    for kind, values in files.items():
        entry[kind] = []
        for index, (value_name, value) in enumerate(values):
            file = f"{kind[:-1]}_{index}.pb"
            (place / file).write_bytes(numpy_helper.from_array(np.asarray(value), value_name).SerializeToString())
            entry[kind].append({"file": file, "name": value_name})
    MANIFEST.append(entry)


def single(name, operator, inputs, outputs=1, domain="", opset=17, constants=None, attributes=None, **options):
    """One node; keys of inputs and constants are its inputs in order."""
    names = [f"y{i}" for i in range(outputs)]
    keys = [*inputs, *(constants or {})]
    nodes = [node(operator, keys, names, domain, **(attributes or {}))]
    add(name, nodes, inputs, names, constants, opset=opset, **options)


def attention():
    """Written out, a row that the mask shuts is NaN."""
    q, k, v = (random(1, 2, rows, 4, seed=rows) for rows in (3, 5, 6))
    k, v = k, v[:, :, :5]
    mask = np.zeros((1, 1, 3, 5), np.float32)
    mask[0, 0, 1] = -INF
    mask[0, 0, 2, 3:] = -INF
    nodes = [
        node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]),
        node("MatMul", ["q", "kt"], ["product"]),
        node("Mul", ["product", "scale"], ["scaled"]),
        node("Add", ["scaled", "mask"], ["scores"]),
        node("Softmax", ["scores"], ["weights"], axis=-1),
        node("MatMul", ["weights", "v"], ["y"]),
    ]
    add("attention_of_a_shut_row", nodes, {"q": q, "k": k, "v": v, "mask": mask}, constants={"scale": np.float32(0.5)})


def exact_nearest(size, target, mode, nearest):
    """Indices in fractions; the scale is the quotient of the extents."""
    scale, half, indices = Fraction(target, size), Fraction(1, 2), []
    for x in range(target):
        place = {
            "half_pixel": (x + half) / scale - half,
            "half_pixel_symmetric": (x + half) / scale - half,
            "pytorch_half_pixel": (x + half) / scale - half if target > 1 else Fraction(0),
            "align_corners": Fraction(x * (size - 1), target - 1) if target > 1 else Fraction(0),
            "asymmetric": x / scale,
        }[mode]
        index = {
            "round_prefer_floor": math.ceil(place - half),
            "round_prefer_ceil": math.floor(place + half),
            "floor": math.floor(place),
            "ceil": math.ceil(place),
        }[nearest]
        indices.append(min(max(index, 0), size - 1))
    return indices


def is_rounded_otherwise(size, scale, mode, nearest):
    """Whether a place lies so near to a tie, or to a whole number where it is rounded down or up, that the order of float32 operations
    decides: ONNX Runtime's is its own for symmetric places, and for a scale of 0.3."""
    if mode != "half_pixel_symmetric" and scale != 0.3:
        return False
    scale = float(np.float32(scale))
    target = int(np.float32(scale) * np.float32(size))
    x = np.arange(target, dtype=np.float64)
    place = x / scale if mode == "asymmetric" else (x + 0.5) / scale - 0.5
    if mode == "half_pixel_symmetric":
        place += size / 2 * (1 - target / (scale * size))
    if nearest.startswith("round"):
        place += 0.5
    distance = np.abs(place - np.round(place))
    return bool(np.any(distance < 1e-5))


def resizes():
    """All modes for several extents in one graph each; sizes exactly, scales as ONNX Runtime has them."""
    extents = [1, 2, 3, 5, 6, 7, 10, 12, 20, 21]
    targets = [1, 2, 3, 4, 6, 7, 9, 15, 20, 33]
    scales = [0.1, 0.2, 0.25, 0.3, 1 / 3, 0.5, 0.6, 0.7, 1.1, 1.5, 2, 2.5, 3.3]
    for mode in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"):
        for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
            attributes = {"mode": "nearest", "coordinate_transformation_mode": mode, "nearest_mode": nearest}
            for kind, values in (("sizes", targets), ("scales", scales)):
                if kind == "scales" and mode == "align_corners":
                    # ONNX Runtime counts with the rounded extent there, ONNX's published cases with the unrounded one.
                    continue
                nodes, outputs, constants, expected = [], [], {}, []
                for size in extents:
                    for value in values:
                        # ONNX Runtime copies where the extent stays, whatever the scale.
                        if kind == "scales" and int(np.float32(value) * np.float32(size)) in (0, size):
                            continue
                        if kind == "scales" and is_rounded_otherwise(size, value, mode, nearest):
                            continue
                        name = f"{size}_{values.index(value)}"
                        constants[f"s{name}"] = (
                            np.array([value], np.int64) if kind == "sizes" else np.array([value], np.float32)
                        )
                        inputs = [f"x{size}", "", "", f"s{name}"] if kind == "sizes" else [f"x{size}", "", f"s{name}"]
                        nodes.append(node("Resize", inputs, [f"y{name}"], **attributes))
                        outputs.append(f"y{name}")
                        if kind == "sizes":
                            expected.append(np.array(exact_nearest(size, value, mode, nearest), np.float32))
                nodes.append(node("Concat", outputs, ["y"], axis=0))
                inputs = {f"x{size}": np.arange(size, dtype=np.float32) for size in extents}
                expected = [np.concatenate(expected)] if kind == "sizes" else None
                add(f"nearest_{kind}_{mode}_{nearest}", nodes, inputs, ["y"], constants, expected, opset=18)


def suppression():
    """Scores and coordinates that aren't numbers, in every place."""
    boxes = floats(0, 0, 1, 1, 0, 0, 1, 1.1, 0, 2, 1, 3, 0, 2, 1, 3.1, 5, 5, 6, 6).reshape(1, 5, 4)
    rows = [[0.5, NAN, 0.7, 0.1, 0.9], [NAN, 1, 2, NAN, 3], [3, NAN, 1, 2, NAN], [NAN] * 5, [1, 2, NAN, 4, 5], [INF, NAN, -INF, 1, NAN]]
    scores = np.array([rows], np.float32)
    limits = {"limit": np.array([5], np.int64), "overlap": floats(0.5)}
    single("suppression_of_nan_scores", "NonMaxSuppression", {"boxes": boxes, "scores": scores}, constants=limits)
    threshold = {**limits, "threshold": floats(0.6)}
    single("suppression_of_nan_scores_with_threshold", "NonMaxSuppression", {"boxes": boxes, "scores": scores}, constants=threshold)
    many = random(1, 40, 4, seed=3)
    shuffled = random(1, 3, 40, seed=4)
    shuffled[0, 0, ::7] = NAN
    shuffled[0, 1, ::2] = NAN
    shuffled[0, 2, 5:] = np.round(shuffled[0, 2, 5:])
    limits["limit"] = np.array([40], np.int64)
    single("suppression_of_many", "NonMaxSuppression", {"boxes": many, "scores": shuffled}, constants=limits)
    for place in range(4):
        for value in (NAN, INF, -INF):
            broken = boxes.copy()
            broken[0, 1, place] = value
            broken[0, 3, 3 - place] = value
            for center in (0, 1):
                single(
                    f"suppression_of_{value}_at_{place}_{center}",
                    "NonMaxSuppression",
                    {"boxes": broken, "scores": np.abs(random(1, 2, 5, seed=5))},
                    constants=limits,
                    attributes={"center_point_box": center},
                )


def selection():
    x = floats(1, NAN, 3, 2, NAN, -1, INF, -INF, 0, -0.0)
    for largest in (0, 1):
        for count in (1, 3, 10):
            single(
                f"top_{count}_{'largest' if largest else 'least'}_with_nan",
                "TopK",
                {"x": x},
                2,
                constants={"k": np.array([count], np.int64)},
                attributes={"largest": largest},
            )


def quantization():
    ranges = {
        "zeros": [0, 0, 0],
        "negative_zeros": [0, -0.0],
        "constant": [2, 2, 2],
        "negative_constant": [-2, -2],
        "nan": [NAN],
        "nan_and_range": [NAN, -1, 1],
        "infinity": [INF, 1],
        "negative_infinity": [-INF, 1],
        "infinities": [INF, -INF],
        "wide": [3e38, -3e38],
        "subnormal": [1e-42, 0],
        "nothing": [],
    }
    for name, values in ranges.items():
        single(f"dynamic_quantization_of_{name}", "DynamicQuantizeLinear", {"x": floats(*values)}, 3)
    special = np.tile(floats(NAN, INF, -INF, 1, -1, 0.25, 1e9), 5)
    for dtype in (np.uint8, np.int8, np.uint16, np.int16):
        constants = {"scale": np.float32(0.5), "zero": np.array(3, dtype)}
        name = np.dtype(dtype).name
        single(f"quantization_of_nan_{name}", "QuantizeLinear", {"x": special}, opset=21, constants=constants)
        single(f"quantization_of_nan_{name}_microsoft", "QuantizeLinear", {"x": special}, 1, MICROSOFT, constants=constants)
        zeros = np.arange(1, 4).astype(dtype)
        for axis in (0, 1, 2, -1):
            shape = [2, 2, 2]
            shape[axis] = 3
            x = random(*shape)
            nodes = [
                node("QuantizeLinear", ["x", "scale", "zero"], ["q"], MICROSOFT, axis=axis),
                node("DequantizeLinear", ["q", "scale", "zero"], ["y"], MICROSOFT, axis=axis),
            ]
            constants = {"scale": floats(0.01, 0.02, 0.5), "zero": zeros}
            add(f"both_ways_{name}_axis{axis}", nodes, {"x": x}, ["q", "y"], constants, optimizes=False)
    single("quantization_without_zero", "QuantizeLinear", {"x": random(5)}, 1, MICROSOFT, constants={"scale": np.float32(0.1)})
    integers = np.array([-70000, 3, 2**30], np.int32)
    single("dequantization_of_int32", "DequantizeLinear", {"x": integers}, 1, MICROSOFT, constants={"scale": np.float32(0.1)})
    half = random(2, 3, dtype=np.float16)
    constants = {"scale": np.float16(0.01), "zero": np.uint16(300)}
    single("quantization_of_half", "QuantizeLinear", {"x": half}, 1, MICROSOFT, constants=constants)
    # Quotients near halves, which are rounded to half precision first from opset 23 on.
    halves = random(400, seed=3, dtype=np.float16)
    precisions = [{"precision": TensorProto.FLOAT}, {"precision": TensorProto.FLOAT16}]
    for opset, attributes in ((21, {}), (23, {}), *((23, precision) for precision in precisions), (25, {})):
        name = f"quantization_of_halves_{opset}_{attributes.get('precision', 0)}"
        constants = {"scale": np.float16(0.0123), "zero": np.int8(3)}
        single(name, "QuantizeLinear", {"x": halves}, opset=opset, constants=constants, attributes=attributes)
        if opset >= 23 and attributes.get("precision") != TensorProto.FLOAT:
            nodes = [node("Mul", ["x", "x"], ["square"]), node("QuantizeLinear", ["square", "scale", "zero"], ["y"], **attributes)]
            add(f"{name}_of_squares", nodes, {"x": halves}, ["y"], constants, opset=opset)
    for kind in ("UINT4", "INT4"):
        zero = helper.make_tensor("zero", getattr(TensorProto, kind), [], [1])
        nodes = [
            node("QuantizeLinear", ["x", "scale", "zero"], ["q"], MICROSOFT),
            node("DequantizeLinear", ["q", "scale", "zero"], ["y"], MICROSOFT),
        ]
        add(
            f"both_ways_{kind.lower()}",
            nodes,
            {"x": floats(1, 2, -3, 100, -100, 0.2)},
            constants={"scale": np.float32(0.5), "zero": zero},
            opset=21,
            optimizes=False,
        )


def loops():
    """No turn: the extents of what is stacked follow from the body, 0 of them from its own number."""

    def body(declaration):
        nodes = [
            node("Identity", ["condition"], ["goes_on"]),
            node("Mul", ["carried", "carried"], ["next"]),
            node("Transpose", ["next"], ["slice"], perm=[1, 0]),
        ]
        inputs = [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("condition", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, ["a", "b"]),
        ]
        outputs = [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, ["a", "b"]),
            declaration,
        ]
        return helper.make_graph(nodes, "body", inputs, outputs)

    x = random(2, 3)
    declarations = {
        "symbols": helper.make_tensor_value_info("slice", TensorProto.FLOAT, ["c", "d"]),
        "extents": helper.make_tensor_value_info("slice", TensorProto.FLOAT, [3, 2]),
        "no_shape": helper.make_tensor_value_info("slice", TensorProto.FLOAT, None),
        "nothing": helper.make_empty_tensor_value_info("slice"),
    }
    for name, declaration in declarations.items():
        for turns in (0, 2):
            nodes = [
                node("Loop", ["turns", "", "x"], ["last", "stack"], body=body(declaration)),
                node("Shape", ["stack"], ["shape"]),
                node("Concat", ["stack", "more"], ["y"], axis=0),
            ]
            more = random(1, 3, 2, seed=9)
            squares = [x.T**2, x.T**4][:turns]
            stack = np.stack(squares) if turns else np.zeros((0, 3, 2), np.float32)
            last = (squares[-1].T if turns else x).astype(np.float32)
            expected = [last, np.array(stack.shape, np.int64), np.concatenate([stack, more]).astype(np.float32)]
            add(
                f"loop_of_{turns}_declaring_{name}",
                nodes,
                {"turns": np.array(turns, np.int64), "x": x},
                ["last", "shape", "y"],
                {"more": more},
                expected,
            )

    scanned = helper.make_graph(
        [
            node("Add", ["state", "element"], ["next"]),
            node("MatMul", ["next", "weights"], ["slice"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["n", "k"]),
            helper.make_tensor_value_info("element", TensorProto.FLOAT, ["n", "k"]),
        ],
        [
            helper.make_tensor_value_info("next", TensorProto.FLOAT, ["n", "k"]),
            helper.make_tensor_value_info("slice", TensorProto.FLOAT, ["n", "m"]),
        ],
    )
    for axis in (0, 1, 2, -1):
        nodes = [
            node("Scan", ["x", "sequence"], ["last", "stack"], body=scanned, num_scan_inputs=1, scan_output_axes=[axis],
                 scan_input_axes=[1]),
            node("Shape", ["stack"], ["shape"]),
        ]
        shape = [2, 4]
        shape.insert(axis if axis >= 0 else 2, 0)
        add(
            f"scan_of_nothing_along_{axis}",
            nodes,
            {"x": x, "sequence": np.zeros((2, 0, 3), np.float32)},
            ["last", "shape"],
            {"weights": random(3, 4)},
            [x, np.array(shape, np.int64)],
        )

    double = helper.make_graph(
        [node("Add", ["element", "element"], ["sum"])],
        "body",
        [helper.make_tensor_value_info("element", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)],
    )
    nodes = [
        node("SequenceEmpty", [], ["empty"]),
        node("SequenceMap", ["empty"], ["mapped"], body=double),
        node("SequenceLength", ["mapped"], ["y"]),
        node("Neg", ["x"], ["z"]),
    ]
    add("map_of_an_empty_sequence", nodes, {"x": x}, ["y", "z"], expected=[np.array(0, np.int64), -x])


def normalizations():
    x, scale, bias = random(2, 3, 5), random(5, seed=1), random(5, seed=2)
    for opset in (9, 14, 16, 17):
        single(f"layer_normalization_{opset}", "LayerNormalization", {"x": x, "scale": scale, "bias": bias}, 3, opset=opset)
        single(f"simplified_layer_normalization_{opset}", "SimplifiedLayerNormalization", {"x": x, "scale": scale}, 2, opset=opset)
    single(
        "simplified_layer_normalization_axis",
        "SimplifiedLayerNormalization",
        {"x": x, "scale": random(3, 5, seed=3)},
        2,
        attributes={"axis": 1, "epsilon": 1e-3, "stash_type": 1},
    )
    halves = {"x": x.astype(np.float16), "scale": scale.astype(np.float16)}
    single("simplified_layer_normalization_half", "SimplifiedLayerNormalization", halves, rtol=2e-3, atol=2e-3)
    parts = {"x": x, "skip": random(2, 3, 5, seed=4), "gamma": scale}
    nodes = [node("SkipSimplifiedLayerNormalization", list(parts), ["y", "", "deviation", "sum"], MICROSOFT, epsilon=1e-5)]
    add("skip_simplified", nodes, parts, ["y", "deviation", "sum"])
    parts["bias"] = bias
    nodes = [node("SkipSimplifiedLayerNormalization", list(parts), ["y", "", "", "sum"], MICROSOFT, epsilon=1e-5)]
    add("skip_simplified_with_bias", nodes, parts, ["y", "sum"])


def products():
    x = random(4, 2, 3, 5)
    square = random(5, 5, seed=1)
    matrices = {
        "plain": (x, random(4, 2, 5, 6), {}),
        "factor": (x, random(5, 6), {"alpha": 0.125}),
        "right": (x, random(4, 2, 7, 5), {"transB": 1, "alpha": 0.125}),
        "right_shared": (x, random(6, 5), {"transB": 1}),
        "left": (x, random(4, 2, 3, 6), {"transA": 1, "alpha": -2.0}),
        "left_shared": (x, random(3, 6), {"transA": 1}),
        "left_broadcast": (random(3, 5), random(4, 2, 3, 6), {"transA": 1}),
        "both": (x, random(4, 2, 7, 3), {"transA": 1, "transB": 1}),
        "batch_left": (x, random(2, 3, 5, 6), {"transBatchA": 1}),
        "batch_left_transposed": (x, random(2, 3, 4, 6), {"transBatchA": 1, "transA": 1, "alpha": 0.5}),
        "batch_right": (random(2, 3, 7, 4), x, {"transBatchB": 1}),
        "batch_right_transposed": (random(2, 3, 7, 5), x, {"transBatchB": 1, "transB": 1}),
        "batch_both": (x, random(5, 2, 3, 6), {"transBatchA": 1, "transBatchB": 1}),
        "left_vector": (random(5), square, {"transA": 1}),
        "right_vector": (square, random(5), {"transB": 1}),
        "no_depth": (np.zeros((2, 0), np.float32), np.zeros((0, 3), np.float32), {"alpha": 2.0}),
        "no_rows": (np.zeros((0, 5), np.float32), square, {"transB": 1}),
        "large": (random(40, 24), random(48, 24), {"transB": 1, "alpha": 0.3}),
        "double": (x.astype(np.float64), random(6, 5).astype(np.float64), {"transB": 1, "alpha": 0.3}),
    }
    for name, (a, b, attributes) in matrices.items():
        for constant in (False, True):
            inputs, constants = ({"a": a}, {"b": b}) if constant else ({"a": a, "b": b}, {})
            label = f"fused_product_{name}{'_constant' if constant else ''}"
            single(label, "FusedMatMul", inputs, 1, MICROSOFT, constants=constants, attributes=attributes, atol=1e-5)
    single("transposed_product", "TransposeMatMul", {"a": x, "b": x}, 1, MICROSOFT, attributes={"transB": 1}, atol=1e-5)
    add("gelu_without_import", [node("Gelu", ["x"], ["y"], MICROSOFT)], {"x": random(7)}, imports=False)
    nodes = [node("FusedMatMul", ["x", "x"], ["y"], MICROSOFT, transB=1)]
    add("product_without_import", nodes, {"x": random(3, 4)}, imports=False)


HALVES = {
    "c": np.float16(100),
    "c2": np.float16(2),
    "c5000": np.float16(5000),
    "four": np.array([4], np.int64),
    "zero": np.array([0], np.int64),
    "w": random(4, 4, dtype=np.float16),
}


def typed(values, dtype):
    """Numbers of half precision as another type."""
    return {k: v.astype(dtype) if v.dtype == np.float16 else v for k, v in values.items()}


def half_graph(name, nodes, inputs, outputs=("y",), rtol=1e-3, has_nodes=True):
    """By default between nodes in single precision, as ONNX Runtime does on a CPU; rounded after every node as onnx's own evaluator
    does."""
    add(f"half_{name}", nodes, inputs, outputs, HALVES, rtol=rtol)
    if not has_nodes:
        return
    with np.errstate(all="ignore"):
        proto = model(name, nodes, inputs, outputs, HALVES)
        expected = ReferenceEvaluator(onnx.shape_inference.infer_shapes(proto)).run(None, inputs)
    add(f"half_nodes_{name}", nodes, inputs, outputs, HALVES, expected, rtol)
    MANIFEST[-1]["half_rounding"] = "nodes"


def brain_graph(name, nodes, inputs):
    """bfloat16, for which ONNX Runtime has no kernels on a CPU: its results in single precision, rounded."""
    wide = typed(inputs, np.float32)
    results = run(model(name, nodes, wide, ["y"], typed(HALVES, np.float32)), wide)
    constants, inputs = typed(HALVES, bfloat16), typed(inputs, bfloat16)
    add(f"brain_{name}", nodes, inputs, ["y"], constants, [y.astype(bfloat16) for y in results])


def half_chains():
    """What leaves the range of half precision on its way, or its digits, comes back."""
    chains = {
        "plain": [],
        "negative": [node("Neg", ["a"], ["b"])],
        "identity": [node("Identity", ["a"], ["b"])],
        "relu": [node("Relu", ["a"], ["b"])],
        "digits": [node("Add", ["a", "c5000"], ["p"]), node("Sub", ["p", "c5000"], ["b"])],
        "reshape": [node("Reshape", ["a", "four"], ["b"])],
        "transpose": [node("Transpose", ["a"], ["b"])],
        "slice": [node("Slice", ["a", "zero", "four"], ["b"])],
        "gather": [node("Gather", ["a", "zero"], ["b"])],
        "expand": [node("Expand", ["a", "four"], ["b"])],
        "concatenation": [node("Concat", ["a", "x"], ["b"], axis=0)],
        "choice": [node("Less", ["x", "c"], ["e"]), node("Where", ["e", "a", "x"], ["b"])],
        "maximum": [node("Max", ["a", "x"], ["b"])],
        "split": [node("Split", ["a"], ["b1", "b2"]), node("Concat", ["b2", "b1"], ["b"], axis=0)],
        "product": [node("MatMul", ["a", "w"], ["b"])],
        "power": [node("Pow", ["a", "c2"], ["p"]), node("Sqrt", ["p"], ["b"])],
        "sum": [node("ReduceSum", ["a"], ["b"], keepdims=1)],
        "softmax": [node("Softmax", ["a"], ["p"]), node("Mul", ["p", "a"], ["b"])],
        "computed_constant": [node("Mul", ["w", "c5000"], ["p"]), node("Div", ["p", "c5000"], ["q"]), node("MatMul", ["a", "q"], ["b"])],
    }
    x = floats(2000, 3, -700, 0.001, dtype=np.float16)
    for name, middle in chains.items():
        last = middle[-1].output[0] if middle else "a"
        nodes = [node("Mul", ["x", "c"], ["a"]), *middle, node("Div", [last, "c"], ["y"])]
        # ONNX Runtime rounds what a Split of half precision moves; within the range that makes no difference.
        inputs = {"x": x if name != "split" else x / np.float16(100)}
        half_graph(name, nodes, inputs)
        brain_graph(name, nodes, inputs)


def half_casts():
    """Casts of the file: one to half precision and one from there round, one alone doesn't."""
    single, half = (lambda a, b: node("Cast", [a], [b], to=TensorProto.FLOAT)), (lambda a, b: node("Cast", [a], [b], to=TensorProto.FLOAT16))
    multiply, divide, factor = node("Mul", ["x", "c"], ["a"]), node("Div", ["a", "c"], ["y"]), single("c", "s")
    wide_divide = [single("b", "u"), node("Div", ["u", "s"], ["y"])]
    down = [factor, single("x", "f"), node("Mul", ["f", "s"], ["g"]), half("g", "a")]
    to_double = node("Cast", ["a"], ["d"], to=TensorProto.DOUBLE)
    x = {"x": floats(2000, 3, -700, 0.001, dtype=np.float16)}
    integers = floats(100000, 2049, -7, 1)
    for name, nodes, inputs in [
        ("up", [factor, multiply, single("a", "u"), node("Div", ["u", "s"], ["y"])], x),
        ("down", [*down, divide], x),
        ("down_and_up", [*down, single("a", "u"), node("Div", ["u", "s"], ["y"])], x),
        ("down_move_and_up", [*down, node("Transpose", ["a"], ["b"]), *wide_divide], x),
        ("down_concat_and_up", [*down, node("Concat", ["a", "a"], ["b"], axis=0), *wide_divide], x),
        ("down_compute_and_up", [*down, node("Neg", ["a"], ["b"]), *wide_divide], x),
        ("up_and_down", [multiply, single("a", "f"), half("f", "g"), node("Div", ["g", "c"], ["y"])], x),
        ("to_itself", [multiply, half("a", "g"), node("Div", ["g", "c"], ["y"])], x),
        ("through_double", [multiply, to_double, half("d", "g"), node("Div", ["g", "c"], ["y"])], x),
        ("to_double", [multiply, node("Cast", ["a"], ["y"], to=TensorProto.DOUBLE)], x),
        ("to_integers", [multiply, node("Cast", ["a"], ["b"], to=TensorProto.INT32), single("b", "y")], {"x": x["x"][1:]}),
        ("of_integers", [half("x", "a"), divide], {"x": integers.astype(np.int64)}),
        ("of_integers_and_up", [half("x", "b"), factor, *wide_divide], {"x": integers.astype(np.int64)}),
        ("of_double", [half("x", "a"), divide], {"x": integers.astype(np.float64)}),
        ("of_double_and_up", [half("x", "b"), factor, *wide_divide], {"x": integers.astype(np.float64)}),
    ]:
        # Which integer an infinity becomes is nobody's to say.
        half_graph(f"cast_{name}", nodes, inputs, has_nodes=name != "to_integers")


def half_outputs():
    """What a graph hands out is rounded, also that of a branch."""
    x = floats(2000, 3, -700, 0.001, dtype=np.float16)
    product = [node("Mul", ["x", "c"], ["a"]), node("Div", ["a", "c"], ["y"])]
    half_graph("handed_out", product, {"x": x}, ["a", "y"])
    half_graph("handed_out_and_cast", [*product, node("Cast", ["a"], ["z"], to=TensorProto.FLOAT)], {"x": x}, ["a", "y", "z"])

    def branch(operator):
        output = helper.make_tensor_value_info("result", TensorProto.FLOAT16, [4])
        return helper.make_graph([node("Div", ["inner", "c"], ["quotient"]), node(operator, ["quotient"], ["result"])],
                                 operator, [], [output])

    for condition in (True, False):
        nodes = [
            node("Div", ["x", "c"], ["inner"]),
            node("If", ["condition"], ["z"], then_branch=branch("Neg"), else_branch=branch("Abs")),
            node("Mul", ["z", "c"], ["y"]),
        ]
        half_graph(f"in_branch_{condition}", nodes, {"x": x, "condition": np.array(condition)}, rtol=2e-3)

    declare = helper.make_tensor_value_info
    body = helper.make_graph(
        [node("Mul", ["v", "c"], ["p"]), node("Div", ["p", "c5000"], ["next"]), node("Identity", ["go"], ["on"])], "body",
        [declare("turn", TensorProto.INT64, []), declare("go", TensorProto.BOOL, []), declare("v", TensorProto.FLOAT16, [4])],
        [declare("on", TensorProto.BOOL, []), declare("next", TensorProto.FLOAT16, [4]), declare("p", TensorProto.FLOAT16, [4])])
    nodes = [
        node("Mul", ["x", "c2"], ["start"]),
        node("Loop", ["turns", "condition", "start"], ["last", "all"], body=body),
        node("Mul", ["last", "c"], ["y"]),
    ]
    half_graph("in_loop", nodes, {"x": np.abs(x) + np.float16(1), "turns": np.array(2), "condition": np.array(True)}, ["y", "all"], rtol=2e-3)


def main():
    recipe = FOLDER / "recipe.txt"
    if recipe.exists() and recipe.read_text() == f"{RECIPE} {onnxruntime.__version__}":
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    for family in (attention, resizes, suppression, selection, quantization, loops, normalizations, products,
                   half_chains, half_casts, half_outputs):
        family()
    write_json(FOLDER / "manifest.json", MANIFEST)
    recipe.write_text(f"{RECIPE} {onnxruntime.__version__}")
    print(f"{len(MANIFEST)} cases in {FOLDER}")


if __name__ == "__main__":
    main()
