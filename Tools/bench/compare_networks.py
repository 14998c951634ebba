#!/usr/bin/env python3
"""Times sd-onnx against ONNX Runtime on ordinary networks, alternating, and checks the outputs against each other.

    compare_networks.py [FOLDER] [--rows magika ... | --packaged | --architectures] [--rounds 5] [--threads 2] [--minimum] [--program FILE] [--json FILE]

FOLDER keeps the graphs (network_models.py; the test data's cache by default). In each round both programs have their turn: as many warm
runs as fit into half a second, of which the median counts, or with --minimum the quickest, which other work on the machine disturbs
least. The ratio is that of the medians (or minimums) over all rounds: above 1 sd-onnx is faster. The relative error is the largest
difference of an output over its largest magnitude; some networks make next to nothing of noise, and then it is large. --packaged takes
the graphs of package_networks.json (0.6 GB of packages), --architectures those of architecture_models.py.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import architecture_models
import network_models

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("SD_ONNX_TEST_CACHE", Path.home() / ".cache/sd-onnx"))


def make_inputs(session, shapes):
    generator = np.random.default_rng(0)
    inputs = {}
    for value in session.get_inputs():
        shape = shapes[value.name]
        if "int" in value.type:
            kind = np.int64 if "64" in value.type else np.int32
            if value.name in network_models.NUMBERS:
                inputs[value.name] = np.full(shape, network_models.NUMBERS[value.name], kind)
            else:
                # No more than the smallest vocabulary has.
                inputs[value.name] = np.ones(shape, kind) if "mask" in value.name else generator.integers(0, 5, shape).astype(kind)
        else:
            inputs[value.name] = generator.standard_normal(shape).astype(np.float32)
    return inputs


def arguments(option, names, values):
    return [part for name, value in zip(names, values) for part in (option, f"{name}={value}")]


def own_times(program, graph, files, threads, iterations):
    command = [program, "bench", str(graph), "--threads", str(threads), "--iterations", str(iterations), "--warmup", "2"]
    command += ["--json", "-", *arguments("--input", files, files.values())]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)["run_ms"]


def own_error(program, graph, files, expected, threads, folder):
    command = [program, "run", str(graph), "--threads", str(threads), "--output-dir", str(folder), "--output-format", "npz"]
    subprocess.run([*command, *arguments("--input", files, files.values())], check=True, stdout=subprocess.DEVNULL)
    found = np.load(folder / "outputs.npz")
    errors = [0.0]
    for own, value in zip((found[name] for name in found.files), expected.values(), strict=True):
        if value.dtype.kind == "f":
            errors.append(float(np.abs(own - value).max() / max(np.abs(value).max(), 1e-30)))
        else:
            errors.append(float((own != value).mean()))
    return max(errors)


def compare(name, options):
    import onnxruntime

    is_architecture = name in architecture_models.ARCHITECTURES
    graph = (architecture_models if is_architecture else network_models).make(name, options.folder)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    # Not that an output has another shape than the file declares, as one of them says in each run.
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(graph), settings, providers=["CPUExecutionProvider"])
    shapes = architecture_models.shapes(name, session) if is_architecture else network_models.shapes(name)
    inputs = make_inputs(session, shapes)
    names = [output.name for output in session.get_outputs()]
    expected = dict(zip(names, session.run(None, inputs)))

    def peer_times(seconds, most):
        times = []
        while sum(times) < seconds and len(times) < most:
            start = time.perf_counter()
            session.run(None, inputs)
            times.append(time.perf_counter() - start)
        return [1000 * t for t in times]

    best = min if options.minimum else statistics.median
    with tempfile.TemporaryDirectory() as folder:
        files = {key: str(Path(folder) / f"{index}.npy") for index, key in enumerate(inputs)}
        for key, value in inputs.items():
            np.save(files[key], value)
        error = own_error(options.program, graph, files, expected, options.threads, Path(folder))
        peer_times(0.2, 10)
        own, peer = [], []
        for _ in range(options.rounds):
            peer.append(best(peer_times(0.5, 1000)))
            count = max(3, min(1000, int(500 / peer[-1])))
            own.append(best(own_times(options.program, graph, files, options.threads, count)))
    own, peer = best(own), best(peer)
    return {"network": name, "onnxruntime_ms": peer, "sd_onnx_ms": own, "ratio": peer / own, "relative_error": error}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=CACHE / "networks")
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument("--rows", nargs="+", default=[*network_models.TRAINED, *network_models.EXPORTED])
    rows.add_argument("--packaged", dest="rows", action="store_const", const=[*network_models.PACKAGED])
    rows.add_argument("--architectures", dest="rows", action="store_const", const=[*architecture_models.ARCHITECTURES])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minimum", action="store_true")
    parser.add_argument("--program", default=str(ROOT / ".build/release/sd-onnx"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = []
    print("| network | ONNX Runtime | sd-onnx | times as fast | relative error |\n|---|---|---|---|---|")
    for name in options.rows:
        results.append(row := compare(name, options))
        print(
            f"| {name} | {row['onnxruntime_ms']:.2f} ms | {row['sd_onnx_ms']:.2f} ms | {row['ratio']:.2f} |"
            f" {row['relative_error']:.1e} |", flush=True)
    ratios = [row["ratio"] for row in results]
    print(
        f"\ngeometric mean {math.exp(statistics.mean(map(math.log, ratios))):.2f}, {sum(ratio < 0.8 for ratio in ratios)} of"
        f" {len(ratios)} below 0.8")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
