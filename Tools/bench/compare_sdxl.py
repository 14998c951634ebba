"""Times a picture of two steps at 1024×1024 by SDXL with sd-onnx and with ONNX Runtime on the same graphs, and measures the memory of both.

    compare_sdxl.py MODEL_FOLDER [--half FOLDER] [--steps 2] [--rounds 1] [--threads 2] [--json FILE]

MODEL_FOLDER is a full-size SDXL export (Tools/export-sdxl.py makes one with random weights), --half one of its half-precision exports.
sd-onnx makes the picture with its own command, by default and with --low-memory. ONNX Runtime runs the same graphs as often, each in a
process of its own, so that its memory is that of the largest graph and not of all; the scheduler's arithmetic, which takes
milliseconds, is left out. The variants take turns in each round; the ratio is that of the medians.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import peers

SIDE, TOKENS = 128, 77  # latents of 1024 pixels
# What the prompt and its negative take of each graph, by the names of its inputs.
SHAPES = {
    "input_ids": (2, TOKENS),
    "sample": (2, 4, SIDE, SIDE),
    "timestep": (),
    "encoder_hidden_states": (2, TOKENS, 2048),
    "text_embeds": (2, 1280),
    "time_ids": (2, 6),
    "latent_sample": (1, 4, SIDE, SIDE),
}


def run_graph(path, runs, threads, answer):
    """A process of ONNX Runtime: writes the seconds that loading and all runs took."""
    import onnxruntime

    start = time.perf_counter()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    loaded = time.perf_counter()
    generator = np.random.default_rng(0)
    inputs = {}
    for declared in session.get_inputs():
        shape = SHAPES[declared.name]
        drawn = generator.integers(0, 1000, shape) if declared.name == "input_ids" else generator.standard_normal(shape)
        drawn = np.full(shape, 500) if declared.name == "timestep" else drawn
        inputs[declared.name] = np.asarray(drawn).astype(peers.ONNX_TYPES[declared.type])
    for _ in range(runs):
        session.run(None, inputs)
    Path(answer).write_text(json.dumps({"load": loaded - start, "run": time.perf_counter() - loaded}))


def peer(model, options, folder):
    total, memory, stages = 0, 0, {}
    for graph, runs in (("text_encoder", 1), ("text_encoder_2", 1), ("unet", options.steps), ("vae_decoder", 1)):
        answer = Path(folder) / "answer.json"
        file = str(model / graph / "model.onnx")
        seconds, peak = peers.run([sys.executable, __file__, file, "--graph", str(runs), "--threads", str(options.threads), "--json", str(answer)])
        stages[graph] = json.loads(answer.read_text())["run"]
        total, memory = total + seconds, max(memory, peak)
    return {"total": total, "memory": memory, "stages": stages}


def own(program, model, further, options, folder):
    report = Path(folder) / "report.json"
    command = f'exec "$0" "$@" > "{report}"'
    arguments = ["generate", "a castle", "-m", str(model), "--steps", str(options.steps), "--cfg-scale", "5", "-s", "1", "-t", str(options.threads)]
    arguments += ["-W", "1024", "-H", "1024", "--quiet", "--json", "-o", str(Path(folder) / "picture.png"), *further]
    total, memory = peers.run(["sh", "-c", command, program, *arguments])
    seconds = json.loads(report.read_text())["seconds"]
    return {"total": total, "memory": memory, "stages": {stage: time for stage, time in seconds.items() if stage != "unet_evaluations"}}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("model", type=Path)
    arguments.add_argument("--half", type=Path, help="a half-precision export of the same model")
    arguments.add_argument("--steps", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--variants", nargs="+", help="only those whose names are given")
    arguments.add_argument("--json", help="where to write the figures")
    arguments.add_argument("--graph", type=int, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.graph:
        return run_graph(str(options.model), options.graph, options.threads, options.json)
    program = str(peers.PROGRAM)
    with tempfile.TemporaryDirectory() as folder:
        variants = {
            "sd-onnx": lambda: own(program, options.model, [], options, folder),
            "sd-onnx --low-memory": lambda: own(program, options.model, ["--low-memory"], options, folder),
            "onnxruntime": lambda: peer(options.model, options, folder),
        }
        if options.half:
            variants["sd-onnx half"] = lambda: own(program, options.half, [], options, folder)
            variants["sd-onnx half --low-memory"] = lambda: own(program, options.half, ["--low-memory"], options, folder)
            variants["onnxruntime half"] = lambda: peer(options.half, options, folder)
        names = options.variants or list(variants)
        figures = {name: [] for name in names}
        for _ in range(options.rounds):
            for name in names:
                figures[name].append(variants[name]())
                last = figures[name][-1]
                stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in last["stages"].items())
                print(f"{name}: {last['total']:.1f} s, {last['memory'] / 1e9:.2f} GB ({stages})", flush=True)
    for name in names:
        median = statistics.median(figure["total"] for figure in figures[name])
        print(f"{name}: median {median:.1f} s, {max(figure['memory'] for figure in figures[name]) / 1e9:.2f} GB")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
