"""Makes Tests/CommandLineTests/Fixtures/verify/ (committed): small folders in the form of ONNX's backend tests, with results of numpy
and onnx, and arrays in numpy's archives.

cases/ are right, wrong/ fail or are skipped, each for the reason that its name says. arrays/ has one set of arrays stored (numpy.savez) and
deflated (numpy.savez_compressed).
"""

import json
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

folder = Path(__file__).resolve().parent.parent / "CommandLineTests" / "Fixtures" / "verify"
node = helper.make_node

TYPES = {
    "FLOAT": np.array([0.5, -0.0, np.nan, np.inf], np.float32),
    "DOUBLE": np.array([1e300, -2.5, np.nan, -np.inf], np.float64),
    "FLOAT16": np.array([0.1, 65504, np.nan, np.inf], np.float16),
    "BFLOAT16": np.array([0.1, -3, np.nan, np.inf], ml_dtypes.bfloat16),
    "FLOAT8E4M3FN": np.array([0.5, -448, np.nan, 0], ml_dtypes.float8_e4m3fn),
    "FLOAT8E4M3FNUZ": np.array([0.5, -240, np.nan, 0], ml_dtypes.float8_e4m3fnuz),
    "FLOAT8E5M2": np.array([0.5, -57344, np.nan, np.inf], ml_dtypes.float8_e5m2),
    "FLOAT8E5M2FNUZ": np.array([0.5, -57344, np.nan, 0], ml_dtypes.float8_e5m2fnuz),
    "FLOAT4E2M1": np.array([0.5, -6, 3], ml_dtypes.float4_e2m1fn),
    "INT4": np.array([-8, 7, 3], ml_dtypes.int4),
    "UINT4": np.array([15, 0, 9], ml_dtypes.uint4),
    "INT8": np.array([-128, 127], np.int8),
    "UINT8": np.array([0, 255], np.uint8),
    "INT16": np.array([-32768, 32767], np.int16),
    "UINT16": np.array([0, 65535], np.uint16),
    "INT32": np.array([-(2**31), 2**31 - 1], np.int32),
    "UINT32": np.array([0, 2**32 - 1], np.uint32),
    "INT64": np.array([-(2**63), 2**63 - 1], np.int64),
    "UINT64": np.array([0, 2**64 - 1], np.uint64),
    "BOOL": np.array([[True, False]], np.bool_),
    "COMPLEX64": np.array([1 + 2j, np.nan - 1j], np.complex64),
    "COMPLEX128": np.array([1 + 2j, -1e300j], np.complex128),
    "STRING": np.array(["", "wörd", "a\nb"], object),
}


def typed(name, kind=TensorProto.FLOAT, shape=("n",)):
    return helper.make_tensor_value_info(name, kind, shape)


def write(path, message):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(message if isinstance(message, bytes) else message.SerializeToString())


def case(name, nodes, inputs, outputs, sets, opset=24, file="model.onnx", domains=()):
    """sets: for each data set the messages of inputs and outputs."""
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(domain, 1) for domain in domains]
    graph = helper.make_graph(nodes, "case", inputs, outputs)
    write(folder / name / file, helper.make_model(graph, opset_imports=opsets, ir_version=11))
    for number, (given, expected) in enumerate(sets):
        place = folder / name / f"test_data_set_{number}"
        place.mkdir(parents=True, exist_ok=True)
        for kind, messages in (("input", given), ("output", expected)):
            for index, message in enumerate(messages):
                if message is not None:
                    write(place / f"{kind}_{index}.pb", message)


def array(values, name=""):
    return numpy_helper.from_array(np.asarray(values, None if isinstance(values, np.ndarray) else np.float32), name)


def sequence(tensors, name=""):
    return onnx.SequenceProto(name=name, elem_type=onnx.SequenceProto.TENSOR, tensor_values=tensors)


def optional(name, **value):
    kinds = {"tensor_value": onnx.OptionalProto.TENSOR, "sequence_value": onnx.OptionalProto.SEQUENCE}
    kind = next(iter(value), None)
    return onnx.OptionalProto(name=name, elem_type=kinds.get(kind, onnx.OptionalProto.TENSOR), **value)


def right():
    nodes, inputs, outputs, values = [], [], [], []
    for kind, value in TYPES.items():
        number, shape = getattr(TensorProto, kind), value.shape
        nodes.append(node("Identity", [f"x_{kind}"], [kind]))
        inputs.append(typed(f"x_{kind}", number, shape))
        outputs.append(typed(kind, number, shape))
        values.append((array(value, f"x_{kind}"), array(value, kind)))
    case("cases/types", nodes, inputs, outputs, [tuple(zip(*values))])

    x, y = np.array([1, 2, 3], np.float32), np.array([[4]], np.float32)
    list_type = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    case(
        "cases/sequences", [node("SequenceInsert", ["s", "x"], ["t"])],
        [helper.make_value_info("s", list_type), typed("x", shape=None)], [helper.make_value_info("t", list_type)],
        [
            ([sequence([array(y), array(x)], "s"), array(x, "x")], [sequence([array(y), array(x), array(x)], "t")]),
            ([sequence([], "s"), array(y, "x")], [sequence([array(y)], "t")]),
        ])
    optional_type = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    case(
        "cases/optionals", [node("Identity", ["o"], ["p"]), node("OptionalHasElement", ["o"], ["has"])],
        [helper.make_value_info("o", optional_type)],
        [helper.make_value_info("p", optional_type), typed("has", TensorProto.BOOL, [])],
        [
            ([optional("o", tensor_value=array(x))], [optional("p", tensor_value=array(x)), array(np.array(True), "has")]),
            ([optional("o")], [optional("p"), array(np.array(False), "has")]),
        ])
    # The files' names for values count more than their numbers; eleven sets, so that 10 comes behind 9.
    case(
        "cases/sets", [node("Sub", ["a", "b"], ["c"])], [typed("a"), typed("b")], [typed("c")],
        [([array([n, 1], "b"), array([3, 5], "a")], [array([3 - n, 4])]) for n in range(11)], file="other name.onnx")
    case(
        "cases/deeper/tolerance", [node("Identity", ["a"], ["c"])], [typed("a")], [typed("c")],
        [([array([1.01])], [array([1.0])])])
    (folder / "cases/deeper/tolerance/data.json").write_text(json.dumps({"rtol": 0.02}) + "\n")
    case(
        "cases/deeper/bfloat16", [node("Identity", ["a"], ["c"])], [typed("a", TensorProto.BFLOAT16)],
        [typed("c", TensorProto.BFLOAT16)],
        [([array(np.array([1], ml_dtypes.bfloat16))], [array(np.array([1.0078125], ml_dtypes.bfloat16))])])
    # Beside the model, without a folder of their own.
    case("cases/flat", [node("Abs", ["a"], ["c"])], [typed("a")], [typed("c")], [([array([-1, 2])], [array([1, 2])])])
    for file in (folder / "cases/flat/test_data_set_0").iterdir():
        file.rename(folder / "cases/flat" / file.name)
    (folder / "cases/flat/test_data_set_0").rmdir()


def wrong():
    def sum_case(name, given, expected, **more):
        case(f"wrong/{name}", [node("Add", ["a", "b"], ["c"])], [typed("a"), typed("b")], [typed("c")], [(given, expected)], **more)

    a, b = array([1, 2, 3]), array([10, 20, 30])
    sum_case("elements", [a, b], [array([11, 22.5, 33.0001])])
    sum_case("infinity", [a, b], [array([np.inf, 22, 33])])
    sum_case("shape", [a, b], [array([[11, 22, 33]])])
    sum_case("type", [a, b], [array(np.array([11, 22, 33], np.float64))])
    sum_case("missing_input", [a], [array([11, 22, 33])])
    sum_case("missing_output", [a, b], [])
    sum_case("another_input", [a, b, b], [array([11, 22, 33])])
    sum_case("same_name", [array([1], "a"), array([2], "a")], [array([3])])
    sum_case("cut_off", [a.SerializeToString()[:-3], b], [array([11, 22, 33])])
    sum_case("empty_file", [b"", b], [array([11, 22, 33])])
    sum_case("huge", [onnx.TensorProto(dims=[2**60], data_type=1, raw_data=b"1234"), b], [array([11, 22, 33])])
    sum_case("garbage", [b"no tensor at all", b], [array([11, 22, 33])])
    case(
        "wrong/unknown", [node("NoSuchOperator", ["a"], ["c"], domain="org.example")], [typed("a")], [typed("c")],
        [([a], [a])], domains=["org.example"])
    case(
        "wrong/random", [node("RandomUniformLike", ["a"], ["c"])], [typed("a", shape=[3])], [typed("c", shape=[3])],
        [([a], [a])])
    map_type = onnx.TypeProto(
        map_type=onnx.TypeProto.Map(key_type=TensorProto.UINT8, value_type=helper.make_tensor_type_proto(TensorProto.FLOAT, None)))
    case(
        "wrong/map", [node("Identity", ["a"], ["c"])], [helper.make_value_info("a", map_type)],
        [helper.make_value_info("c", map_type)], [([onnx.MapProto(key_type=7, keys=[1])], [onnx.MapProto(key_type=7, keys=[1])])])
    case("wrong/no_model", [node("Abs", ["a"], ["c"])], [typed("a")], [typed("c")], [([a], [a])])
    (folder / "wrong/no_model/model.onnx").unlink()


def main():
    shutil.rmtree(folder, ignore_errors=True)
    right()
    wrong()
    place = folder / "arrays"
    place.mkdir(parents=True)
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([0.5, 1, -2], np.float32)}
    np.savez(place / "stored.npz", **arrays)
    np.savez_compressed(place / "deflated.npz", **arrays)
    np.savez_compressed(place / "single.npz", np.array([0.5, 1, -2], np.float32))


if __name__ == "__main__":
    main()
