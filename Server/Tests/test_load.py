"""Many clients, many pictures."""

import concurrent.futures

import requests

from conftest import PATIENCE, Server


def test_200_clients_at_a_queue_of_32():
    with Server("--queue", "32") as server:
        def one(index):
            return requests.post(f"{server.url}/sdapi/v1/txt2img", json={"prompt": "a fox", "steps": 8, "seed": index}, timeout=PATIENCE)

        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            results = list(pool.map(one, range(200)))
        made = [answer for answer in results if answer.status_code == 200]
        full = [answer for answer in results if answer.status_code == 503]
        assert len(made) + len(full) == 200 and len(made) >= 32
        assert all(len(answer.json()["images"]) == 1 for answer in made)
        assert all(int(answer.headers["retry-after"]) >= 1 and answer.json()["detail"] for answer in full)
        assert requests.get(f"{server.url}/v1/queue", timeout=PATIENCE).json()["waiting"] == 0


def test_memory_stays_over_1000_pictures():
    with Server() as server:
        session = requests.Session()

        def make(count):
            for index in range(count):
                answer = session.post(
                    f"{server.url}/sdapi/v1/txt2img", json={"prompt": f"a fox {index}", "steps": 2, "batch_size": 4}, timeout=PATIENCE)
                assert answer.status_code == 200
        make(50)
        before = server.memory()
        make(250)
        after = server.memory()
        print(f"{before / 1e6:.1f} MB before and {after / 1e6:.1f} MB after 1000 pictures")
        assert abs(after - before) < 0.02 * before
