"""Writes the models and values of Tests/ONNXLoaderTests/Fixtures with the onnx package, and what the loader must make of them.

    python Tests/References/loader_models.py Tests/ONNXLoaderTests/Fixtures

Everything in expected.json comes from onnx: tensors from onnx.numpy_helper, inlined functions from onnx.inliner.
"""

import json
import pathlib
import shutil
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.inliner import inline_local_functions

FLOATS = {
    "FLOAT": [0.0, -1.5, 3.25, 65504.0, 1e-7],
    "FLOAT16": [0.0, -1.5, 3.25, 65504.0, 6e-8],
    "BFLOAT16": [0.0, -1.5, 3.25, 65280.0, 1e-7],
    "DOUBLE": [0.0, -1.5, 3.25, 1e300, 1e-300],
    "FLOAT8E4M3FN": [0.0, -1.5, 3.25, 448.0, 0.015625],
    "FLOAT8E4M3FNUZ": [0.0, -1.5, 3.25, 240.0, 0.0078125],
    "FLOAT8E5M2": [0.0, -1.5, 3.0, 57344.0, 6.103515625e-05],
    "FLOAT8E5M2FNUZ": [0.0, -1.5, 3.0, 57344.0, 3.0517578125e-05],
    "FLOAT8E8M0": [1.0, 2.0, 0.5, 1024.0, 0.25],
    "FLOAT4E2M1": [0.0, -1.5, 3.0, 6.0, 0.5],
}
INTEGERS = {
    "INT8": [-128, 127, 0, 1, -1],
    "UINT8": [0, 255, 128, 1, 2],
    "INT16": [-32768, 32767, 0, 1, -1],
    "UINT16": [0, 65535, 32768, 1, 2],
    "INT32": [-(2**31), 2**31 - 1, 0, 1, -1],
    "UINT32": [0, 2**32 - 1, 2**31, 1, 2],
    "INT64": [-(2**63), 2**63 - 1, 0, 1, -1],
    "UINT64": [0, 2**64 - 1, 2**63, 1, 2],
    "INT4": [-8, 7, 0, 1, -1],
    "UINT4": [0, 15, 8, 1, 2],
    "INT2": [-2, 1, 0, -1, 1],
    "UINT2": [0, 3, 2, 1, 3],
    "BOOL": [True, False, True, True, False],
}
COMPLEX = {"COMPLEX64": [1 + 2j, -1.5j, 3.25, 0, -1], "COMPLEX128": [1 + 2j, -1.5j, 3.25, 0, -1e300]}
TWO_BITS = {TensorProto.INT2, TensorProto.UINT2}
FOUR_BITS = {TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1}


def element_bytes(tensor):
    """The elements as they lie in memory, little-endian; 4-bit ones two to a byte and 2-bit ones four, the first in the lowest bits."""
    array = numpy_helper.to_array(tensor)
    if tensor.data_type in TWO_BITS:
        parts = [int(x) & 3 for x in array.view(numpy.uint8).ravel()]
        parts += [0] * (-len(parts) % 4)
        return bytes(a | b << 2 | c << 4 | d << 6 for a, b, c, d in zip(*(parts[k::4] for k in range(4))))
    if tensor.data_type in FOUR_BITS:
        halves = [int(x) & 15 for x in array.view(numpy.uint8).ravel()]
        halves += [0] * (len(halves) % 2)
        return bytes(low | high << 4 for low, high in zip(halves[::2], halves[1::2]))
    return array.tobytes()


def describe(tensor):
    entry = {"type": tensor.data_type, "shape": list(tensor.dims)}
    if tensor.data_type == TensorProto.STRING:
        entry["strings"] = [s.decode() for s in tensor.string_data]
    else:
        entry["bytes"] = element_bytes(tensor).hex()
    return entry


def all_encodings():
    """Every element type, in the field of its type and as raw_data."""
    tensors = []
    for name, values in {**FLOATS, **INTEGERS, **COMPLEX}.items():
        typed = helper.make_tensor(f"{name}.typed", getattr(TensorProto, name), [5], values)
        tensors.append(typed)
        raw = TensorProto(name=f"{name}.raw", data_type=typed.data_type, dims=[5, 1], raw_data=element_bytes(typed))
        tensors.append(raw)
    tensors.append(helper.make_tensor("STRING.typed", TensorProto.STRING, [2, 2], ["", "a", "schöne Größe", "日本"]))
    tensors.append(helper.make_tensor("scalar", TensorProto.FLOAT, [], [2.5]))
    tensors.append(helper.make_tensor("empty", TensorProto.FLOAT, [0, 3], []))
    return tensors


def constant_model(tensors, ir_version=10, opset=21, **options):
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", None, 3])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", None, 3])]
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="relu")]
    graph = helper.make_graph(nodes, "constants", inputs, outputs, initializer=tensors, **options)
    model = helper.make_model(graph, producer_name="loader_models", opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = ir_version
    return model


def functions_model():
    """Attribute references with and without defaults, nested calls, an overload, a graph within a function, omitted inputs."""
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]

    def reference(node, attribute, name, kind):
        proto = onnx.AttributeProto(name=attribute, ref_attr_name=name, type=kind)
        node.attribute.append(proto)
        return node

    leaky = reference(helper.make_node("LeakyRelu", ["a"], ["t"], name="leaky"), "alpha", "slope", onnx.AttributeProto.FLOAT)
    scaled = helper.make_function(
        "local", "ScaledLeaky", ["a", "b"], ["c"], [leaky, helper.make_node("Mul", ["t", "b"], ["c"])], imports,
        attribute_protos=[helper.make_attribute("slope", 0.25)])
    softmax = reference(helper.make_node("Softmax", ["u"], ["z"]), "axis", "axis", onnx.AttributeProto.INT)
    outer = helper.make_function(
        "local", "Twice", ["p", "q"], ["z"],
        [
            helper.make_node("ScaledLeaky", ["p", "q"], ["t"], domain="local", name="first"),
            helper.make_node("ScaledLeaky", ["t", "q"], ["u"], domain="local", name="second", slope=0.5),
            softmax,
        ],
        imports, attributes=["axis"])
    then_graph = helper.make_graph(
        [helper.make_node("Add", ["v", "w"], ["r"])], "then", [], [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)])
    else_graph = helper.make_graph(
        [helper.make_node("ScaledLeaky", ["v", "w"], ["r"], domain="local")], "else", [],
        [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)])
    branch = helper.make_function(
        "local", "Choose", ["condition", "v", "w"], ["o"],
        [helper.make_node("If", ["condition"], ["o"], then_branch=then_graph, else_branch=else_graph)], imports)
    overload = helper.make_function(
        "local", "Choose", ["v"], ["o"], [helper.make_node("Neg", ["v"], ["o"])], imports)
    overload.overload = "negative"
    nodes = [
        helper.make_node("Twice", ["x", "s"], ["m"], domain="local", name="call", axis=1),
        helper.make_node("Twice", ["m", "s"], ["t"], domain="local"),
        helper.make_node("Choose", ["flag", "t", "s"], ["n"], domain="local"),
        helper.make_node("Choose", ["n"], ["y"], domain="local"),
    ]
    nodes[3].overload = "negative"
    graph = helper.make_graph(
        nodes, "functions",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3]),
            helper.make_tensor_value_info("s", TensorProto.FLOAT, [1]),
            helper.make_tensor_value_info("flag", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])])
    model = helper.make_model(graph, functions=[scaled, outer, branch, overload], opset_imports=imports)
    model.ir_version = 10
    return model


def with_defaults(model):
    """The model with every call stating the defaults of the function's attributes: onnx.inliner passes over those."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    defaults = {(f.domain, f.name, f.overload): f.attribute_proto for f in model.functions}

    def state(nodes):
        for node in nodes:
            given = {a.name for a in node.attribute}
            for default in defaults.get((node.domain, node.op_type, node.overload), []):
                if default.name not in given:
                    node.attribute.append(default)
            for attribute in node.attribute:
                state(attribute.g.node)

    state(model.graph.node)
    for function in model.functions:
        state(function.node)
    return model


def flatten(graph):
    """Operators in order with their float and integer attributes; graphs of attributes in brackets."""
    result = []
    for node in graph.node:
        attributes = {}
        inner = []
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                inner.append([attribute.name, flatten(attribute.g)])
            elif attribute.type == onnx.AttributeProto.FLOAT:
                attributes[attribute.name] = attribute.f
            elif attribute.type == onnx.AttributeProto.INT:
                attributes[attribute.name] = attribute.i
        result.append({"type": node.op_type, "attributes": attributes, "graphs": inner})
    return result


def subgraphs_model():
    """A Loop with an If in its body that reads the model's weight, the loop's own values and a value next to the Loop."""
    inner_then = helper.make_graph(
        [helper.make_node("Mul", ["state", "weight"], ["then_out"])], "inner_then", [],
        [helper.make_tensor_value_info("then_out", TensorProto.FLOAT, [2])])
    inner_else = helper.make_graph(
        [helper.make_node("Add", ["state", "beside"], ["else_out"])], "inner_else", [],
        [helper.make_tensor_value_info("else_out", TensorProto.FLOAT, [2])])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["keep_in"], ["keep_out"]),
            helper.make_node("If", ["keep_in"], ["next"], then_branch=inner_then, else_branch=inner_else, name="inner"),
        ],
        "body",
        [
            helper.make_tensor_value_info("iteration", TensorProto.INT64, []),
            helper.make_tensor_value_info("keep_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [2]),
        ],
        [
            helper.make_tensor_value_info("keep_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [2]),
        ])
    graph = helper.make_graph(
        [
            # Not in order: the loader must sort, also by what the loop's body reads.
            helper.make_node("Loop", ["count", "", "x"], ["y"], body=body, name="loop"),
            helper.make_node("Neg", ["x"], ["beside"], name="neg"),
        ],
        "main",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2]), helper.make_tensor_value_info("count", TensorProto.INT64, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        initializer=[helper.make_tensor("weight", TensorProto.FLOAT, [2], [2.0, 3.0])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    model.ir_version = 9
    return model


def sparse_model():
    linear = helper.make_sparse_tensor(
        helper.make_tensor("linear", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0]),
        helper.make_tensor("linear_indices", TensorProto.INT64, [3], [0, 4, 11]), [3, 4])
    coordinates = helper.make_sparse_tensor(
        helper.make_tensor("coordinates", TensorProto.INT64, [2], [7, -9]),
        helper.make_tensor("coordinates_indices", TensorProto.INT64, [2, 2], [0, 1, 2, 3]), [3, 4])
    model = constant_model([], opset=13, sparse_initializer=[linear, coordinates])
    attribute = helper.make_sparse_tensor(
        helper.make_tensor("", TensorProto.FLOAT, [1], [5.0]), helper.make_tensor("", TensorProto.INT64, [1], [1]), [2])
    model.graph.node.append(helper.make_node("Constant", [], ["constant"], sparse_value=attribute))
    dense = {
        "linear": numpy.zeros((3, 4), numpy.float32), "coordinates": numpy.zeros((3, 4), numpy.int64),
        "constant": numpy.array([0, 5], numpy.float32),
    }
    dense["linear"].ravel()[[0, 4, 11]] = [1, 2, 3]
    dense["coordinates"][[0, 2], [1, 3]] = [7, -9]
    return model, {name: describe(numpy_helper.from_array(array, name)) for name, array in dense.items()}


def versions(folder):
    """The same small model under each IR version; before 4, initializers must be inputs as well."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    for ir_version in range(3, 13):
        graph = helper.make_graph(
            [helper.make_node("Add", ["x", "w"], ["y"], name="add")], "versions",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])]
            + ([helper.make_tensor_value_info("w", TensorProto.FLOAT, [3])] if ir_version < 4 else []),
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])], initializer=[weight])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 7 + ir_version)])
        model.ir_version = ir_version
        onnx.save(model, folder / f"ir{ir_version}.onnx")


def values(folder):
    sequence = [numpy.arange(6, dtype=numpy.float32).reshape(2, 3), numpy.array([7], numpy.float32)]
    protos = {
        "tensor": numpy_helper.from_array(numpy.arange(4, dtype=numpy.int64), "t"),
        "sequence": numpy_helper.from_list(sequence, "s"),
        "optional_tensor": numpy_helper.from_optional(numpy.array([1.5], numpy.float64), "o"),
        "optional_sequence": numpy_helper.from_optional(sequence, "o"),
        "optional_empty": numpy_helper.from_optional(None, "o"),
    }
    for name, proto in protos.items():
        (folder / f"{name}.pb").write_bytes(proto.SerializeToString())


def external(folder, tensors):
    """As onnx.save_model writes external data: one file of two names, and a file for each tensor."""
    for name, options in {
        "model.onnx_data": {"all_tensors_to_one_file": True, "location": "model.onnx_data"},
        "weights.pb": {"all_tensors_to_one_file": True, "location": "weights.pb"},
        "files": {"all_tensors_to_one_file": False},
    }.items():
        target = folder / f"external-{name}"
        target.mkdir()
        model = constant_model(tensors)
        onnx.save_model(model, target / "model.onnx", save_as_external_data=True, size_threshold=0, **options)


def main():
    folder = pathlib.Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tensors = all_encodings()
    model = constant_model(tensors)
    model.metadata_props.add(key="author", value="loader_models.py")
    model.doc_string = "Every encoding"
    onnx.save(model, folder / "encodings.onnx")
    functions = functions_model()
    onnx.checker.check_model(functions)
    onnx.save(functions, folder / "functions.onnx")
    subgraphs = subgraphs_model()
    onnx.save(subgraphs, folder / "subgraphs.onnx")
    sparse, dense = sparse_model()
    onnx.save(sparse, folder / "sparse.onnx")
    versions(folder)
    values(folder)
    numbers = [numpy_helper.from_array(numpy_helper.to_array(t), t.name.split(".")[0]) for t in tensors if t.name.endswith(".typed")
               and t.data_type not in FOUR_BITS and t.data_type != TensorProto.STRING]
    external(folder, numbers)
    expected = {
        "encodings": {t.name: describe(t) for t in tensors},
        "external": {t.name: describe(t) for t in numbers},
        "sparse": dense,
        "functions": flatten(inline_local_functions(with_defaults(functions)).graph),
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


main()
