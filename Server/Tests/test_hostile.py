"""Clients that mean harm, and those that are broken: others are answered meanwhile, and nothing ends the server."""

import base64
import io
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import zlib

import pytest
import requests

from conftest import PATIENCE, Server, wait_for


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
