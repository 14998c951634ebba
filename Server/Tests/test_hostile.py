"""Clients that mean harm, and those that are broken: others are answered meanwhile, and nothing ends the server."""

import base64
import concurrent.futures
import io
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import zlib

import pytest
import requests

from conftest import MODEL, PATIENCE, ROOT, Server, wait_for


@pytest.fixture(scope="module")
def own():
    with Server("--max-body", str(4 << 20)) as server:
        yield server
        assert server.process.poll() is None


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)


def answers(server):
    """Whether it makes a picture for someone else."""
    job = requests.post(f"{server.url}/v1/jobs", json={"prompt": "a fox", "steps": 2}, timeout=PATIENCE).json()["id"]
    return server.finished(job)["state"] == "completed"


def read(connection):
    content = b""
    try:
        while part := connection.recv(65536):
            content += part
    except (ConnectionError, socket.timeout):
        pass
    return content


def png(width, height, rows):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def test_slow_and_half_open_clients(own):
    slow = [connect(own) for _ in range(300)]
    for index, connection in enumerate(slow):
        connection.sendall([b"", b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{"][index % 3])
    gone = []
    for _ in range(100):
        connection = connect(own)
        connection.sendall(b"GET /v1/info HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        half = connect(own)
        half.shutdown(socket.SHUT_WR)
        gone.append(half)
    # Those that send no header, or none to its end, are cut off, though some of them send a byte now and then; others are answered all the while.
    open_ones = slow[:200:3] + slow[1:200:3]
    assert len(open_ones) == 134

    def cut_off():
        assert answers(own)
        for connection in slow[1::3]:
            try:
                connection.sendall(b"X")
            except OSError:
                pass
        for connection in list(open_ones):
            connection.settimeout(0.01)
            try:
                if connection.recv(1000) == b"":
                    open_ones.remove(connection)
            except socket.timeout:
                pass
            except ConnectionError:
                open_ones.remove(connection)
        return not open_ones

    wait_for(cut_off, "the end of slow clients")
    for connection in slow + gone:
        connection.close()


def test_a_body_of_a_gigabyte(own):
    before = own.memory()
    with connect(own) as connection:
        connection.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")
    with connect(own) as connection:
        connection.sendall(b"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        part = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        sent = 0
        try:
            for _ in range(1024):
                connection.sendall(part)
                sent += 1
        except OSError:
            pass
        assert sent < 1024 or b" 413 " in read(connection)
    assert answers(own)
    assert own.memory() - before < 64 << 20


def test_clients_that_ask_before_they_send(own):
    with connect(own) as connection:
        connection.settimeout(PATIENCE)
        connection.sendall(b"POST /v1/tokens HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 14\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(b'{"prompt":"a"}')
        assert b"HTTP/1.1 200 OK" in read(connection)
    with connect(own) as connection:
        connection.sendall(b"POST /v1/tokens HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")
    assert requests.head(f"{own.url}/health", timeout=PATIENCE).status_code == 200


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b"null", b"1", b"\"x\"", b"\xff\xfe\x00", b"{\"prompt\": \"\xff\"}", b"{\"prompt\":\"a\",}", b"[" * 100_000, b"{\"a\":" * 100_000,
    b"{\"steps\":1e999,\"prompt\":\"a\"}", b"{\"steps\":123456789012345678901234567890,\"prompt\":\"a\"}", b"{\"prompt\":{\"a\":[]}}", b"{\"prompt\":\"\\ud800\"}",
    b"{\"prompt\":\"a\",\"seed\":-1e308}", b"{\"prompt\":\"a\",\"width\":9223372036854775807}", b"{\"prompt\":\"a\\u0000b\",\"steps\":0}",
])
def test_broken_json(own, content):
    for path in ["/v1/jobs", "/sdapi/v1/img2img", "/v1/images/generations", "/v1/tokens", "/v1/settings", "/sdapi/v1/options",
                 "/sdapi/v1/png-info", "/sdapi/v1/extra-single-image", "/sdapi/v1/extra-batch-images"]:
        answer = requests.post(own.url + path, data=content, headers={"Content-Type": "application/json"}, timeout=PATIENCE)
        assert answer.status_code < 500, (path, answer.status_code, answer.text)
        json.loads(answer.text)


def test_pictures_that_are_none_or_bombs(own):
    bomb = png(60000, 60000, b"\0" * (1 << 24))
    small = png(4, 4, (b"\0" + b"\1\2\3" * 4) * 4)
    texts = ["", "=", "!!!!", "AAAA", base64.b64encode(os.urandom(1000)).decode(), base64.b64encode(small[:40]).decode(), base64.b64encode(b"GIF89a" + bytes(99)).decode(),
             base64.b64encode(bomb).decode(), "data:image/png;base64,", "data:text/html,x", "http://127.0.0.1/", "file:///etc/passwd", "../../etc/passwd",
             base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode()]
    before = own.memory()
    for text in texts:
        for path, fields in [("/v1/jobs", {"prompt": "a", "init_image": text}), ("/v1/settings", {"image": text}),
                             ("/sdapi/v1/img2img", {"init_images": [text]}), ("/sdapi/v1/png-info", {"image": text}),
                             ("/sdapi/v1/extra-single-image", {"image": text})]:
            answer = requests.post(own.url + path, json=fields, timeout=PATIENCE)
            if path == "/v1/jobs" and not text:
                continue
            # What a picture says of itself is read without decoding it.
            allowed = (200, 404, 422) if path.endswith(("settings", "png-info")) and text.startswith("iVBOR") else (404, 422)
            assert answer.status_code in allowed, (path, text[:30], answer.text)
    random.seed(1)
    for _ in range(200):
        broken = bytearray(small)
        for _ in range(3):
            broken[random.randrange(len(broken))] = random.randrange(256)
        answer = requests.post(f"{own.url}/v1/settings", json={"image": base64.b64encode(broken).decode()}, timeout=PATIENCE)
        assert answer.status_code in (200, 422)
        answer = requests.post(f"{own.url}/sdapi/v1/extra-single-image", json={"image": base64.b64encode(broken).decode()}, timeout=PATIENCE)
        assert answer.status_code in (200, 422)
    assert own.memory() - before < 64 << 20 and answers(own)


@pytest.mark.parametrize("content", [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: " + b"b" * 200_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % index for index in range(5000)) + b"\r\n", b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", os.urandom(4096), b"GET /%00%ff%zz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
])
def test_what_is_no_http(own, content):
    with connect(own) as connection:
        connection.settimeout(3)
        try:
            connection.sendall(content)
        except OSError:
            pass
        assert b" 50" not in read(connection)[:20]
    assert requests.get(f"{own.url}/health", timeout=PATIENCE).status_code == 200


def test_clients_that_do_not_read(own):
    hogs = []
    for _ in range(50):
        connection = connect(own)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 50)
        hogs.append(connection)
    assert answers(own)
    for connection in hogs:
        connection.close()


def test_many_fields_and_long_forms(own):
    fields = {f"field{index}": index for index in range(100_000)}
    assert requests.post(f"{own.url}/v1/tokens", json={"prompt": "a", **fields}, timeout=PATIENCE).status_code == 200
    prompt = "((((" * 4000
    assert requests.post(f"{own.url}/v1/tokens", json={"prompt": prompt}, timeout=PATIENCE).status_code in (200, 422)
    for prompt in ["[" * 5000, "[a|b" * 2000, "a AND " * 2000, "(a:1.1)" * 2500]:
        assert requests.post(f"{own.url}/v1/tokens", json={"prompt": prompt}, timeout=PATIENCE).status_code in (200, 422)
    body = b"".join(b"--x\r\nContent-Disposition: form-data; name=\"a%d\"\r\n\r\nb\r\n" % index for index in range(1000)) + b"--x--"
    answer = requests.post(f"{own.url}/v1/images/edits", data=body, headers={"Content-Type": "multipart/form-data; boundary=x"}, timeout=PATIENCE)
    assert answer.status_code == 400


SMALL = base64.b64encode(png(16, 16, (b"\0" + b"\1\2\3" * 16) * 16)).decode()
# Values of every type and size, in the place of any field's.
ODD = [None, True, False, 0, -0.0, -1, 1, 2, 0.5, 1e308, -1e308, 1e-320, 2**53, 2**63, -2**63, 2**64, 10**40, "", "x", " ", "0", "NaN", "inf", "-1", "1e9", "true",
       "\0", "😀" * 3, "\u202e\u0301", "../../x", "a" * 3000, [], [1], ["a"], [[]], {}, {"a": 1}, [None], [{}], [{"name": "x"}], ["a"] * 50,
       SMALL, "data:image/png;base64," + SMALL, [SMALL], [SMALL, SMALL], base64.b64encode(png(2000, 1, b"\0" * 6001)).decode(),
       {"controlnet": {"args": [{}]}}, {"controlnet": {"args": [{"image": SMALL, "module": "canny"}]}}, {"controlnet": []}, {"controlnet": {"args": None}},
       {"sd_model_checkpoint": "emoji"}, {"sd_model_checkpoint": 5}, {"CLIP_stop_at_last_layers": 0}, {"samples_format": []}]
TXT2IMG = """prompt negative_prompt styles seed subseed subseed_strength seed_resize_from_h sampler_name sampler_index scheduler batch_size n_iter steps
    cfg_scale width height restore_faces tiling eta s_churn s_tmin s_tmax s_noise override_settings override_settings_restore_afterwards enable_hr
    denoising_strength hr_scale hr_upscaler hr_second_pass_steps hr_resize_x hr_resize_y hr_checkpoint_name hr_sampler_name hr_scheduler hr_prompt
    hr_negative_prompt hr_cfg firstphase_width firstphase_height script_name script_args send_images save_images alwayson_scripts force_task_id infotext"""
FIELDS = {
    "/sdapi/v1/txt2img": (TXT2IMG, {"prompt": "a fox", "steps": 1, "width": 64, "height": 64}),
    "/sdapi/v1/img2img": (TXT2IMG + """ init_images mask mask_blur inpainting_fill inpaint_full_res inpaint_full_res_padding inpainting_mask_invert
        resize_mode initial_noise_multiplier include_init_images""", {"prompt": "a fox", "steps": 2, "width": 64, "height": 64, "init_images": [SMALL]}),
    "/v1/images/generations": ("""prompt model n size response_format output_format output_compression background stream partial_images negative_prompt
        steps seed cfg_scale scheduler strength lora cache cfg_interval fast hires hires_width hires_height hires_strength hires_steps hires_upscaler hires_scheduler
        hires_prompt hires_cfg_scale quality style user moderation""", {"prompt": "a fox", "steps": 1, "size": "64x64"}),
    "/v1/jobs": ("""prompt negative_prompt model width height steps cfg_scale seed count scheduler clip_skip cache cfg_interval fast lora preview_every init_image mask strength
        resize invert_mask mask_blur mask_content only_masked controls control_guess hires hires_width hires_height hires_strength hires_steps
        hires_upscaler hires_scheduler hires_prompt hires_negative_prompt hires_cfg_scale format quality on_disconnect""",
                 {"prompt": "a fox", "steps": 1, "width": 64, "height": 64}),
    "/v1/tokens": ("prompt model", {"prompt": "a"}), "/v1/settings": ("image", {"image": SMALL}), "/sdapi/v1/png-info": ("image", {"image": SMALL}),
    "/sdapi/v1/options": ("sd_model_checkpoint samples_format jpeg_quality live_previews_enable show_progress_every_n_steps CLIP_stop_at_last_layers skip_early_cond sd_vae", {}),
    "/sdapi/v1/extra-single-image": ("""image resize_mode upscaling_resize upscaling_resize_w upscaling_resize_h upscaling_crop upscaler_1 upscaler_2
        extras_upscaler_2_visibility gfpgan_visibility codeformer_visibility""", {"image": SMALL}),
    "/sdapi/v1/extra-batch-images": ("imageList upscaling_resize upscaler_1", {"imageList": [{"data": SMALL, "name": "a"}]}),
}


def test_odd_values(tmp_path):
    shutil.copy(os.path.join(ROOT, "Tests/SDPipelineTests/Fixtures/upscale/rgb.onnx"), tmp_path / "rgb.onnx")
    with Server("--upscaler-dir", str(tmp_path), "--lora-dir", os.path.join(MODEL, "lora"), "--queue", "1000", "--max-pixels", "65536", "--max-steps", "12",
                "--max-batch", "3") as server:
        def one(seed):
            draw = random.Random(seed)
            path = draw.choice(sorted(FIELDS))
            names, body = FIELDS[path]
            body = {**body, **{draw.choice(names.split()): draw.choice(ODD) for _ in range(draw.choice([1, 1, 1, 2, 3]))}}
            if path.endswith("txt2img") and draw.random() < 0.2:
                body["enable_hr"] = True
            answer = requests.post(server.url + path, json=body, timeout=PATIENCE)
            assert answer.status_code < 500 and str(tmp_path) not in answer.text, (seed, path, body, answer.text)
            if answer.headers["content-type"] == "application/json":
                answer.json()

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(one, range(2000)))
        assert answers(server)


def test_everything_at_once(tmp_path):
    """Clients that begin, cancel, forget, switch models and LoRAs, watch, interrupt and leave in the midst, while the model is unloaded at once
    when nothing runs."""
    shutil.copytree(MODEL, tmp_path / "other")
    with Server("--model", MODEL, "--model", str(tmp_path / "other"), "--lora-dir", os.path.join(MODEL, "lora"), "--idle-unload", "0.01",
                "--queue", "6") as server:
        jobs = []

        def leave(draw, path, body):
            content = json.dumps(body).encode()
            message = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(content)) + content
            connection = connect(server)
            connection.sendall(message[:draw.choice([20, len(message) - 5, len(message)])])
            if draw.random() < 0.5:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

        def act(draw):
            body = {"prompt": draw.choice(["a fox", "a fox <lora:night:0.5>"]), "steps": draw.choice([1, 3, 20]), "width": draw.choice([64, 128]), "height": 64}
            kind, model = draw.randrange(9), draw.choice(["emoji", "other"])
            if kind == 0:
                return requests.post(f"{server.url}/sdapi/v1/txt2img", timeout=PATIENCE, json={
                    **body, "n_iter": draw.choice([1, 3]), "force_task_id": draw.choice(["a", "b", None]),
                    "override_settings": {"sd_model_checkpoint": model}, "override_settings_restore_afterwards": draw.random() < 0.5})
            if kind == 1:
                return requests.post(f"{server.url}/sdapi/v1/options", json={"sd_model_checkpoint": model}, timeout=PATIENCE)
            if kind == 2:
                name = draw.choice(["interrupt", "skip", "unload-checkpoint", "refresh-loras"])
                return requests.post(f"{server.url}/sdapi/v1/{name}", timeout=PATIENCE)
            if kind == 3:
                return requests.get(server.url + draw.choice(["/sdapi/v1/progress", "/metrics", "/v1/queue"]), timeout=PATIENCE)
            if kind == 4:
                return leave(draw, draw.choice(["/sdapi/v1/txt2img", "/v1/images/generations", "/v1/jobs"]),
                             {**body, "stream": draw.random() < 0.5, "partial_images": 2, "on_disconnect": "cancel"})
            if kind in (5, 6) or not jobs:
                answer = requests.post(f"{server.url}/v1/jobs", timeout=PATIENCE, json={
                    **body, "model": model, "preview_every": 1, "on_disconnect": draw.choice(["keep", "cancel"])})
                if answer.ok:
                    jobs.append(answer.json()["id"])
                return answer
            job = draw.choice(jobs)
            if kind == 7:
                return draw.choice([lambda: requests.post(f"{server.url}/v1/jobs/{job}/cancel", timeout=PATIENCE),
                                    lambda: requests.delete(f"{server.url}/v1/jobs/{job}", timeout=PATIENCE)])()
            stream = requests.get(f"{server.url}/v1/jobs/{job}/events", stream=True, timeout=PATIENCE)
            if draw.random() < 0.5:
                next(stream.iter_lines(), None)
                stream.close()
            else:
                list(stream.iter_lines())
            return stream

        def client(seed):
            draw = random.Random(seed)
            for _ in range(60):
                answer = act(draw)
                assert answer is None or answer.status_code < 500 or answer.status_code == 503, answer.text

        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            list(pool.map(client, range(10)))

        def is_idle():
            queue = requests.get(f"{server.url}/v1/queue", timeout=PATIENCE).json()
            return queue["waiting"] + queue["running"] == 0

        wait_for(is_idle, "the end of all jobs")
        assert answers(server)
        assert not [line for line in server.log if json.loads(line)["level"] == "error"]


def test_schemathesis(tmp_path):
    # With a queue that doesn't fill: a 503 is an answer that is documented, and no error.
    with Server("--queue", "100000", "--max-pixels", "4096", "--max-steps", "2", "--max-batch", "1") as server:
        command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", f"{server.url}/openapi.json", "--url", server.url,
                   "--checks", "not_a_server_error,unsupported_method,status_code_conformance,content_type_conformance,response_schema_conformance",
                   "--max-examples", "40", "--seed", "1", "--phases", "examples,coverage,fuzzing", "--exclude-path-regex", "events$",
                   "--generation-database", "none"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)
        assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
        assert requests.get(f"{server.url}/health", timeout=PATIENCE).status_code == 200
