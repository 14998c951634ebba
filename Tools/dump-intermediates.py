#!/usr/bin/env python3
"""Runs a model in ONNX Runtime and writes every value that a node computes as .npy, for "sd-onnx compare MODEL --reference DIR".

    dump-intermediates.py MODEL.onnx DIR [--input NAME=FILE.npy ...] [--shape NAME=2,4,64,64 ...] [--seed N]

Inputs that aren't given are standard normal numbers (ones where they are integers, true where they are booleans), with 1 for symbolic
extents that no --shape states; they are written too, so that compare runs on the same. index.json lists the files:
    {"model": ..., "inputs": {name: file}, "values": {name: file}}
Needs numpy, onnx and onnxruntime. Values inside of the graphs of If, Loop and Scan aren't written. ONNX Runtime's optimizations are
off, so that each node computes what the file says.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

NUMPY = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint64)": np.uint64,
    "tensor(uint32)": np.uint32,
    "tensor(uint16)": np.uint16,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


def named(text):
    name, separator, rest = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"{text}: expected NAME=…")
    return name, rest


def file_names(names):
    """A file for each name: characters that can't be in one become _, and a number tells names apart that then collide."""
    used, result = set(), {}
    for name in names:
        base = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)[:180] or "_"
        candidate, number = base, 2
        while candidate.lower() in used:
            candidate, number = f"{base}_{number}", number + 1
        used.add(candidate.lower())
        result[name] = candidate + ".npy"
    return result


def make_input(declared, shapes, generator):
    dtype = NUMPY.get(declared.type)
    if dtype is None:
        raise SystemExit(f'The input "{declared.name}" is {declared.type}: give it with --input.')
    shape = shapes.get(declared.name) or [extent if isinstance(extent, int) else 1 for extent in declared.shape]
    if np.issubdtype(dtype, np.floating):
        return generator.standard_normal(shape).astype(dtype)
    return np.ones(shape, dtype)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--input", type=named, action="append", default=[], metavar="NAME=FILE.npy")
    parser.add_argument("--shape", type=named, action="append", default=[], metavar="NAME=2,4,64,64")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    model = onnx.load(arguments.model, load_external_data=False)
    known = {output.name for output in model.graph.output}
    values = [name for node in model.graph.node for name in node.output if name]
    for name in values:
        if name not in known:
            known.add(name)
            model.graph.output.append(onnx.ValueInfoProto(name=name))

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Beside the model, so that paths of external data hold.
    with tempfile.NamedTemporaryFile(suffix=".onnx", dir=arguments.model.resolve().parent) as file:
        file.write(model.SerializeToString())
        file.flush()
        session = onnxruntime.InferenceSession(file.name, options, providers=["CPUExecutionProvider"])

    generator = np.random.default_rng(arguments.seed)
    shapes = {name: [int(part) for part in text.split(",") if part] for name, text in arguments.shape}
    files = dict(arguments.input)
    inputs = {
        declared.name: np.load(files[declared.name]) if declared.name in files else make_input(declared, shapes, generator)
        for declared in session.get_inputs()
    }
    results = dict(zip([output.name for output in session.get_outputs()], session.run(None, inputs)))

    arguments.folder.mkdir(parents=True, exist_ok=True)
    names = file_names(list(inputs) + values)
    index = {"model": str(arguments.model), "inputs": {}, "values": {}}
    for kind, arrays in (("inputs", inputs), ("values", {name: results[name] for name in values if name in results})):
        for name, array in arrays.items():
            # Sequences and optionals have no .npy form, texts none that is read.
            if isinstance(array, np.ndarray) and array.dtype.kind in "fiub":
                np.save(arguments.folder / names[name], array)
                index[kind][name] = names[name]
    (arguments.folder / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    print(f"{len(index['values'])} values in {arguments.folder}")


if __name__ == "__main__":
    main()
