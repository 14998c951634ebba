"""Two servers behind nginx and behind HAProxy, by the files of Tools/proxy with other ports."""

import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
import requests

from conftest import PATIENCE, ROOT, Server, wait_for


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def configuration(name, port, servers):
    """The file as it is, with the addresses of these servers and another port."""
    with open(os.path.join(ROOT, "Tools/proxy", name)) as file:
        text = file.read()
    for placeholder, server in zip(["127.0.0.1:7861", "127.0.0.1:7862"], servers):
        assert placeholder in text
        text = text.replace(placeholder, f"127.0.0.1:{server.port}")
    text, count = re.subn(r"(listen |bind :)7860", lambda match: match[1].replace(":", "127.0.0.1:") + str(port), text)
    assert count == 1
    return text


class Proxy:
    def __init__(self, kind, servers, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        environment = {**os.environ, "PATH": "/usr/sbin:" + os.environ["PATH"]}
        if kind == "nginx":
            (folder / "servers.conf").write_text(configuration("nginx.conf", self.port, servers))
            (folder / "nginx.conf").write_text(f"""\
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
{"user root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    include {folder}/servers.conf;
}}
""")
            command = ["nginx", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
        else:
            (folder / "haproxy.cfg").write_text(configuration("haproxy.cfg", self.port, servers))
            command = ["haproxy", "-db", "-f", f"{folder}/haproxy.cfg"]
        self.output = open(folder / "output", "w")
        self.process = subprocess.Popen(command, env=environment, stdout=self.output, stderr=self.output)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            except OSError:
                assert self.process.poll() is None, self.log()
                time.sleep(0.05)
        raise AssertionError(self.log())

    def log(self):
        return "\n".join(path.read_text() for path in [self.folder / "output", self.folder / "error.log"] if path.exists())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)


@pytest.fixture(params=["nginx", "haproxy"])
def behind(request, tmp_path):
    """A proxy and its two servers, each with a queue of two."""
    with Server("--queue", "2", "--threads", "1") as one, Server("--queue", "2", "--threads", "1") as two:
        proxy = Proxy(request.param, [one, two], tmp_path)
        proxy.kind = request.param
        try:
            yield proxy, [one, two]
        finally:
            proxy.stop()


def made(server):
    """How many pictures a server has made."""
    text = requests.get(f"{server.url}/metrics", timeout=PATIENCE).text
    found = re.search(r"^sd_onnx_pictures_total (\d+)", text, re.M)
    return int(found[1]) if found else 0


def create(url, **fields):
    return requests.post(f"{url}/v1/jobs", json={"prompt": "a fox", "steps": 2, **fields}, timeout=PATIENCE)


LONG = {"steps": 150, "width": 1024, "height": 1024}


def test_a_full_queue_is_tried_at_the_next(behind):
    proxy, servers = behind
    # Each has one at work and two that wait; what a server refuses the other takes.
    long = []
    for _ in range(6):
        answer = create(proxy.url, **LONG)
        assert answer.status_code == 202, answer.text
        long.append(answer.json()["id"])
        # One that waits is at work a moment later.
        for server in servers:
            wait_for(lambda: (q := requests.get(f"{server.url}/v1/queue", timeout=PATIENCE).json())["running"] == 1 or q["waiting"] == 0, "work")
    for server in servers:
        assert requests.get(f"{server.url}/v1/queue", timeout=PATIENCE).json() == {"waiting": 2, "running": 1, "capacity": 2}
    # Only when all have refused does the client hear of it.
    full = create(proxy.url)
    assert full.status_code == 503 and int(full.headers["retry-after"]) >= 1 and full.json()["error"]["code"] == "queue_full"
    waits = requests.post(f"{proxy.url}/sdapi/v1/txt2img", json={"prompt": "a fox"}, timeout=PATIENCE)
    assert waits.status_code == 503
    # A place in either queue is found, however often it is asked for.
    for server in servers:
        queued = next(id for id in reversed(long) if requests.get(f"{server.url}/v1/jobs/{id}", timeout=PATIENCE).ok)
        assert requests.delete(f"{proxy.url}/v1/jobs/{queued}", timeout=PATIENCE).status_code == 204
        long.remove(queued)
        taken = create(proxy.url, **LONG)
        assert taken.status_code == 202 and requests.get(f"{server.url}/v1/jobs/{taken.json()['id']}", timeout=PATIENCE).ok
        long.append(taken.json()["id"])
    for id in reversed(long):
        assert requests.delete(f"{proxy.url}/v1/jobs/{id}", timeout=PATIENCE).status_code == 204


def test_questions_for_a_job_find_its_server(behind):
    proxy, servers = behind
    # Of each server, one job.
    jobs = [create(server.url, preview_every=1, steps=5).json()["id"] for server in servers]
    for job in jobs:
        for _ in range(4):
            assert requests.get(f"{proxy.url}/v1/jobs/{job}", timeout=PATIENCE).json()["id"] == job
        text = requests.get(f"{proxy.url}/v1/jobs/{job}/events", timeout=PATIENCE).text
        assert "event: done" in text
        for _ in range(3):
            picture = requests.get(f"{proxy.url}/v1/jobs/{job}/pictures/1", timeout=PATIENCE)
            assert picture.status_code == 200 and picture.content[:4] == b"\x89PNG"
    for server in servers:
        job = create(server.url, **LONG).json()["id"]
        cancelled = requests.post(f"{proxy.url}/v1/jobs/{job}/cancel", timeout=PATIENCE)
        assert cancelled.status_code == 200 and cancelled.json()["state"] == "cancelled"
    assert requests.get(f"{proxy.url}/v1/jobs/none", timeout=PATIENCE).status_code == 404
    # By OpenAI's API, pictures by address have the proxy's.
    for _ in range(3):
        answer = requests.post(f"{proxy.url}/v1/images/generations", timeout=PATIENCE,
                               json={"prompt": "a fox", "steps": 2, "response_format": "url"}).json()
        address = answer["data"][0]["url"]
        assert address.startswith(proxy.url) and requests.get(address, timeout=PATIENCE).content[:4] == b"\x89PNG"
    # The name that a client of AUTOMATIC1111's API gave is found, too.
    body = {"prompt": "a fox", "force_task_id": "task(mine)", **LONG}
    thread = threading.Thread(target=requests.post, args=[f"{proxy.url}/sdapi/v1/txt2img"], kwargs={"json": body, "timeout": PATIENCE})
    thread.start()
    address = f"{proxy.url}/v1/jobs/task(mine)"
    wait_for(lambda: requests.get(address, timeout=PATIENCE).ok, "the job")
    assert all(requests.get(address, timeout=PATIENCE).ok for _ in range(3))
    assert requests.post(f"{address}/cancel", timeout=PATIENCE).json()["state"] == "cancelled"
    thread.join(PATIENCE)


def test_events_come_as_they_happen(behind):
    proxy, servers = behind
    job = create(proxy.url, **LONG).json()["id"]
    answer = requests.get(f"{proxy.url}/v1/jobs/{job}/events", stream=True, timeout=PATIENCE)
    lines = answer.iter_lines(decode_unicode=True)
    # The first comes long before the job is over: it is cancelled when it is there, and then over.
    assert next(line for line in lines if line.startswith("event: ")) == "event: state"
    assert requests.post(f"{proxy.url}/v1/jobs/{job}/cancel", timeout=PATIENCE).json()["state"] == "cancelled"
    assert [line for line in lines if line.startswith("event: ")][-1] == "event: done"


def test_progress_and_interrupt_are_of_the_clients_server(behind):
    proxy, servers = behind
    results = []
    thread = threading.Thread(target=lambda: results.append(requests.post(
        f"{proxy.url}/sdapi/v1/txt2img", json={"prompt": "a castle", **LONG}, timeout=PATIENCE)))
    thread.start()
    wait_for(lambda: requests.get(f"{proxy.url}/sdapi/v1/progress", timeout=PATIENCE).json()["state"]["job_count"] == 1, "progress")
    for _ in range(5):
        assert requests.get(f"{proxy.url}/sdapi/v1/progress", timeout=PATIENCE).json()["state"]["job_count"] == 1
    assert requests.post(f"{proxy.url}/sdapi/v1/interrupt", timeout=PATIENCE).status_code == 200
    thread.join(PATIENCE)
    assert results[0].status_code == 200 and results[0].json()["images"] == []


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_a_server_killed_under_load_loses_nothing(kind, tmp_path):
    """Only what the killed server had not answered is made again."""
    count = 40
    with Server("--queue", "64", "--threads", "1") as one, Server("--queue", "64", "--threads", "1") as two:
        proxy = Proxy(kind, [one, two], tmp_path)
        try:
            def ask(seed):
                body = {"prompt": "a fox", "steps": 12, "seed": seed}
                answer = requests.post(f"{proxy.url}/v1/images/generations", json=body, timeout=PATIENCE)
                return seed, answer

            with concurrent.futures.ThreadPoolExecutor(count) as pool:
                asked = [pool.submit(ask, seed) for seed in range(count)]
                wait_for(lambda: made(one) >= 3 and made(two) >= 1, "pictures")
                one.process.send_signal(signal.SIGKILL)
                one.process.wait()
                answers = [answer.result() for answer in asked]
            assert [answer.status_code for _, answer in answers] == [200] * count
            # Each got the picture that it asked for.
            for seed, answer in answers[::8]:
                again = requests.post(f"{two.url}/v1/images/generations", json={"prompt": "a fox", "steps": 12, "seed": seed}, timeout=PATIENCE)
                assert again.json()["data"][0]["b64_json"] == answer.json()["data"][0]["b64_json"]
            # Those that the killed one finished nobody made again.
            ended = [json.loads(line) for line in one.log if '"job ended"' in line]
            finished = sum(entry["state"] == "completed" for entry in ended)
            # Its last answer may have been under way when it was killed.
            assert count - finished <= made(two) - len(answers[::8]) <= count - finished + 1
            # And those that come now are taken by the other.
            assert requests.post(f"{proxy.url}/v1/images/generations", json={"prompt": "an owl", "steps": 2}, timeout=PATIENCE).status_code == 200
        finally:
            proxy.stop()
