"""Exports tiny models of every family with every exporter, runs ONNX Runtime on each graph at two batch sizes and resolutions,
and writes graphs, inputs and outputs to <cache>/models with a manifest.json that lists them.

    export_models.py [--only FAMILY] [--force]

A graph that is there already is kept. The manifest is an array of
    {"family", "exporter", "component", "opset", "path", "relative_tolerance",
     "cases": [{"inputs": {name: file}, "outputs": {name: file}}]}
with paths relative to <cache>/models. Graphs that draw random numbers are in manifest-random.json: their outputs are one draw.
"""

import argparse
import json
import logging
import shutil
import time
import traceback
import warnings

import numpy as np
import onnx
import onnxruntime
import torch

import tiny_models
from common import CACHE, file_name, write_json

RECIPE = 1  # raised when what a graph's folder holds changes, so that older folders are made again
MODELS = CACHE / "models"
COMPONENTS = ["text_encoder", "text_encoder_2", "unet", "vae_encoder", "vae_decoder"]
# (batch, latent height, latent width, tokens)
SIZES = [(1, 8, 8, 77), (2, 16, 24, 40)]
TEXT_BATCHES = [1, 3]
NUMPY = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}


class TextEncoder(torch.nn.Module):
    def __init__(self, model, hidden_states):
        super().__init__()
        self.model, self.hidden_states = model, hidden_states

    def forward(self, input_ids):
        result = self.model(input_ids, output_hidden_states=self.hidden_states, return_dict=True)
        first = (result.text_embeds, result.last_hidden_state) if "text_embeds" in result else result[:2]
        return (*first, *result.hidden_states) if self.hidden_states else tuple(first)


class UNet(torch.nn.Module):
    def __init__(self, model, extra, half=False):
        super().__init__()
        self.model, self.extra, self.half_inside = model, extra, half

    def forward(self, sample, timestep, encoder_hidden_states, *extra):
        if self.half_inside:
            sample, encoder_hidden_states = sample.half(), encoder_hidden_states.half()
        named = dict(zip(self.extra, extra))
        condition = named.pop("timestep_cond", None)
        result = self.model(
            sample, timestep, encoder_hidden_states, timestep_cond=condition, added_cond_kwargs=named or None, return_dict=False
        )[0]
        return result.float() if self.half_inside else result


class VAEEncoder(torch.nn.Module):
    """kind: the moments (mean and log variance), their mode, or a sample drawn inside the graph as older converters did."""

    def __init__(self, model, kind):
        super().__init__()
        self.model, self.kind = model, kind

    def forward(self, sample):
        distribution = self.model.encode(sample, return_dict=False)[0]
        if self.kind == "sample":
            # torch.randn would be folded to a constant; randn_like stays a RandomNormalLike node
            return distribution.mean + distribution.std * torch.randn_like(distribution.mean)
        return distribution.mode() if self.kind == "mode" else distribution.parameters


class VAEDecoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, latent_sample):
        return self.model.decode(latent_sample, return_dict=False)[0]


def component(family, name, attention, timestep="int64[1]", moments="parameters", half=False):
    """A module to export with (inputs: name → example, outputs, dynamic axes: name → {axis: symbol})."""
    parts = tiny_models.build(family, attention)
    image = {0: "batch_size", 2: "height", 3: "width"}
    if name.startswith("text_encoder"):
        module = TextEncoder(parts[name], family == "sdxl")
        outputs = ["text_embeds", "last_hidden_state"] if name.endswith("_2") else ["last_hidden_state", "pooler_output"]
        if family == "sdxl":
            outputs += [f"hidden_states.{i}" for i in range(parts[name].config.num_hidden_layers + 1)]
        inputs = {"input_ids": torch.randint(0, tiny_models.VOCABULARY, (2, tiny_models.TOKENS))}
        return module, inputs, outputs, {"input_ids": {0: "batch_size", 1: "sequence_length"}}
    if name == "vae_encoder":
        output = {"parameters": "latent_parameters"}.get(moments, "latent_sample")
        return VAEEncoder(parts["vae"], moments), {"sample": torch.randn(2, 3, 16, 16)}, [output], {"sample": image}
    if name == "vae_decoder":
        return VAEDecoder(parts["vae"]), {"latent_sample": torch.randn(2, 4, 8, 8)}, ["sample"], {"latent_sample": image}
    model = parts["unet"]
    config = model.config
    inputs = {
        "sample": torch.randn(2, config.in_channels, 8, 8),
        "timestep": {
            "int64[1]": torch.tensor([801]),
            "float[batch]": torch.tensor([801.0, 801.0]),
            "int64[]": torch.tensor(801),
        }[timestep],
        "encoder_hidden_states": torch.randn(2, tiny_models.TOKENS, config.cross_attention_dim),
    }
    axes = {"sample": image, "encoder_hidden_states": {0: "batch_size", 1: "sequence_length"}}
    if timestep == "float[batch]":
        axes["timestep"] = {0: "batch_size"}
    if family == "sdxl":
        inputs |= {"text_embeds": torch.randn(2, 32), "time_ids": torch.randn(2, 6)}
        axes |= {"text_embeds": {0: "batch_size"}, "time_ids": {0: "batch_size"}}
    if family == "lcm":
        inputs["timestep_cond"] = torch.randn(2, config.time_cond_proj_dim)
        axes["timestep_cond"] = {0: "batch_size"}
    extra = list(inputs)[3:]
    return UNet(model.half() if half else model, extra, half), inputs, ["out_sample"], axes


def export_torchscript(path, made, opset, **options):
    module, inputs, outputs, axes = made
    torch.onnx.export(
        module,
        tuple(inputs.values()),
        str(path),
        input_names=list(inputs),
        output_names=outputs,
        dynamic_axes=axes,
        opset_version=opset,
        dynamo=False,
        **options,
    )


def export_dynamo(path, made, opset):
    module, inputs, outputs, axes = made
    dynamic = tuple({a: torch.export.Dim.DYNAMIC for a in axes.get(name, {})} or None for name in inputs)
    if len(inputs) > 3:  # the U-Net's further inputs arrive as *extra
        dynamic = (*dynamic[:3], dynamic[3:])
    torch.onnx.export(
        module,
        tuple(inputs.values()),
        str(path),
        input_names=list(inputs),
        output_names=outputs,
        dynamic_shapes=dynamic,
        opset_version=opset,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def shape_for(name, declared, component_name, k):
    """The shape of an input in case k: fixed dimensions as the graph declares them, the others from SIZES."""
    batch, height, width, tokens = SIZES[k]
    if component_name.startswith("text_encoder"):
        batch = TEXT_BATCHES[k]
    if component_name == "vae_encoder":
        height, width = 2 * height, 2 * width
    wanted = [batch, tokens] if name in ("input_ids", "encoder_hidden_states") else [batch, None, height, width]
    wanted = wanted[: len(declared)] + [None] * (len(declared) - len(wanted))
    return [d if isinstance(d, int) else w for d, w in zip(declared, wanted)]


def value_for(source, component_name, k, random):
    shape = shape_for(source.name, source.shape, component_name, k)
    dtype = NUMPY[source.type]
    if source.name == "input_ids":
        ids = random.integers(0, tiny_models.VOCABULARY - 2, shape)
        for row, line in enumerate(ids):  # begin token, words, end token, padding
            line[0] = tiny_models.VOCABULARY - 2
            line[5 + 4 * row :] = tiny_models.VOCABULARY - 1
        return ids.astype(dtype)
    if source.name == "timestep":
        return np.full(shape, [801, 41][k], dtype)
    if source.name == "time_ids":
        return np.broadcast_to([64, 48, 0, 8, 64, 64], shape).astype(dtype)
    if component_name == "vae_encoder":
        return random.uniform(-1, 1, shape).astype(dtype)
    return random.standard_normal(shape).astype(dtype)


def write_cases(folder, path, component_name, reference=None):
    """Runs ONNX Runtime (the graph in `path`, or the one in `reference` of the same inputs) and writes inputs and outputs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(reference or path), options, providers=["CPUExecutionProvider"])
    cases = []
    for k in range(len(SIZES)):
        random = np.random.default_rng([7, k])
        inputs = {i.name: value_for(i, component_name, k, random) for i in session.get_inputs()}
        outputs = dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs)))
        case = {}
        for kind, values in (("inputs", inputs), ("outputs", outputs)):
            case[kind] = {}
            for name, value in values.items():
                if not np.all(np.isfinite(value)):
                    raise SystemExit(f"{path}: {name} isn't finite")
                target = folder / "cases" / str(k) / kind / f"{file_name(name)}.npy"
                target.parent.mkdir(parents=True, exist_ok=True)
                np.save(target, value)
                case[kind][name] = str(target.relative_to(MODELS))
        cases.append(case)
    return cases


class Builder:
    """Makes graphs one by one, keeps those that are there, and remembers what failed."""

    def __init__(self, force):
        self.force, self.failures = force, []

    def is_made(self, folder):
        entry = folder / "entry.json"
        return not self.force and entry.exists() and json.loads(entry.read_text())["recipe"] == RECIPE

    def make(self, family, exporter, name, export, tolerance=1e-4, random=False, reference=None):
        """export(path) writes the graph. One folder a graph, with an entry.json that is written last."""
        folder = MODELS / f"{family}-{exporter}" / name
        if self.is_made(folder):
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        start = time.time()
        path = folder / "model.onnx"
        try:
            export(path)
            self.finish(family, exporter, name, path, start, tolerance, random, reference)
        except Exception as error:  # an exporter that can't do a variant is reported, not fatal
            self.failures.append(f"{family}-{exporter}/{name}: {type(error).__name__}: {error}".splitlines()[0])
            print("FAILED", self.failures[-1], flush=True)
            (folder / "error.txt").write_text(traceback.format_exc())

    def finish(self, family, exporter, name, path, start, tolerance=1e-4, random=False, reference=None):
        model = onnx.load(path, load_external_data=False)
        entry = {
            "recipe": RECIPE,
            "random": random,
            "family": family,
            "exporter": exporter,
            "component": name,
            "opset": next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")),
            "path": str(path.relative_to(MODELS)),
            "relative_tolerance": tolerance,
            "cases": write_cases(path.parent, path, name, reference),
        }
        write_json(path.parent / "entry.json", entry)
        size = sum(f.stat().st_size for f in path.parent.glob("*") if f.is_file())
        opset, count = entry["opset"], len(model.graph.node)
        taken = time.time() - start
        print(f"{entry['path']}: opset {opset}, {count} nodes, {size / 1e6:.1f} MB, {taken:.1f} s", flush=True)


def names_of(family):
    return [c for c in COMPONENTS if family == "sdxl" or c != "text_encoder_2"]


def opset_for(family, name, first, shift=0):
    """Spreads five opsets so that each component meets each of them in some family."""
    return first + (tiny_models.FAMILIES.index(family) + COMPONENTS.index(name) + shift) % 5


def make_torch(builder, family):
    for name in names_of(family):
        opset = opset_for(family, name, 14)
        made = dict(attention="eager", timestep="int64[1]", moments="mode")
        builder.make(
            family, "torchscript-plain", name, lambda p: export_torchscript(p, component(family, name, **made), opset)
        )
    for name in names_of(family):
        opset = opset_for(family, name, 14, shift=2)
        made = dict(attention="sdpa", timestep="float[batch]")
        builder.make(family, "torchscript-sdpa", name, lambda p: export_torchscript(p, component(family, name, **made), opset))


def make_dynamo(builder, family):
    for name in names_of(family):
        opset = opset_for(family, name, 18)
        plain = (tiny_models.FAMILIES.index(family) + COMPONENTS.index(name)) % 3 == 0
        made = dict(attention="eager" if plain else "sdpa", timestep="int64[]")
        builder.make(family, "dynamo", name, lambda p: export_dynamo(p, component(family, name, **made), opset))


def make_optimum(builder, family):
    folder = MODELS / f"{family}-optimum"
    if all(builder.is_made(folder / name) for name in names_of(family)):
        return
    from optimum.exporters.onnx import main_export

    pipeline = MODELS / "pipelines" / family
    shutil.rmtree(pipeline, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    start = time.time()
    task = "inpainting" if family == "inpaint" else "text-to-image"
    opset = {"inpaint": 16, "lcm": 17, "sd2": 18}.get(family)
    try:
        tiny_models.save_pipeline(family, pipeline)
        main_export(str(pipeline), str(folder), task=task, opset=opset, do_validation=False, local_files_only=True)
        for name in names_of(family):
            builder.finish(family, "optimum", name, folder / name / "model.onnx", start)
            start = time.time()
    except Exception as error:
        builder.failures.append(f"{family}-optimum: {type(error).__name__}: {error}".splitlines()[0])
        print("FAILED", builder.failures[-1], flush=True)
        traceback.print_exc()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    choices = [*tiny_models.FAMILIES, "storage"]
    arguments.add_argument("--only", choices=choices, metavar="FAMILY", help=f"one of {', '.join(choices)}")
    arguments.add_argument("--force", action="store_true", help="make every graph again")
    options = arguments.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(2)
    builder = Builder(options.force)
    families = [f for f in tiny_models.FAMILIES if options.only in (None, f)]
    with torch.no_grad():
        # the cheap exporters first, so that something of everything is there early
        for step in (make_torch, make_optimum, make_dynamo):
            for family in families:
                step(builder, family)
                write_manifests()
        if options.only in (None, "storage", "sd1"):
            import storage_variants

            storage_variants.make(builder)
            write_manifests()
    if builder.failures:
        raise SystemExit("\n".join(["these could not be made:", *builder.failures]))


def write_manifests():
    entries = [json.loads(p.read_text()) for p in sorted(MODELS.glob("*/*/entry.json"))]
    for file, random in (("manifest.json", False), ("manifest-random.json", True)):
        chosen = [{k: v for k, v in e.items() if k not in ("recipe", "random")} for e in entries if e["random"] == random]
        write_json(MODELS / file, chosen)


if __name__ == "__main__":
    main()
