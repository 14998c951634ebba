"""Exports every Stable Diffusion family at tiny sizes, and makes the pictures that the pipeline's tests compare with.

    families.py [--only FOLDER] [--force]

Writes <cache>/families: inputs/ (start pictures and masks), and a folder for each model with model/ (the exported pipeline),
expected/ (latents and pictures) and cases.json, whose keys README.md lists. A folder that is there already is kept.

The judge is diffusers' pipeline over the torch modules that were exported, in float32.
"""

import argparse
import json
import logging
import shutil
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import diffusers
import torch
from diffusers import DDIMScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, LCMScheduler, PNDMScheduler

import family_cases as cases
import family_exports as exports
import family_models as models
import family_safety as safety
from common import CACHE, write_json

RECIPE = 3  # raised when what a folder holds changes, so that older folders are made again
ROOT = CACHE / "families"
SMALL = [(64, 64), (96, 64), (48, 80)]  # four pixels a latent
LARGE = [(128, 128), (192, 128), (96, 160)]  # eight
# What the published scheduler_config.json files state besides their own class's settings, for the other classes.
COMMON = dict(models.SCHEDULE, clip_sample=False, set_alpha_to_one=False, steps_offset=1, skip_prk_steps=True)


class Modules:
    """Makes the modules of a family when they are first asked for. Families share encoders and VAEs, as published ones do."""

    def __init__(self):
        self.made = {}

    def once(self, key, make):
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    def clip(self):
        return self.once("clip", lambda: models.text_encoder("clip", 11))

    def openclip(self):
        return self.once("openclip", lambda: models.text_encoder("openclip", 12))

    def projected(self):
        return self.once("projected", lambda: models.text_encoder("openclip", 13, projected=True))

    def tiny(self):
        return self.once("tiny", lambda: models.tiny_autoencoder(14))

    def certain_vae(self):
        return self.once("certain", lambda: models.vae("sd1", 200 + list(models.VAES).index("sd1"), noise=0))

    def unet(self, name):
        return self.once(("unet", name), lambda: models.unet(name, 100 + list(models.UNETS).index(name)))

    def vae(self, name):
        return self.once(("vae", name), lambda: models.vae(name, 200 + list(models.VAES).index(name)))

    def sd1(self, unet, scheduler):
        return dict(
            text_encoder=self.clip(), tokenizer=models.tokenizer(), unet=self.unet(unet), vae=self.vae("sd1"),
            scheduler=scheduler)  # fmt: skip

    def sd2(self, unet, scheduler):
        """Exports of SD 2.x have the last layer of OpenCLIP left out, so that what the encoder answers is the last but one's."""
        return {**self.sd1(unet, scheduler), "text_encoder": self.openclip(), "tokenizer": models.tokenizer("!")}

    def sdxl(self, unet, scheduler, zeros=True):
        return dict(
            text_encoder=self.clip(), text_encoder_2=self.projected(), tokenizer=models.tokenizer(),
            tokenizer_2=models.tokenizer("!"), unet=self.unet(unet), vae=self.vae("sdxl"), scheduler=scheduler,
            force_zeros_for_empty_prompt=zeros)  # fmt: skip

    def refiner(self, scheduler):
        parts = self.sdxl("refiner", scheduler, zeros=False)
        return {**parts, "text_encoder": None, "tokenizer": None, "requires_aesthetics_score": True}


def made_from(kind, **settings):
    return kind.from_config({**COMMON, **settings})


def sd1_scheduler():
    return made_from(PNDMScheduler)


def sd2_scheduler():
    return made_from(DDIMScheduler, prediction_type="v_prediction")


def turbo_scheduler(kind):
    return made_from(kind, timestep_spacing="trailing")


def lcm_scheduler():
    return made_from(LCMScheduler, original_inference_steps=50, timestep_scaling=10.0, set_alpha_to_one=True)


def sdxl_scheduler():
    return made_from(EulerDiscreteScheduler, timestep_spacing="leading", interpolation_type="linear", use_karras_sigmas=False)


def ordinary(kind, sizes, tasks=cases.TASKS):
    """Each task with guidance on and off, one picture and three, square and not, and several schedulers."""
    square, wide, tall = sizes
    negative = "a green background"

    def all_cases():
        add = lambda name, task, scheduler, size=square, **arguments: cases.case(name, task, scheduler, kind, size, **arguments)
        yield add("own", "text", "own", steps=12)
        yield add("euler-batch", "text", "euler", wide, batch=3, guidance_scale=5.0, negative_prompt=negative, seed=5)
        yield add("ddim-unguided", "text", "ddim", tall, guidance_scale=1.0, prompt="a fox", seed=7)
        yield add("dpm-20", "text", "dpm++2m-karras", steps=20, negative_prompt="", prompt="an owl and a crab", seed=2**40 + 3)
        yield add("euler-20", "text", "euler", steps=20, guidance_scale=5.0, prompt="a fox and a crab", seed=10)
        yield add("euler-a-batch", "text", "euler-a", tall, batch=3, guidance_scale=4.0, prompt="a rocket", seed=11)
        yield add("euler-a-shared", "text", "euler-a", wide, batch=3, guidance_scale=1.0, seed=12, generators="shared")
        yield add("heun", "text", "heun", steps=6, guidance_scale=3.0, seed=13, prompt="")
        yield add("ddim", "picture", "ddim", strength=0.6, seed=21)
        yield add("euler-a-batch", "picture", "euler-a", wide, strength=0.5, batch=3, guidance_scale=4.0, seed=22, prompt="a fox")
        yield add("dpm-unguided", "picture", "dpm++2m-karras", tall, strength=0.8, guidance_scale=1.0, seed=23)
        yield add(
            "euler-shared", "picture", "euler", tall, strength=0.75, batch=3, seed=24, generators="shared",
            negative_prompt=negative)  # fmt: skip
        yield add("own-full-strength", "picture", "own", strength=1.0, seed=25)
        yield add("heun", "picture", "heun", wide, strength=0.6, steps=8, seed=26, guidance_scale=1.0, batch=3)
        yield add("ddim", "inpaint", "ddim", strength=1.0, seed=31)
        yield add("euler-batch", "inpaint", "euler", wide, strength=1.0, batch=3, guidance_scale=5.0, negative_prompt=negative, seed=32)
        yield add("dpm-unguided", "inpaint", "dpm++2m-karras", tall, strength=0.7, guidance_scale=1.0, seed=33, prompt="a fox")
        yield add("euler-a-batch", "inpaint", "euler-a", strength=0.8, batch=3, guidance_scale=4.0, seed=34, prompt="a rocket")
        yield add("ddim-batch", "inpaint", "ddim", tall, strength=0.5, batch=3, seed=35)
        yield add(
            "euler-shared", "inpaint", "euler", strength=1.0, batch=3, guidance_scale=1.0, seed=36, generators="shared",
            mask="mask-small")  # fmt: skip
        yield add("own", "inpaint", "own", wide, strength=0.9, seed=37, mask="mask-small")

    return [made for made in all_cases() if made["task"] in tasks]


def sdxl_cases():
    square, wide, tall = LARGE
    add = lambda name, task, scheduler, size, **arguments: cases.case(name, task, scheduler, "xl", size, **arguments)
    sizes = dict(original_size=(1024, 768), crops_coords_top_left=(16, 40), target_size=(256, 320))
    return [
        *ordinary("xl", LARGE),
        add("empty-negative", "text", "euler", square, negative_prompt="", seed=41),
        add("sizes", "text", "ddim", wide, negative_prompt="a red background", seed=42, **sizes),
        add("sizes-batch", "text", "euler-a", square, seed=43, batch=3, guidance_scale=3.0, original_size=(64, 64)),
        add("sizes", "picture", "euler", square, strength=0.7, seed=44, **sizes),
        add("sizes", "inpaint", "euler", tall, strength=1.0, seed=45, **sizes),
    ]


def turbo_cases(kind, sizes):
    """Few steps without guidance, as these models are made for; once with."""
    square, wide, tall = sizes
    add = lambda name, task, scheduler, size=square, **arguments: cases.case(
        name, task, scheduler, kind, size, **{"guidance_scale": 0.0, "steps": 4, **arguments})  # fmt: skip
    return [
        add("one-step", "text", "own", steps=1, seed=51),
        add("own-batch", "text", "own", wide, batch=3, prompt="a fox", seed=52),
        add("ddim", "text", "ddim", tall, seed=53),
        add("euler-a-batch", "text", "euler-a", batch=3, seed=54, prompt="an owl"),
        add("dpm", "text", "dpm++2m-karras", tall, seed=55),
        add("euler-guided", "text", "euler", batch=3, guidance_scale=3.0, negative_prompt="a green background", seed=56),
        add("one-step", "picture", "own", wide, strength=0.5, steps=2, seed=57),
        add("euler-a-batch", "picture", "euler-a", strength=0.75, batch=3, seed=58),
        add("ddim-guided", "picture", "ddim", tall, strength=0.5, guidance_scale=2.0, seed=59),
        add("dpm", "picture", "dpm++2m-karras", strength=0.5, seed=60),
        add("own-batch", "inpaint", "own", wide, strength=1.0, batch=3, seed=61),
        add("ddim", "inpaint", "ddim", strength=0.75, seed=62),
        add("euler-a-guided", "inpaint", "euler-a", tall, strength=0.75, guidance_scale=2.0, seed=63),
        add("dpm", "inpaint", "dpm++2m-karras", strength=1.0, seed=64),
    ]


def lcm_cases():
    """With LCMScheduler by the pipelines made for it; others by the ordinary ones, which pass timestep_cond on too and then never make a
    second pass for guidance."""
    square, wide, tall = SMALL
    own = lambda name, task, size=square, **arguments: cases.case(
        name, task, "own", "lcm", size, **{"guidance_scale": 8.5, "steps": 4, **arguments})  # fmt: skip
    other = lambda name, task, scheduler, size=square, **arguments: cases.case(
        name, task, scheduler, "sd", size, **{"guidance_scale": 8.5, "steps": 6, **arguments})  # fmt: skip
    return [
        own("own", "text", seed=71),
        own("own-batch", "text", wide, batch=3, guidance_scale=5.0, prompt="a fox", seed=72),
        own("own-unguided", "text", tall, guidance_scale=1.0, steps=2, seed=73),
        own("own-shared", "text", batch=3, steps=8, seed=74, generators="shared"),
        other("euler", "text", "euler", seed=75),
        other("ddim-batch", "text", "ddim", wide, batch=3, guidance_scale=4.0, seed=76),
        other("dpm", "text", "dpm++2m-karras", tall, seed=77),
        other("euler-a-unguided", "text", "euler-a", guidance_scale=1.0, seed=78),
        own("own", "picture", strength=0.5, seed=79),
        own("own-batch", "picture", wide, strength=0.8, batch=3, guidance_scale=4.0, seed=80),
        own("own-unguided", "picture", tall, strength=0.6, guidance_scale=1.0, steps=6, seed=81),
        other("ddim", "picture", "ddim", strength=0.6, seed=82),
        other("euler-a-batch", "picture", "euler-a", wide, strength=0.7, batch=3, seed=83),
        own("own", "inpaint", strength=1.0, seed=84),
        own("own-batch", "inpaint", wide, strength=0.75, batch=3, guidance_scale=4.0, seed=85),
        other("euler", "inpaint", "euler", tall, strength=0.8, seed=86),
        other("ddim-unguided", "inpaint", "ddim", strength=1.0, guidance_scale=1.0, batch=3, seed=87),
    ]


def lcm_merged_cases():
    square, wide, tall = SMALL
    add = lambda name, task, scheduler, size=square, **arguments: cases.case(
        name, task, scheduler, "sd", size, **{"guidance_scale": 1.0, "steps": 4, **arguments})  # fmt: skip
    return [
        add("own", "text", "own", seed=91),
        add("own-guided", "text", "own", wide, batch=3, guidance_scale=1.5, negative_prompt="a green background", seed=92),
        add("tcd-batch", "text", "tcd", tall, batch=3, seed=93),
        add("euler", "text", "euler", guidance_scale=2.0, steps=6, seed=94),
        add("ddim", "text", "ddim", tall, steps=6, seed=95),
        add("own", "picture", "own", strength=0.5, seed=96),
        add("own-guided", "picture", "own", wide, strength=0.75, batch=3, guidance_scale=1.5, seed=97),
        add("ddim", "picture", "ddim", tall, strength=0.5, seed=98),
        add("own", "inpaint", "own", strength=1.0, seed=99),
        add("own-guided", "inpaint", "own", wide, strength=0.75, batch=3, guidance_scale=1.5, seed=100),
        add("euler-a", "inpaint", "euler-a", tall, strength=0.8, steps=6, seed=101),
    ]


def refiner_cases():
    """The refiner over a picture."""
    square, wide, tall = LARGE
    add = lambda name, scheduler, size=square, **arguments: cases.case(
        name, "picture", scheduler, "xl", size, **{"guidance_scale": 5.0, "strength": 0.3, **arguments})  # fmt: skip
    return [
        add("own", "own", seed=111),
        add("own-batch", "own", wide, batch=3, strength=0.5, negative_prompt="a green background", seed=112),
        add("ddim-unguided", "ddim", tall, guidance_scale=1.0, seed=113),
        add("dpm", "dpm++2m-karras", strength=0.6, prompt="a fox", seed=114),
        add("euler-a-batch", "euler-a", tall, strength=0.5, batch=3, guidance_scale=3.0, seed=115),
        add("scores", "own", strength=0.5, aesthetic_score=7.5, negative_aesthetic_score=1.0, seed=116),
        add("sizes", "ddim", wide, strength=0.5, original_size=(1024, 768), crops_coords_top_left=(16, 40), seed=117),
        add("euler-shared", "euler", strength=0.4, batch=3, generators="shared", seed=118),
    ]


def ensemble_cases():
    """SDXL's base until 80 % of the way, then the refiner."""
    square, wide, tall = LARGE
    add = lambda name, task, scheduler, size=square, **arguments: cases.case(
        "ensemble-" + name, task, scheduler, "xl", size,
        **{"guidance_scale": 5.0, "model": "sdxl/model", "refiner": "sdxl-refiner/model", "refiner_start": 0.8, **arguments})  # fmt: skip
    return [
        add("own", "text", "own", seed=121),
        add("own-batch", "text", "own", wide, batch=3, negative_prompt="a green background", seed=122),
        add("ddim-unguided", "text", "ddim", tall, guidance_scale=1.0, seed=123),
        add("dpm", "text", "dpm++2m-karras", steps=20, seed=124),
        add("euler-a-batch", "text", "euler-a", batch=3, guidance_scale=3.0, seed=125),
        add("heun", "text", "heun", tall, seed=126),
        add("half-way", "text", "euler", refiner_start=0.5, seed=127),
        add("own", "picture", "own", strength=0.6, seed=128),
        add("ddim-batch", "picture", "ddim", wide, strength=0.8, batch=3, seed=129),
    ]


def with_vae(model, vae, kind, sizes):
    square, wide, tall = sizes
    add = lambda name, task, scheduler, size=square, **arguments: cases.case(
        name, task, scheduler, kind, size, **{"guidance_scale": 4.0, "model": model, "vae": vae, **arguments})  # fmt: skip
    return [
        add("own", "text", "own", seed=131),
        add("euler-batch", "text", "euler", wide, batch=3, seed=132),
        add("ddim", "picture", "ddim", tall, strength=0.6, seed=133),
        add("euler-a-batch", "picture", "euler-a", strength=0.6, batch=3, guidance_scale=1.0, seed=134),
        add("dpm", "inpaint", "dpm++2m-karras", wide, strength=0.8, seed=135),
        add("own-batch", "inpaint", "own", strength=1.0, batch=3, seed=136),
    ]


def safety_cases():
    square, wide, _ = SMALL
    add = lambda name, task, scheduler, size, **arguments: cases.case(
        name, task, scheduler, "sd", size, **{"guidance_scale": 5.0, "safety_checker": True, **arguments})  # fmt: skip
    return [
        add("batch", "text", "euler", square, batch=6, seed=151),
        add("batch", "picture", "ddim", wide, strength=0.7, batch=4, seed=152, prompt="a fox"),
    ]


@dataclass
class Family:
    """One folder. parts: Modules → the components; pipeline: the class that the folder names, none where it isn't a pipeline."""

    name: str
    pipeline: str | None
    parts: Callable
    asked: list = field(default_factory=list)
    layout: exports.Layout = exports.OPTIMUM
    # The folder whose graphs stand for those that `written` leaves out.
    shared: str | None = None
    written: list | None = None
    # Cases of another folder whose pictures this one has to make too.
    borrowed: tuple = ()
    checker: Callable | None = None  # makes a safety checker
    tolerance: dict = field(default_factory=lambda: {"latents": 1e-4, "picture": 2})

    def make(self, modules):
        folder = ROOT / self.name
        shutil.rmtree(folder, ignore_errors=True)
        parts = self.parts(modules)
        if self.checker is not None:
            parts |= {"safety_checker": self.checker(), "feature_extractor": safety.feature_extractor()}
        self.export(folder / "model", parts)
        own = {"model": f"{self.name}/model"}
        entries = []
        for asked in self.asked:
            used = self.parts_for(asked, parts, modules)
            entries.append(cases.run(*used, {**own, **asked}, folder / "expected", ROOT))
        for source, names in self.borrowed:
            listed = json.loads((ROOT / source / "cases.json").read_text())["cases"]
            entries += [{**entry, **own} for entry in listed if entry["name"] in names]
        return [{**entry, "tolerance": self.tolerance} for entry in entries]

    def export(self, folder, parts):
        if self.pipeline is None:
            exports.write_vae(folder, parts["vae"], self.layout)
            return
        blank = {**cases.EMPTY, "name": self.name}
        pipeline = cases.assemble(parts, self.pipeline, blank)
        shared = ROOT / self.shared / "model" if self.shared else None
        exports.write_pipeline(folder, pipeline, self.layout, self.written, shared)
        if self.checker is not None:
            safety.write(folder, parts["safety_checker"])

    def parts_for(self, asked, parts, modules):
        """(components of the pipeline that the case names, those of the refiner)."""
        second = modules.refiner(sdxl_scheduler()) if asked["refiner"] else None
        model = asked.get("model")
        if model == "sdxl/model":
            return {**modules.sdxl("sdxl", sdxl_scheduler()), **({"vae": parts["vae"]} if asked["vae"] else {})}, second
        if model == "sd1/model":
            return {**modules.sd1("sd1", sd1_scheduler()), "vae": parts["vae"]}, second
        if self.layout.encoder != "parameters":
            parts = {**parts, "vae": cases.WithoutDraw(parts["vae"])}
        return parts, second


def old(name, **layout):
    """sd1 in an older layout. The encoder that draws is one whose distribution is a point: no run could repeat its draws."""
    made = exports.Layout(**layout)
    certain = made.encoder == "sample"
    parts = lambda m: {**m.sd1("sd1", sd1_scheduler()), **({"vae": m.certain_vae()} if certain else {})}
    square, wide, _ = SMALL
    add = lambda name, task, scheduler, size, **arguments: cases.case(name, task, scheduler, "sd", size, **arguments)
    asked = [
        add("ddim", "picture", "ddim", square, strength=0.6, seed=141),
        add("euler-a-batch", "picture", "euler-a", wide, strength=0.5, batch=3, guidance_scale=1.0, seed=142),
        add("own-batch", "inpaint", "own", wide, strength=0.8, batch=3, guidance_scale=4.0, seed=143),
        add("dpm", "inpaint", "dpm++2m-karras", square, strength=1.0, seed=144),
    ]
    texts = [entry["name"] for entry in ordinary("sd", SMALL, ["text"])]
    return Family(name, "StableDiffusionPipeline", parts, asked if made.encoder != "parameters" else [], made, borrowed=(("sd1", texts),))


HALF = exports.Layout(half=True, opset=17)
WIDE = {"latents": 5e-3, "picture": 2}
# What half precision is held to: twenty steps, and one of each task.
HALF_NAMES = ["text-own", "text-dpm-20", "text-euler-20", "text-ddim-unguided", "picture-ddim", "inpaint-ddim"]
FAMILIES = [
    Family("sd1", "StableDiffusionPipeline", lambda m: m.sd1("sd1", sd1_scheduler()), ordinary("sd", SMALL)),
    Family("sdxl", "StableDiffusionXLPipeline", lambda m: m.sdxl("sdxl", sdxl_scheduler()), sdxl_cases()),
    Family(
        "sd1-inpaint", "StableDiffusionInpaintPipeline", lambda m: m.sd1("sd1-inpaint", sd1_scheduler()),
        ordinary("sd", SMALL, ["inpaint"]), shared="sd1", written=["unet"],
    ),
    Family(
        "sdxl-inpaint", "StableDiffusionXLInpaintPipeline", lambda m: m.sdxl("sdxl-inpaint", sdxl_scheduler()),
        [made for made in sdxl_cases() if made["task"] == "inpaint"], shared="sdxl", written=["unet"],
    ),
    Family(
        "sdxl-refiner", "StableDiffusionXLImg2ImgPipeline", lambda m: m.refiner(sdxl_scheduler()),
        refiner_cases() + ensemble_cases(), shared="sdxl", written=["unet"],
    ),
    Family("sd2", "StableDiffusionPipeline", lambda m: m.sd2("sd2", sd2_scheduler()), ordinary("sd", SMALL)),
    Family(
        "sd2-inpaint", "StableDiffusionInpaintPipeline", lambda m: m.sd2("sd2-inpaint", sd1_scheduler()),
        ordinary("sd", SMALL, ["inpaint"]), shared="sd2", written=["unet"],
    ),
    Family(
        "sd-turbo", "StableDiffusionPipeline", lambda m: m.sd2("turbo", turbo_scheduler(EulerDiscreteScheduler)),
        turbo_cases("sd", SMALL), shared="sd2", written=["unet"],
    ),
    Family(
        "sdxl-turbo", "StableDiffusionXLPipeline", lambda m: m.sdxl("sdxl-turbo", turbo_scheduler(EulerAncestralDiscreteScheduler)),
        turbo_cases("xl", LARGE), shared="sdxl", written=["unet"],
    ),
    Family(
        "sdxl-encoded-negative", "StableDiffusionXLPipeline", lambda m: m.sdxl("sdxl", sdxl_scheduler(), zeros=False),
        [made for made in sdxl_cases() if made["name"] in ("text-own", "text-empty-negative", "picture-ddim", "inpaint-ddim")],
        shared="sdxl", written=[],
    ),
    Family(
        "lcm", "LatentConsistencyModelPipeline", lambda m: m.sd1("lcm", lcm_scheduler()), lcm_cases(), shared="sd1", written=["unet"]),
    Family(
        "lcm-merged", "StableDiffusionPipeline", lambda m: m.sd1("lcm-merged", lcm_scheduler()), lcm_merged_cases(), shared="sd1",
        written=["unet"],
    ),
    Family(
        "sd1-half", "StableDiffusionPipeline", lambda m: m.sd1("sd1", sd1_scheduler()), layout=HALF, borrowed=(("sd1", HALF_NAMES),),
        tolerance=WIDE,
    ),
    Family(
        "sd1-half-inside", "StableDiffusionPipeline", lambda m: m.sd1("sd1", sd1_scheduler()),
        layout=exports.Layout(half=True, wide_ends=True, opset=15), borrowed=(("sd1", HALF_NAMES),), tolerance=WIDE,
    ),
    Family(
        "sdxl-half", "StableDiffusionXLPipeline", lambda m: m.sdxl("sdxl", sdxl_scheduler()), layout=HALF,
        borrowed=(("sdxl", HALF_NAMES),), tolerance=WIDE,
    ),
    # optimum 1.6 to 1.22
    old("old-optimum", opset=14, timestep="int64[steps]", encoder="sample", class_name="ORTStableDiffusionPipeline"),
    # diffusers' script, now and in its first versions
    old(
        "old-script", opset=14, timestep="float[batch]", ids=torch.int32, encoder="sample", configurations=False, script=True,
        external=(("unet", "weights.pb"),), class_name="OnnxStableDiffusionPipeline",
    ),
    old(
        "old-script-first", opset=14, timestep="int64[batch]", ids=torch.int32, encoder="sample", configurations=False, script=True,
        external=(("unet", "weights.pb"),), class_name="StableDiffusionOnnxPipeline",
    ),
    # Layouts that others' converters have.
    old(
        "old-mode", opset=15, timestep="int64[]", encoder="mode",
        external=(("unet", "model.onnx_data"), ("text_encoder", "model.onnx_data"), ("vae_decoder", "model.onnx_data")),
    ),
    old("old-rank1", opset=16, timestep="float[1]", ids=torch.int32, external=(("unet", "each"), ("vae_decoder", "each"))),
    Family(
        "sd1-safety-rule", "StableDiffusionPipeline", lambda m: m.sd1("sd1", sd1_scheduler()), safety_cases(), shared="sd1", written=[],
        checker=safety.RuleSafetyChecker,
    ),
    Family(
        "sd1-safety-clip", "StableDiffusionPipeline", lambda m: m.sd1("sd1", sd1_scheduler()), safety_cases(), shared="sd1", written=[],
        checker=lambda: safety.clip_safety_checker(15, 0.3),
    ),
    Family("vae-other", None, lambda m: {"vae": m.vae("other")}, with_vae("sd1/model", "vae-other/model", "sd", SMALL)),
    Family(
        "vae-other-scale", None, lambda m: {"vae": m.vae("other-scale")}, with_vae("sd1/model", "vae-other-scale/model", "sd", SMALL)),
    Family("vae-tiny", None, lambda m: {"vae": m.tiny()}, with_vae("sd1/model", "vae-tiny/model", "sd", SMALL)),
    Family("vae-sdxl-mean", None, lambda m: {"vae": m.vae("sdxl-mean")}, with_vae("sdxl/model", "vae-sdxl-mean/model", "xl", LARGE)),
]  # fmt: skip


def recipe():
    return f"{RECIPE} diffusers {diffusers.__version__} torch {torch.__version__}"


def is_made(name):
    path = ROOT / name / "cases.json"
    return path.exists() and json.loads(path.read_text())["recipe"] == recipe()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", metavar="FOLDER")
    arguments.add_argument("--force", action="store_true", help="make every folder again")
    options = arguments.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    diffusers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    cases.draw_inputs(ROOT / "inputs", SMALL + LARGE)
    modules = Modules()
    with torch.no_grad():
        for family in FAMILIES:
            if options.only not in (None, family.name) or (not options.force and is_made(family.name)):
                continue
            start = time.time()
            entries = family.make(modules)
            write_json(ROOT / family.name / "cases.json", {"recipe": recipe(), "cases": entries})
            print(f"{family.name}: {len(entries)} cases, {time.time() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
