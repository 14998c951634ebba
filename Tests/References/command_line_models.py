"""Makes Tests/CommandLineTests/Fixtures/ (committed): small models whose outputs are awkward to write as files, with ONNX Runtime's
results where it can run them.

- names.onnx: inputs a [n, 3] and b [3]; outputs s = a + b, "x/y:0" = a * b and "x_y:0" = a - b, whose file names would be the same.
- sequence.onnx, string.onnx: outputs that a .npy file can't hold.
- unknown.onnx: an operator that nobody has.
- unranked.onnx: an input without a declared shape.
- names-dump/: every value of names.onnx as Tools/dump-intermediates.py writes it.
- optional.onnx: an optional output that holds a tensor.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

folder = Path(__file__).resolve().parent.parent / "CommandLineTests" / "Fixtures"


def save(name, nodes, inputs, outputs, domains=()):
    opsets = [helper.make_opsetid("", 18)] + [helper.make_opsetid(domain, 1) for domain in domains]
    graph = helper.make_graph(nodes, name, inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / f"{name}.onnx")


def tensor(name, kind=TensorProto.FLOAT, shape=("n",)):
    return helper.make_tensor_value_info(name, kind, shape)


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
