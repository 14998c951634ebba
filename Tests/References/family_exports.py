"""Writes pipelines of torch modules as folders of ONNX graphs, in the layouts that exporters have used.

What a layout says is taken from optimum-onnx 0.1.0, older optimum versions, and diffusers'
scripts/convert_stable_diffusion_checkpoint_to_onnx.py: names, ranks and types of inputs and outputs, names of free dimensions, which
configuration files there are, where weights are stored."""

import copy
import json
import shutil
from dataclasses import dataclass

import onnx
import torch
from diffusers import AutoencoderTiny
from onnx import external_data_helper

from common import file_name, write_json
from export_models import TextEncoder, UNet, VAEDecoder, VAEEncoder, export_torchscript
from family_models import TEXT, TOKENS


@dataclass(frozen=True)
class Layout:
    opset: int = 18
    # "float[]" since optimum 1.24, "int64[steps]" before; "int64[batch]" and "float[batch]" of diffusers' script, which was traced
    # with two timesteps and is run with one; "float[1]" and "int64[]" of others.
    timestep: str = "float[]"
    ids: torch.dtype = torch.int64
    # What the VAE encoder answers: "parameters" (mean and log variance) since optimum 1.23; before, "sample": drawn in the graph.
    # "mode": the mean alone, as some converters have it.
    encoder: str = "parameters"
    half: bool = False
    wide_ends: bool = False  # with half: inputs and outputs in single precision, as converters of finished graphs leave them
    configurations: bool = True  # config.json beside every graph
    class_name: str | None = None  # what model_index.json says, default diffusers' own
    # The names of diffusers' script for free dimensions.
    script: bool = False
    # component: a file name for all its weights, or "each" for one file a tensor
    external: tuple = ()


OPTIMUM = Layout()
TIMESTEPS = {
    "float[]": (torch.tensor(801.0), {}), "int64[]": (torch.tensor(801), {}),
    "int64[steps]": (torch.tensor([801]), {0: "steps"}), "float[1]": (torch.tensor([801.0]), {}),
    "int64[batch]": (torch.tensor([0, 1]), {0: "batch"}), "float[batch]": (torch.tensor([0.0, 1.0]), {0: "batch"}),
}  # fmt: skip


class TinyEncoder(torch.nn.Module):
    """AutoencoderTiny's encoder: its latents are what it answers."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, sample):
        return self.model.encode(sample, return_dict=False)[0]


class WideEnds(torch.nn.Module):
    """Casts to half precision at the inputs and back at the outputs."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *inputs):
        narrow = lambda value: value.half() if value.is_floating_point() else value
        outputs = self.model(*(narrow(value) for value in inputs))
        return outputs.float() if isinstance(outputs, torch.Tensor) else tuple(value.float() for value in outputs)


def image_axes(layout, height="height", width="width"):
    if layout.script:
        return {0: "batch", 1: "channels", 2: "height", 3: "width"}
    return {0: "batch_size", 2: height, 3: width}


def text_encoder(model, layout, hidden_states, projected):
    outputs = ["text_embeds", "last_hidden_state"] if projected else ["last_hidden_state", "pooler_output"]
    if hidden_states:
        outputs += [f"hidden_states.{index}" for index in range(model.config.num_hidden_layers + 1)]
    tokens = model.config.max_position_embeddings
    ids = torch.randint(0, model.config.vocab_size, (2, tokens)).to(layout.ids)
    axes = {0: "batch", 1: "sequence"} if layout.script else {0: "batch_size", 1: "sequence_length"}
    return TextEncoder(model, hidden_states), {"input_ids": ids}, outputs, {"input_ids": axes}


def unet(model, layout):
    config = model.config
    rows, side = {0: "batch_size"}, config.sample_size
    timestep, timestep_axes = TIMESTEPS[layout.timestep]
    inputs = {
        "sample": torch.randn(2, config.in_channels, side, side), "timestep": timestep,
        "encoder_hidden_states": torch.randn(2, TOKENS, config.cross_attention_dim),
    }  # fmt: skip
    sequence = {0: "batch", 1: "sequence"} if layout.script else {0: "batch_size", 1: "sequence_length"}
    axes = {"sample": image_axes(layout), "timestep": timestep_axes, "encoder_hidden_states": sequence}
    if config.addition_embed_type == "text_time":
        pooled = TEXT["projection_dim"]
        ids = (config.projection_class_embeddings_input_dim - pooled) // config.addition_time_embed_dim
        inputs |= {"text_embeds": torch.randn(2, pooled), "time_ids": torch.full((2, ids), 64.0)}
        axes |= {"text_embeds": rows, "time_ids": rows}
    if config.time_cond_proj_dim:
        inputs["timestep_cond"] = torch.randn(2, config.time_cond_proj_dim)
        axes["timestep_cond"] = rows
    if layout.half:
        inputs = {name: value.half() if value.is_floating_point() else value for name, value in inputs.items()}
    axes = {name: named for name, named in axes.items() if named}
    return UNet(model, list(inputs)[3:]), inputs, ["out_sample"], axes


def vae_encoder(model, layout):
    side = 64
    is_tiny = isinstance(model, AutoencoderTiny)
    module = TinyEncoder(model) if is_tiny else VAEEncoder(model, layout.encoder)
    output = "latent_parameters" if layout.encoder == "parameters" and not is_tiny else "latent_sample"
    sample = torch.randn(2, 3, side, side).to(torch.float16 if layout.half else torch.float32)
    return module, {"sample": sample}, [output], {"sample": image_axes(layout, "sample_height", "sample_width")}


def vae_decoder(model, layout):
    latents = torch.randn(2, 4, 16, 16).to(torch.float16 if layout.half else torch.float32)
    axes = image_axes(layout, "latent_height", "latent_width")
    return VAEDecoder(model), {"latent_sample": latents}, ["sample"], {"latent_sample": axes}


def store(path, external):
    """Moves the weights of a graph into files of their own: all into one of that name, or "each" into its own."""
    model = onnx.load(path)
    if external == "each":
        for tensor in model.graph.initializer:
            external_data_helper.set_external_data(tensor, location=file_name(tensor.name))
        onnx.save(model, path)
        return
    # 100 bytes: from which size on optimum moves a tensor
    onnx.save(model, path, save_as_external_data=True, all_tensors_to_one_file=True, location=external, size_threshold=100)


def write_graph(folder, component, made, model, layout):
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    if layout.wide_ends:
        module, inputs, outputs, axes = made
        wide = {name: value.float() if value.is_floating_point() else value for name, value in inputs.items()}
        made = WideEnds(module), wide, outputs, axes
    export_torchscript(folder / "model.onnx", made, layout.opset)
    external = dict(layout.external).get(component)
    if external:
        store(folder / "model.onnx", external)
    if layout.configurations:
        config = model.config
        if hasattr(config, "save_pretrained"):
            config.save_pretrained(folder)
        else:
            model.save_config(folder)


def converted(model, layout):
    """A copy in half precision where the layout wants it: the caller's weights stay."""
    if not layout.half:
        return model
    return copy.deepcopy(model).half()


def write_vae(folder, vae, layout=OPTIMUM):
    model = converted(vae, layout)
    write_graph(folder / "vae_encoder", "vae_encoder", vae_encoder(model, layout), model, layout)
    write_graph(folder / "vae_decoder", "vae_decoder", vae_decoder(model, layout), model, layout)


def write_pipeline(folder, pipeline, layout=OPTIMUM, parts=None, shared=None):
    """The diffusers pipeline as a folder of graphs. parts: what to write, default all; shared: a folder written before, whose
    components stand for those that `parts` leaves out."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    components = pipeline.components
    is_xl = "text_encoder_2" in components
    for name in ("text_encoder", "text_encoder_2"):
        model = components.get(name)
        if model is not None and (parts is None or name in parts):
            made = converted(model, layout)
            write_graph(folder / name, name, text_encoder(made, layout, is_xl, name.endswith("_2")), made, layout)
    if parts is None or "unet" in parts:
        made = converted(pipeline.unet, layout)
        write_graph(folder / "unet", "unet", unet(made, layout), made, layout)
    if parts is None or "vae" in parts:
        write_vae(folder, pipeline.vae, layout)
    for name in ("tokenizer", "tokenizer_2", "scheduler", "feature_extractor"):
        if components.get(name) is not None:
            components[name].save_pretrained(folder / name)
    if shared is not None:
        used = [name for name, part in components.items() if part is not None and name != "vae"] + ["vae_encoder", "vae_decoder"]
        for name in sorted(used):
            if (shared / name).is_dir() and not (folder / name).exists():
                shutil.copytree(shared / name, folder / name)
    pipeline.save_config(folder)
    if layout.class_name:
        rename_class(folder / "model_index.json", layout)


def rename_class(path, layout):
    """model_index.json as the layout's tool writes it. diffusers' script has graphs for components."""
    index = json.loads(path.read_text())
    index["_class_name"] = layout.class_name
    if layout.script:
        graphs = ["text_encoder", "unet", "vae_decoder", "vae_encoder"]
        for name in ("vae", "image_encoder", *graphs):
            index.pop(name, None)
        index |= {name: ["diffusers", "OnnxRuntimeModel"] for name in graphs}
        if (path.parent / "safety_checker").exists():
            index["safety_checker"] = ["diffusers", "OnnxRuntimeModel"]
    write_json(path, index)
