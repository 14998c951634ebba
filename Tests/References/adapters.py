"""Makes adapters (LoRA and its relatives) with random weights for the tiny models of families.py, in every form and with every
trainer's keys, and the pictures that they make.

    adapters.py [--force]

Writes <cache>/adapters: files/ (the adapters), models/ (exports that families.py doesn't make: with dynamo, simplified by onnxslim,
with all names gone, rewritten by ONNX Runtime's optimiser, with attention's weights apart and in one matrix, and with weights of
8 bits behind DequantizeLinear), expected/ (pictures), and cases.json: for each case the models that make it, the adapters with their
weights (of the U-Net, of the text encoders), the ControlNet of controls.py and what it sees, where there is one, and the picture.

The judges: for what diffusers loads, diffusers with PEFT; for the forms that it doesn't, the weights that lycoris-lora merges, run by
diffusers. Both in float32.
"""

import argparse
import copy
import json
import logging
import shutil
import warnings

import diffusers
import numpy as np
import onnx
import onnxslim
import torch
from lycoris.functional.general import weight_decompose
from lycoris.functional.loha import diff_weight as hadamard_weight
from lycoris.functional.lokr import kron_weight
from lycoris.modules import get_module, make_module
from lycoris.modules.ia3 import _ia3_weight
from onnx import helper, numpy_helper
from onnxruntime.transformers.fusion_options import FusionOptions
from PIL import Image
from safetensors.torch import save_file

import controls
import families
import family_cases as cases
import family_exports as exports
from common import CACHE, write_json
from export_models import export_dynamo
from optimised_models import optimised

RECIPE = 5  # raised when what the folder holds changes
ROOT = CACHE / "adapters"
GROUPS = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")
CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut", "time_emb_proj", "downsamplers.0.conv", "upsamplers.0.conv")
OPTIMISED = ("optimised", "packed")
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


def modules_of(model, ends):
    """The modules whose names end in one of these: name → module."""
    return {name: module for name, module in model.named_modules() if any(name.endswith("." + end) for end in ends)}


class Numbers:
    def __init__(self, seed, strength):
        self.generator, self.strength = torch.Generator().manual_seed(seed), strength

    def normal(self, *shape, scale=1.0):
        return torch.randn(*shape, generator=self.generator) * scale


def low_rank(module, numbers, rank, names=("lora_down.weight", "lora_up.weight"), tucker=False):
    """down [r, in, kernel] and up [out, r, 1, 1] for a convolution; [r, in] and [out, r] for a linear layer. Their product has about
    `strength` of the weight's deviation."""
    weight = module.weight
    kernel = list(weight.shape[2:])
    ones = [1] * len(kernel)
    size = weight.std() * numbers.strength / rank**0.5
    if tucker and kernel and kernel != ones:
        return {
            names[0]: numbers.normal(rank, weight.shape[1], *ones), names[1]: numbers.normal(weight.shape[0], rank, *ones, scale=size),
            "lora_mid.weight": numbers.normal(rank, rank, *kernel, scale=1 / rank**0.5),
        }  # fmt: skip
    return {names[0]: numbers.normal(rank, *weight.shape[1:]), names[1]: numbers.normal(weight.shape[0], rank, *ones, scale=size)}


def norms(weight, over_input=False):
    """What DoRA begins with: the norm for each output [out, 1, …], or for each input [1, in, …]."""
    if over_input:
        return weight.transpose(0, 1).reshape(weight.shape[1], -1).norm(dim=1).reshape(1, -1, *[1] * (weight.dim() - 2))
    return weight.reshape(weight.shape[0], -1).norm(dim=1).reshape(-1, *[1] * (weight.dim() - 1))


def dora(module, numbers, rank, over_input=False):
    scale = norms(module.weight.detach(), over_input)
    return {**low_rank(module, numbers, rank), "dora_scale": scale * (1 + 0.2 * numbers.normal(*scale.shape))}


def loha(module, numbers, rank, tucker=False):
    weight = module.weight
    out, inside, kernel = weight.shape[0], weight.shape[1], list(weight.shape[2:])
    size = (weight.std() * numbers.strength / rank) ** 0.5
    if tucker and kernel and kernel != [1] * len(kernel):
        made = {}
        for side in "12":
            made |= {
                f"hada_t{side}": numbers.normal(rank, rank, *kernel, scale=1 / rank**0.5),
                f"hada_w{side}_a": numbers.normal(rank, out, scale=size), f"hada_w{side}_b": numbers.normal(rank, inside),
            }  # fmt: skip
        return made
    made = {}
    for side in "12":
        made |= {
            f"hada_w{side}_a": numbers.normal(out, rank, scale=size),
            f"hada_w{side}_b": numbers.normal(rank, weight[0].numel()),
        }
    return made


def lokr(module, numbers, rank, factor, both=False, full=False, tucker=False):
    weight = module.weight
    out, inside, kernel = weight.shape[0], weight.shape[1], list(weight.shape[2:])
    a, b = (factor, factor) if out % factor == 0 and inside % factor == 0 else (1, 1)
    size = weight.std() * numbers.strength
    made = {}
    if both:
        made |= {"lokr_w1_a": numbers.normal(a, rank), "lokr_w1_b": numbers.normal(rank, b, scale=rank**-0.5)}
    else:
        made["lokr_w1"] = numbers.normal(a, b)
    if full:
        made["lokr_w2"] = numbers.normal(out // a, inside // b, *kernel, scale=size)
    elif tucker and kernel and kernel != [1] * len(kernel):
        made |= {
            "lokr_t2": numbers.normal(rank, rank, *kernel, scale=1 / rank), "lokr_w2_a": numbers.normal(rank, out // a, scale=size),
            "lokr_w2_b": numbers.normal(rank, inside // b),
        }  # fmt: skip
    else:
        made |= {
            "lokr_w2_a": numbers.normal(out // a, rank, scale=size / rank**0.5),
            "lokr_w2_b": numbers.normal(rank, inside // b, *kernel),
        }
    return made


def difference(module, numbers, _):
    made = {"diff": numbers.normal(*module.weight.shape, scale=module.weight.std() * numbers.strength)}
    if module.bias is not None:
        made["diff_b"] = numbers.normal(*module.bias.shape, scale=0.1)
    return made


def glora(module, numbers, rank):
    """W·A₁·A₂ + B₁·B₂; of a convolution A₁, A₂ and B₁ have one pixel."""
    weight = module.weight
    out, inside, kernel = weight.shape[0], weight.shape[1], list(weight.shape[2:])
    ones = [1] * len(kernel)
    size = numbers.strength / rank**0.5
    return {
        "a1.weight": numbers.normal(inside, rank, *ones, scale=inside**-0.5), "a2.weight": numbers.normal(rank, inside, *ones, scale=size),
        "b1.weight": numbers.normal(out, rank, *ones, scale=weight.std() * size), "b2.weight": numbers.normal(rank, inside, *kernel),
    }  # fmt: skip


def ia3(module, numbers, on_input):
    """A factor for each output, or input; a convolution's has the shape [1, n, 1, 1]."""
    weight = module.weight
    count = weight.shape[1] if on_input else weight.shape[0]
    factors = numbers.normal(count, scale=numbers.strength)
    return {"weight": factors.reshape(1, count, 1, 1) if weight.dim() > 2 else factors, "on_input": torch.tensor(int(on_input))}


# Names that trainers have for modules.


def kohya(part, name):
    prefix = {"unet": "lora_unet", "text_encoder": "lora_te", "text_encoder_1": "lora_te1", "text_encoder_2": "lora_te2"}[part]
    return f"{prefix}_{name.replace('.', '_')}"


def onetrainer(part, name):
    """As kohya's, with dots."""
    prefix = {"unet": "lora_unet", "text_encoder": "lora_te", "text_encoder_1": "lora_te1", "text_encoder_2": "lora_te2"}[part]
    return f"{prefix}.{name}"


def sgm(layers_per_block):
    """Names of the original code, which most adapters of SDXL have: with the same underscores."""

    def rename(part, name):
        if part != "unet":
            return kohya(part, name)
        pieces = name.split(".")
        inner = {"conv1": "in_layers_2", "time_emb_proj": "emb_layers_1", "conv2": "out_layers_3", "conv_shortcut": "skip_connection"}
        if pieces[0] == "mid_block":
            place = {("resnets", "0"): 0, ("attentions", "0"): 1, ("resnets", "1"): 2}[(pieces[1], pieces[2])]
            rest = pieces[3:]
            return "lora_unet_middle_block_" + "_".join([str(place)] + [inner.get(part, part) for part in rest])
        block, kind, layer, rest = int(pieces[1]), pieces[2], int(pieces[3]), pieces[4:]
        each = layers_per_block + 1
        if pieces[0] == "down_blocks":
            number = 1 + block * each + (layers_per_block if kind == "downsamplers" else layer)
            place = {"resnets": "0", "attentions": "1", "downsamplers": "0"}[kind]
            rest = ["op"] if kind == "downsamplers" else rest
            return "lora_unet_input_blocks_" + "_".join([str(number), place] + [inner.get(part, part) for part in rest])
        number = block * each + (layers_per_block if kind == "upsamplers" else layer)
        place = {"resnets": "0", "attentions": "1", "upsamplers": "2"}[kind]
        return "lora_unet_output_blocks_" + "_".join([str(number), place] + [inner.get(part, part) for part in rest])

    return rename


def diffusers_keys(part, name, tensors, names=("lora_A.weight", "lora_B.weight")):
    part = "text_encoder" if part == "text_encoder_1" else part
    return {f"{part}.{name}.{names[0]}": tensors["lora_down.weight"], f"{part}.{name}.{names[1]}": tensors["lora_up.weight"]}


def old_diffusers_keys(part, name, tensors):
    """Of attention processors, up to diffusers 0.20."""
    place, end = name.rsplit(".to_", 1)
    end = {"out.0": "out"}.get(end, end)
    key = f"unet.{place}.processor.to_{end}_lora"
    return {f"{key}.down.weight": tensors["lora_down.weight"], f"{key}.up.weight": tensors["lora_up.weight"]}


def flat(rename, parts, make, alpha=None):
    """The file of a trainer whose keys are a module's name, a dot and the tensor's."""
    tensors = {}
    for part, modules in parts.items():
        for name, module in modules.items():
            made = make(module)
            key = rename(part, name)
            if alpha is not None and "diff" not in made and "on_input" not in made:
                made["alpha"] = torch.tensor(float(alpha))
            tensors |= {f"{key}.{end}": value for end, value in made.items()}
    return tensors


def lycoris_difference(tensors, key, module):
    """The difference of a weight, by lycoris-lora. Its module of LoKr can't be made of every file that it writes, so that the function
    inside of it is called."""
    named = {name[len(key) + 1 :]: value for name, value in tensors.items()}
    if any(name.startswith("lokr_") for name in named):
        order = ["lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"]
        second = named.get("lokr_w2_b", named.get("lokr_w1_b"))
        scale = 1.0 if second is None else named["alpha"].item() / second.shape[0]
        return kron_weight(*(named.get(name) for name in order), scale=scale)
    if "hada_w1_a" in named:
        # So is that of LoHa: the module's get_diff_weight multiplies by alpha / rank twice, other than what it trains with.
        order = ["hada_w1_b", "hada_w1_a", "hada_w2_b", "hada_w2_a", "hada_t1", "hada_t2"]
        scale = named["alpha"].item() / named["hada_w1_b"].shape[0]
        return hadamard_weight(*(named.get(name) for name in order), gamma=torch.tensor(scale))
    if "on_input" in named:
        # The module that is made of a file takes no `on_input`.
        return _ia3_weight(module.weight, named["weight"], bool(named["on_input"]), 1.0, True)
    kind, values = get_module(tensors, key)
    if kind is None:
        raise SystemExit(f"{key}: lycoris-lora doesn't know it")
    return make_module(kind, values, key, module).get_diff_weight(multiplier=1)[0]


class Writer:
    """Makes the cases of one model."""

    def __init__(self, model, parts, pipeline, folders, size, entries):
        self.model, self.parts, self.pipeline, self.folders, self.size = model, parts, pipeline, folders, size
        self.entries = entries

    def module_parts(self, ends=GROUPS, text=TEXT, unet=True):
        parts = {}
        if unet:
            parts["unet"] = modules_of(self.parts["unet"], ends)
        is_xl = "text_encoder_2" in self.parts
        if text:
            parts["text_encoder_1" if is_xl else "text_encoder"] = modules_of(self.parts["text_encoder"], text)
            if is_xl:
                parts["text_encoder_2"] = modules_of(self.parts["text_encoder_2"], text)
        return parts

    def write(self, name, tensors, dtype=torch.float32, metadata=None):
        path = ROOT / "files" / f"{self.model}-{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        stored = {key: value.detach().to(dtype).contiguous() for key, value in tensors.items()}
        save_file(stored, path, metadata=metadata)
        return path.name, {key: value.float() for key, value in stored.items()}

    def asked(self, name):
        made = cases.case(name, "text", "euler", "xl" if "text_encoder_2" in self.parts else "sd", self.size, steps=5, seed=3)
        return {**made, "guidance_scale": 4.0}

    def picture(self, name, prepare, control=None):
        """The picture of a pipeline over copies of the modules, which `prepare` changes.

        control: a ControlNet, and the picture that it sees, below the folder of controls.py."""
        parts = {key: copy.deepcopy(part) if isinstance(part, torch.nn.Module) else part for key, part in self.parts.items()}
        asked = self.asked(name)
        kind, given = self.pipeline, {}
        if control:
            kind = controls.PIPELINES["xl" if "text_encoder_2" in parts else "sd"][0]
            parts["controlnet"], given = control[0], {"image": Image.open(controls.ROOT / control[1])}
        pipeline = cases.assemble(parts, kind, asked)
        prepare(pipeline)
        answer, _ = cases.call(pipeline, asked, ROOT, generator=cases.generators(asked), **given)
        path = ROOT / "expected" / f"{self.model}-{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        answer.images[0].save(path)
        return answer.images[0], asked

    def add(self, name, adapters, prepare, folders=None, control=None):
        """adapters: (file, weight, text encoders' weight); control: a ControlNet, its folder below that of controls.py, and its picture."""
        picture, asked = self.picture(name, prepare, control and (control[0], control[2]))
        plain = self.plain()
        change = sum(abs(a - b) for a, b in zip(picture.tobytes(), plain.tobytes())) / len(plain.tobytes())
        if change < 2:
            raise SystemExit(f"{self.model} {name}: the picture changes by {change:.2f} alone")
        keys = ("prompt", "negative_prompt", "seed", "steps", "guidance_scale", "width", "height")
        self.entries.append({
            "name": f"{self.model}-{name}", "models": folders or self.folders,
            "adapters": [{"file": file, "weight": weight, "text_weight": text} for file, weight, text in adapters],
            "control": {"network": control[1], "image": control[2]} if control else None,
            "picture": f"expected/{self.model}-{name}.png", **{key: asked[key] for key in keys},
        })  # fmt: skip
        print(f"{self.model} {name}: {change:.1f}", flush=True)

    def plain(self):
        if not hasattr(self, "made_plain"):
            self.made_plain, _ = self.picture("plain", lambda pipeline: None)
        return self.made_plain

    def loaded(self, *adapters):
        """diffusers' own loading, of (tensors or a file's name, weight)."""

        def prepare(pipeline):
            for index, (source, _) in enumerate(adapters):
                if isinstance(source, str):
                    pipeline.load_lora_weights(str(ROOT / "files"), weight_name=source, adapter_name=f"a{index}", local_files_only=True)
                else:
                    pipeline.load_lora_weights(dict(source), adapter_name=f"a{index}")
            pipeline.set_adapters([f"a{index}" for index in range(len(adapters))], [weight for _, weight in adapters])

        return prepare

    def merged(self, tensors, parts, weight, text_weight=None, rename=kohya):
        """What lycoris-lora makes of the weights."""

        def prepare(pipeline):
            for part, modules in parts.items():
                root = getattr(pipeline, "text_encoder" if part == "text_encoder_1" else part)
                scale = weight if part == "unet" or text_weight is None else text_weight
                for name in modules:
                    module = root.get_submodule(name)
                    key = kohya(part, name)
                    renamed = rename(part, name)
                    own = {key + k[len(renamed) :]: v for k, v in tensors.items() if k.startswith(renamed + ".")}
                    if f"{key}.diff" in own:
                        module.weight += scale * own[f"{key}.diff"]
                        if f"{key}.diff_b" in own:
                            module.bias += scale * own[f"{key}.diff_b"]
                        continue
                    magnitude = own.pop(f"{key}.dora_scale", None)
                    difference = lycoris_difference(own, key, module).reshape(module.weight.shape)
                    if magnitude is None:
                        module.weight += scale * difference
                        continue
                    over_output = magnitude.shape[0] == module.weight.shape[0]
                    module.weight.copy_(weight_decompose(module.weight + difference, magnitude, scale, over_output))

        return prepare


def first_cases(writer, strength):
    """Forms and trainers' keys, on one family."""
    w = writer
    attention = w.module_parts()
    everything = w.module_parts(GROUPS + CONVOLUTIONS)
    numbers = lambda seed: Numbers(seed, strength)

    n = numbers(1)
    tensors = flat(kohya, attention, lambda module: low_rank(module, n, 4), alpha=2)
    file, stored = w.write("kohya", tensors, torch.float16, {"ss_network_dim": "4", "ss_network_alpha": "2"})
    w.add("kohya", [(file, 1.0, 1.0)], w.loaded((stored, 1.0)))
    w.add("kohya-weight", [(file, 0.6, 0.6)], w.loaded((stored, 0.6)))
    w.add("kohya-text-weight", [(file, 0.8, 0.25)], w.merged(stored, attention, 0.8, 0.25))
    n = numbers(2)
    other = flat(kohya, w.module_parts(("to_q", "to_v"), ()), lambda module: low_rank(module, n, 2))
    second, also = w.write("kohya-unet", other, torch.bfloat16)
    w.add("kohya-two", [(file, 0.7, 0.7), (second, -0.5, -0.5)], w.loaded((stored, 0.7), (also, -0.5)))

    n = numbers(3)
    tensors = flat(kohya, everything, lambda module: low_rank(module, n, 3), alpha=1.5)
    file, stored = w.write("locon", tensors)
    w.add("locon", [(file, 1.0, 1.0)], w.merged(stored, everything, 1.0))
    n = numbers(4)
    tensors = flat(kohya, everything, lambda module: low_rank(module, n, 3, tucker=True), alpha=1.5)
    file, stored = w.write("locon-tucker", tensors)
    w.add("locon-tucker", [(file, 0.9, 0.9)], w.merged(stored, everything, 0.9))

    n = numbers(5)
    tensors = flat(kohya, w.module_parts(("to_q", "to_k", "to_v", "to_out.0"), ("q_proj", "v_proj")), lambda m: dora(m, n, 4), alpha=4)
    file, stored = w.write("dora", tensors)
    w.add("dora", [(file, 1.0, 1.0)], w.merged(stored, w.module_parts(("to_q", "to_k", "to_v", "to_out.0"), ("q_proj", "v_proj")), 1.0))
    n = numbers(6)
    stored = flat(kohya, w.module_parts(("to_q", "to_out.0"), ()), lambda m: {**dora(m, n, 4), "dora_scale": norms(m.weight.detach()) * 1.3})
    named = {}
    for part, modules in w.module_parts(("to_q", "to_out.0"), ()).items():
        for name in modules:
            key = kohya(part, name)
            named |= diffusers_keys(part, name, {end: stored[f"{key}.{end}"] for end in ("lora_down.weight", "lora_up.weight")})
            named[f"{part}.{name}.lora_magnitude_vector.weight"] = stored[f"{key}.dora_scale"].flatten()
    file, stored = w.write("dora-peft", named)
    w.add("dora-peft", [(file, 0.6, 0.6)], w.loaded((stored, 0.6)))
    n = numbers(7)
    tensors = flat(kohya, everything, lambda m: dora(m, n, 4, over_input=True), alpha=4)
    file, stored = w.write("dora-input", tensors)
    w.add("dora-input", [(file, 0.7, 0.7)], w.merged(stored, everything, 0.7))

    for name, seed, make in [
        ("loha", 10, lambda m, n: loha(m, n, 3)), ("loha-tucker", 11, lambda m, n: loha(m, n, 3, tucker=True)),
        ("lokr", 12, lambda m, n: lokr(m, n, 2, 4)), ("lokr-both", 13, lambda m, n: lokr(m, n, 1, 4, both=True)),
        ("lokr-full", 14, lambda m, n: lokr(m, n, 1, 2, full=True)), ("lokr-tucker", 15, lambda m, n: lokr(m, n, 2, 2, tucker=True)),
        ("full", 16, lambda m, n: difference(m, n, 0)),
        ("loha-dora", 17, lambda m, n: {**loha(m, n, 3), "dora_scale": norms(m.weight.detach()) * 1.2}),
        ("lokr-dora", 18, lambda m, n: {**lokr(m, n, 2, 4), "dora_scale": norms(m.weight.detach()) * 1.2}),
        ("glora", 23, lambda m, n: glora(m, n, 3)), ("ia3", 24, lambda m, n: ia3(m, n, False)),
        ("ia3-input", 25, lambda m, n: ia3(m, n, True)),
    ]:  # fmt: skip
        n = numbers(seed)
        tensors = flat(kohya, everything, lambda module: make(module, n), alpha=1.25)
        file, stored = w.write(name, tensors)
        w.add(name, [(file, 0.8, 0.8)], w.merged(stored, everything, 0.8))

    n = numbers(20)
    tensors = flat(onetrainer, attention, lambda module: low_rank(module, n, 4), alpha=2)
    file, stored = w.write("onetrainer", {**tensors, "bundle_emb.toy.clip_l": torch.zeros(1, 32)})
    w.add("onetrainer", [(file, 1.0, 1.0)], w.merged(stored, attention, 1.0, rename=onetrainer))

    made = {}
    n = numbers(21)
    for part, modules in attention.items():
        for name, module in modules.items():
            made |= diffusers_keys(part, name, low_rank(module, n, 4))
    file, stored = w.write("diffusers", made)
    w.add("diffusers", [(file, 0.9, 0.9)], w.loaded((stored, 0.9)))
    peft = {f"base_model.model.{key.split('.', 1)[1]}": value for key, value in made.items() if key.startswith("unet.")}
    unet = {key: value for key, value in made.items() if key.startswith("unet.")}
    file, stored = w.write("peft", peft)
    w.add("peft", [(file, 1.0, 1.0)], w.loaded((unet, 1.0)))
    settings = {"unet.r": 4, "unet.lora_alpha": 8, "unet.target_modules": sorted(modules_of(w.parts["unet"], GROUPS)),
                "unet.alpha_pattern": {}, "unet.rank_pattern": {}, "unet.use_dora": False, "unet.lora_bias": False, "unet.use_rslora": False}  # fmt: skip
    file, stored = w.write("diffusers-alpha", unet, metadata={"lora_adapter_metadata": json.dumps(settings), "format": "pt"})
    w.add("diffusers-alpha", [(file, 1.0, 1.0)], w.loaded((file, 1.0)))
    # The first key that matches counts, and keys are regular expressions of names or their ends.
    settings["unet.alpha_pattern"] = {"attn1.to_q": 1, "to_q": 32, "transformer_blocks.0.attn1.to_q": 4, "down_blocks.*to_k": 2,
                                      r".*attn2\.to_(v|out.0)": 16, "^up_blocks.*ff.net.2": 3, "up_blocks": 0.1}  # fmt: skip
    file, stored = w.write("diffusers-patterns", unet, metadata={"lora_adapter_metadata": json.dumps(settings), "format": "pt"})
    w.add("diffusers-patterns", [(file, 1.0, 1.0)], w.loaded((file, 1.0)))
    made = {}
    n = numbers(22)
    for name, module in modules_of(w.parts["unet"], ("to_q", "to_k", "to_v", "to_out.0")).items():
        made |= old_diffusers_keys("unet", name, low_rank(module, n, 4))
    file, stored = w.write("diffusers-old", made)
    w.add("diffusers-old", [(file, 0.8, 0.8)], w.loaded((stored, 0.8)))


def exports_cases(writer, folders, strength, rename=kohya, ends=GROUPS + CONVOLUTIONS):
    """One adapter of all layers, on every export of a family."""
    parts = writer.module_parts(ends)
    n = Numbers(30, strength)
    tensors = flat(rename, parts, lambda module: low_rank(module, n, 3), alpha=1.5)
    file, stored = writer.write("all", tensors, torch.float16)
    writer.add("all", [(file, 0.8, 0.5)], writer.merged(stored, parts, 0.8, 0.5, rename=rename), folders)


def control_cases(writer, folders, strength):
    """An adapter and a ControlNet at once."""
    parts = writer.module_parts(GROUPS + CONVOLUTIONS)
    n = Numbers(31, strength)
    file, stored = writer.write("control", flat(kohya, parts, lambda module: low_rank(module, n, 3), alpha=3))
    network = controls.control_net(writer.parts["unet"], 300, 4)
    prepare = writer.merged(stored, parts, 0.9)
    writer.add("control", [(file, 0.9, 0.9)], prepare, folders, (network, f"{writer.model}/control-0", "inputs/lines-64x64.png"))


def in_eight_bits(weight):
    """A matrix [out, in] as whole numbers with a scale for each output."""
    scale = np.abs(weight).max(axis=1, keepdims=True) / np.float32(127)
    scale[scale == 0] = 1
    return np.round(weight / scale).astype(np.int8), scale.astype(np.float32)


def quantised_cases(writer, folder, strength):
    """An adapter over matrices of 8 bits."""
    parts = writer.module_parts(GROUPS + CONVOLUTIONS)
    n = Numbers(32, strength)
    file, stored = writer.write("quantised", flat(kohya, parts, lambda module: low_rank(module, n, 3), alpha=2))
    merge = writer.merged(stored, parts, 0.8)

    def prepare(pipeline):
        for part in (pipeline.unet, pipeline.text_encoder):
            for module in part.modules():
                if isinstance(module, torch.nn.Linear):
                    whole, scale = in_eight_bits(module.weight.numpy())
                    module.weight.copy_(torch.from_numpy(whole * scale))
        merge(pipeline)

    writer.add("quantised", [(file, 0.8, 0.8)], prepare, [folder])


def quantise(path):
    """Puts a graph's matrices behind DequantizeLinear, in 8 bits."""
    model = onnx.load(path)
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    made = {}
    for node in graph.node:
        if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in stored:
            continue
        name = node.input[1]
        out_first = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        if name not in made:
            values = numpy_helper.to_array(stored[name])
            whole, scale = in_eight_bits(values if out_first else values.T)
            graph.initializer.extend([
                numpy_helper.from_array(np.ascontiguousarray(whole if out_first else whole.T), f"{name}_quantized"),
                numpy_helper.from_array(scale.flatten(), f"{name}_scale"),
            ])  # fmt: skip
            made[name] = helper.make_node(
                "DequantizeLinear", [f"{name}_quantized", f"{name}_scale"], [f"{name}_dequantized"], f"{name}_DequantizeLinear",
                axis=0 if out_first else 1)  # fmt: skip
            graph.initializer.remove(stored[name])
        node.input[1] = f"{name}_dequantized"
    nodes = [*made.values(), *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, path)


def copy_model(source, target):
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def without_names(path):
    """Numbers in the place of all names but those of inputs and outputs, and nodes in another order that is also one."""
    model = onnx.load(path)
    graph = model.graph
    keep = {value.name for value in [*graph.input, *graph.output]}
    names = {}
    rename = lambda name: name if not name or name in keep else names.setdefault(name, f"v{len(names)}")
    for tensor in graph.initializer:
        tensor.name = rename(tensor.name)
    for index, node in enumerate(graph.node):
        node.name = f"n{index}"
        node.input[:] = [rename(name) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]
        del node.metadata_props[:]
    del graph.value_info[:]
    # What is ready first comes first.
    known = keep - {value.name for value in graph.output} | {tensor.name for tensor in graph.initializer} | {""}
    waiting, ordered = list(graph.node), []
    while waiting:
        ready = [node for node in waiting if all(name in known for name in node.input)]
        ordered += ready
        known |= {name for node in ready for name in node.output}
        waiting = [node for node in waiting if not any(node is other for other in ready)]
    del graph.node[:]
    graph.node.extend(ordered)
    onnx.save(model, path)


def write_models(modules):
    models = ROOT / "models"
    copy_model(families.ROOT / "sd1" / "model", models / "sd1-quantised")
    for graph in ("text_encoder", "unet"):
        quantise(models / "sd1-quantised" / graph / "model.onnx")
    for family in ("sd1", "sd2", "sdxl"):
        source = families.ROOT / family / "model"
        graphs = ["text_encoder", "unet"] + (["text_encoder_2"] if family == "sdxl" else [])
        copy_model(source, models / f"{family}-slim")
        copy_model(source, models / f"{family}-nameless")
        for kind in OPTIMISED:
            copy_model(source, models / f"{family}-{kind}")
            for graph in graphs:
                model_type = "unet" if graph == "unet" else "clip"
                options = FusionOptions(model_type)
                if graph == "unet":
                    options.enable_packed_qkv = options.enable_packed_kv = kind == "packed"
                made = optimised(source / graph / "model.onnx", model_type, options)
                made.save_model_to_file(str(models / f"{family}-{kind}" / graph / "model.onnx"))
        for graph in graphs:
            onnxslim.slim(str(source / graph / "model.onnx"), str(models / f"{family}-slim" / graph / "model.onnx"))
            without_names(models / f"{family}-nameless" / graph / "model.onnx")
        copy_model(source, models / f"{family}-dynamo")
        components = dict(modules[family])
        for graph in graphs:
            torch.manual_seed(0)
            if graph == "unet":
                made = exports.unet(components["unet"], exports.OPTIMUM)
            else:
                made = exports.text_encoder(components[graph], exports.OPTIMUM, family == "sdxl", graph.endswith("_2"))
            export_dynamo(models / f"{family}-dynamo" / graph / "model.onnx", made, 18)


def recipe():
    return f"{RECIPE} diffusers {diffusers.__version__} torch {torch.__version__}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--force", action="store_true", help="make everything again")
    options = arguments.parse_args()
    path = ROOT / "cases.json"
    if path.exists() and json.loads(path.read_text())["recipe"] == recipe() and not options.force:
        return
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    diffusers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    made = families.Modules()
    parts = {
        "sd1": made.sd1("sd1", families.sd1_scheduler()), "sd2": made.sd2("sd2", families.sd2_scheduler()),
        "sdxl": made.sdxl("sdxl", families.sdxl_scheduler()),
    }  # fmt: skip
    write_models(parts)
    entries = []
    with torch.no_grad():
        pipelines = {"sd1": "StableDiffusionPipeline", "sd2": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline"}
        for family, pipeline in pipelines.items():
            own = [f"families/{family}/model"]
            size = families.LARGE[0] if family == "sdxl" else families.SMALL[0]
            writer = Writer(family, parts[family], pipeline, own, size, entries)
            everywhere = own + [f"adapters/models/{family}-{kind}" for kind in ("slim", "nameless", "dynamo", *OPTIMISED)]
            if family == "sd1":
                first_cases(writer, 0.5)
                control_cases(writer, own + [f"adapters/models/sd1-{kind}" for kind in OPTIMISED], 0.4)
                quantised_cases(writer, "adapters/models/sd1-quantised", 0.4)
                # Lengths of a matrix's part, and biases that are a fused node's.
                for entry in entries:
                    if entry["name"] in ("sd1-dora", "sd1-full", "sd1-locon", "sd1-glora", "sd1-ia3"):
                        entry["models"] = own + [f"adapters/models/sd1-{kind}" for kind in OPTIMISED]
                everywhere += ["families/sd1-half/model", "families/old-script/model", "families/old-rank1/model"]
            if family == "sdxl":
                everywhere += ["families/sdxl-half/model"]
                exports_cases(writer, everywhere, 0.4, rename=sgm(1))
            else:
                exports_cases(writer, everywhere, 0.4)
    write_json(path, {"recipe": recipe(), "cases": entries})


if __name__ == "__main__":
    main()
