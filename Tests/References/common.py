"""What the reference scripts share: where generated files go, and how names become file names."""

import json
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("SD_ONNX_TEST_CACHE") or Path.home() / ".cache" / "sd-onnx")


def file_name(name):
    """A tensor's name as a file name: what can't stand in one becomes "_"."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def write_json(path, value):
    """Writes to a temporary name and renames, so that a reader never sees half a file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
    temporary.replace(path)
