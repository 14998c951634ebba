"""AUTOMATIC1111's API, by the client of PyPI, webuiapi, and field by field."""

import base64
import io
import json
import threading

import numpy
import pytest
import requests
import webuiapi
from PIL import Image, ImageDraw

from conftest import MODEL, PATIENCE, Server, wait_for


@pytest.fixture()
def api(server):
    return webuiapi.WebUIApi(baseurl=f"{server.url}/sdapi/v1", steps=6)


def post(server, path, body):
    return requests.post(f"{server.url}/sdapi/v1/{path}", json=body, timeout=PATIENCE)


def encoded(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_txt2img(api):
    result = api.txt2img(prompt="a fox", negative_prompt="gray", seed=7, cfg_scale=5, width=64, height=64, batch_size=2, n_iter=2)
    assert len(result.images) == 4 and all(image.size == (64, 64) for image in result.images)
    assert result.info["all_seeds"] == [7, 8, 9, 10] and result.info["seed"] == 7
    assert result.info["all_prompts"] == ["a fox"] * 4 and result.info["infotexts"][0].startswith("a fox\nNegative prompt: gray\nSteps: 6")
    assert result.info["sampler_name"] == "Euler a" and result.parameters["cfg_scale"] == 5
    # Each picture is the one of its own seed.
    third = api.txt2img(prompt="a fox", negative_prompt="gray", seed=9, cfg_scale=5, width=64, height=64).image
    assert numpy.array_equal(numpy.asarray(third), numpy.asarray(result.images[2]))
    assert result.images[2].text["parameters"] == result.info["infotexts"][2]


def test_every_sampler_makes_a_picture(server, api):
    names = api.util_get_sampler_names()
    assert {"Euler a", "Euler", "DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DDIM", "UniPC", "LMS", "Heun", "LCM"} <= set(names)
    for name in names:
        assert api.txt2img(prompt="an owl", seed=1, width=64, height=64, sampler_name=name).image.size == (64, 64), name
    for schedule in api.util_get_scheduler_names():
        assert api.txt2img(prompt="an owl", seed=1, width=64, height=64, sampler_name="DPM++ 2M", scheduler=schedule).images
    for sampler, schedule, same in [("DPM++ 2M", "Karras", ("DPM++ 2M Karras", None)), ("k_euler_a", None, ("Euler a", "Automatic")),
                                    ("DPM++ 2M", None, ("DPM++ 2M", "karras")), ("Euler", None, ("Euler", "Uniform")),
                                    ("Restart", "Automatic", ("Restart", "Karras"))]:
        images = [post(server, "txt2img", {"prompt": "an owl", "seed": 1, "steps": 5, "sampler_name": a, "scheduler": b}).json()["images"]
                  for a, b in [(sampler, schedule), same]]
        pictures = [numpy.asarray(Image.open(io.BytesIO(base64.b64decode(image[0])))) for image in images]
        assert numpy.array_equal(*pictures)
    answer = post(server, "txt2img", {"prompt": "an owl", "sampler_name": "None Such"})
    assert answer.status_code == 400 and set(answer.json()) == {"error", "detail", "body", "errors"}


def test_img2img_and_inpainting(api):
    start = Image.new("RGB", (64, 64), (40, 90, 200))
    result = api.img2img(images=[start], prompt="a green apple", seed=3, denoising_strength=0.5, width=64, height=64)
    assert result.image.size == (64, 64) and result.info["denoising_strength"] == 0.5
    assert result.parameters.get("init_images") is None
    mask = Image.new("L", (64, 64), 0)
    ImageDraw.Draw(mask).rectangle((20, 20, 43, 43), fill=255)
    for fill in range(4):
        made = api.img2img(images=[start], mask_image=mask, prompt="a fox", seed=3, denoising_strength=1, inpainting_fill=fill,
                           inpaint_full_res=True, inpaint_full_res_padding=8, mask_blur=0, width=64, height=64).image
        before, after = numpy.asarray(start), numpy.asarray(made.convert("RGB"))
        assert numpy.array_equal(before[:19], after[:19]) and not numpy.array_equal(before[21:43, 21:43], after[21:43, 21:43])
    # Where there is nothing under a mask of the whole, the picture before doesn't matter.
    nothing = [api.img2img(images=[Image.new("RGB", (64, 64), color)], mask_image=Image.new("L", (64, 64), 255), prompt="a fox", seed=3,
                           inpainting_fill=3, inpaint_full_res=False, mask_blur=0, denoising_strength=0.7, width=64, height=64).image
               for color in [(0, 0, 0), (250, 240, 9)]]
    assert numpy.array_equal(*[numpy.asarray(image) for image in nothing])
    inverted = api.img2img(images=[start], mask_image=mask, prompt="a fox", seed=3, inpaint_full_res=True, inpainting_mask_invert=1,
                           mask_blur=0, width=64, height=64).image
    assert numpy.array_equal(numpy.asarray(start)[24:40, 24:40], numpy.asarray(inverted.convert("RGB"))[24:40, 24:40])
    for mode in range(3):
        wide = api.img2img(images=[Image.new("RGB", (96, 64), (9, 99, 9))], prompt="a fox", resize_mode=mode, width=64, height=64)
        assert wide.image.size == (64, 64)
    with pytest.raises(RuntimeError) as error:
        api.img2img(images=[], prompt="a fox")
    assert error.value.args[0] == 404


def test_progress_interrupt_and_skip(server, api):
    api.util_wait_for_ready(0.05)
    idle = api.get_progress()
    assert idle["progress"] == 0 and idle["state"]["job_count"] == 0 and idle["current_image"] is None
    results = {}

    def make(name, **options):
        results[name] = api2.txt2img(prompt="a castle", steps=60, width=256, height=256, **options)

    api2 = webuiapi.WebUIApi(baseurl=f"{server.url}/sdapi/v1")
    thread = threading.Thread(target=make, args=("interrupted",), kwargs={"n_iter": 3})
    thread.start()
    def begun():
        now = api.get_progress()
        return now if now["current_image"] and now["state"]["sampling_step"] > 1 else None

    now = wait_for(begun, "the first steps")
    assert 0 < now["progress"] < 1 and now["state"]["job_count"] == 3 and now["state"]["sampling_steps"] == 60 and now["eta_relative"] > 0
    assert Image.open(io.BytesIO(base64.b64decode(now["current_image"]))).size == (256, 256)
    assert requests.get(f"{server.url}/sdapi/v1/progress?skip_current_image=true", timeout=PATIENCE).json()["current_image"] is None
    assert api.interrupt() == {}
    thread.join(PATIENCE)
    # It is answered with what there is, and that is none of the half-made.
    assert results["interrupted"].images == []
    api.util_wait_for_ready(0.05)
    thread = threading.Thread(target=make, args=("skipped",), kwargs={"n_iter": 2})
    thread.start()
    wait_for(lambda: api.get_progress()["state"]["sampling_step"] >= 2, "the second step")
    assert api.skip() is None
    thread.join(PATIENCE)
    assert len(results["skipped"].images) == 1


def test_options(server, api):
    options = api.get_options()
    assert options["sd_model_checkpoint"] == "emoji" == api.util_get_current_model()
    # Open WebUI sends the whole object back.
    assert api.set_options(options) is None and api.get_options() == options
    api.set_options({"samples_format": "jpg", "unknown": {"a": 1}, "CLIP_stop_at_last_layers": 2})
    made = api.txt2img(prompt="a fox", width=64, height=64)
    assert made.image.format == "JPEG" and made.info["clip_skip"] == 2 and "Clip skip: 2" in made.info["infotexts"][0]
    api.set_options({"samples_format": "png", "CLIP_stop_at_last_layers": 1})
    made = api.txt2img(prompt="a fox", width=64, height=64, override_settings={"CLIP_stop_at_last_layers": 2, "samples_format": "jpg"})
    assert made.image.format == "JPEG" and made.info["clip_skip"] == 2
    assert api.get_options() == options
    whole = api.txt2img(prompt="a fox", width=64, height=64, seed=1)
    early = api.txt2img(prompt="a fox", width=64, height=64, seed=1, override_settings={"skip_early_cond": 0.5})
    assert whole.image.tobytes() != early.image.tobytes()
    assert post(server, "options", {"skip_early_cond": 1}).status_code == 422
    assert api.get_options() == options
    assert post(server, "options", {"sd_model_checkpoint": "none such"}).status_code == 404
    api.refresh_checkpoints()


def test_models_are_switched(tmp_path):
    import shutil
    shutil.copytree(MODEL, tmp_path / "other")
    with Server("--model", MODEL, "--model", str(tmp_path / "other")) as server:
        api = webuiapi.WebUIApi(baseurl=f"{server.url}/sdapi/v1", steps=4)
        assert api.util_get_model_names() == ["emoji", "other"]
        api.util_set_model("othr")
        assert api.util_get_current_model() == "other"
        assert api.txt2img(prompt="a fox", width=64, height=64).info["sd_model_name"] == "other"
        made = api.txt2img(prompt="a fox", width=64, height=64, override_settings={"sd_model_checkpoint": "emoji"})
        assert made.info["sd_model_name"] == "emoji" and api.util_get_current_model() == "other"


def test_settings_of_a_request_stay_where_it_asks_for_that(tmp_path):
    import shutil
    shutil.copytree(MODEL, tmp_path / "other")
    with Server("--model", MODEL, "--model", str(tmp_path / "other")) as server:
        settings = {"sd_model_checkpoint": "other", "CLIP_stop_at_last_layers": 2, "samples_format": "jpg", "jpeg_quality": 70}
        for stays in [False, True]:
            before = requests.get(f"{server.url}/sdapi/v1/options", timeout=PATIENCE).json()
            answer = post(server, "txt2img", {"prompt": "a fox", "steps": 2, "override_settings": settings,
                                              "override_settings_restore_afterwards": not stays})
            assert json.loads(answer.json()["info"])["sd_model_name"] == "other"
            assert Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0]))).quantization[0] == quantization(70)
            after = requests.get(f"{server.url}/sdapi/v1/options", timeout=PATIENCE).json()
            assert {name: after[name] for name in settings} == (settings if stays else {name: before[name] for name in settings})
        answer = post(server, "txt2img", {"prompt": "a fox", "override_settings": {"samples_format": "webp"}})
        assert answer.status_code == 422 and answer.json()["detail"][0]["loc"][-1] == "samples_format"


def quantization(quality):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
    return Image.open(file).quantization[0]


def test_png_info(api):
    made = api.txt2img(prompt="a fox, red: \"so\"", negative_prompt="gray,\ndull", seed=11, cfg_scale=4.5, width=64, height=64)
    info = api.png_info(made.image)
    assert info.info == made.info["infotexts"][0]
    assert info.parameters["Prompt"] == "a fox, red: \"so\"" and info.parameters["Negative prompt"] == "gray,\ndull"
    assert info.parameters["Seed"] == "11" and info.parameters["CFG scale"] == "4.5" and info.parameters["Size"] == "64x64"
    assert api.png_info(Image.new("RGB", (8, 8))).info == ""
    # The comment that such programs write into JPEGs.
    exif, file = Image.Exif(), io.BytesIO()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + made.info["infotexts"][0].encode("utf-16-be")
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    info = requests.post(f"{api.baseurl}/png-info", json={"image": base64.b64encode(file.getvalue()).decode()}, timeout=PATIENCE).json()
    assert info["info"] == made.info["infotexts"][0] and info["parameters"]["Seed"] == "11"


def test_variations(api):
    def make(**options):
        return [numpy.asarray(image, dtype=float) for image in api.txt2img(
            prompt="a fox", seed=5, width=64, height=64, sampler_name="Euler", **options).images]
    plain = make()[0]
    near, far = make(subseed=1, subseed_strength=0.05)[0], make(subseed=1, subseed_strength=0.9)[0]
    assert 0 < abs(near - plain).mean() < abs(far - plain).mean()
    several = api.txt2img(prompt="a fox", seed=5, width=64, height=64, batch_size=2, subseed=1, subseed_strength=0.3)
    assert several.info["all_seeds"] == [5, 5] and several.info["all_subseeds"] == [1, 2]
    assert "Variation seed: 2, Variation seed strength: 0.3" in several.info["infotexts"][1]


def test_extras(api):
    small = Image.new("RGB", (32, 16), (1, 200, 3))
    assert api.extra_single_image(image=small, upscaling_resize=2, upscaler_1="Lanczos").image.size == (64, 32)
    assert api.extra_single_image(image=small, resize_mode=1, upscaling_resize_w=20, upscaling_resize_h=20).image.size == (20, 20)
    assert [image.size for image in api.extra_batch_images([small, small], upscaling_resize=3).images] == [(96, 48)] * 2
    # The judge is Pillow.
    noise = Image.fromarray(numpy.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=numpy.uint8))
    made = api.extra_single_image(image=noise, upscaling_resize=2, upscaler_1="Lanczos").image
    assert numpy.array_equal(numpy.asarray(made), numpy.asarray(noise.resize((32, 32), Image.LANCZOS)))
    made = api.extra_single_image(image=noise, upscaling_resize=2, upscaler_1="Nearest").image
    assert numpy.array_equal(numpy.asarray(made), numpy.asarray(noise.resize((32, 32), Image.NEAREST)))


def test_lists(server, api):
    assert {"name", "label", "aliases", "default_rho", "need_inner_model"} <= set(api.get_schedulers()[0]) | {"aliases"}
    assert set(api.get_sd_models()[0]) == {"title", "model_name", "hash", "sha256", "filename", "config"}
    assert {"name", "model_name", "model_path", "model_url", "scale"} == set(api.get_upscalers()[0])
    assert api.get_scripts() == {"txt2img": [], "img2img": []} and set(api.get_embeddings()) == {"loaded", "skipped"}
    assert api.get_memory()["ram"]["total"] > 1 << 30 and api.get_cmd_flags() == {}
    for name in ["sd-vae", "prompt-styles", "script-info", "hypernetworks", "face-restorers"]:
        assert requests.get(f"{server.url}/sdapi/v1/{name}", timeout=PATIENCE).json() == []


def test_fields_are_optional_null_or_unknown(server):
    names = ["negative_prompt", "styles", "seed", "subseed", "subseed_strength", "seed_resize_from_h", "sampler_name", "scheduler", "batch_size",
             "n_iter", "cfg_scale", "width", "height", "restore_faces", "tiling", "eta", "s_churn", "s_tmin", "s_tmax", "s_noise",
             "override_settings", "override_settings_restore_afterwards", "enable_hr", "denoising_strength", "hr_scale", "script_name",
             "script_args", "send_images", "save_images", "alwayson_scripts", "force_task_id", "infotext", "sampler_index", "hr_upscaler"]
    answer = post(server, "txt2img", {"prompt": "a fox", "steps": 3, "nonsense": [{}], **{name: None for name in names}})
    assert answer.status_code == 200 and len(answer.json()["images"]) == 1
    assert post(server, "txt2img", {"steps": "3", "seed": 1.0}).status_code == 200
    assert post(server, "txt2img", {"steps": 3, "send_images": False}).json()["images"] == []
    for fields, name in [({"steps": "x"}, "steps"), ({"width": 0}, "width"), ({"batch_size": 99}, "batch_size"), ({"restore_faces": True}, "restore_faces"),
                         ({"refiner_checkpoint": "none such"}, "refiner_checkpoint")]:
        answer = post(server, "txt2img", {"prompt": "a fox", **fields})
        assert answer.status_code == 422 and answer.json()["detail"][0]["loc"] == ["body", name]
    assert post(server, "txt2img", {"script_name": "X/Y/Z plot"}).status_code == 422


def test_infotext_fills_what_is_left_out(server, api):
    made = api.txt2img(prompt="an owl", negative_prompt="gray", seed=77, steps=7, cfg_scale=4.5, width=64, height=64,
                       sampler_name="DPM++ 2M", scheduler="Karras", override_settings={"CLIP_stop_at_last_layers": 2})
    again = post(server, "txt2img", {"infotext": made.info["infotexts"][0]}).json()
    info = json.loads(again["info"])
    assert info["seed"] == 77 and info["steps"] == 7 and info["cfg_scale"] == 4.5 and info["negative_prompt"] == "gray" and info["clip_skip"] == 2
    picture = Image.open(io.BytesIO(base64.b64decode(again["images"][0])))
    assert numpy.array_equal(numpy.asarray(picture), numpy.asarray(made.image))
    other = json.loads(post(server, "txt2img", {"infotext": made.info["infotexts"][0], "seed": 5}).json()["info"])
    assert other["seed"] == 5 and other["steps"] == 7


def test_basic_authentication():
    with Server("--api-auth", "me:secret") as server:
        api = webuiapi.WebUIApi(host="127.0.0.1", port=server.port, steps=3)
        api.set_auth("me", "secret")
        assert api.txt2img(prompt="a fox", width=64, height=64).images
        assert requests.get(f"{server.url}/sdapi/v1/options", timeout=PATIENCE).status_code == 401


def test_a_client_that_goes_may_come_back_for_its_picture(server):
    body = json.dumps({"prompt": "a fox", "steps": 20, "width": 128, "height": 128, "force_task_id": "task(mine)"}).encode()
    import socket
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        wait_for(lambda: requests.get(f"{server.url}/v1/jobs/task(mine)", timeout=PATIENCE).ok, "the job")
    job = server.finished("task(mine)")
    assert job["state"] == "completed" and requests.get(server.url + job["pictures"][0]["url"], timeout=PATIENCE).content[:4] == b"\x89PNG"
