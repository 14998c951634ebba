"""Runs diffusers' own pipelines over torch modules, and saves latents and pictures for others to be compared with.

A case is a dictionary of everything that was asked for; README.md lists its keys."""

import inspect
import json

import diffusers
import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTinyOutput
from PIL import Image, ImageDraw

SCHEDULERS = {
    "own": (None, {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-trailing": ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
    "euler-a": ("EulerAncestralDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "pndm": ("PNDMScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "lcm": ("LCMScheduler", {}),
    "tcd": ("TCDScheduler", {}),
    "dpm++2m-karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
}
EMPTY = dict(
    task="text", pipeline=None, prompt="a red apple on a blue background", negative_prompt=None, guidance_scale=7.5, steps=10,
    strength=None, seed=0, generators="each", batch=1, width=None, height=None, scheduler=None, scheduler_options={}, image=None,
    image_rows=1, mask=None, original_size=None, crops_coords_top_left=None, target_size=None, aesthetic_score=None,
    negative_aesthetic_score=None, refiner=None, refiner_start=None, vae=None, safety_checker=None,
)  # fmt: skip
PIPELINES = {
    "sd": ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline"),
    "lcm": ("LatentConsistencyModelPipeline", "LatentConsistencyModelImg2ImgPipeline", "StableDiffusionInpaintPipeline"),
    "xl": ("StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline"),
}
TASKS = ["text", "picture", "inpaint"]


def case(name, task, scheduler, kind, size, **arguments):
    """kind: of PIPELINES, unless `pipeline` is given."""
    chosen, options = SCHEDULERS[scheduler]
    made = {**EMPTY, "task": task, "pipeline": PIPELINES[kind][TASKS.index(task)], **arguments}
    made |= {"width": size[0], "height": size[1], "scheduler": chosen, "scheduler_options": options}
    if task != "text":
        made["image"] = f"inputs/start-{size[0]}x{size[1]}.png"
    if task == "inpaint":
        # A picture that is given once is encoded once for the whole batch, with the first generator.
        made["image_rows"] = made["batch"] if made["generators"] == "each" else 1
        made["mask"] = f"inputs/{arguments.get('mask', 'mask')}-{size[0]}x{size[1]}.png"
    return {"name": f"{task}-{name}", **made}


def draw_inputs(folder, sizes):
    """Start pictures with soft and hard edges, and masks of 0 and 255 whose edges are no multiples of a latent's pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for width, height in sizes:
        x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
        waves = [0.5 + 0.4 * np.sin(7 * x + 2 * y), 0.2 + 0.6 * x, 0.5 + 0.35 * np.cos(9 * x * y + 1)]
        picture = Image.fromarray((255 * np.stack(waves, axis=-1)).round().astype(np.uint8))
        draw = ImageDraw.Draw(picture)
        draw.ellipse((width * 0.3, height * 0.2, width * 0.7, height * 0.75), fill=(210, 60, 40))
        draw.rectangle((0, int(height * 0.85), width, height), fill=(30, 90, 50))
        picture.save(folder / f"start-{width}x{height}.png", optimize=True)
        for name, (left, top, right, bottom) in {"mask": (0.27, 0.18, 0.74, 0.71), "mask-small": (0.52, 0.4, 0.83, 0.6)}.items():
            mask = Image.new("L", (width, height), 0)
            box = [round(width * left), round(height * top), round(width * right), round(height * bottom)]
            ImageDraw.Draw(mask).rectangle(box, fill=255)
            mask.save(folder / f"{name}-{width}x{height}.png", optimize=True)


def generators(asked):
    """One for each picture, of seed, seed + 1, …; or one for all."""
    if asked["generators"] == "shared":
        return torch.Generator("cpu").manual_seed(asked["seed"])
    return [torch.Generator("cpu").manual_seed((asked["seed"] + index) % 2**64) for index in range(asked["batch"])]


def assemble(parts, name, asked):
    """The pipeline of that class over the family's modules, with the scheduler that is asked for."""
    kind = getattr(diffusers, name)
    accepted = inspect.signature(kind.__init__).parameters
    made = {key: value for key, value in parts.items() if key in accepted}
    for key in ("safety_checker", "feature_extractor"):
        if key in accepted and "text_encoder_2" not in accepted:
            made.setdefault(key, None)
    if "requires_safety_checker" in accepted:
        made["requires_safety_checker"] = False
    if "add_watermarker" in accepted:
        made["add_watermarker"] = False
    own = parts["scheduler"]
    scheduler = getattr(diffusers, asked["scheduler"] or type(own).__name__)
    # What the exported file states: a configuration in memory knows besides which of its values are defaults, and another class doesn't
    # take those over.
    made["scheduler"] = scheduler.from_config(json.loads(own.to_json_string()), **asked["scheduler_options"])
    pipeline = kind(**made)
    pipeline.set_progress_bar_config(disable=True)
    if name == "StableDiffusionXLInpaintPipeline" and pipeline.vae.config.latents_mean is not None:
        normalise_encoded(pipeline)
    return pipeline


def normalise_encoded(pipeline):
    """diffusers' inpainting pipeline for SDXL (0.35.2) decodes with a VAE's latents_mean and latents_std but encodes without them. Here it
    encodes as its image-to-image pipeline does: (latents - mean) * scaling_factor / deviation."""
    scaled, config = pipeline._encode_vae_image, pipeline.vae.config
    mean, deviation = (torch.tensor(values).reshape(1, -1, 1, 1) for values in (config.latents_mean, config.latents_std))
    pipeline._encode_vae_image = lambda image, generator: (scaled(image, generator) - config.scaling_factor * mean) / deviation


def call(pipeline, asked, root, **further):
    """Returns (what the pipeline answers, latents after the last step)."""
    accepted = inspect.signature(pipeline.__call__).parameters
    last = []

    def keep(pipeline, step, timestep, values):
        last[:] = [values["latents"]]
        return {}

    arguments = dict(
        prompt=asked["prompt"], negative_prompt=asked["negative_prompt"], guidance_scale=asked["guidance_scale"],
        num_inference_steps=asked["steps"], num_images_per_prompt=asked["batch"], callback_on_step_end=keep,
        width=asked["width"], height=asked["height"], output_type="pil",
    )  # fmt: skip
    if "negative_prompt" not in accepted and asked["negative_prompt"] is not None:
        raise SystemExit(f"{asked['name']}: {asked['pipeline']} takes no negative prompt")
    if asked["image"]:
        image = Image.open(root / asked["image"])
        arguments["image"] = [image] * asked["image_rows"] if asked["image_rows"] > 1 else image
    if asked["mask"]:
        arguments["mask_image"] = Image.open(root / asked["mask"])
    optional = ("strength", "original_size", "crops_coords_top_left", "target_size", "aesthetic_score", "negative_aesthetic_score")
    plain = lambda value: tuple(value) if isinstance(value, list) else value
    arguments |= {key: plain(asked[key]) for key in optional if asked[key] is not None}
    arguments |= further
    arguments = {key: value for key, value in arguments.items() if key in accepted}
    answer = pipeline(**arguments)
    return answer, last[0]


class WithoutDraw(torch.nn.Module):
    """A VAE whose encoder answers the mean of its distribution, and draws nothing from the generator."""

    def __init__(self, vae):
        super().__init__()
        self.vae, self.config, self.dtype = vae, vae.config, vae.dtype

    def encode(self, sample):
        return AutoencoderTinyOutput(latents=self.vae.encode(sample).latent_dist.mean)

    def decode(self, *arguments, **options):
        return self.vae.decode(*arguments, **options)


def run(parts, refiner, asked, folder, root):
    """Writes the case's latents and pictures into `folder`, and returns it with their paths, relative to `root`.
    refiner: the modules of a second pipeline that goes on with what the first one hands over."""
    pipeline = assemble(parts, asked["pipeline"], asked)
    source = generators(asked)
    entry = dict(asked)
    if refiner is None:
        answer, latents = call(pipeline, asked, root, generator=source)
    else:
        start = asked["refiner_start"]
        handed, _ = call(pipeline, asked, root, generator=source, denoising_end=start, output_type="latent")
        entry["handed_over"] = save(handed.images, folder, f"{asked['name']}-handed-over", root)
        second = assemble(refiner, "StableDiffusionXLImg2ImgPipeline", asked)
        # The generators go on where the first pipeline left them.
        further = dict(image=handed.images, denoising_start=start, generator=source)
        answer, latents = call(second, {**asked, "image": None, "mask": None, "strength": None}, root, **further)
    entry["latents"] = save(latents, folder, asked["name"], root)
    entry["pictures"] = []
    for index, picture in enumerate(answer.images):
        path = folder / f"{asked['name']}-{index}.png"
        picture.save(path)
        entry["pictures"].append(str(path.relative_to(root)))
    if asked["safety_checker"]:
        entry["flagged"] = [bool(flag) for flag in answer.nsfw_content_detected]
    return entry


def save(latents, folder, name, root):
    folder.mkdir(parents=True, exist_ok=True)
    values = latents.detach().numpy().astype(np.float32)
    if not np.all(np.isfinite(values)):
        raise SystemExit(f"{name}: the latents aren't finite")
    path = folder / f"{name}.npy"
    np.save(path, values)
    return str(path.relative_to(root))
