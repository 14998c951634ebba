"""Starts the server that the tests talk to."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pytest
import requests

sys.path.insert(0, os.path.dirname(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("SD_ONNX_SERVE", os.path.join(ROOT, "Server/.build/release/sd-onnx-serve"))
# Seconds after which a test takes a server for hung. Nothing is judged by how long it takes: a busy machine is slow.
PATIENCE = 1200
MODEL = os.environ.get("SD_ONNX_SERVER_MODEL", os.path.join(ROOT, "Models/emoji"))


def wait_for(condition, what):
    """What a condition returns when it holds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} didn't come")


class Server:
    """A server of its own, on a free port; `log` has the lines that it wrote."""

    def __init__(self, *options, env=None):
        models = [] if "--model" in options else ["--model", MODEL]
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            [PROGRAM, "--port", "0", "--log-format", "json", *models, *options],
            stdout=subprocess.PIPE, stderr=self.errors, text=True, env={**os.environ, **(env or {})})
        line = self.process.stdout.readline().strip()
        assert re.fullmatch(r"http://[^ ]+:\d+", line), self.log
        self.url = line
        self.port = int(line.rsplit(":", 1)[1])
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    @property
    def log(self):
        self.errors.seek(0)
        return self.errors.read().splitlines()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) << 10

    def finished(self, job):
        """The job when it is over."""
        def over():
            answer = requests.get(f"{self.url}/v1/jobs/{job}", timeout=PATIENCE).json()
            return answer if answer["state"] not in ("queued", "running") else None
        return wait_for(over, f"the end of the job {job}")


@pytest.fixture(scope="session")
def server():
    with Server() as server:
        yield server
        assert server.process.poll() is None, "the server ended while it was tested"
