"""What tests of batches over several processes have in common."""

import json
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("SD_ONNX_PROGRAM", os.path.join(ROOT, ".build/release/sd-onnx"))
MODEL = os.path.join(ROOT, "Models/emoji")
# What the scripts of Tools look for.
ENVIRONMENT = {**os.environ, "SD_ONNX": PROGRAM, "SD_ONNX_MODEL": MODEL,
               "PATH": os.path.dirname(PROGRAM) + ":/usr/sbin:" + os.environ["PATH"]}


def write_jobs(path, count, **options):
    """A file of jobs, of which every fifth is there twice."""
    lines = []
    for seed in range(count):
        line = json.dumps({"prompt": "a fox", "seed": seed, **options})
        lines += [line] * (2 if seed % 5 == 0 else 1)
    path.write_text("\n".join(lines) + "\n")


def entries(folder):
    """What the manifests of all parts say."""
    return [json.loads(line) for file in sorted((folder / "manifest").iterdir()) for line in file.read_text().splitlines()]


def check_all_is_made_once(folder, count):
    """By the program's own check, and by counting."""
    answer = subprocess.run([PROGRAM, "batch", "verify", folder, "--json"], capture_output=True, text=True)
    report = json.loads(answer.stdout)
    assert answer.returncode == 0 and report["problems"] == [] and report["jobs"] == report["pictures"] == count, report
    done = [entry for entry in entries(folder) if entry["state"] == "done"]
    assert len(done) == count and len({entry["job"] for entry in done}) == count
    files = [path for path in (folder / "pictures").rglob("*.png") if not path.name.startswith(".")]
    assert len(files) == count
