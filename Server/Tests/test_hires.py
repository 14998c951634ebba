"""Larger pictures, by every API; the judges are the command line, whose second passes are tested against diffusers', and Pillow."""

import base64
import io
import os
import shutil
import subprocess
import threading

import numpy
import openai
import pytest
import requests
import webuiapi
from PIL import Image

from conftest import MODEL, PATIENCE, ROOT, Server, wait_for

SD_ONNX = os.environ.get("SD_ONNX_PROGRAM", os.path.join(ROOT, ".build/release/sd-onnx"))
NETWORK = os.path.join(ROOT, "Tests/SDPipelineTests/Fixtures/upscale/rgb.onnx")
SETTINGS = {"seed": 5, "steps": 6, "cfg_scale": 5, "width": 64, "height": 64}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("upscalers")
    shutil.copy(NETWORK, folder / "rgb.onnx")
    (folder / "whole").mkdir()
    shutil.copy(NETWORK, folder / "whole/model.onnx")
    (folder / "broken.onnx").write_bytes(b"no graph")
    with Server("--upscaler-dir", str(folder), "--max-pixels", str(256 * 256)) as server:
        server.folder = str(folder)
        yield server
        assert server.process.poll() is None


@pytest.fixture()
def api(own):
    return webuiapi.WebUIApi(baseurl=f"{own.url}/sdapi/v1", steps=6)


def pixels(content):
    return numpy.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def command(tmp_path, *options):
    """What the command line makes of the same settings."""
    file = tmp_path / "a.png"
    subprocess.run([SD_ONNX, "generate", "a fox", "-m", MODEL, "--seed", "5", "--steps", "6", "--cfg-scale", "5", "-W", "64", "-H", "64",
                    "--prompt-syntax", "a1111", "--quiet", "-o", str(file), *options], check=True)
    return pixels(file.read_bytes())


def post(server, path, **body):
    return requests.post(f"{server.url}/{path}", json=body, timeout=PATIENCE)


@pytest.mark.parametrize("fields, options", [
    ({"hr_scale": 2, "hr_upscaler": "Latent"}, ["--hires", "2"]),
    ({"hr_scale": 1.5, "hr_upscaler": "Latent (bicubic antialiased)", "hr_second_pass_steps": 3, "denoising_strength": 0.5},
     ["--hires", "1.5", "--hires-upscaler", "latent-bicubic-antialiased", "--hires-steps", "3", "--hires-strength", "0.5"]),
    ({"hr_resize_x": 112, "hr_upscaler": "None"}, ["--hires-width", "112", "--hires-upscaler", "lanczos"]),
    ({"hr_resize_x": 144, "hr_resize_y": 96, "hr_upscaler": "Nearest"},
     ["--hires-width", "144", "--hires-height", "96", "--hires-upscaler", "nearest"]),
    ({"hr_upscaler": "rgb"}, ["--hires", "2", "--hires-upscaler", NETWORK]),
    ({"hr_scale": 1.5, "hr_upscaler": "whole", "hr_sampler_name": "DPM++ 2M", "hr_scheduler": "Karras", "hr_prompt": "an owl",
      "hr_negative_prompt": "gray", "hr_cfg": 3},
     ["--hires", "1.5", "--hires-upscaler", NETWORK, "--hires-scheduler", "DPM++ 2M Karras", "--hires-prompt", "an owl",
      "--hires-negative-prompt", "gray", "--hires-cfg-scale", "3"]),
])
def test_as_the_command_line(own, tmp_path, fields, options):
    strength = [] if "--hires-strength" in options else ["--hires-strength", "0.75"]
    expected = command(tmp_path, "--scheduler", "euler uniform", *options, *strength)
    answer = post(own, "sdapi/v1/txt2img", prompt="a fox", sampler_name="Euler", scheduler="Uniform", enable_hr=True, **SETTINGS, **fields)
    assert answer.status_code == 200, answer.text
    content = base64.b64decode(answer.json()["images"][0])
    assert numpy.array_equal(pixels(content), expected)
    # What is echoed is what was asked for, and the infotext makes it again.
    assert answer.json()["parameters"]["enable_hr"] is True
    for name, value in fields.items():
        assert answer.json()["parameters"][name] == value
    text = Image.open(io.BytesIO(content)).text["parameters"]
    assert "Hires upscaler: " in text and "Denoising strength: " in text and ("Hires resize" in text) == ("hr_resize_x" in fields)
    again = post(own, "sdapi/v1/txt2img", infotext=text)
    assert again.status_code == 200 and numpy.array_equal(pixels(base64.b64decode(again.json()["images"][0])), expected)


def test_the_old_form_and_the_same_checkpoint(own):
    """Clients that state the size of the first pass, with that of the second one as the picture's."""
    def images(**fields):
        answer = post(own, "sdapi/v1/txt2img", prompt="a fox", enable_hr=True, **{**SETTINGS, **fields})
        assert answer.status_code == 200, answer.text
        return pixels(base64.b64decode(answer.json()["images"][0])), answer.json()["parameters"]
    expected, _ = images(hr_resize_x=128, hr_resize_y=96)
    made, parameters = images(width=128, height=96, firstphase_width=64, firstphase_height=64)
    assert made.shape == (96, 128, 3) and numpy.array_equal(made, expected)
    assert (parameters["firstphase_width"], parameters["width"]) == (64, 64)
    # What is said of the second pass's size in the new form counts, as there.
    scaled, _ = images(hr_scale=1.5)
    assert numpy.array_equal(images(width=256, height=256, firstphase_width=64, firstphase_height=64, hr_scale=1.5)[0], scaled)
    model = requests.get(f"{own.url}/sdapi/v1/sd-models", timeout=PATIENCE).json()[0]
    for name in ["", "Use same checkpoint", "emoji", "Emoji", model["title"], None]:
        assert numpy.array_equal(images(hr_scale=1.5, hr_checkpoint_name=name)[0], scaled), name


def test_by_webuiapi(api):
    made = api.txt2img(prompt="a fox", **SETTINGS, enable_hr=True, hr_scale=2, hr_upscaler=webuiapi.HiResUpscaler.Latent,
                       hr_second_pass_steps=3, denoising_strength=0.6)
    assert made.image.size == (128, 128) and made.info["width"] == 64 and made.info["denoising_strength"] == 0.6
    assert "Hires upscale: 2, Hires steps: 3, Hires upscaler: Latent" in made.info["infotexts"][0]
    assert made.info["extra_generation_params"]["Hires upscaler"] == "Latent"
    # Its defaults, without a second pass.
    assert api.txt2img(prompt="a fox", **SETTINGS).image.size == (64, 64)
    assert [it["name"] for it in api.get_latent_upscale_modes()] == [
        "Latent", "Latent (antialiased)", "Latent (bicubic)", "Latent (bicubic antialiased)", "Latent (nearest)", "Latent (nearest-exact)"]
    assert [it["name"] for it in api.get_upscalers()] == ["None", "Lanczos", "Nearest", "broken", "rgb", "whole"]


def test_own_and_openai(own, tmp_path):
    fields = {"hires": 1.5, "hires_strength": 0.5, "hires_steps": 4, "hires_upscaler": "rgb", "hires_prompt": "an owl"}
    expected = command(tmp_path, "--scheduler", "euler", "--hires", "1.5", "--hires-strength", "0.5", "--hires-steps", "4",
                       "--hires-upscaler", NETWORK, "--hires-prompt", "an owl")
    job = own.finished(post(own, "v1/jobs", prompt="a fox", scheduler="euler", **SETTINGS, **fields).json()["id"])
    assert job["state"] == "completed" and job["steps"] == 10 and job["pictures"][0]["record"]["hires"]["width"] == 96
    content = requests.get(own.url + job["pictures"][0]["url"], timeout=PATIENCE).content
    assert numpy.array_equal(pixels(content), expected)
    assert {"latent", "lanczos", "nearest", "rgb", "whole"} <= set(requests.get(own.url + "/v1/info", timeout=PATIENCE).json()["upscalers"])
    client = openai.OpenAI(base_url=f"{own.url}/v1", api_key="any", timeout=PATIENCE)
    made = client.images.generate(prompt="a fox", size="64x64", response_format="b64_json",
                                  extra_body={"seed": 5, "steps": 6, "cfg_scale": 5, "scheduler": "euler", **fields})
    assert made.size == "96x96" and numpy.array_equal(pixels(base64.b64decode(made.data[0].b64_json)), expected)


def test_what_is_refused(own):
    def refused(path, name, **fields):
        answer = post(own, path, prompt="a fox", **{**SETTINGS, **fields})
        assert answer.status_code in (400, 422), answer.text
        assert name in answer.text and own.folder not in answer.text
        return answer.text
    for name, fields in [
        ("hr_scale", {"hr_scale": 0.5}), ("hr_scale", {"hr_scale": 5}), ("hr_upscaler", {"hr_upscaler": "R-ESRGAN 4x+"}),
        ("hr_upscaler", {"hr_upscaler": "../rgb"}), ("hr_second_pass_steps", {"hr_second_pass_steps": 149}),
        ("hr_checkpoint_name", {"hr_checkpoint_name": "other"}), ("firstphase_height", {"firstphase_width": 64}), ("Sampler not found: none such", {"hr_sampler_name": "none such"}),
        ("Scheduler not found: none such", {"hr_scheduler": "none such"}), ("firstphase_width", {"firstphase_height": 64}), ("hr_cfg", {"hr_cfg": -1}),
    ]:
        refused("sdapi/v1/txt2img", name, enable_hr=True, **fields)
    for name, fields in [
        ("hires", {"hires": 17}), ("hires_steps", {"hires_steps": 3}), ("hires_width", {"hires": 2, "hires_width": 128}),
        ("hires_upscaler", {"hires": 2, "hires_upscaler": "none"*30}), ("hires_scheduler", {"hires": 2, "hires_scheduler": "none such"}),
        ("hires_prompt", {"hires": 2, "hires_prompt": "<lora:none:1>"}), ("steps", {"hires": 2, "steps": 76}),
    ]:
        refused("v1/jobs", f'"field":"{name}"', **fields)
    start = io.BytesIO()
    Image.new("RGB", (64, 64)).save(start, "PNG")
    refused("v1/jobs", '"field":"hires"', hires=2, init_image=base64.b64encode(start.getvalue()).decode())
    answer = post(own, "sdapi/v1/txt2img", prompt="a fox", enable_hr=True, hr_upscaler="broken", **SETTINGS)
    assert answer.status_code >= 400 and own.folder not in answer.text and '\\"broken\\"' in answer.text


def test_progress_over_both_passes_and_an_interrupt_in_the_second(own, api):
    answers = []
    fields = dict(prompt="a fox", seed=5, steps=4, width=64, height=64, enable_hr=True, hr_scale=4, hr_second_pass_steps=140)
    thread = threading.Thread(target=lambda: answers.append(post(own, "sdapi/v1/txt2img", **fields)))
    thread.start()

    def state():
        return requests.get(f"{own.url}/sdapi/v1/progress", timeout=PATIENCE).json()
    found = wait_for(lambda: next(iter([it for it in [state()] if it["state"]["sampling_step"] > 6]), None), "the second pass")
    assert found["state"]["sampling_steps"] == 144 and 0 < found["progress"] < 1 and found["current_image"]
    api.interrupt()
    thread.join(PATIENCE)
    assert answers[0].status_code == 200 and answers[0].json()["images"] == []
    assert api.txt2img(prompt="a fox", **SETTINGS).image.size == (64, 64)


def test_extras(own, api, tmp_path):
    noise = Image.fromarray(numpy.random.default_rng(1).integers(0, 256, (30, 20, 3), dtype=numpy.uint8))
    noise.save(tmp_path / "noise.png")
    subprocess.run([SD_ONNX, "upscale", str(tmp_path / "noise.png"), "-m", NETWORK, "--scale", "3", "-o", str(tmp_path / "large.png"), "--quiet"], check=True)
    large = Image.open(tmp_path / "large.png").convert("RGB")
    assert numpy.array_equal(numpy.asarray(api.extra_single_image(image=noise, upscaling_resize=3, upscaler_1="rgb").image), numpy.asarray(large))
    batch = api.extra_batch_images([noise, noise], upscaling_resize=3, upscaler_1="RGB")
    assert all(numpy.array_equal(numpy.asarray(image), numpy.asarray(large)) for image in batch.images) and len(batch.images) == 2
    # Sizes that are no multiples, and two upscalers, by Pillow.
    for size in [(50, 75), (33, 49), (7, 11)]:
        factor = max(size[0] / 20, size[1] / 30)
        wide = (round(20 * factor), round(30 * factor))
        made = api.extra_single_image(image=noise, resize_mode=1, upscaling_resize_w=size[0], upscaling_resize_h=size[1], upscaling_crop=False,
                                      upscaler_1="Nearest").image
        assert numpy.array_equal(numpy.asarray(made), numpy.asarray(noise.resize(wide, Image.NEAREST)))
    nearest = noise.resize((60, 90), Image.NEAREST)
    mixed = api.extra_single_image(image=noise, upscaling_resize=3, upscaler_1="rgb", upscaler_2="Nearest", extras_upscaler_2_visibility=0.3).image
    assert numpy.array_equal(numpy.asarray(mixed), numpy.asarray(Image.blend(large, nearest, 0.3)))
    body = {"image": base64.b64encode((tmp_path / "noise.png").read_bytes()).decode()}
    for fields, name in [({"upscaler_1": "none such"}, "upscaler_1"), ({"upscaler_1": "rgb", "resize_mode": 1, "upscaling_resize_w": 2000, "upscaling_resize_h": 2000}, "upscaling_resize"),
                         ({"gfpgan_visibility": 0.5}, "gfpgan_visibility")]:
        answer = post(own, "sdapi/v1/extra-single-image", **body, **fields)
        assert answer.status_code == 422 and answer.json()["detail"][0]["loc"] == ["body", name]
    answer = post(own, "sdapi/v1/extra-single-image", **body, upscaler_1="broken")
    assert answer.status_code >= 400 and own.folder not in answer.text


def test_a_networks_work_can_be_interrupted(tmp_path):
    shutil.copy(NETWORK, tmp_path / "rgb.onnx")
    with Server("--upscaler-dir", str(tmp_path), "--max-pixels", str(4096 * 4096)) as server:
        file = io.BytesIO()
        Image.fromarray(numpy.random.default_rng(1).integers(0, 256, (1024, 1024, 3), dtype=numpy.uint8)).save(file, "PNG")
        picture = base64.b64encode(file.getvalue()).decode()
        body = {"upscaler_1": "rgb", "upscaling_resize": 4, "imageList": [{"data": picture, "name": "a"}] * 6}
        answers = []
        thread = threading.Thread(target=lambda: answers.append(post(server, "sdapi/v1/extra-batch-images", **body)))
        thread.start()
        wait_for(lambda: requests.get(f"{server.url}/sdapi/v1/progress", timeout=PATIENCE).json()["state"]["sampling_step"] >= 1, "the first tile")
        requests.post(f"{server.url}/sdapi/v1/interrupt", timeout=PATIENCE)
        thread.join(PATIENCE)
        assert answers[0].status_code == 409 and "interrupted" in answers[0].json()["detail"]
        # Another is enlarged afterwards.
        made = post(server, "sdapi/v1/extra-single-image", upscaler_1="rgb", upscaling_resize=2, image=encoded_small())
        assert made.status_code == 200


def encoded_small():
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_latent_upscale_of_a_start_picture(own, api, tmp_path):
    start = Image.fromarray(numpy.random.default_rng(2).integers(0, 256, (64, 80, 3), dtype=numpy.uint8)).resize((80, 64), Image.BILINEAR)
    start.save(tmp_path / "start.png")
    expected = command(tmp_path, "--init-img", str(tmp_path / "start.png"), "--resize", "latent", "--strength", "0.5", "--scheduler", "euler uniform")
    made = api.img2img(images=[start], prompt="a fox", **SETTINGS, resize_mode=3, denoising_strength=0.5, sampler_name="Euler", scheduler="Uniform").image
    assert numpy.array_equal(numpy.asarray(made.convert("RGB")), expected)
