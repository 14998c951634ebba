"""Counts the floating-point operations of the products in the embedded model's graphs, from the shapes that ONNX Runtime computes:
Tests/References/flops.json (committed).

A multiply-add counts as two. Conv: 2 · elements of the output · channels and kernel of the weights; MatMul and Gemm: 2 · elements of
the output · extent that is summed over.
"""

import numpy as np
import onnx
import onnxruntime

from common import ROOT, write_json

MODEL = ROOT / "Models" / "emoji"
SHAPES = {
    "text_encoder": {"input_ids": [2, 32]},
    "unet": {"sample": [2, 4, 16, 16], "timestep": [], "encoder_hidden_states": [2, 32, 160]},
    "vae_decoder": {"latent_sample": [1, 4, 16, 16]},
}


def count(path, shapes):
    model = onnx.load(path)
    known = {output.name for output in model.graph.output}
    for node in model.graph.node:
        if node.op_type in ("Conv", "MatMul", "Gemm"):
            for name in [*node.input, *node.output]:
                if name and name not in known:
                    known.add(name)
                    model.graph.output.append(onnx.ValueInfoProto(name=name))
    initializers = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    # Initializers and inputs are known, and can't be outputs.
    given = set(initializers) | {declared.name for declared in model.graph.input}
    kept = [output for output in model.graph.output if output.name not in given]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inputs = {}
    for declared in session.get_inputs():
        dtype = {"tensor(float)": np.float32, "tensor(int64)": np.int64}[declared.type]
        inputs[declared.name] = np.ones(shapes[declared.name], dtype)
    results = session.run(None, inputs)
    sizes = {output.name: list(value.shape) for output, value in zip(session.get_outputs(), results)}
    sizes.update(initializers)
    sizes.update({name: list(value.shape) for name, value in inputs.items()})
    flops, calls = {}, {}
    for node in model.graph.node:
        if node.op_type not in ("Conv", "MatMul", "Gemm"):
            continue
        output = int(np.prod(sizes[node.output[0]]))
        if node.op_type == "Conv":
            summed = int(np.prod(sizes[node.input[1]][1:]))
        else:
            left = sizes[node.input[0]]
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            summed = left[0] if transposed else left[-1]
        flops[node.op_type] = flops.get(node.op_type, 0) + 2 * output * summed
        calls[node.op_type] = calls.get(node.op_type, 0) + 1
    return {"shapes": shapes, "flops": flops, "calls": calls}


if __name__ == "__main__":
    counts = {name: count(MODEL / name / "model.onnx", shapes) for name, shapes in SHAPES.items()}
    write_json(ROOT / "Tests" / "References" / "flops.json", counts)
