"""What the comparisons share: runs of a program with its time and memory, and graphs in the peers' runtimes."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".build" / "release" / "sd-onnx"
NAMES = ["onnxruntime", "openvino"]
ONNX_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64, "tensor(int32)": np.int32}


def run(command):
    """Seconds and the largest resident memory in bytes of a process that has to succeed."""
    start = time.perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)}: status {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024


def load(peer, graph, threads, precision="fp32", shapes=None):
    """A function from arrays by name to the first output, of a graph in a peer's runtime. OpenVINO compiles it for the shapes."""
    if peer == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        types = {declared.name: ONNX_TYPES[declared.type] for declared in session.get_inputs()}
        return lambda inputs: session.run(None, {name: np.asarray(inputs[name]).astype(types[name]) for name in types})[0]
    import openvino

    model = openvino.Core().read_model(str(graph))
    types = {declared.get_any_name(): declared.get_element_type().to_dtype() for declared in model.inputs}
    model.reshape({name: list(shapes[name]) for name in types})
    hint = {"fp32": "f32", "bf16": "bf16"}[precision]
    settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    if compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() != hint:
        sys.exit(f"OpenVINO doesn't compute in {hint} on this machine")
    request = compiled.create_infer_request()
    return lambda inputs: request.infer({name: np.asarray(inputs[name]).astype(types[name]) for name in types})[0]


def answer(**figures):
    """Says something to the process that asked."""
    print(json.dumps(figures), flush=True)
