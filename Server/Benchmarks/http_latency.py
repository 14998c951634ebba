#!/usr/bin/env python3
"""What HTTP adds to a small picture: the time of whole requests less that of the computation, which the server's log has.

    Server/Benchmarks/http_latency.py [--requests N]

Needs the server in release (make serve builds it) and nothing but Python. On a machine that does other work the figure says little.
"""

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The first ones load and plan.
WARM_UP = 10


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--server", default=os.path.join(ROOT, "Server/.build/release/sd-onnx-serve"))
    parser.add_argument("--model", default=os.path.join(ROOT, "Models/emoji"))
    arguments = parser.parse_args()
    log = tempfile.TemporaryFile(mode="w+")
    server = subprocess.Popen([arguments.server, "--port", "0", "--log-format", "json", "--model", arguments.model],
                              stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        post(port, "/sdapi/v1/options", {"live_previews_enable": False})
        taken = {}
        for seed in range(WARM_UP + arguments.requests):
            seconds, job = post(port, "/sdapi/v1/txt2img", {"prompt": "a fox", "steps": 8, "width": 64, "height": 64, "seed": seed})
            if seed >= WARM_UP:
                taken[job] = seconds
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    log.seek(0)
    entries = [json.loads(line) for line in log]
    computed = {entry["job"]: float(entry["run_seconds"]) for entry in entries if entry["message"] == "job ended"}
    added = sorted(1000 * (seconds - computed[job]) for job, seconds in taken.items())
    print(f"64×64 pixels, 8 steps, a connection each, {len(added)} requests; computation {1000 * statistics.median(computed.values()):.1f} ms")
    print(f"HTTP adds {statistics.median(added):.2f} ms (median), {added[len(added) * 9 // 10]:.2f} ms (nine of ten are faster)")


def post(port, path, body):
    """The seconds of a request with a connection of its own, and its job."""
    content = json.dumps(body)
    start = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", path, content, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    seconds = time.perf_counter() - start
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{path} was answered with {answer.status}")
    return seconds, answer.headers["x-job-id"]


if __name__ == "__main__":
    main()
