"""Times whole pictures, from the command to the PNG, with sd-onnx and with plain loops over ONNX Runtime and OpenVINO, in turn in one run.

    compare_pictures.py MODEL_FOLDER [--half FOLDER] [--sizes 512] [--steps 20] [--threads 2] [--precisions fp32 bf16] [--peers …]
                        [--options="--fast" …] [--rounds 1] [--csv FILE] [--plot FILE.svg]

MODEL_FOLDER is a full-size Stable Diffusion 1.5 export (Tools/export-sd15.py makes one with random weights), --half its half-precision
export. A peer's picture is what diffusers' pipeline does with these graphs: text encoder, diffusers' Euler scheduler with guidance 7.5 and
two rows a step, VAE decoder, PNG by Pillow, in a process of its own; "without loading" leaves out what comes before the first token,
Python's imports among it. sd-onnx is its command with everything: start, loading, packing and writing.
"""

import argparse
import csv
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import peers

GUIDANCE = 7.5
PROMPT = "a castle on a hill, oil painting"


def peer_picture(peer, model, size, steps, threads, precision, output):
    """The loop of a peer's process, which writes its figures."""
    from diffusers import EulerDiscreteScheduler
    from PIL import Image
    from transformers import CLIPTokenizer
    import torch

    model, side = Path(model), size // 8
    shapes = {"input_ids": (2, 77), "sample": (2, 4, side, side), "timestep": (), "encoder_hidden_states": (2, 77, 768)}
    shapes["latent_sample"] = (1, 4, side, side)
    graphs = [model / name / "model.onnx" for name in ("text_encoder", "unet", "vae_decoder")]
    text_encoder, unet, decoder = (peers.load(peer, graph, threads, precision, shapes) for graph in graphs)
    tokenizer = CLIPTokenizer.from_pretrained(model / "tokenizer")
    scheduler = EulerDiscreteScheduler.from_pretrained(model / "scheduler")
    start, seconds = time.perf_counter(), []
    ids = tokenizer([PROMPT, ""], padding="max_length", max_length=77, truncation=True).input_ids
    states = text_encoder({"input_ids": np.array(ids)})
    scheduler.set_timesteps(steps)
    latents = torch.randn((1, 4, side, side), generator=torch.Generator().manual_seed(1)) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        begin = time.perf_counter()
        sample = scheduler.scale_model_input(torch.cat([latents] * 2), timestep).numpy()
        prediction = unet({"sample": sample, "timestep": float(timestep), "encoder_hidden_states": states})
        prompt, negative = torch.from_numpy(np.array(prediction, np.float32)).chunk(2)
        latents = scheduler.step(negative + GUIDANCE * (prompt - negative), timestep, latents).prev_sample
        seconds.append(time.perf_counter() - begin)
    picture = decoder({"latent_sample": latents.numpy() / 0.18215})[0]
    pixels = ((np.asarray(picture, np.float32).transpose(1, 2, 0) / 2 + 0.5).clip(0, 1) * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(output)
    peers.answer(without_loading=time.perf_counter() - start, steps=seconds)


def figures(total, memory, steps, without_loading):
    later = statistics.median(steps[1:]) if len(steps) > 1 else steps[0]
    return {
        "seconds": total,
        "without loading": without_loading,
        "first step": steps[0],
        "second step": steps[1] if len(steps) > 1 else None,
        "later steps": later,
        "memory": memory,
    }


def picture(row, options, folder):
    """Makes a picture as a row says; its figures."""
    model = options.half if row["model"] == "half" else options.model
    output, answer = folder / "picture.png", folder / "answer.json"
    if row["program"] == "sd-onnx":
        command = [peers.PROGRAM, "generate", PROMPT, "--model", model, "--steps", options.steps, "--cfg-scale", GUIDANCE, "--seed", 1]
        command += ["--width", row["size"], "--height", row["size"], "--scheduler", options.scheduler, "--threads", row["threads"]]
        command += ["--precision", row["precision"], "--quiet", "--json", "--output", output, *row["options"].split()]
    else:
        command = [sys.executable, __file__, "--peer", row["program"], model, row["size"], options.steps, row["threads"], row["precision"], output]
    quoted = ["sh", "-c", f'exec "$0" "$@" > "{answer}"', *map(str, command)]
    total, memory = peers.run(quoted)
    said = json.loads(answer.read_text())
    if row["program"] == "sd-onnx":
        return figures(total, memory, said["seconds"]["unet_evaluations"], said["seconds"]["total"])
    return figures(total, memory, said["steps"], said["without_loading"])


def all_rows(options):
    rows = []
    models = ["float32"] + (["half"] if options.half else [])
    for size in options.sizes:
        for threads in options.threads:
            for model in models:
                for precision in options.precisions:
                    row = {"size": size, "threads": threads, "model": model, "precision": precision}
                    rows += [{**row, "program": "sd-onnx", "options": further} for further in ["", *options.options]]
                    for peer in options.peers:
                        # Of the others, peers have none that turns a graph of float32 into it as it runs.
                        if precision == "fp32" or (peer, precision) == ("openvino", "bf16"):
                            rows.append({**row, "program": peer, "options": ""})
    return rows


def plot(results, file):
    """Seconds a picture over its pixels, both logarithmic, so that equal growth is a straight line."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "sd-onnx"
    import matplotlib.pyplot as pyplot

    figure, axis = pyplot.subplots(figsize=(8, 5))
    lines = {}
    for row in results:
        words = [row["program"], row["options"], row["precision"], row["model"] if row["model"] != "float32" else ""]
        name = " ".join(word for word in words if word) + f", {row['threads']} threads"
        lines.setdefault(name, []).append((row["size"] ** 2, row["seconds"]))
    for name, points in lines.items():
        axis.plot(*zip(*sorted(points)), marker="o", label=name)
    sizes = sorted({row["size"] for row in results})
    axis.set(xscale="log", yscale="log", xlabel="size", ylabel="seconds from the command to the PNG")
    axis.set_xticks([size**2 for size in sizes], [f"{size}×{size}" for size in sizes])
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def main():
    if sys.argv[1:2] == ["--peer"]:
        peer, model, size, steps, threads, precision, output = sys.argv[2:]
        return peer_picture(peer, model, int(size), int(steps), int(threads), precision, output)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--half", type=Path, help="a half-precision export of the same model")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512], help="pixels of each side")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--scheduler", default="euler", help="of sd-onnx; the peers' is Euler's")
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--precisions", nargs="+", choices=["fp32", "bf16", "int8"], default=["fp32", "bf16"])
    parser.add_argument("--peers", nargs="*", choices=peers.NAMES, default=peers.NAMES)
    parser.add_argument("--options", nargs="*", default=[], help="options of sd-onnx in quotation marks, each a row of its own")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    rows = all_rows(options)
    runs = [[] for _ in rows]
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for row, measured in zip(rows, runs):
                measured.append(picture(row, options, Path(folder)))
    results = []
    for row, measured in zip(rows, runs):
        medians = {key: statistics.median(run[key] for run in measured) for key in measured[0] if measured[0][key] is not None}
        results.append({**row, "steps": options.steps, **medians})
    for row in results:
        others = [other for other in results if other["program"] != "sd-onnx" and all(other[key] == row[key] for key in ("size", "threads", "model", "precision"))]
        beside = ", ".join(f"{other['seconds'] / row['seconds']:.2f} times as fast as {other['program']}" for other in others)
        print(
            f"{row['program']} {row['options']} {row['size']}×{row['size']} {row['precision']} {row['model']} {row['threads']} threads: {row['seconds']:.1f} s, "
            f"{row['without loading']:.1f} s without loading, first step {row['first step']:.2f} s, later {row['later steps']:.2f} s, "
            f"{row['memory'] / 1e9:.2f} GB" + (f"; {beside}" if row["program"] == "sd-onnx" and beside else ""), flush=True)
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            writer = csv.DictWriter(file, dict.fromkeys(key for row in results for key in row))
            writer.writeheader()
            writer.writerows(results)
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
