"""Makes the pictures that second passes at a larger size ("hires fix") are compared with: diffusers' pipelines over ONNX Runtime, the second one
over what torch's interpolate, Pillow or a network makes of the first one's result.

    second_pass.py      Tests/SDPipelineTests/Fixtures/second-pass/

Models are the embedded one (null) and those of families.py. As AUTOMATIC1111's web interface does it, the second pass divides the schedule into
int(steps / min(strength, 0.999)) and takes the last `steps` of it, and its noise comes from generators of the same seeds, made anew.
cases.json: an array of {"model", "scheduler", "scheduler_options", "prompt", "negative_prompt", "steps", "guidance_scale", "seed", "batch", "width",
"height", "scale", "strength", "hires_width", "hires_height", "hires_scheduler", "hires_prompt", "hires_negative_prompt", "hires_guidance_scale",
"hires_steps", "upscaler", "file"}; the pictures of a batch stand side by side in `file`.
start.json: {"picture", "prompt", "seed", "steps", "strength", "width", "height", "file"}, a picture whose latents are resized to start from.
latents.json: {"latents", "shape", "sizes": [{"height", "width", name: values}]}, what interpolate makes of latents.
"""

import shutil

import diffusers
import numpy as np
import onnxruntime
import torch
from optimum.onnxruntime import (
    ORTLatentConsistencyModelImg2ImgPipeline,
    ORTLatentConsistencyModelPipeline,
    ORTStableDiffusionImg2ImgPipeline,
    ORTStableDiffusionPipeline,
    ORTStableDiffusionXLImg2ImgPipeline,
    ORTStableDiffusionXLPipeline,
)
from PIL import Image

from common import CACHE, ROOT, write_json

FIXTURES = ROOT / "Tests" / "SDPipelineTests" / "Fixtures"
FOLDER = FIXTURES / "second-pass"
NETWORK = FIXTURES / "upscale" / "rgb.onnx"
MODES = {
    "latent": ("bilinear", False), "latent-antialiased": ("bilinear", True), "latent-bicubic": ("bicubic", False),
    "latent-bicubic-antialiased": ("bicubic", True), "latent-nearest": ("nearest", False), "latent-nearest-exact": ("nearest-exact", False),
}  # fmt: skip
DEFAULTS = {
    "model": None, "scheduler": "DDIMScheduler", "scheduler_options": {}, "prompt": "a fox", "negative_prompt": None, "steps": 8,
    "guidance_scale": 4.0, "seed": 7, "batch": 1, "width": 64, "height": 64, "scale": 2.0, "strength": 0.7, "hires_width": None,
    "hires_height": None, "hires_scheduler": None, "hires_prompt": None, "hires_negative_prompt": None, "hires_guidance_scale": None,
    "hires_steps": None, "upscaler": "latent",
}  # fmt: skip
CASES = [
    {"name": "ddim"},
    {"name": "ancestral", "scheduler": "EulerAncestralDiscreteScheduler", "scale": 1.5, "strength": 0.5, "hires_steps": 5, "batch": 2,
     "upscaler": "latent-bicubic", "negative_prompt": "rain"},
    {"name": "multistep", "scheduler": "DPMSolverMultistepScheduler", "scheduler_options": {"use_karras_sigmas": True}, "scale": 1.3,
     "width": 96, "upscaler": "latent-nearest-exact", "prompt": "a penguin on a yellow background"},
    {"name": "heun", "scheduler": "HeunDiscreteScheduler", "strength": 0.6, "upscaler": "latent-antialiased", "steps": 6},
    {"name": "euler-all", "scheduler": "EulerDiscreteScheduler", "strength": 1.0, "upscaler": "latent-nearest", "hires_steps": 4},
    {"name": "none", "strength": 0.0, "upscaler": "latent-bicubic-antialiased"},
    {"name": "lanczos", "upscaler": "lanczos", "strength": 0.6, "batch": 2, "prompt": "an owl"},
    {"name": "network", "upscaler": "network", "strength": 0.5, "hires_steps": 6, "prompt": "a rocket on a black background"},
    {"name": "nearest", "upscaler": "nearest", "scale": 1.3, "strength": 0.5},
    {"name": "width", "hires_width": 112, "width": 96, "strength": 0.6},
    {"name": "covered", "hires_width": 144, "hires_height": 96, "strength": 0.6, "batch": 2},
    {"name": "covered-high", "hires_width": 100, "hires_height": 130, "strength": 0.5, "width": 96, "upscaler": "lanczos"},
    {"name": "own", "scale": 1.5, "hires_scheduler": "EulerAncestralDiscreteScheduler", "hires_prompt": "an owl",
     "hires_negative_prompt": "rain", "hires_guidance_scale": 2.5, "hires_steps": 5},
    {"name": "sd2", "model": "sd2", "strength": 0.55, "upscaler": "latent-bicubic"},
    {"name": "sdxl", "model": "sdxl", "width": 128, "height": 128, "scale": 1.5, "steps": 6},
    {"name": "lcm", "model": "lcm", "scheduler": "LCMScheduler", "steps": 4, "guidance_scale": 8.0, "strength": 0.5},
]  # fmt: skip
CLASSES = {
    None: (ORTStableDiffusionPipeline, ORTStableDiffusionImg2ImgPipeline),
    "sdxl": (ORTStableDiffusionXLPipeline, ORTStableDiffusionXLImg2ImgPipeline),
    "lcm": (ORTLatentConsistencyModelPipeline, ORTLatentConsistencyModelImg2ImgPipeline),
}


def generators(case):
    made = [torch.Generator("cpu").manual_seed(case["seed"] + index) for index in range(case["batch"])]
    return made if len(made) > 1 else made[0]


def lanczos(image, size):
    """Rows first, as Pillow up to version 12 in one call."""
    return image.resize((size[0], image.height), Image.Resampling.LANCZOS).resize(size, Image.Resampling.LANCZOS)


def by_network(image):
    session = onnxruntime.InferenceSession(str(NETWORK), providers=["CPUExecutionProvider"])
    values = (np.asarray(image, np.float32) / 255).transpose(2, 0, 1)[None]
    larger = session.run(None, {"input": values})[0][0].transpose(1, 2, 0)
    return Image.fromarray((larger.clip(0, 1) * 255).round().astype(np.uint8))


def pictures(pipeline, latents):
    decoded = [pipeline.vae.decode(part / pipeline.vae.config.scaling_factor, return_dict=False)[0] for part in latents.split(1)]
    return [pipeline.image_processor.postprocess(torch.as_tensor(part), output_type="pil")[0] for part in decoded]


def run(case):
    folder = str(ROOT / "Models" / "emoji" if case["model"] is None else CACHE / "families" / case["model"] / "model")
    first_class, second_class = CLASSES.get(case["model"], CLASSES[None])
    first, second = first_class.from_pretrained(folder), second_class.from_pretrained(folder)
    settings = dict(first.scheduler.config)
    for pipeline, scheduler in ((first, case["scheduler"]), (second, case["hires_scheduler"] or case["scheduler"])):
        pipeline.set_progress_bar_config(disable=True)
        pipeline.scheduler = getattr(diffusers, scheduler).from_config(settings, **case["scheduler_options"])
    common = {"prompt": [case["prompt"]] * case["batch"], "guidance_scale": case["guidance_scale"]}
    if case["model"] != "lcm":
        common["negative_prompt"] = None if case["negative_prompt"] is None else [case["negative_prompt"]] * case["batch"]
    latents = torch.as_tensor(first(
        num_inference_steps=case["steps"], width=case["width"], height=case["height"], generator=generators(case), output_type="latent",
        **common).images)  # fmt: skip
    factor = case["width"] // latents.shape[3]
    levels = len(first.unet.config.block_out_channels) if hasattr(first.unet.config, "block_out_channels") else len(first.unet.config["block_out_channels"])
    multiple = factor * 2 ** (levels - 1)
    width, height, wide, high = sizes(case, multiple, factor)
    made = generators(case)
    if case["upscaler"] in MODES:
        mode, antialias = MODES[case["upscaler"]]
        start = torch.nn.functional.interpolate(latents, size=(high // factor, wide // factor), mode=mode, antialias=antialias)
        if case["strength"] == 0:
            return pictures(first, start)
    else:
        start = pictures(first, latents)
        if case["upscaler"] == "network":
            start = [by_network(image) for image in start]
        if case["upscaler"] == "nearest":
            start = [image.resize((wide, high), Image.Resampling.NEAREST) for image in start]
        else:
            start = [lanczos(image, (wide, high)) for image in start]
        if (wide, high) != (width, height):
            start = encoded(second, start[0], made)
    if (wide, high) != (width, height):
        left, top = (wide - width) // factor // 2, (high - height) // factor // 2
        start = start[:, :, top : top + height // factor, left : left + width // factor]
    steps, strength = case["hires_steps"] or case["steps"], case["strength"]
    count = int(steps / min(strength, 0.999))
    share = min((steps + 0.5) / count, 1)
    if case["model"] == "lcm":
        count, share = steps, strength
    if case["hires_prompt"]:
        common["prompt"] = [case["hires_prompt"]] * case["batch"]
    if case["hires_negative_prompt"]:
        common["negative_prompt"] = [case["hires_negative_prompt"]] * case["batch"]
    common["guidance_scale"] = case["hires_guidance_scale"] or case["guidance_scale"]
    return second(image=start, strength=share, num_inference_steps=count, generator=made, **common).images


def sizes(case, multiple, factor):
    """The size of the result, and the one that is enlarged to, of which the middle is kept: AUTOMATIC1111's calculate_target_resolution."""
    first_width, first_height, width, height = case["width"], case["height"], case["hires_width"], case["hires_height"]
    if width is None and height is None:
        width, height = int(first_width * case["scale"]), int(first_height * case["scale"])
    elif height is None:
        height = width * first_height // first_width
    elif width is None:
        width = height * first_width // first_height
    width, height = width // multiple * multiple, height // multiple * multiple
    if case["hires_width"] is None or case["hires_height"] is None:
        return width, height, width, height
    if first_width / first_height < width / height:
        return width, height, width, width * first_height // first_width // factor * factor
    return width, height, height * first_width // first_height // factor * factor, height


def encoded(pipeline, image, generator):
    pixels = pipeline.image_processor.preprocess(image)
    return pipeline.vae.encode(pixels).latent_dist.sample(generator) * pipeline.vae.config.scaling_factor


def start_from_latents():
    """A picture of another size than the one that is made, whose latents are resized."""
    rows, columns = np.mgrid[0:64, 0:80]
    pixels = np.stack([3 * columns, 4 * rows, 128 + 90 * np.sin(columns / 9) * np.cos(rows / 7)], axis=2)
    picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    picture.save(FOLDER / "start-picture.png", optimize=True)
    case = {"picture": "start-picture.png", "prompt": "a fox", "seed": 5, "steps": 10, "strength": 0.5, "width": 64, "height": 96, "file": "start.png"}
    pipeline = ORTStableDiffusionImg2ImgPipeline.from_pretrained(str(ROOT / "Models" / "emoji"))
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = diffusers.DDIMScheduler.from_config(dict(pipeline.scheduler.config))
    generator = torch.Generator("cpu").manual_seed(case["seed"])
    latents = encoded(pipeline, picture, generator)
    factor = picture.width // latents.shape[3]
    latents = torch.nn.functional.interpolate(latents, size=(case["height"] // factor, case["width"] // factor), mode="bilinear")
    made = pipeline(case["prompt"], image=latents, strength=case["strength"], num_inference_steps=case["steps"], guidance_scale=4.0, generator=generator)
    made.images[0].save(FOLDER / case["file"], optimize=True)
    write_json(FOLDER / "start.json", case)


def interpolations():
    torch.manual_seed(3)
    latents = torch.randn(1, 2, 5, 7)
    sizes = []
    for height, width in [(10, 14), (8, 9), (5, 11), (17, 7)]:
        entry = {"height": height, "width": width}
        for name, (mode, antialias) in MODES.items():
            entry[name] = torch.nn.functional.interpolate(latents, size=(height, width), mode=mode, antialias=antialias).flatten().tolist()
        sizes.append(entry)
    write_json(FOLDER / "latents.json", {"latents": latents.flatten().tolist(), "shape": list(latents.shape), "sizes": sizes})


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    interpolations()
    start_from_latents()
    entries = []
    for case in CASES:
        case = DEFAULTS | case
        name = case.pop("name")
        made = run(case)
        strip = np.concatenate([np.asarray(image) for image in made], axis=1)
        Image.fromarray(strip).save(FOLDER / f"{name}.png", optimize=True)
        entries.append(case | {"file": f"{name}.png"})
        print(name, strip.shape)
    write_json(FOLDER / "cases.json", entries)


if __name__ == "__main__":
    main()
