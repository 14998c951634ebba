"""Many clients, many pictures."""

import concurrent.futures
import http.client
import json
import statistics
import time

import requests

from conftest import Server


def test_200_clients_at_a_queue_of_32():
    with Server("--queue", "32") as server:
        def one(index):
            start = time.time()
            answer = requests.post(
                f"{server.url}/sdapi/v1/txt2img", json={"prompt": "a fox", "steps": 8, "seed": index}, timeout=60)
            return answer, time.time() - start

        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            results = list(pool.map(one, range(200)))
        made = [answer for answer, _ in results if answer.status_code == 200]
        full = [(answer, seconds) for answer, seconds in results if answer.status_code == 503]
        assert len(made) + len(full) == 200 and len(made) >= 32
        assert all(len(answer.json()["images"]) == 1 for answer in made)
        assert all(int(answer.headers["retry-after"]) >= 1 and answer.json()["detail"] for answer, _ in full)
        assert statistics.median(seconds for _, seconds in full or [(None, 0)]) < 5
        assert requests.get(f"{server.url}/v1/queue", timeout=10).json()["waiting"] == 0


def test_memory_stays_over_1000_pictures():
    with Server() as server:
        session = requests.Session()

        def make(count):
            for index in range(count):
                answer = session.post(
                    f"{server.url}/sdapi/v1/txt2img", json={"prompt": f"a fox {index}", "steps": 2, "batch_size": 4}, timeout=60)
                assert answer.status_code == 200
        make(50)
        before = server.memory()
        make(250)
        after = server.memory()
        print(f"{before / 1e6:.1f} MB before and {after / 1e6:.1f} MB after 1000 pictures")
        assert abs(after - before) < 0.02 * before


def test_what_http_adds_to_a_small_picture():
    with Server() as server:
        body = {"prompt": "a fox", "steps": 8, "width": 64, "height": 64, "override_settings": {}}
        requests.post(f"{server.url}/sdapi/v1/options", json={"live_previews_enable": False}, timeout=10)
        added = []
        for index in range(60):
            content = json.dumps({**body, "seed": index})
            start = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            connection.request("POST", "/sdapi/v1/txt2img", content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            seconds = time.perf_counter() - start
            connection.close()
            assert answer.status == 200
            added.append((answer.headers["x-job-id"], seconds))
        made = {}
        for line in server.log:
            entry = json.loads(line)
            if entry["message"] == "job ended":
                made[entry["job"]] = float(entry["run_seconds"])
        extra = statistics.median(1000 * (seconds - made[job]) for job, seconds in added[10:])
        print(f"HTTP adds {extra:.2f} ms")
        assert extra < 5
