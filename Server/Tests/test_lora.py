"""LoRAs of a folder, by every API; the judge of pictures is the command line, whose LoRAs are tested against diffusers'."""

import base64
import concurrent.futures
import io
import os
import shutil
import subprocess

import numpy
import openai
import pytest
import requests
import webuiapi
from PIL import Image

from conftest import MODEL, PATIENCE, ROOT, Server

SD_ONNX = os.environ.get("SD_ONNX_PROGRAM", os.path.join(ROOT, ".build/release/sd-onnx"))
NIGHT = os.path.join(MODEL, "lora/night.safetensors")
SETTINGS = {"steps": 6, "seed": 5, "cfg_scale": 5, "scheduler": "euler"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loras")
    (folder / "styles").mkdir()
    shutil.copy(NIGHT, folder / "night.safetensors")
    shutil.copy(NIGHT, folder / "styles/dark.safetensors")
    (folder / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0not JSON at all!")
    return folder


@pytest.fixture(scope="module")
def own(folder):
    with Server("--lora-dir", str(folder)) as server:
        yield server
        assert server.process.poll() is None


@pytest.fixture(scope="module")
def pictures(folder, tmp_path_factory):
    """What the command line makes, by how the LoRA is named."""
    made = {}
    for name, options in {
        "plain": ["a fox"], "night": ["a fox <lora:night:1>"], "half": ["a fox <lora:night:0.5>"], "parts": ["a fox <lora:night:0.2:0.9>"],
    }.items():
        file = tmp_path_factory.mktemp("pictures") / "a.png"
        subprocess.run([SD_ONNX, "generate", *options, "-m", MODEL, "--lora-dir", str(folder), "--seed", "5", "--steps", "6", "--cfg-scale", "5",
                        "--scheduler", "euler", "--prompt-syntax", "a1111", "-o", str(file), "--quiet"], check=True)
        made[name] = pixels(file.read_bytes())
    # A model that may get LoRAs makes the pictures of one that may not.
    command = [SD_ONNX, "generate", "a fox", "-m", MODEL, "--seed", "5", "--steps", "6", "--cfg-scale", "5", "--scheduler", "euler", "-o", "-", "--quiet"]
    assert numpy.array_equal(pixels(subprocess.run(command, check=True, capture_output=True).stdout), made["plain"])
    assert not numpy.array_equal(made["plain"], made["night"]) and not numpy.array_equal(made["half"], made["night"])
    return made


def pixels(content):
    return numpy.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def make(server, **fields):
    answer = requests.post(f"{server.url}/v1/jobs", json={"prompt": "a fox", **SETTINGS, **fields}, timeout=PATIENCE)
    assert answer.status_code == 202, answer.text
    job = server.finished(answer.json()["id"])
    assert job["state"] == "completed", job
    return pixels(requests.get(server.url + job["pictures"][0]["url"], timeout=PATIENCE).content), job["pictures"][0]


def test_tags_and_fields_are_the_command_lines(own, pictures):
    for fields, name in [
        ({}, "plain"), ({"prompt": "a fox <lora:night:1>"}, "night"), ({"prompt": "a fox <lora:night:0.5>"}, "half"),
        ({"prompt": "a fox <lora:night:0.2:0.9>"}, "parts"), ({"lora": "night"}, "night"), ({"lora": "night:0.5"}, "half"),
        ({"lora": "night:0.9:0.2"}, "parts"), ({"lora": [{"name": "night"}]}, "night"), ({"lora": [{"name": "night", "weight": 0.5}]}, "half"),
        ({"lora": [{"name": "night", "weight": 0.9, "text_weight": 0.2}]}, "parts"), ({"lora": "dark:0.5,night:0.5"}, None),
        ({"lora": "styles/dark"}, "night"), ({"lora": ""}, "plain"), ({"lora": []}, "plain"), ({"lora": None}, "plain"),
        # A tag adds to the field.
        ({"prompt": "a fox <lora:night:0.25>", "lora": "night:0.25"}, "half"), ({}, "plain"),
    ]:
        made, picture = make(own, **fields)
        if name:
            assert numpy.array_equal(made, pictures[name]), fields
        if name == "night" and fields.get("lora") == "night":
            # What was asked for beside the prompt is in the text, too, as other programs read it.
            assert "<lora:night:1" in picture["parameters"] and picture["record"]["loras"][0]["name"] == "night"


def test_the_model_is_loaded_once(own):
    for fields in [{}, {"lora": "night"}, {"lora": "dark"}, {"lora": "night,dark"}, {}]:
        make(own, **fields)
    assert "\nsd_onnx_model_loads_total 1\n" in requests.get(f"{own.url}/metrics", timeout=PATIENCE).text


def test_requests_do_not_see_each_others(own, pictures):
    """Many at once, with and without, in any order."""
    asked = [({}, "plain"), ({"lora": "night"}, "night"), ({"prompt": "a fox <lora:night:0.5>"}, "half"), ({"lora": "night:0.9:0.2"}, "parts")] * 4

    def one(item):
        fields, name = item
        return numpy.array_equal(make(own, **fields)[0], pictures[name]), fields

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for same, fields in pool.map(one, asked):
            assert same, fields


def test_a1111(own, pictures):
    api = webuiapi.WebUIApi(baseurl=f"{own.url}/sdapi/v1", sampler="Euler", steps=6)
    listed = {lora["name"]: lora for lora in requests.get(f"{own.url}/sdapi/v1/loras", timeout=PATIENCE).json()}
    assert set(listed) == {"night", "dark", "broken"} and set(listed["night"]) == {"name", "alias", "path", "metadata"}
    assert listed["dark"]["path"] == "styles/dark.safetensors"
    made = api.txt2img(prompt="a fox <lora:night:1>", seed=5, cfg_scale=5, width=64, height=64, scheduler="DDIM")
    assert numpy.array_equal(numpy.asarray(made.image.convert("RGB")), pictures["night"])
    assert made.info["infotexts"][0].startswith("a fox <lora:night:1>\n")
    # With the text of a picture it is made again.
    again = requests.post(f"{own.url}/sdapi/v1/txt2img", json={"infotext": made.info["infotexts"][0]}, timeout=PATIENCE).json()
    assert numpy.array_equal(pixels(base64.b64decode(again["images"][0])), pictures["night"])


def test_openai(own, pictures):
    client = openai.OpenAI(base_url=f"{own.url}/v1", api_key="any", max_retries=0, timeout=PATIENCE)
    for lora, name in [("night", "night"), ("night:0.5", "half"), ([{"name": "night", "weight": 0.5}], "half")]:
        made = client.images.generate(prompt="a fox", extra_body={**SETTINGS, "lora": lora})
        assert numpy.array_equal(pixels(base64.b64decode(made.data[0].b64_json)), pictures[name])
    # As a field of a form.
    start = io.BytesIO()
    Image.new("RGB", (64, 64), (40, 90, 200)).save(start, "PNG")
    form = {"prompt": "a fox", "steps": "6", "seed": "1", "strength": "0.7"}
    answers = [requests.post(f"{own.url}/v1/images/edits", files={"image": ("a.png", start.getvalue())}, data={**form, **more}, timeout=PATIENCE).json()
               for more in [{}, {"lora": "night"}]]
    assert answers[0]["data"][0]["b64_json"] != answers[1]["data"][0]["b64_json"]
    with pytest.raises(openai.BadRequestError) as error:
        client.images.generate(prompt="a fox", extra_body={"lora": "none such"})
    assert error.value.param == "lora"
    with pytest.raises(openai.BadRequestError) as error:
        client.images.generate(prompt="a fox <lora:none such:1>")
    assert error.value.param == "prompt"


@pytest.mark.parametrize("fields, name", [
    ({"prompt": "a fox <lora:none:1>"}, "prompt"), ({"prompt": "a fox <lora:night:much>"}, "prompt"), ({"prompt": "a fox <lora:night:1e9>"}, "prompt"),
    ({"prompt": "<lora:../night:1>"}, "prompt"), ({"prompt": f"<lora:{NIGHT}:1>"}, "prompt"), ({"prompt": "<lora:night.safetensors:1>"}, "prompt"),
    ({"lora": "none"}, "lora"), ({"lora": "night:1:2:3"}, "lora"), ({"lora": "night:1e9"}, "lora"), ({"lora": "night,night"}, "lora"),
    ({"lora": NIGHT}, "lora"), ({"lora": "../loras/night"}, "lora"), ({"lora": "styles/../night"}, "lora"), ({"lora": "night,"}, "lora"),
    ({"lora": 5}, "lora"), ({"lora": {"night": 1}}, "lora"), ({"lora": [{"weight": 1}]}, "lora.0.name"),
    ({"lora": [{"name": "night", "weight": "x"}]}, "lora.0.weight"), ({"lora": [{"name": "night"}, {"name": "none"}]}, "lora.1.name"),
    ({"lora": [{"name": "night"}] * 17}, "lora"), ({"lora": ",".join(["night"] * 17)}, "lora"),
])
def test_what_is_refused(own, fields, name):
    answer = requests.post(f"{own.url}/v1/jobs", json={"prompt": "a fox", **fields}, timeout=PATIENCE)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["field"] == name, answer.text


def test_a_file_that_is_no_lora_fails_by_itself(own, folder, pictures):
    answer = requests.post(f"{own.url}/v1/jobs", json={"prompt": "a fox", "lora": "broken"}, timeout=PATIENCE)
    job = own.finished(answer.json()["id"])
    assert job["state"] == "failed" and '"broken"' in job["error"]["message"] and str(folder) not in job["error"]["message"]
    assert requests.post(f"{own.url}/sdapi/v1/txt2img", json={"prompt": "a fox <lora:broken:1>"}, timeout=PATIENCE).status_code == 422
    assert numpy.array_equal(make(own, lora="night")[0], pictures["night"])


def test_the_folder_is_looked_at_again(tmp_path):
    with Server("--lora-dir", str(tmp_path)) as server:
        api = webuiapi.WebUIApi(baseurl=f"{server.url}/sdapi/v1")
        assert requests.get(f"{server.url}/v1/info", timeout=PATIENCE).json()["loras"] == []
        shutil.copy(NIGHT, tmp_path / "late.safetensors")
        assert requests.post(f"{server.url}/v1/jobs", json={"prompt": "a", "lora": "late"}, timeout=PATIENCE).status_code == 422
        assert requests.post(f"{server.url}/sdapi/v1/refresh-loras", timeout=PATIENCE).json() is None
        assert [lora["name"] for lora in requests.get(f"{server.url}/sdapi/v1/loras", timeout=PATIENCE).json()] == ["late"]
        before = make(server, lora="late")[0]
        # Gone while it is loaded: it stays so; after the next look it isn't there.
        (tmp_path / "late.safetensors").unlink()
        assert numpy.array_equal(make(server, lora="late")[0], before)
        requests.post(f"{server.url}/sdapi/v1/refresh-loras", timeout=PATIENCE)
        assert requests.post(f"{server.url}/v1/jobs", json={"prompt": "a", "lora": "late"}, timeout=PATIENCE).status_code == 422


def test_without_a_folder_there_are_none(server):
    assert requests.get(f"{server.url}/sdapi/v1/loras", timeout=PATIENCE).json() == []
    answer = requests.post(f"{server.url}/sdapi/v1/txt2img", json={"prompt": "a fox <lora:night:1>"}, timeout=PATIENCE)
    assert answer.status_code == 422 and "the server has none" in answer.text
    with_text = requests.post(f"{server.url}/v1/tokens", json={"prompt": "a fox <lora:night:1>"}, timeout=PATIENCE).json()
    assert with_text == requests.post(f"{server.url}/v1/tokens", json={"prompt": "a fox "}, timeout=PATIENCE).json()


def test_a_folder_that_is_none_is_refused(tmp_path):
    from conftest import PROGRAM
    answer = subprocess.run([PROGRAM, "--model", MODEL, "--port", "0", "--lora-dir", str(tmp_path / "none")], capture_output=True, text=True)
    assert answer.returncode != 0 and "isn't a folder" in answer.stderr
