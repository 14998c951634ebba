"""What docs/server.md shows is what happens: its shell lines run, one block after another, against a server."""

import os
import re
import subprocess

from conftest import PATIENCE, ROOT, Server


def blocks():
    with open(os.path.join(ROOT, "docs/server.md")) as file:
        return re.findall(r"```sh\n(.*?)```", file.read(), re.S)


def test_curl_lines(tmp_path):
    shown = [block for block in blocks() if "curl" in block]
    assert len(shown) >= 6
    with Server() as server:
        for block in shown:
            script = block.replace("127.0.0.1:7860", f"127.0.0.1:{server.port}")
            result = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
            assert result.returncode == 0, block + result.stdout + result.stderr
            assert '"error"' not in result.stdout, block + result.stdout
        for name in ["fox.png", "owl.jpg", "apple.png"]:
            content = (tmp_path / name).read_bytes()
            assert content[:4] == b"\x89PNG" or content[:3] == b"\xff\xd8\xff", name
        stated = re.findall(r"\| `(--[a-z-]+)", open(os.path.join(ROOT, "docs/server.md")).read())
        help_text = subprocess.run([server.process.args[0], "--help"], capture_output=True, text=True).stdout
        options = set(re.findall(r"(--[a-z-]+)", help_text.split("OPTIONS:")[1])) - {"--help", "--version"}
        assert options == set(stated)
