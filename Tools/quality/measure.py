"""Measures what fewer evaluations cost in quality: 64 prompts of the embedded model, made in full and with each setting, at the same seeds.

    measure.py [--steps 20] [--scheduler ddim ...] [--settings "--cache deep:3" ...] [--csv FILE] [--plot FILE.svg] [--sheet FILE.png]

A setting's pictures are compared with those of all steps in full: PSNR in dB (the mean over the pictures) and SSIM (Wang et al. 2004, by
scikit-image). Beside them are the pictures of fewer steps, which is what one would do without these settings: what a setting gains is
how much nearer its pictures are than those of fewer steps that take the same time, on the line between the measured ones. Times are those of the
run from the text encoder to the picture, the median over the pictures of the fastest of three rounds, in which all settings take turns.
"""

import argparse
import csv
import itertools
import json
import math
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "Models" / "emoji"
BACKGROUNDS = ["", " on a black background", " on a red background", " on a green background", " on a blue background"]
BACKGROUNDS += [" on a yellow background", " on a pink background", " on a gray background"]
FULL = ""


def prompts(count):
    """Concepts at equal distances of the list that the model was trained on, each with the next background."""
    lines = (ROOT / "Tools" / "train-emoji" / "concepts.txt").read_text().split("\n")
    names = [line.split("=")[-1].strip() for line in lines if line.strip()]
    chosen = [names[index * len(names) // count] for index in range(count)]
    return [f"a {name}{background}" for name, background in zip(chosen, itertools.cycle(BACKGROUNDS))]


def settings(steps):
    """What is compared: options of the command line, by groups that the plot shows as lines."""
    fewer = sorted({round(steps * share) for share in (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)}, reverse=True)
    groups = {"fewer steps": [f"--steps {count}" for count in fewer]}
    groups["deep"] = [f"--cache deep:{interval}" for interval in (2, 3, 5)]
    groups["deep, branch 2"] = [f"--cache deep:{interval}:2" for interval in (2, 3, 5)]
    groups["deep from 0.2 on"] = [f"--cache deep:{interval}:0:0.2" for interval in (2, 3, 5)]
    groups["deep, branch 2, from 0.2 on"] = [f"--cache deep:{interval}:2:0.2" for interval in (3, 5, 7)]
    groups["forecast"] = [f"--cache forecast:{threshold}" for threshold in (0.02, 0.05, 0.1, 0.2)]
    groups["forecast and deep, branch 2"] = [f"--cache forecast:{threshold}+deep:2:2" for threshold in (0.1, 0.2, 0.3)]
    groups["guidance to"] = [f"--cfg-interval 0,{end}" for end in (0.8, 0.6)]
    groups["guidance from"] = [f"--cfg-interval {start},1" for start in (0.2, 0.4)]
    groups["fast"] = ["--fast"]
    return groups


class Study:
    def __init__(self, options, scheduler, folder):
        self.options, self.scheduler, self.folder = options, scheduler, Path(folder)
        self.prompts = prompts(options.prompts)
        self.list = self.folder / "prompts.txt"
        self.list.write_text("\n".join(self.prompts) + "\n")
        self.pictures, self.seconds = {}, {}

    def make(self, setting):
        """Makes the pictures of a setting; false where the program refuses it for this scheduler."""
        command = [self.options.program, "generate", "--model", MODEL, "--prompts", self.list, "--output", self.folder / "%n.png"]
        command += ["--steps", str(self.options.steps), "--scheduler", self.scheduler, "--cfg-scale", "5", "--seed", "7"]
        command = [str(part) for part in command + ["--quiet", "--json"]]
        # A setting with steps of its own replaces those.
        words = setting.split()
        if "--steps" in words:
            command[command.index("--steps") + 1] = words[1]
            words = words[2:]
        result = subprocess.run(command + words, capture_output=True, text=True)
        if result.returncode:
            if "don't suit" not in result.stderr:
                raise SystemExit(f"{setting}: {result.stderr}")
            return False
        decoder, text, seconds = json.JSONDecoder(), result.stdout.lstrip(), []
        while text:
            record, end = decoder.raw_decode(text)
            text = text[end:].lstrip()
            seconds.append(record["seconds"]["total"])
        self.seconds.setdefault(setting, []).append(statistics.median(seconds))
        if setting not in self.pictures:
            files = [self.folder / f"{number + 1}.png" for number in range(len(self.prompts))]
            self.pictures[setting] = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
        return True

    def row(self, group, setting):
        full, own = self.pictures[FULL], self.pictures[setting]
        errors = ((full.astype(float) - own) ** 2).mean(axis=(1, 2, 3))
        # A picture that is the same to the bit counts as 60 dB, which is more than rounding to 8 bits leaves.
        psnr = [min(60.0, 10 * math.log10(255**2 / error)) if error else 60.0 for error in errors]
        ssim = [structural_similarity(a, b, channel_axis=2) for a, b in zip(full, own)]
        return {
            "scheduler": self.scheduler,
            "steps": self.options.steps,
            "group": group,
            "setting": setting or "in full",
            "seconds": min(self.seconds[setting]),
            "times as fast": min(self.seconds[FULL]) / min(self.seconds[setting]),
            "psnr": statistics.mean(psnr),
            "lowest psnr": min(psnr),
            "ssim": statistics.mean(ssim),
        }


def at_same_time(rows, seconds, key):
    """What fewer steps reach in so much time, on the line between the measured ones; nil where none take so little."""
    line = sorted((row["seconds"], row[key]) for row in rows if row["group"] == "fewer steps")
    if not line or not line[0][0] <= seconds <= line[-1][0]:
        return None
    return float(np.interp(seconds, *zip(*line)))


def measure(options, scheduler):
    groups = settings(options.steps)
    if options.settings:
        groups = {"fewer steps": groups["fewer steps"], "own": options.settings}
    groups["sheet"] = sorted(set(options.on_sheet) - set(itertools.chain(*groups.values())))
    with tempfile.TemporaryDirectory() as folder:
        study = Study(options, scheduler, folder)
        study.make(FULL)
        refused = {setting for group in groups.values() for setting in group if not study.make(setting)}
        for _ in range(options.rounds - 1):
            for setting in [FULL, *itertools.chain(*groups.values())]:
                if setting not in refused:
                    study.make(setting)
        rows = [study.row("in full", FULL)]
        rows += [study.row(group, setting) for group in groups for setting in groups[group] if setting not in refused]
        for row in rows:
            for key in ("psnr", "ssim"):
                row[f"{key} of fewer steps"] = at_same_time(rows, row["seconds"], key)
        return rows, study


def plot(results, file):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "sd-onnx"
    import matplotlib.pyplot as pyplot

    # A group has one colour on all sides, and is in the legend once.
    names = list(dict.fromkeys(row["group"] for rows in results.values() for row in rows if row["group"] not in ("in full", "sheet")))
    colours = {name: f"C{index}" for index, name in enumerate(names)} | {"fewer steps": "black", "fast": "black"}
    lines = {}
    figure, axes = pyplot.subplots(1, len(results), figsize=(6.2 * len(results), 4.8), sharey=True, squeeze=False)
    for axis, (scheduler, rows) in zip(axes[0], results.items()):
        for group in names:
            points = sorted((row["seconds"] * 1000, row["psnr"]) for row in rows if row["group"] == group)
            style = {"fewer steps": {"linewidth": 2}, "fast": {"marker": "*", "markersize": 14, "linewidth": 0}}
            style = style.get(group, {"marker": "o", "markersize": 4, "linewidth": 1})
            if points:
                lines[group] = axis.plot(*zip(*points), color=colours[group], **style)[0]
        full = next(row for row in rows if row["group"] == "in full")
        axis.axvline(full["seconds"] * 1000, color="gray", linestyle=":")
        axis.set(title=f"{scheduler}, {full['steps']} steps", xlabel="milliseconds a picture (dotted: in full)")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("PSNR to the picture in full, dB")
    figure.legend([lines[name] for name in names], names, fontsize="small", ncol=5, loc="lower center")
    figure.tight_layout(rect=(0, 0.09, 1, 1))
    figure.savefig(file, metadata={"Date": None})


def sheet(study, chosen, file):
    """Rows of pictures: in full, then each chosen setting; twelve prompts."""
    import PIL.ImageDraw

    columns = range(0, len(study.prompts), max(1, len(study.prompts) // 12))
    label, size = 250, 64
    picture = Image.new("RGB", (label + size * len(columns), size * (len(chosen) + 1)), "white")
    drawing = PIL.ImageDraw.Draw(picture)
    for row, setting in enumerate([FULL, *chosen]):
        drawing.text((6, row * size + size // 2 - 6), setting or f"{study.options.steps} steps in full", fill="black")
        for column, number in enumerate(columns):
            picture.paste(Image.fromarray(study.pictures[setting][number]), (label + column * size, row * size))
    picture.save(file, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, default=ROOT / ".build" / "release" / "sd-onnx")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--scheduler", nargs="+", default=["dpm++2m", "euler-a"])
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--settings", nargs="+", help="options in quotation marks, in the place of the usual ones")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--sheet", type=Path, help="pictures of the first scheduler")
    parser.add_argument("--on-sheet", nargs="+", default=["--steps 10", "--cache deep:3:2", "--cache forecast:0.1", "--fast"])
    options = parser.parse_args()
    results = {}
    for scheduler in options.scheduler:
        rows, study = measure(options, scheduler)
        results[scheduler] = rows
        if options.sheet and scheduler == options.scheduler[0]:
            sheet(study, options.on_sheet, options.sheet)
        for row in rows:
            other = row["psnr of fewer steps"]
            beside = f", fewer steps at that time {other:.1f} dB" if other else ""
            print(
                f"{scheduler:10} {row['setting']:45} {row['seconds'] * 1000:6.1f} ms, {row['times as fast']:.2f} times as fast, "
                f"{row['psnr']:.1f} dB (lowest {row['lowest psnr']:.1f}), SSIM {row['ssim']:.4f}{beside}", flush=True)
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            everything = [row for rows in results.values() for row in rows]
            writer = csv.DictWriter(file, everything[0].keys())
            writer.writeheader()
            writer.writerows(everything)
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
