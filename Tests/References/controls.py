"""Makes pictures with ControlNets and with FreeU that the pipeline's tests compare with.

    controls.py [--only FOLDER] [--force]

Writes <cache>/controls: inputs/ (control pictures), and a folder for each model with model/ (the exported pipeline), control-0/ and control-1/
(ControlNets as Tools/export-controlnet.py writes them), expected/ (latents and pictures) and cases.json, as families.py does. Models:

    sd1, sd2, sdxl      U-Nets as every exporter writes them, without inputs for residuals; sd1 and sdxl also have a control-2, with
                        global_pool_conditions
    sd1-inpaint         a U-Net of nine channels
    sd1-half            U-Net and ControlNets in half precision; the pictures are those of the float32 models
    sd1-dynamo          torch.onnx with dynamo, without names of modules in the nodes' names
    sd1-residuals       a U-Net with inputs for residuals (down_block_additional_residuals_0 …, mid_block_additional_residual)
    sd1-inside, sdxl-inside
                        two ControlNets inside of the U-Net's graph, as diffusers' convert_stable_diffusion_controlnet_to_onnx.py writes it

    broken              no model: sd1's first ControlNet with NaN among its weights (nan), without one of its outputs (few), with its outputs in
                        another order (order)

The keys of a case are those of families.py, and

    controls    an array of {"network", "image", "strength", "start", "end"}; network null for those inside of the U-Net
    guess       diffusers' guess_mode
    freeu       [b1, b2, s1, s2], null for none

The judge is diffusers' pipeline with ControlNets over the torch modules that were exported, in float32.
"""

import argparse
import copy
import importlib.util
import json
import logging
import shutil
import time
import warnings

import diffusers
import numpy as np
import onnx
import torch
from diffusers import ControlNetModel
from onnx import numpy_helper
from PIL import Image, ImageDraw

import families
import family_cases as cases
import family_exports as exports
from common import CACHE, ROOT as CHECKOUT, write_json
from export_models import UNet, export_dynamo, export_torchscript
from family_models import LATENT, TOKENS

RECIPE = 1
ROOT = CACHE / "controls"
SMALL, LARGE = families.SMALL, families.LARGE
PIPELINES = {
    "sd": ("StableDiffusionControlNetPipeline", "StableDiffusionControlNetImg2ImgPipeline", "StableDiffusionControlNetInpaintPipeline"),
    "xl": ("StableDiffusionXLControlNetPipeline", "StableDiffusionXLControlNetImg2ImgPipeline", "StableDiffusionXLControlNetInpaintPipeline"),
}  # fmt: skip
FREEU = [1.4, 1.6, 0.7, 0.3]


def exporter():
    """Tools/export-controlnet.py as a module."""
    specification = importlib.util.spec_from_file_location("export_controlnet", CHECKOUT / "Tools" / "export-controlnet.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@torch.no_grad()
def control_net(unet, seed, factor):
    """A ControlNet of the U-Net's weights, whose last convolutions, zeros before training, are random."""
    torch.manual_seed(seed)
    channels = {4: (8, 8, 16), 8: (8, 8, 8, 16)}[factor]
    four = unet
    if unet.config.in_channels == 9:
        # Published ControlNets for inpainting are those of the plain U-Net.
        four = families.Modules().unet("sd1")
    model = ControlNetModel.from_unet(four, conditioning_embedding_out_channels=channels).eval()
    # The picture has to matter as much as the latents.
    for parameter in model.controlnet_cond_embedding.parameters():
        parameter.copy_(torch.randn_like(parameter) * (2.2 / parameter[0].numel() ** 0.5 if parameter.ndim > 1 else 0.1))
    noise = model.conv_in(torch.randn(4, 4, LATENT, LATENT))
    lines = model.controlnet_cond_embedding((torch.rand(4, 3, factor * LATENT, factor * LATENT) > 0.7).float())
    model.controlnet_cond_embedding.conv_out.weight.mul_(noise.std() / lines.std())
    for block in [*model.controlnet_down_blocks, model.controlnet_mid_block]:
        block.weight.copy_(torch.randn_like(block.weight) * 0.35 / block.weight.shape[1] ** 0.5)
        block.bias.copy_(0.05 * torch.randn_like(block.bias))
    return model


def draw_inputs(folder, sizes):
    """Lines and shapes, as ControlNets see them."""
    folder.mkdir(parents=True, exist_ok=True)
    cases.draw_inputs(folder, sizes)
    for width, height in [*sizes, (150, 100)]:
        lines = Image.new("RGB", (width, height))
        draw = ImageDraw.Draw(lines)
        draw.ellipse((width * 0.2, height * 0.15, width * 0.75, height * 0.8), outline=(255, 255, 255), width=2)
        draw.line((0, height * 0.6, width, height * 0.3), fill=(255, 255, 255), width=2)
        lines.save(folder / f"lines-{width}x{height}.png", optimize=True)
        depth = np.linspace(0, 255, width)[None, :] * np.linspace(0.3, 1, height)[:, None]
        picture = Image.fromarray(np.stack([depth, 255 - depth, 0.5 * depth], axis=-1).astype(np.uint8))
        ImageDraw.Draw(picture).rectangle((width * 0.4, height * 0.4, width * 0.9, height * 0.7), fill=(240, 20, 90))
        picture.save(folder / f"depth-{width}x{height}.png", optimize=True)


def control(index, image, strength=1.0, start=0.0, end=1.0):
    return dict(network=index, image=image, strength=strength, start=start, end=end)


def case(name, task, scheduler, kind, size, controls, guess=False, freeu=None, **arguments):
    made = cases.case(name, task, scheduler, kind, size, **arguments)
    if controls:
        made["pipeline"] = PIPELINES[kind][cases.TASKS.index(task)]
    else:
        made["pipeline"] = cases.PIPELINES[kind][cases.TASKS.index(task)]
    for one in controls:
        if "/" not in one["image"]:
            one["image"] = f"inputs/{one['image']}-{size[0]}x{size[1]}.png"
    return made | {"controls": controls, "guess": guess, "freeu": freeu}


def ordinary(kind, sizes, tasks=cases.TASKS, names=None):
    square, wide, tall = sizes
    negative = "a green background"

    def all_cases():
        add = lambda name, task, scheduler, size, controls, **arguments: case(
            name, task, scheduler, kind, size, controls, **arguments)  # fmt: skip
        yield add("one", "text", "own", square, [control(0, "lines")], steps=8)
        yield add("euler-batch", "text", "euler", wide, [control(0, "lines", 0.8)], batch=3, guidance_scale=5.0, negative_prompt=negative, seed=5)
        yield add("unguided", "text", "ddim", tall, [control(1, "depth", 0.6)], guidance_scale=1.0, prompt="a fox", seed=7)
        yield add(
            "two", "text", "dpm++2m-karras", square, [control(0, "lines", 0.7, 0.0, 0.75), control(1, "depth", 0.4, 0.2, 1.0)],
            seed=8, negative_prompt=negative)  # fmt: skip
        yield add("part", "text", "euler", wide, [control(0, "lines", 1.3, 0.25, 0.62)], seed=9, steps=11)
        yield add("heun-part", "text", "heun", square, [control(0, "lines", 1.0, 0.0, 0.5)], seed=10, steps=6, guidance_scale=3.0)
        yield add("euler-a-shared", "text", "euler-a", tall, [control(1, "lines")], batch=2, seed=12, generators="shared")
        yield add("resized", "text", "euler", square, [control(0, "inputs/lines-150x100.png", 0.9)], seed=13)
        yield add("guess", "text", "euler", square, [control(0, "lines", 0.9)], guess=True, seed=14, prompt="", guidance_scale=3.0)
        yield add("two-guess", "text", "ddim", square, [control(0, "lines", 0.8), control(1, "depth", 0.5)], guess=True, batch=2, seed=15)
        yield add("pooled", "text", "euler", wide, [control(2, "depth", 0.8)], seed=17, batch=2)
        yield add("negative-strength", "text", "ddim", square, [control(0, "depth", -0.5)], seed=16)
        yield add("one", "picture", "ddim", square, [control(0, "lines", 0.9)], strength=0.6, seed=21)
        yield add("batch", "picture", "euler", wide, [control(0, "lines", 0.9, 0.1, 0.8)], strength=0.7, batch=3, seed=22, guidance_scale=4.0)
        yield add("one", "inpaint", "ddim", square, [control(0, "lines", 0.9)], strength=1.0, seed=31)
        yield add("batch", "inpaint", "euler", wide, [control(1, "depth", 0.7)], strength=0.8, batch=2, seed=32, guidance_scale=4.0)
        yield add("freeu-control", "text", "euler", square, [control(0, "lines", 0.8)], freeu=FREEU, seed=41)
        for freeu_name, size, scheduler in [("freeu", square, "euler"), ("freeu-wide", wide, "ddim"), ("freeu-tall", tall, "dpm++2m-karras")]:
            yield add(freeu_name, "text", scheduler, size, [], freeu=FREEU, seed=42, batch=2 if size == wide else 1)
        yield add("freeu", "picture", "euler", tall, [], freeu=[1.2, 1.1, 0.9, 1.2], strength=0.6, seed=43)

    made = [one for one in all_cases() if one["task"] in tasks]
    return made if names is None else [one for one in made if one["name"] in names]


def assemble(parts, networks, asked):
    if not asked["controls"]:
        pipeline = cases.assemble(parts, asked["pipeline"], asked)
    else:
        used = [networks[one["network"]] for one in asked["controls"]]
        pipeline = cases.assemble({**parts, "controlnet": used if len(used) > 1 else used[0]}, asked["pipeline"], asked)
    if asked["freeu"]:
        b1, b2, s1, s2 = asked["freeu"]
        pipeline.enable_freeu(s1=s1, s2=s2, b1=b1, b2=b2)
    return pipeline


def call(pipeline, asked):
    single = lambda values: values if len(values) > 1 else values[0]
    given = {}
    if asked["controls"]:
        images = [Image.open(ROOT / one["image"]) for one in asked["controls"]]
        name = "image" if asked["task"] == "text" else "control_image"
        given = {
            name: single(images), "controlnet_conditioning_scale": single([one["strength"] for one in asked["controls"]]),
            "control_guidance_start": single([one["start"] for one in asked["controls"]]),
            "control_guidance_end": single([one["end"] for one in asked["controls"]]), "guess_mode": asked["guess"],
        }  # fmt: skip
    # A start picture is given once: the pipelines with ControlNets encode it once for a batch, with the first generator.
    return cases.call(pipeline, asked, ROOT, generator=cases.generators(asked), **given)


class InsideUNet(torch.nn.Module):
    """ControlNets and the U-Net in one."""

    def __init__(self, unet, networks, added):
        super().__init__()
        self.unet, self.networks, self.added = unet, torch.nn.ModuleList(networks), added

    def forward(self, sample, timestep, encoder_hidden_states, controlnet_conds, conditioning_scales, *added):
        named = dict(zip(self.added, added)) or None
        total = None
        for picture, scale, network in zip(controlnet_conds, conditioning_scales, self.networks):
            down, middle = network(
                sample, timestep, encoder_hidden_states, picture, conditioning_scale=scale, added_cond_kwargs=named, return_dict=False)  # fmt: skip
            given = [*down, middle]
            total = given if total is None else [first + second for first, second in zip(total, given)]
        return self.unet(
            sample, timestep, encoder_hidden_states, down_block_additional_residuals=total[:-1],
            mid_block_additional_residual=total[-1], added_cond_kwargs=named, return_dict=False)[0]  # fmt: skip


class ResidualUNet(torch.nn.Module):
    def __init__(self, unet):
        super().__init__()
        self.unet = unet

    def forward(self, sample, timestep, encoder_hidden_states, *residuals):
        return self.unet(
            sample, timestep, encoder_hidden_states, down_block_additional_residuals=list(residuals[:-1]),
            mid_block_additional_residual=residuals[-1], return_dict=False)[0]  # fmt: skip


def inside(unet, networks, factor):
    _, inputs, _, axes = exports.unet(unet, exports.OPTIMUM)
    added = {name: inputs[name] for name in list(inputs)[3:]}
    side = factor * LATENT
    inputs = {name: inputs[name] for name in list(inputs)[:3]} | {
        "controlnet_conds": torch.rand(len(networks), 2, 3, side, side), "conditioning_scales": torch.rand(len(networks), 1)} | added  # fmt: skip
    axes["controlnet_conds"] = {1: "2B", 3: "8H", 4: "8W"}
    return InsideUNet(unet, networks, list(added)), inputs, ["noise_pred"], axes


def with_residuals(unet, network):
    _, inputs, outputs, axes = exports.unet(unet, exports.OPTIMUM)
    down, middle = network(
        inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"], torch.rand(2, 3, 4 * LATENT, 4 * LATENT), return_dict=False)  # fmt: skip
    for name, value in [*((f"down_block_additional_residuals_{index}", value) for index, value in enumerate(down)),
                        ("mid_block_additional_residual", middle)]:  # fmt: skip
        inputs[name] = value
        axes[name] = {0: "batch_size", 2: f"{name}_height", 3: f"{name}_width"}
    return ResidualUNet(unet), inputs, outputs, axes


def write_unet(folder, made, unet, opset=18, dynamo=False):
    """In the place of the one that the folder has."""
    shutil.rmtree(folder)
    folder.mkdir()
    (export_dynamo if dynamo else export_torchscript)(folder / "model.onnx", made, opset)
    unet.save_config(folder)


def models(modules):
    """name: (parts, factor, cases, what is done to the exported folder)."""
    sd1 = modules.sd1("sd1", families.sd1_scheduler())
    sdxl = modules.sdxl("sdxl", families.sdxl_scheduler())
    few = ["text-one", "text-two", "text-part", "text-guess", "text-euler-batch", "picture-one", "text-freeu", "text-freeu-control"]
    both = lambda kind, sizes: [
        case("two", "text", "euler", kind, sizes[0], [control(0, "lines", 0.8, 0.0, 0.7), control(1, "depth", 0.5)], seed=51),
        case("batch", "text", "ddim", kind, sizes[1], [control(0, "depth", 0.5), control(1, "lines")], batch=2, seed=52, guidance_scale=4.0),
        case("two", "picture", "euler", kind, sizes[2], [control(0, "lines", 0.8), control(1, "depth", 0.5, 0.3)], strength=0.6, seed=53),
        case("freeu", "text", "euler", kind, sizes[0], [control(0, "lines"), control(1, "depth", 0.5)], freeu=FREEU, seed=54),
    ]  # fmt: skip
    return {
        "sd1": (sd1, 4, ordinary("sd", SMALL)),
        "sd2": (modules.sd2("sd2", families.sd2_scheduler()), 4, ordinary("sd", SMALL, names=few + ["text-freeu-wide", "text-freeu-tall"])),
        "sdxl": (sdxl, 8, ordinary("xl", LARGE, names=few + ["text-pooled", "inpaint-one", "picture-batch", "text-freeu-wide", "text-freeu-tall"])),
        "sd1-inpaint": (modules.sd1("sd1-inpaint", families.sd1_scheduler()), 4, ordinary("sd", SMALL, tasks=["inpaint"])),
        "sd1-half": (sd1, 4, ordinary("sd", SMALL, names=few)),
        "sd1-dynamo": (sd1, 4, ordinary("sd", SMALL, names=few)),
        "sd1-residuals": (sd1, 4, [
            *ordinary("sd", SMALL, names=few), case("plain", "text", "euler", "sd", SMALL[0], [], seed=55)]),
        "sd1-inside": (sd1, 4, both("sd", SMALL)),
        "sdxl-inside": (sdxl, 8, both("xl", LARGE)),
    }  # fmt: skip


def record(root, name, one, answer, latents):
    """Saves what diffusers answered below root, and returns the case's entry."""
    folder = root / name / "expected"
    entry = dict(one) | {"model": f"{name}/model", "pictures": []}
    entry["controls"] = [
        {**given, "network": None if name.endswith("-inside") else f"{name}/control-{given['network']}"} for given in one["controls"]
    ]
    entry["latents"] = cases.save(latents, folder, one["name"], root)
    for index, picture in enumerate(answer.images):
        path = folder / f"{one['name']}-{index}.png"
        picture.save(path)
        entry["pictures"].append(str(path.relative_to(root)))
    # In half precision, as in families.py.
    entry["tolerance"] = {"latents": 5e-3 if name.endswith("-half") else 1e-4, "picture": 2}
    return entry


def make(name, parts, factor, asked, tool):
    folder = ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    networks = [control_net(parts["unet"], 300 + index, factor) for index in range(2)]
    if any(one["network"] == 2 for entry in asked for one in entry["controls"]):
        networks.append(control_net(parts["unet"], 302, factor))
        # Of whose results the means are added, to the prompt's rows alone.
        networks[2].register_to_config(global_pool_conditions=True)
    pipeline = cases.assemble(parts, cases.PIPELINES["xl" if "text_encoder_2" in parts else "sd"][0], {**cases.EMPTY, "scheduler": None})
    layout = exports.Layout(half=True) if name.endswith("-half") else exports.OPTIMUM
    exports.write_pipeline(folder / "model", pipeline, layout)
    unet, place = parts["unet"], folder / "model" / "unet"
    if name.endswith("-inside"):
        write_unet(place, inside(unet, networks, factor), unet)
    elif name.endswith("-residuals"):
        write_unet(place, with_residuals(unet, networks[0]), unet)
    elif name.endswith("-dynamo"):
        write_unet(place, exports.unet(unet, exports.OPTIMUM), unet, dynamo=True)
    if not name.endswith("-inside"):
        for index, network in enumerate(networks):
            half = name.endswith("-half")
            tool.export(copy.deepcopy(network), folder / f"control-{index}", half=half)
    entries = []
    for one in asked:
        made = assemble(parts, networks, one)
        answer, latents = call(made, one)
        if one["freeu"]:
            made.disable_freeu()
        entries.append(record(ROOT, name, one, answer, latents))
    write_json(folder / "cases.json", {"recipe": recipe(), "cases": entries})


def write_broken():
    """ControlNets that are refused, from sd1's first one."""
    for name in ("nan", "few", "order"):
        graph = onnx.load(ROOT / "sd1" / "control-0" / "model.onnx")
        if name == "nan":
            weights = next(tensor for tensor in graph.graph.initializer if tensor.name.endswith("controlnet_mid_block.weight"))
            values = numpy_helper.to_array(weights).copy()
            values.flat[3] = np.nan
            weights.CopyFrom(numpy_helper.from_array(values, weights.name))
        elif name == "few":
            del graph.graph.output[1]
        else:
            outputs = list(graph.graph.output)
            del graph.graph.output[:]
            graph.graph.output.extend([*reversed(outputs[:-1]), outputs[-1]])
        folder = ROOT / "broken" / name
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(graph, folder / "model.onnx")


def recipe():
    return [RECIPE, diffusers.__version__, torch.__version__]


def is_made(folder):
    file = folder / "cases.json"
    return file.exists() and json.loads(file.read_text())["recipe"] == recipe()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="FOLDER")
    parser.add_argument("--force", action="store_true", help="make every folder again")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(2)
    draw_inputs(ROOT / "inputs", [*SMALL, *LARGE])
    tool = exporter()
    with torch.no_grad():
        for name, (parts, factor, asked) in models(families.Modules()).items():
            if options.only not in (None, name) or not options.force and is_made(ROOT / name):
                continue
            start = time.time()
            make(name, parts, factor, asked, tool)
            print(f"{name}: {len(asked)} cases, {time.time() - start:.0f} s", flush=True)
    write_broken()


if __name__ == "__main__":
    main()
