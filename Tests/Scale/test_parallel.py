"""A batch by GNU parallel, with the line that the program's help has."""

import re
import subprocess

from conftest import ENVIRONMENT, PROGRAM, check_all_is_made_once, entries, write_jobs


def test_the_line_of_the_help_makes_all_pictures(tmp_path):
    text = " ".join(subprocess.run([PROGRAM, "batch", "--help"], capture_output=True, text=True).stdout.split())
    line = re.search(r"(parallel sd-onnx batch .* ::: \$\(seq 8\))", text)[1]
    write_jobs(tmp_path / "jobs.jsonl", 17, steps=3)
    answer = subprocess.run(line, shell=True, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    check_all_is_made_once(tmp_path / "pictures", 17)
    assert len({entry["job"] for entry in entries(tmp_path / "pictures")}) == 17
