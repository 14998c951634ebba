"""Makes Tests/CommandLineTests/Fixtures/ (committed): small models whose outputs are awkward to write as files, with ONNX Runtime's
results where it can run them.

- names.onnx: inputs a [n, 3] and b [3]; outputs s = a + b, "x/y:0" = a * b and "x_y:0" = a - b, whose file names would be the same.
- sequence.onnx, string.onnx: outputs that a .npy file can't hold.
- unknown.onnx: an operator that nobody has.
- unranked.onnx: an input without a declared shape.
- names-dump/: every value of names.onnx as Tools/dump-intermediates.py writes it.
- optional.onnx: an optional output that holds a tensor.
- half/: a product of half precision that leaves its range and comes back, with ONNX Runtime's result, its dump of all values, and the
  result of onnx's own evaluator, which rounds after every node.
- habits/: models that exporters and editors leave behind: an output listed twice, an initializer defined twice, external data behind
  "sub/../" and with a length of 0.
- hostile/: models that ask for much, or for files beside the output folder.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

folder = Path(__file__).resolve().parent.parent / "CommandLineTests" / "Fixtures"


def save(name, nodes, inputs, outputs, domains=()):
    opsets = [helper.make_opsetid("", 18)] + [helper.make_opsetid(domain, 1) for domain in domains]
    graph = helper.make_graph(nodes, name, inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / f"{name}.onnx")


def tensor(name, kind=TensorProto.FLOAT, shape=("n",)):
    return helper.make_tensor_value_info(name, kind, shape)


def half():
    place = folder / "half"
    place.mkdir(exist_ok=True)
    hundred = helper.make_tensor("c", TensorProto.FLOAT16, [], [100.0])
    nodes = [helper.make_node("Mul", ["x", "c"], ["a"], "times"), helper.make_node("Div", ["a", "c"], ["y"], "by")]
    graph = helper.make_graph(nodes, "half", [tensor("x", TensorProto.FLOAT16)], [tensor("y", TensorProto.FLOAT16)], [hundred])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, place / "model.onnx")
    x = np.array([2000, 3, -700, 0.5], np.float16)
    np.save(place / "x.npy", x)
    session = onnxruntime.InferenceSession(place / "model.onnx", providers=["CPUExecutionProvider"])
    np.save(place / "outputs-y.npy", session.run(None, {"x": x})[0])
    with np.errstate(all="ignore"):
        np.save(place / "nodes-y.npy", ReferenceEvaluator(model).run(None, {"x": x})[0])
    tool = Path(__file__).resolve().parents[2] / "Tools" / "dump-intermediates.py"
    subprocess.run([sys.executable, tool, "model.onnx", "dump", "--input", "x=x.npy"], cwd=place, check=True)


def habits():
    place = folder / "habits"
    place.mkdir(exist_ok=True)
    x = np.arange(6, dtype=np.float32) / 8
    np.save(place / "x.npy", x)
    values = np.arange(1, 7, dtype=np.float32)
    (place / "w.bin").write_bytes(values.tobytes())

    def external(location, length):
        weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[6], data_location=TensorProto.EXTERNAL)
        for key, value in [("location", location), ("offset", "0"), ("length", length)]:
            weights.external_data.add(key=key, value=value)
        return [weights]

    inline = [helper.make_tensor("w", TensorProto.FLOAT, [6], values.tolist())]
    models = {
        "output-twice": (inline, ["y", "y"]),
        "initializer-twice": (inline + inline, ["y"]),
        "external-up-down": (external("sub/../w.bin", "24"), ["y"]),
        "external-length-0": (external("w.bin", "0"), ["y"]),
    }
    # ONNX Runtime follows the path through the file system, where the folder has to be.
    (place / "sub").mkdir()
    for name, (initializers, outputs) in models.items():
        graph = helper.make_graph(
            [helper.make_node("Add", ["x", "w"], ["y"])], name, [tensor("x", shape=[6])],
            [tensor(output, shape=[6]) for output in outputs], initializers)
        opsets = [helper.make_opsetid("", 18)]
        path = place / f"{name}.onnx"
        path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for number, array in enumerate(session.run(None, {"x": x})):
            np.save(place / f"{name}-output-{number}.npy", array)
    (place / "sub").rmdir()


def hostile():
    place = folder / "hostile"
    place.mkdir(exist_ok=True)
    opsets = [helper.make_opsetid("", 18)]

    def write(name, nodes, outputs, initializers=(), sparse=()):
        graph = helper.make_graph(nodes, name, [], outputs, list(initializers), sparse_initializer=list(sparse))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        (place / f"{name}.onnx").write_bytes(model.SerializeToString())

    one = helper.make_tensor("c", TensorProto.FLOAT, [1], [1])
    # A mark behind a slash makes another character of it, but no other byte.
    names = ["../\u0301evil", "..", ".hidden", "\x1b[31m"]
    write("names", [helper.make_node("Identity", ["c"], [name]) for name in names], [tensor(name, shape=[1]) for name in names], [one])
    # Doubles a constant at every node, up to 2 GB.
    chain = [helper.make_node("Concat", [f"v{i}", f"v{i}"], [f"v{i + 1}"], axis=0) for i in range(28)]
    write("fold", chain, [tensor("v28", shape=["n"])], [helper.make_tensor("v0", TensorProto.FLOAT, [2], [1, 1])])
    # Four sparse tensors of one value, each of 1 GB once it is dense.
    sparse = [
        helper.make_sparse_tensor(
            helper.make_tensor(f"x{i}", TensorProto.FLOAT, [1], [1]), helper.make_tensor("", TensorProto.INT64, [1], [0]), [1 << 28])
        for i in range(4)
    ]
    write("sparse", [helper.make_node("Relu", ["x0"], ["y"])], [tensor("y")], sparse=sparse)
    # A shape of a hundred thousand axes.
    ranks = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1] * 100_000)
    write("ranks", [helper.make_node("Relu", ["w"], ["y"])], [tensor("y")], [ranks])


def main():
    folder.mkdir(parents=True, exist_ok=True)
    node = helper.make_node
    save(
        "names",
        [node("Add", ["a", "b"], ["s"]), node("Mul", ["a", "b"], ["x/y:0"]), node("Sub", ["a", "b"], ["x_y:0"])],
        [tensor("a", shape=["n", 3]), tensor("b", shape=[3])],
        [tensor(name, shape=["n", 3]) for name in ["s", "x/y:0", "x_y:0"]],
    )
    save(
        "sequence",
        [node("SequenceConstruct", ["a", "a"], ["s"])],
        [tensor("a")],
        [helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)],
    )
    save(
        "string",
        [node("Identity", ["a"], ["s"])],
        [tensor("a", TensorProto.STRING)],
        [tensor("s", TensorProto.STRING)],
    )
    save("unknown", [node("NoSuchOperator", ["a"], ["s"], domain="example")], [tensor("a")], [tensor("s")], ["example"])
    save("unranked", [node("Neg", ["a"], ["s"])], [tensor("a", shape=None)], [tensor("s", shape=None)])
    optional = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    save("optional", [node("Optional", ["a"], ["s"])], [tensor("a")], [helper.make_value_info("s", optional)])

    half()
    habits()
    hostile()

    inputs = {
        "a": np.array([[1, -2, 3], [0.5, 4, -8]], np.float32),
        "b": np.array([2, 0.25, -1], np.float32),
    }
    session = onnxruntime.InferenceSession(folder / "names.onnx", providers=["CPUExecutionProvider"])
    for name, array in inputs.items():
        np.save(folder / f"{name}.npy", array)
    for number, array in enumerate(session.run(None, inputs)):
        np.save(folder / f"names-output-{number}.npy", array)
    tool = Path(__file__).resolve().parents[2] / "Tools" / "dump-intermediates.py"
    arrays = [part for name in inputs for part in ("--input", f"{name}={name}.npy")]
    subprocess.run([sys.executable, tool, "names.onnx", "names-dump", *arrays], cwd=folder, check=True)


if __name__ == "__main__":
    main()
