"""The own API: jobs, their events, cancelling, limits and what is refused."""

import base64
import io
import json
import os
import signal
import subprocess

import numpy
import openapi_spec_validator
import pytest
import requests
from PIL import Image

from conftest import MODEL, PATIENCE, ROOT, Server, wait_for

SD_ONNX = os.environ.get("SD_ONNX_PROGRAM", os.path.join(ROOT, ".build/release/sd-onnx"))


def picture(size=(64, 64), color=(200, 30, 30)):
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def pixels(content):
    return numpy.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def create(server, **fields):
    answer = requests.post(f"{server.url}/v1/jobs", json={"prompt": "a fox", "steps": 4, **fields}, timeout=PATIENCE)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    return answer.json()["id"]


def events(server, job):
    answer = requests.get(f"{server.url}/v1/jobs/{job}/events", stream=True, timeout=PATIENCE)
    assert answer.headers["content-type"] == "text/event-stream"
    name = None
    for line in answer.iter_lines(decode_unicode=True):
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def test_a_picture_is_the_command_lines(server, tmp_path):
    file = tmp_path / "fox.png"
    command = [SD_ONNX, "generate", "a fox", "-m", MODEL, "--seed", "5", "--steps", "6", "--cfg-scale", "5", "-b", "2",
               "--scheduler", "euler", "-n", "gray", "--prompt-syntax", "a1111", "-o", str(tmp_path / "%d.png"), "--quiet"]
    subprocess.run(command, check=True, timeout=PATIENCE)
    job = server.finished(create(
        server, seed=5, steps=6, cfg_scale=5, count=2, scheduler="euler", negative_prompt="gray"))
    assert job["state"] == "completed" and [p["seed"] for p in job["pictures"]] == [5, 6]
    for number, made in enumerate(job["pictures"], 1):
        content = requests.get(server.url + made["url"], timeout=PATIENCE)
        assert content.headers["content-type"] == "image/png"
        assert numpy.array_equal(pixels(content.content), pixels((tmp_path / f"{number}.png").read_bytes()))
        text = Image.open(io.BytesIO(content.content)).text
        assert text["parameters"] == made["parameters"] and made["parameters"].startswith("a fox\nNegative prompt: gray\nSteps: 6,")
        assert json.loads(text["sd-onnx"])["prompt"] == "a fox"


@pytest.mark.parametrize("fields, options, method", [
    ({"cache": "deep:3:2", "cfg_interval": "0.2,1"}, ["--cache", "deep:3:2", "--cfg-interval", "0.2,1"], "deep:3:2"),
    ({"cache": "forecast:0.2"}, ["--cache", "forecast:0.2"], "forecast:0.2"), ({"fast": True}, ["--fast"], "forecast:0.1"),
])
def test_fewer_evaluations_are_the_command_lines(server, tmp_path, fields, options, method):
    file = tmp_path / "fox.png"
    command = [SD_ONNX, "generate", "a fox", "-m", MODEL, "--seed", "5", "--steps", "12", "--scheduler", "dpm++2m", "--prompt-syntax", "a1111",
               "-o", str(file), "--quiet", *options]
    subprocess.run(command, check=True, timeout=PATIENCE)
    made = server.finished(create(server, seed=5, steps=12, scheduler="dpm++2m", **fields))["pictures"][0]
    content = requests.get(server.url + made["url"], timeout=PATIENCE).content
    assert numpy.array_equal(pixels(content), pixels(file.read_bytes()))
    assert json.loads(Image.open(io.BytesIO(content)).text["sd-onnx"])["cache"] == method
    full = server.finished(create(server, seed=5, steps=12, scheduler="dpm++2m"))["pictures"][0]
    assert not numpy.array_equal(pixels(content), pixels(requests.get(server.url + full["url"], timeout=PATIENCE).content))


def test_a_scheduler_that_can_not_be_forecast(server):
    for fields in [{"cache": "forecast"}, {"fast": True, "cache": "deep:2"}]:
        answer = requests.post(f"{server.url}/v1/jobs", json={"prompt": "a fox", "scheduler": "heun", **fields}, timeout=PATIENCE)
        assert answer.status_code == 422 and answer.json()["error"]["message"].endswith("."), answer.text


def test_events_tell_steps_previews_and_the_end(server):
    seen = list(events(server, create(server, steps=5, preview_every=1)))
    names = [name for name, _ in seen]
    assert names[0] == "state" and names[-1] == "done"
    steps = [data["step"] for name, data in seen if name == "step"]
    assert steps == sorted(steps) and steps[-1] == 5
    previews = [data for name, data in seen if name == "preview"]
    assert previews and pixels(base64.b64decode(previews[0]["image"].split(",")[1])).shape == (64, 64, 3)
    assert seen[-1][1]["state"] == "completed"
    # Who asks later is told the end.
    assert [name for name, _ in events(server, seen[-1][1]["id"])] == ["state", "done"]


def test_cancelling_stops_inside_of_a_step(server):
    # A step of this size takes thousands of times as long as the way of the request to the server.
    job = create(server, steps=50, width=1024, height=1024, preview_every=0)
    begun = next(data["step"] for name, data in events(server, job) if name == "step" and data["step"] > 0)
    answer = requests.post(f"{server.url}/v1/jobs/{job}/cancel", timeout=PATIENCE)
    assert answer.status_code == 200 and answer.json()["state"] == "cancelled"
    # The step that ran wasn't finished: none, or one that ended on the way of the request, came after it.
    assert answer.json()["step"] <= begun + 1 and answer.json()["pictures"] == []
    assert requests.post(f"{server.url}/v1/jobs/{job}/cancel", timeout=PATIENCE).status_code == 409
    # The next one is made all the same.
    assert server.finished(create(server))["state"] == "completed"


def test_a_waiting_job_is_cancelled_and_forgotten(server):
    first = create(server, steps=50, width=512, height=512)
    second = create(server)
    assert requests.get(f"{server.url}/v1/jobs/{second}", timeout=PATIENCE).json()["position"] >= 1
    assert requests.delete(f"{server.url}/v1/jobs/{second}", timeout=PATIENCE).status_code == 204
    assert requests.get(f"{server.url}/v1/jobs/{second}", timeout=PATIENCE).status_code == 404
    assert requests.delete(f"{server.url}/v1/jobs/{first}", timeout=PATIENCE).status_code == 204


def test_a_client_that_goes_ends_its_job_where_it_asked_for_that(server):
    job = create(server, steps=100, width=512, height=512, on_disconnect="cancel")
    stream = events(server, job)
    next(stream)
    stream.close()
    assert server.finished(job)["state"] == "cancelled"
    kept = create(server, steps=10, on_disconnect="keep")
    stream = events(server, kept)
    next(stream)
    stream.close()
    assert server.finished(kept)["state"] == "completed"


def test_pictures_from_pictures_and_masks(server):
    start = picture()
    job = server.finished(create(server, init_image=start, strength=0.5, steps=8))
    assert job["state"] == "completed" and job["pictures"][0]["record"]["strength"] == 0.5
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (16, 16, 48, 48))
    file = io.BytesIO()
    mask.save(file, "PNG")
    job = server.finished(create(
        server, init_image=start, mask=base64.b64encode(file.getvalue()).decode(), strength=1, only_masked=8, steps=8))
    made = pixels(requests.get(server.url + job["pictures"][0]["url"], timeout=PATIENCE).content)
    # With only the mask repainted, all else stays to the byte.
    assert numpy.array_equal(made[:12], pixels(base64.b64decode(start))[:12])
    assert not numpy.array_equal(made[20:44, 20:44], pixels(base64.b64decode(start))[20:44, 20:44])


def test_jpeg(server):
    job = server.finished(create(server, format="jpeg", quality=80, seed=1))
    png = server.finished(create(server, seed=1))
    answer = requests.get(server.url + job["pictures"][0]["url"], timeout=PATIENCE)
    assert answer.headers["content-type"] == "image/jpeg"
    original = requests.get(server.url + png["pictures"][0]["url"], timeout=PATIENCE).content
    expected = io.BytesIO()
    Image.open(io.BytesIO(original)).save(expected, "JPEG", quality=80)
    # Pillow encodes by the same library: the files' pixels are the same.
    assert numpy.array_equal(pixels(answer.content), pixels(expected.getvalue()))
    # It says how it was made, too, as AUTOMATIC1111's web interface writes it.
    comment = Image.open(io.BytesIO(answer.content)).getexif().get_ifd(0x8769)[0x9286]
    assert comment == b"UNICODE\0" + job["pictures"][0]["parameters"].encode("utf-16-be")
    told = requests.post(f"{server.url}/v1/settings", json={"image": base64.b64encode(answer.content).decode()}, timeout=PATIENCE).json()
    assert told["parameters"] == job["pictures"][0]["parameters"] and told["settings"]["seed"] == 1


@pytest.mark.parametrize("fields, name", [
    ({"steps": 0}, "steps"), ({"steps": 1000}, "steps"), ({"steps": "many"}, "steps"), ({"steps": [1]}, "steps"),
    ({"width": 63}, "width"), ({"height": -64}, "height"), ({"width": 16384, "height": 16384}, "width"),
    ({"count": 17}, "count"), ({"cfg_scale": 1e9}, "cfg_scale"), ({"seed": -2}, "seed"), ({"prompt": None}, "prompt"),
    ({"prompt": "a" * 20001}, "prompt"), ({"prompt": 5}, "prompt"), ({"scheduler": "none such"}, "scheduler"), ({"model": "none"}, "model"),
    ({"format": "webp"}, "format"), ({"strength": 0.5}, "strength"), ({"mask": "aaaa"}, "mask"),
    ({"init_image": "!!!"}, "init_image"), ({"init_image": "aGVsbG8="}, "init_image"),
    ({"init_image": "https://example.org/a.png"}, "init_image"), ({"init_image": "/etc/passwd"}, "init_image"),
    ({"init_image": picture(), "mask": picture((32, 32))}, "mask"), ({"init_image": picture(), "strength": 2}, "strength"),
    ({"on_disconnect": "maybe"}, "on_disconnect"), ({"clip_skip": 65}, "clip_skip"),
    ({"cache": "deep"}, "cache"), ({"cache": "forecast:-1"}, "cache"), ({"cache": 3}, "cache"), ({"cfg_interval": "0.8,0.1"}, "cfg_interval"),
    ({"cfg_interval": "0.5"}, "cfg_interval"), ({"cfg_interval": [0, 1]}, "cfg_interval"), ({"cfg_interval": "a,1"}, "cfg_interval"),
    ({"fast": "yes"}, "fast"),
])
def test_a_bad_field_is_refused_by_its_name(server, fields, name):
    answer = requests.post(f"{server.url}/v1/jobs", json={"prompt": "a fox", **fields}, timeout=PATIENCE)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["field"] == name
    assert answer.json()["error"]["message"].endswith(".")


def test_a_method_that_an_address_does_not_take(server):
    for method, path, allowed in [
        ("GET", "/v1/tokens", "POST"), ("DELETE", "/v1/jobs", "POST"), ("POST", "/v1/jobs/x", "DELETE, GET, HEAD"), ("PUT", "/", "GET, HEAD"),
        ("GET", "/v1/jobs/x/cancel", "POST"), ("POST", "/health", "GET, HEAD"), ("OPTIONS", "/v1/jobs", "POST"), ("PATCH", "/sdapi/v1/options", "GET, HEAD, POST"),
        ("GET", "/sdapi/v1/txt2img", "POST"), ("GET", "/v1/images/generations", "POST"), ("POST", "/v1/models/emoji", "GET, HEAD"),
    ]:
        answer = requests.request(method, server.url + path, timeout=PATIENCE)
        assert (answer.status_code, answer.headers.get("allow")) == (405, allowed), (method, path)
        problem = answer.json()
        if path.startswith("/sdapi/"):
            assert problem["error"] == "HTTPException" and "POST" in problem["detail"]
        elif "images" in path or "models" in path:
            assert problem["error"]["type"] == "invalid_request_error"
        else:
            assert problem["error"]["code"] == "method_not_allowed"
    # Where there is nothing, each API has its form of that.
    assert requests.get(f"{server.url}/v1/none", timeout=PATIENCE).json()["error"]["code"] == "not_found"
    assert requests.get(f"{server.url}/sdapi/v1/none", timeout=PATIENCE).json()["error"] == "HTTPException"
    assert requests.post(f"{server.url}/v1/images/none", timeout=PATIENCE).status_code == 404
    assert requests.head(f"{server.url}/v1/info", timeout=PATIENCE).status_code == 200


def test_null_and_unknown_fields_do_no_harm(server):
    names = ["negative_prompt", "width", "height", "cfg_scale", "seed", "count", "scheduler", "model", "init_image", "mask", "strength"]
    assert server.finished(create(server, unknown={"a": [1]}, **{name: None for name in names}))["state"] == "completed"


def test_the_queue_is_bounded():
    with Server("--queue", "2", "--idle-unload", "1") as server:
        jobs = [create(server, steps=100, width=256, height=256)]
        wait_for(lambda: requests.get(f"{server.url}/v1/jobs/{jobs[0]}", timeout=PATIENCE).json()["state"] != "queued", "the first job's turn")
        jobs += [create(server), create(server)]
        answer = requests.post(f"{server.url}/v1/jobs", json={"prompt": "a fox"}, timeout=PATIENCE)
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"]["code"] == "queue_full"
        assert requests.get(f"{server.url}/ready", timeout=PATIENCE).status_code == 503
        requests.post(f"{server.url}/v1/jobs/{jobs[0]}/cancel", timeout=PATIENCE)
        assert [server.finished(job)["state"] for job in jobs[1:]] == ["completed"] * 2
        # Unloaded when idle, loaded when asked.
        wait_for(lambda: "sd_onnx_model_loaded 0" in requests.get(f"{server.url}/metrics", timeout=PATIENCE).text, "the unloading")
        assert requests.get(f"{server.url}/ready", timeout=PATIENCE).status_code == 200
        assert server.finished(create(server))["state"] == "completed"


@pytest.mark.parametrize("policy, state", [("finish", "completed"), ("hand-back", None)])
def test_stopping(policy, state):
    with Server("--on-stop", policy) as server:
        job = create(server, steps=60, width=128, height=128)
        waiting = create(server)
        stream, other = events(server, job), events(server, waiting)
        for name, data in stream:
            if name == "step" and data["step"] > 1:
                break
        next(other)
        server.process.send_signal(signal.SIGTERM)
        ends = [list(stream)[-1], list(other)[-1]]
        assert [name for name, _ in ends] == ["done", "done"]
        assert ends[0][1]["state"] == (state or "returned")
        assert ends[1][1]["state"] == "returned" and ends[1][1]["error"]["code"] == "stopping"
        assert server.process.wait(PATIENCE) == 0


def test_keys():
    with Server("--api-key", "secret", "--api-auth", "me:pass:word") as server:
        def status(path="/v1/info", **options):
            return requests.get(server.url + path, timeout=PATIENCE, **options).status_code
        assert status() == status("/metrics") == status("/sdapi/v1/options") == status("/v1/models") == 401
        assert requests.get(server.url + "/v1/info", timeout=PATIENCE).headers["www-authenticate"].startswith("Basic")
        for headers in [{"Authorization": "Bearer secret"}, {"X-API-Key": "secret"}]:
            assert status(headers=headers) == 200
        for headers in [{"Authorization": "Bearer secre"}, {"Authorization": "Bearer secrett"}, {"X-API-Key": ""},
                        {"Authorization": "Basic !"}, {"Authorization": ""}]:
            assert status(headers=headers) == 401
        assert status(auth=("me", "pass:word")) == 200 and status(auth=("me", "pass")) == 401
        assert status("/health") == status("/ready") == 200


def test_pages_of_other_sites_are_kept_out(server):
    for headers, code in [({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Host": "evil.example"}, 403),
                          ({"Origin": server.url}, 200), ({"Host": f"localhost:{server.port}"}, 200)]:
        answer = requests.get(f"{server.url}/v1/info", headers=headers, timeout=PATIENCE)
        assert answer.status_code == code, headers
        assert "access-control-allow-origin" not in answer.headers


def test_pages_of_sites_that_are_named_may_use_it(server):
    with Server("--allow-origin", "https://example.org", "--allow-origin", "http://localhost:5173", "--api-key", "secret") as own:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-api-key"}
        for origin, code in [("https://example.org", 204), ("http://localhost:5173", 204), ("https://example.org:444", 403), ("http://example.org", 403), ("null", 403)]:
            answer = requests.options(f"{own.url}/v1/jobs", headers={"Origin": origin, **asked}, timeout=PATIENCE)
            assert answer.status_code == code and answer.headers.get("access-control-allow-origin") == (origin if code == 204 else None), origin
            if code == 204:
                assert "POST" in answer.headers["access-control-allow-methods"] and "X-API-Key" in answer.headers["access-control-allow-headers"]
        for key, code in [("secret", 202), ("wrong", 401)]:
            headers = {"Origin": "https://example.org", "X-API-Key": key}
            answer = requests.post(f"{own.url}/v1/jobs", json={"prompt": "a fox", "steps": 1}, headers=headers, timeout=PATIENCE)
            # An error can be read by the page, too.
            assert answer.status_code == code and answer.headers["access-control-allow-origin"] == "https://example.org" and answer.headers["vary"] == "Origin"
        answer = requests.get(f"{own.url}/none", headers={"Origin": "https://example.org"}, timeout=PATIENCE)
        assert answer.status_code == 404 and answer.headers["access-control-allow-origin"] == "https://example.org"
        # A name of the server stays needed: pages may not choose it.
        assert requests.get(f"{own.url}/health", headers={"Origin": "https://example.org", "Host": "evil.example"}, timeout=PATIENCE).status_code == 403
    with Server("--allow-origin", "*") as own:
        assert requests.get(f"{own.url}/v1/info", headers={"Origin": "null"}, timeout=PATIENCE).headers["access-control-allow-origin"] == "null"
    for text in ["example.org", "https://example.org/page", "https://"]:
        result = subprocess.run([server.process.args[0], "--model", MODEL, "--allow-origin", text], capture_output=True, text=True, timeout=PATIENCE)
        assert result.returncode == 64 and text in result.stderr


def test_an_address_that_it_can_not_listen_at(server):
    for options, message in [(["--port", str(server.port)], f"Port {server.port} is in use"), (["--port", "0", "--host", "192.0.2.1"], '--host is "192.0.2.1"'),
                             (["--port", "0", "--host", "no such host"], '--host is "no such host"')]:
        result = subprocess.run([server.process.args[0], "--model", MODEL, *options], capture_output=True, text=True, timeout=PATIENCE)
        assert result.returncode == 1 and f"Error: {message}" in result.stderr, result.stderr


def test_the_page_has_a_policy(server):
    answer = requests.get(server.url, timeout=PATIENCE)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    for path in ["/../etc/passwd", "/%2e%2e/etc/passwd", "/v1/jobs/..%2f..%2fetc", "/page.css/../../x"]:
        assert requests.get(server.url + path, timeout=PATIENCE).status_code == 404


def test_metrics_and_log():
    with Server() as server:
        server.finished(create(server, count=2))
        text = requests.get(f"{server.url}/metrics", timeout=PATIENCE).text
        lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        assert lines["sd_onnx_pictures_total"] == "2" and lines["sd_onnx_step_seconds_count"] == "4"
        assert lines['sd_onnx_jobs_total{state="completed",api="own"}'] == "1"
        assert int(lines["process_resident_memory_bytes"]) > 1 << 20 and lines["sd_onnx_queue_capacity"] == "32"
        entries = [json.loads(line) for line in server.log]
        ended = [entry for entry in entries if entry["message"] == "job ended"]
        assert ended[0]["state"] == "completed" and float(ended[0]["seconds"]) > 0
        assert any(entry["message"] == "request" and entry["status"] == "202" for entry in entries)


def test_output_folder(tmp_path):
    with Server("--output-dir", str(tmp_path)) as server:
        job = server.finished(create(server, count=2, prompt="../../x"))
        names = sorted(os.listdir(tmp_path))
        assert len(names) == 2 and all(name.endswith(".png") for name in names)
        assert (tmp_path / names[0]).read_bytes() == requests.get(server.url + job["pictures"][0]["url"], timeout=PATIENCE).content


def test_tokens_and_settings(server):
    answer = requests.post(f"{server.url}/v1/tokens", json={"prompt": "a red fox"}, timeout=PATIENCE).json()
    # The embedded model's vocabulary has no word "fox", and its text encoder takes 32 tokens.
    assert answer == {"tokens": 4, "limit": 30, "chunks": 1}
    answer = requests.post(f"{server.url}/v1/tokens", json={"prompt": "a red fox " * 10}, timeout=PATIENCE).json()
    assert answer["tokens"] == 40 and answer["chunks"] == 2
    job = server.finished(create(server, seed=9))
    content = requests.get(server.url + job["pictures"][0]["url"], timeout=PATIENCE).content
    answer = requests.post(f"{server.url}/v1/settings", json={"image": base64.b64encode(content).decode()}, timeout=PATIENCE).json()
    assert answer["record"]["seed"] == 9 and answer["parameters"] == job["pictures"][0]["parameters"]
    assert answer["source"] == "sd-onnx" and answer["settings"]["seed"] == 9 and answer["settings"]["prompt"] == "a fox"
    # Pictures of other programs, of which JPEGs have a comment.
    exif, file = Image.Exif(), io.BytesIO()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + "an owl\nSteps: 9, Sampler: DPM++ 2M, Schedule type: Karras, Seed: 3".encode("utf-16-be")
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    answer = requests.post(f"{server.url}/v1/settings", json={"image": base64.b64encode(file.getvalue()).decode()}, timeout=PATIENCE).json()
    assert answer["source"] == "a1111" and "record" not in answer and answer["width"] == 8
    assert {name: answer["settings"][name] for name in ["prompt", "steps", "scheduler", "seed"]} == {
        "prompt": "an owl", "steps": 9, "scheduler": "DPM++ 2M Karras", "seed": 3}
    assert requests.post(f"{server.url}/v1/settings", json={"image": picture()}, timeout=PATIENCE).json() == {"width": 64, "height": 64}


def test_the_description_is_valid(server):
    openapi_spec_validator.validate(requests.get(f"{server.url}/openapi.json", timeout=PATIENCE).json())
