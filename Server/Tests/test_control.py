"""ControlNets of a folder; the judge of pictures is the command line, whose ControlNets are tested against diffusers'."""

import base64
import io
import os
import shutil
import subprocess

import numpy
import pytest
import requests
import webuiapi
from PIL import Image

from conftest import PATIENCE, ROOT, Server

SD_ONNX = os.environ.get("SD_ONNX_PROGRAM", os.path.join(ROOT, ".build/release/sd-onnx"))
# Tiny networks with random weights, which Tools/setup-test-data.sh makes.
DATA = os.path.join(os.environ.get("SD_ONNX_TEST_CACHE") or os.path.expanduser("~/.cache/sd-onnx"), "controls")
LINES = os.path.join(DATA, "inputs/lines-64x64.png")
SETTINGS = {"prompt": "a fox", "steps": 3, "seed": 5, "cfg_scale": 5, "scheduler": "euler", "width": 64, "height": 64}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("controls")
    shutil.copytree(os.path.join(DATA, "sd1/control-0"), folder / "lines")
    shutil.copytree(os.path.join(DATA, "sd1/control-1"), folder / "depth")
    shutil.copytree(os.path.join(DATA, "broken/few"), folder / "few")
    with Server("--model", os.path.join(DATA, "sd1/model"), "--control-dir", str(folder)) as server:
        server.folder = folder
        yield server
        assert server.process.poll() is None


def encoded(path):
    with open(path, "rb") as file:
        return base64.b64encode(file.read()).decode()


def pixels(content):
    return numpy.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def expected(own, tmp_path, *options):
    file = tmp_path / "expected.png"
    subprocess.run([SD_ONNX, "generate", "a fox", "-m", os.path.join(DATA, "sd1/model"), "--steps", "3", "--seed", "5", "--cfg-scale", "5",
                    "--scheduler", "euler", "-W", "64", "-H", "64", "--prompt-syntax", "a1111", "-o", str(file), "--quiet", *options], check=True)
    return pixels(file.read_bytes())


def make(own, **fields):
    answer = requests.post(f"{own.url}/v1/jobs", json={**SETTINGS, **fields}, timeout=PATIENCE)
    assert answer.status_code == 202, answer.text
    job = own.finished(answer.json()["id"])
    assert job["state"] == "completed", job
    return pixels(requests.get(own.url + job["pictures"][0]["url"], timeout=PATIENCE).content)


def test_the_own_api_makes_the_command_lines_pictures(own, tmp_path):
    lines = {"network": "lines", "image": encoded(LINES)}
    one = ["--control", str(own.folder / "lines"), "--control-image", LINES]
    for controls, options in [
        ([], []), ([lines], one), ([{**lines, "strength": 0.5, "start": 0.2, "end": 0.9}], [*one, "--control-strength", "0.5", "--control-start", "0.2", "--control-end", "0.9"]),
        ([{**lines, "preprocess": "canny:50,100"}], [*one, "--control-preprocess", "canny:50,100"]),
        ([lines, {"network": "depth", "image": encoded(os.path.join(DATA, "inputs/depth-96x64.png")), "resize": "fill"}],
         [*one, "--control", str(own.folder / "depth"), "--control-image", os.path.join(DATA, "inputs/depth-96x64.png"),
          "--control-resize", "stretch", "--control-resize", "fill"]),
    ]:
        assert numpy.array_equal(make(own, controls=controls), expected(own, tmp_path, *options)), options
    assert numpy.array_equal(make(own, controls=[lines], control_guess=True), expected(own, tmp_path, *one, "--control-guess"))
    assert requests.get(f"{own.url}/v1/info", timeout=PATIENCE).json()["controls"] == ["depth", "few", "lines"]


def test_units_of_a1111s_clients(own, tmp_path):
    api = webuiapi.WebUIApi(baseurl=f"{own.url}/sdapi/v1", sampler="Euler", steps=3)
    assert requests.get(f"{own.url}/controlnet/model_list", timeout=PATIENCE).json() == {"model_list": ["depth", "few", "lines"]}
    assert "controlnet" in api.get_scripts()["txt2img"]
    image = Image.open(LINES)
    one = ["--control", str(own.folder / "lines"), "--control-image", LINES]
    for unit, options in [
        (webuiapi.ControlNetUnit(image=image, model="lines [0123abcd]", weight=0.7, guidance_start=0.1), [*one, "--control-strength", "0.7", "--control-start", "0.1", "--control-resize", "fit"]),
        (webuiapi.ControlNetUnit(image=image, model="lines", module="canny", threshold_a=50, threshold_b=100), [*one, "--control-preprocess", "canny:50,100", "--control-resize", "fit"]),
        (webuiapi.ControlNetUnit(image=image, model="none such", enabled=False), []),
    ]:
        made = api.txt2img(prompt="a fox", seed=5, cfg_scale=5, width=64, height=64, scheduler="DDIM", controlnet_units=[unit],
                           # The client keeps what it adds to its own default, and sends it with all later requests.
                           alwayson_scripts={}).image
        assert numpy.array_equal(numpy.asarray(made.convert("RGB")), expected(own, tmp_path, *options)), options
    # A unit without a picture sees the one to start from.
    start = os.path.join(DATA, "inputs/start-64x64.png")
    unit = {"model": "lines", "resize_mode": 1}
    answer = requests.post(f"{own.url}/sdapi/v1/img2img", timeout=PATIENCE, json={
        **SETTINGS, "sampler_name": "Euler", "scheduler": "DDIM", "init_images": [encoded(start)], "denoising_strength": 0.7,
        "alwayson_scripts": {"ControlNet": {"args": [unit]}}})
    assert answer.status_code == 200, answer.text
    assert numpy.array_equal(
        pixels(base64.b64decode(answer.json()["images"][0])),
        expected(own, tmp_path, "--init-img", start, "--strength", "0.7", "--control", str(own.folder / "lines"), "--control-image", start, "--control-resize", "fill"))


@pytest.mark.parametrize("control, name", [
    ({"network": "none"}, "network"), ({"network": "../controls/lines"}, "network"), ({"network": "/etc/passwd"}, "network"), ({"image": ""}, "image"),
    ({"image": "!!"}, "image"), ({"strength": 1e9}, "strength"), ({"start": 0.5, "end": 0.5}, "start"), ({"end": 2}, "end"), ({"preprocess": "depth"}, "preprocess"),
    ({"preprocess": "canny:2,1"}, "preprocess"), ({"resize": "big"}, "resize"),
])
def test_what_is_refused(own, control, name):
    body = {**SETTINGS, "controls": [{"network": "lines", "image": encoded(LINES), **control}]}
    answer = requests.post(f"{own.url}/v1/jobs", json=body, timeout=PATIENCE)
    assert answer.status_code == 422 and answer.json()["error"]["field"] == f"controls.0.{name}", answer.text


@pytest.mark.parametrize("unit, name", [
    ({"model": "none"}, "model"), ({"model": None}, "model"), ({"module": "openpose"}, "module"), ({"control_mode": 2}, "control_mode"),
    ({"control_mode": "My prompt is more important"}, "control_mode"), ({"resize_mode": "big"}, "resize_mode"), ({"image": ""}, "image"), ({"mask": "AAAA"}, "mask"),
    ({"weight": "x"}, "weight"), ({"guidance_start": 1}, "guidance_start"), ({"module": "canny", "threshold_a": 300}, "threshold_a"),
])
def test_units_that_are_refused(own, unit, name):
    body = {**SETTINGS, "scheduler": None, "alwayson_scripts": {"controlnet": {"args": [{"model": "lines", "image": encoded(LINES), **unit}]}}}
    answer = requests.post(f"{own.url}/sdapi/v1/txt2img", json=body, timeout=PATIENCE)
    assert answer.status_code == 422 and answer.json()["detail"][0]["loc"] == ["body", "alwayson_scripts", "controlnet", "args", "0", name], answer.text


def test_a_network_that_does_not_fit_fails_by_itself(own, tmp_path):
    answer = requests.post(f"{own.url}/v1/jobs", json={**SETTINGS, "controls": [{"network": "few", "image": encoded(LINES)}]}, timeout=PATIENCE)
    job = own.finished(answer.json()["id"])
    assert job["state"] == "failed" and "ControlNet few gives 5 residuals" in job["error"]["message"] and str(own.folder) not in job["error"]["message"], job
    assert numpy.array_equal(make(own), expected(own, tmp_path))


def test_without_a_folder_scripts_are_refused(server):
    body = {"prompt": "a fox", "alwayson_scripts": {"ControlNet": {"args": [{}]}}}
    answer = requests.post(f"{server.url}/sdapi/v1/txt2img", json=body, timeout=PATIENCE)
    assert answer.status_code == 422 and "ControlNet" in answer.text
    assert requests.get(f"{server.url}/controlnet/model_list", timeout=PATIENCE).json() == {"model_list": []}
