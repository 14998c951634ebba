"""OpenAI's API, by its client of PyPI."""

import base64
import io

import numpy
import openai
import pytest
import requests
from PIL import Image

from conftest import PATIENCE, Server


@pytest.fixture()
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, timeout=PATIENCE)


def image(base64_text):
    return Image.open(io.BytesIO(base64.b64decode(base64_text)))


def file(picture, name="a.png"):
    content = io.BytesIO()
    picture.save(content, "PNG")
    return name, content.getvalue(), "image/png"


def test_generations(client, server):
    extra = {"steps": 5, "seed": 3, "cfg_scale": 5, "negative_prompt": "gray", "scheduler": "euler"}
    answer = client.images.generate(model="emoji", prompt="a fox", n=2, size="64x64", extra_body=extra)
    assert len(answer.data) == 2 and image(answer.data[0].b64_json).size == (64, 64) 
    tokens = requests.post(f"{server.url}/v1/tokens", json={"prompt": "a fox"}, timeout=PATIENCE).json()["tokens"]
    assert answer.usage.input_tokens == answer.usage.total_tokens == tokens
    again = client.images.generate(model="dall-e-3", prompt="a fox", size="64x64", extra_body={**extra, "seed": 4})
    assert numpy.array_equal(numpy.asarray(image(again.data[0].b64_json)), numpy.asarray(image(answer.data[1].b64_json)))
    made = client.images.generate(prompt="a fox", output_format="jpeg", output_compression=80, extra_body={"steps": 3})
    assert image(made.data[0].b64_json).format == "JPEG"


def test_urls(client, server):
    made = client.images.generate(prompt="a fox", response_format="url", extra_body={"steps": 3, "seed": 1})
    content = requests.get(made.data[0].url, timeout=PATIENCE)
    assert content.headers["content-type"] == "image/png" and content.content[:4] == b"\x89PNG"
    assert requests.get(made.data[0].url.replace("/1.png", "/2.png"), timeout=PATIENCE).status_code == 404
    assert made.data[0].url.startswith(server.url + "/")
    # Behind a proxy that is reached by TLS.
    headers = {"X-Forwarded-Proto": "https", "Host": f"localhost:{server.port}"}
    body = {"prompt": "a fox", "steps": 1, "response_format": "url"}
    answer = requests.post(f"{server.url}/v1/images/generations", json=body, headers=headers, timeout=PATIENCE).json()
    assert answer["data"][0]["url"].startswith(f"https://localhost:{server.port}/v1/images/files/")


def test_streaming(client):
    seen = list(client.images.generate(prompt="a fox", stream=True, partial_images=2, extra_body={"steps": 9, "seed": 1}))
    assert [event.type for event in seen] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert [event.partial_image_index for event in seen[:2]] == [0, 1] and image(seen[0].b64_json).size == (64, 64)
    plain = client.images.generate(prompt="a fox", extra_body={"steps": 9, "seed": 1})
    assert seen[-1].b64_json == plain.data[0].b64_json and seen[-1].usage.total_tokens == plain.usage.total_tokens


def test_edits(client):
    start = Image.new("RGB", (64, 64), (40, 90, 200))
    made = client.images.edit(image=file(start), prompt="a fox", extra_body={"steps": 6, "seed": 1, "strength": 0.6})
    assert image(made.data[0].b64_json).size == (64, 64)
    # Transparent is what changes.
    mask = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (16, 16, 48, 48))
    made = client.images.edit(image=file(start), mask=file(mask), prompt="a fox", extra_body={"steps": 8, "seed": 1})
    before, after = numpy.asarray(start, float), numpy.asarray(image(made.data[0].b64_json), float)
    change = abs(before - after).mean(2)
    assert change[20:44, 20:44].mean() > 3 * change[:12].mean()
    seen = list(client.images.edit(image=file(start), prompt="a fox", stream=True, partial_images=1, extra_body={"steps": 6}))
    assert [event.type for event in seen] == ["image_edit.partial_image", "image_edit.completed"]


def test_models(client):
    assert [model.id for model in client.models.list()] == ["emoji"]
    assert client.models.retrieve("emoji").object == "model"


@pytest.mark.parametrize("options, param", [
    ({"size": "63x64"}, "size"), ({"size": "big"}, "size"), ({"n": 11}, "n"), ({"output_format": "webp"}, "output_format"),
    ({"background": "transparent"}, "background"), ({"extra_body": {"steps": 0}}, "steps"), ({"extra_body": {"lora": "x"}}, "lora"),
    ({"extra_body": {"scheduler": "none such"}}, "scheduler"),
])
def test_errors(client, options, param):
    with pytest.raises(openai.BadRequestError) as error:
        client.images.generate(prompt="a fox", **options)
    assert error.value.param == param and error.value.type == "invalid_request_error"


def test_who_is_refused_is_told_that_the_connection_ends(server):
    """A client would send its next request on a connection that the server is about to close."""
    for path, body in [("/v1/images/generations", {"prompt": "a fox", "steps": 0}), ("/v1/images/generations", {}), ("/v1/images/edits", {}),
                       ("/sdapi/v1/txt2img", {"steps": "x"}), ("/sdapi/v1/img2img", {}), ("/sdapi/v1/extra-single-image", {})]:
        answer = requests.post(server.url + path, json=body, timeout=PATIENCE)
        assert answer.status_code in (400, 404, 422) and answer.headers["connection"] == "close", path
    # Others go on.
    assert "connection" not in requests.post(f"{server.url}/v1/jobs", json={}, timeout=PATIENCE).headers


def test_other_errors(client, server):
    with pytest.raises(openai.NotFoundError):
        client.images.generate(prompt="a fox", model="none such")
    with pytest.raises(openai.BadRequestError):
        client.images.edit(image=("a.png", b"no picture", "image/png"), prompt="a fox")
    for body, kind in [(b"", "multipart/form-data"), (b"--x", "multipart/form-data; boundary=x"), (b"x", "multipart/form-data; boundary=x"),
                       (b"--x\r\n\r\n\r\n--x--", "multipart/form-data; boundary=x"), (b"{}", "application/json")]:
        answer = requests.post(f"{server.url}/v1/images/edits", data=body, headers={"Content-Type": kind}, timeout=PATIENCE)
        assert answer.status_code == 400 and answer.json()["error"]["message"], body
    with Server("--api-key", "secret") as locked:
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=f"{locked.url}/v1", api_key="wrong", max_retries=0).models.list()
        assert openai.OpenAI(base_url=f"{locked.url}/v1", api_key="secret").models.list().data
