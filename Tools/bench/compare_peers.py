"""Times sd-onnx against ONNX Runtime and OpenVINO on the same graphs, alternating in one run, and checks the outputs against each other.

    compare_peers.py MODEL_FOLDER [--rows unet-64 ...] [--rounds 3] [--threads 2] [--precision bf16] [--json FILE]

MODEL_FOLDER is a full-size Stable Diffusion 1.5 export (Tools/export-sd15.py makes one with random weights). Every peer is a process of
its own that loads once and runs when it is told to; in each round all take their turn, so that what else happens on the machine
happens to all of them. The ratio is that of the medians. sd-onnx is measured by its own `bench`, one warm run a round. With
--precision bf16, sd-onnx and OpenVINO are told to round factors to bfloat16; ONNX Runtime stays in single precision, and the relative
error is the difference from that.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import peers

# Name: graph, shapes of its inputs (None for the prompt's token ids).
ROWS = {
    "unet-64": ("unet", {"sample": (2, 4, 64, 64), "timestep": (), "encoder_hidden_states": (2, 77, 768)}),
    "unet-32": ("unet", {"sample": (1, 4, 32, 32), "timestep": (), "encoder_hidden_states": (1, 77, 768)}),
    "vae-decoder": ("vae_decoder", {"latent_sample": (1, 4, 64, 64)}),
    "text-encoder": ("text_encoder", {"input_ids": (2, 77)}),
}


def make_inputs(shapes):
    generator = np.random.default_rng(0)
    inputs = {}
    for name, shape in shapes.items():
        if name == "input_ids":
            inputs[name] = generator.integers(0, 1000, shape).astype(np.int64)
        elif name == "timestep":
            inputs[name] = np.full(shape, 500, np.int64)
        elif name == "attention_mask":
            inputs[name] = np.ones(shape, np.int64)
        else:
            inputs[name] = generator.standard_normal(shape).astype(np.float32)
    return inputs


def serve(peer, graph, folder, threads, precision):
    """The loop of a peer's process: loads, then runs once for every line that it reads."""
    inputs = {path.stem: np.load(path) for path in Path(folder).glob("*.npy")}
    start = time.perf_counter()
    run = peers.load(peer, graph, threads, precision, {name: value.shape for name, value in inputs.items()})
    peers.answer(load=time.perf_counter() - start)
    for _ in sys.stdin:
        start = time.perf_counter()
        result = run(inputs)
        seconds = time.perf_counter() - start
        np.save(Path(folder) / f"{peer}.out", result)
        peers.answer(seconds=seconds)


class Peer:
    def __init__(self, name, graph, folder, options):
        command = [sys.executable, __file__, "--serve", name, str(graph), str(folder), str(options.threads), options.precision]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{name} didn't load the model")
        self.load = json.loads(answer)["load"]

    def run(self):
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def run_own(program, graph, shapes, options, folder):
    report = Path(folder) / "bench.json"
    command = [program, "bench", str(graph), "--iterations", "1", "--warmup", "1", "--json", str(report)]
    command += ["--threads", str(options.threads), "--precision", options.precision]
    for name, shape in shapes.items():
        if shape:
            command += ["--shape", f"{name}={','.join(map(str, shape))}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    figures = json.loads(report.read_text())
    return figures["median_ms"] / 1000, (figures["load_ms"] + figures["specialise_ms"] + figures["plan_ms"]) / 1000


def own_output(program, graph, inputs, precision, folder):
    command = [program, "run", str(graph), "--output-dir", str(Path(folder) / "own"), "--quiet", "--precision", precision]
    import onnxruntime

    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    for declared in session.get_inputs():
        path = Path(folder) / f"{declared.name}.typed"
        with open(path, "wb") as file:
            np.save(file, inputs[declared.name].astype(peers.ONNX_TYPES[declared.type]))
        command += ["--input", f"{declared.name}={path}"]
    first = session.get_outputs()[0].name
    del session
    subprocess.run(command, check=True)
    return np.load(Path(folder) / "own" / f"{first}.npy")


def measure(row, options, program):
    component, shapes = ROWS[row]
    graph = options.model / component / "model.onnx"
    inputs = make_inputs(shapes)
    with tempfile.TemporaryDirectory() as folder:
        for name, value in inputs.items():
            np.save(Path(folder) / f"{name}.npy", value)
        processes = {name: Peer(name, graph, folder, options) for name in options.peers}
        for peer in processes.values():
            peer.run()
        times = {name: [] for name in ["sd-onnx", *processes]}
        loads = {name: peer.load for name, peer in processes.items()}
        for _ in range(options.rounds):
            seconds, loads["sd-onnx"] = run_own(program, graph, shapes, options, folder)
            times["sd-onnx"].append(seconds)
            for name, peer in processes.items():
                times[name].append(peer.run())
        outputs = {name: np.load(Path(folder) / f"{name}.out.npy") for name in processes}
        for peer in processes.values():
            peer.close()
        medians = {name: statistics.median(values) for name, values in times.items()}
        own = own_output(program, graph, inputs, options.precision, folder)
    errors = {name: float(np.abs(own - value).max() / np.abs(value).max()) for name, value in outputs.items()}
    return {
        "row": row,
        "precision": options.precision,
        "seconds": medians,
        "all_seconds": times,
        "load_seconds": loads,
        "ratio": {name: medians[name] / medians["sd-onnx"] for name in processes},
        "relative_error": errors,
    }


def main():
    if sys.argv[1:2] == ["--serve"]:
        return serve(*sys.argv[2:5], int(sys.argv[5]), sys.argv[6])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--peers", nargs="*", choices=peers.NAMES, default=peers.NAMES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = []
    for row in options.rows:
        result = measure(row, options, str(peers.PROGRAM))
        results.append(result)
        seconds = ", ".join(f"{name} {value:.3f} s" for name, value in result["seconds"].items())
        ratios = ", ".join(f"{value:.2f} times as fast as {name}" for name, value in result["ratio"].items())
        errors = ", ".join(f"{value:.1e} from {name}" for name, value in result["relative_error"].items())
        print(f"{row}: {seconds}; {ratios}; relative error {errors}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
