#!/usr/bin/env python3
"""Exports a full-size SDXL base pipeline with random weights to ONNX, for measuring memory and time: 2,567 M parameters in the U-Net,
123 M and 695 M in the text encoders, 84 M in the VAE. Its pictures are noise.

    Tools/setup-python.sh
    ~/.cache/sd-onnx/venv/bin/python Tools/export-sdxl.py FOLDER [--half] [--opset N] [--seed N]

Writes 14 GB in single precision, 7 GB with --half, and needs 5 GB of memory: the graphs are traced with weights of one value each, and
the real ones are written straight to their files. Names of inputs, outputs and weights, and what is stored outside model.onnx, are as
optimum-onnx has them; configurations are those that SDXL base 1.0 was published with. The tokenizers are CLIP's own where
Tools/fetch-clip-vocabulary.sh has put it into the cache, else the embedded model's.
"""

import math
import warnings

import numpy as np
import onnx
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from onnx import TensorProto, helper
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import full_size

UNET = dict(
    sample_size=128,
    in_channels=4,
    out_channels=4,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    block_out_channels=(320, 640, 1280),
    layers_per_block=2,
    transformer_layers_per_block=[1, 2, 10],
    attention_head_dim=[5, 10, 20],
    cross_attention_dim=2048,
    use_linear_projection=True,
    addition_embed_type="text_time",
    addition_time_embed_dim=256,
    projection_class_embeddings_input_dim=2816,
)
TEXT_ENCODER_2 = {
    **full_size.TEXT_ENCODER,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "projection_dim": 1280,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
}
VAE = dict(**full_size.VAE, sample_size=1024, scaling_factor=0.13025, force_upcast=True)
SCHEDULER = dict(**full_size.SCHEDULER, timestep_spacing="leading", prediction_type="epsilon")
# A protobuf file can't be larger; from here on optimum stores tensors of 100 bytes and more in model.onnx_data.
PROTOBUF_LIMIT, EXTERNAL_FROM = 2**31, 100


def light(make, dtype):
    """A module whose parameters are views of one value each, so that its size is nothing. The values differ (up to 2,048 parameters, in
    half precision too), since the exporter merges equal parameters."""
    with torch.device("meta"):
        model = make()
    count = 0
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            count += 1
            value = torch.tensor(count * 2.0**-14, dtype=dtype)
            setattr(module, name, torch.nn.Parameter(value.expand(parameter.shape), requires_grad=False))
        if "position_ids" in dict(module.named_buffers(recurse=False)):
            module.position_ids = torch.arange(module.position_ids.shape[-1]).expand(1, -1)
    return model.eval()


def traced(path, model, forward, inputs, outputs, axes, opset):
    """Exports the graph alone, with the parameters as its inputs. `forward` stands for the model's own, so that names have no prefix."""
    model.forward = forward
    torch.onnx.export(
        model,
        tuple(inputs.values()),
        str(path),
        input_names=list(inputs),
        output_names=outputs,
        dynamic_axes=axes,
        opset_version=opset,
        export_params=False,
        dynamo=False,
    )
    return onnx.load(path)


def fold(model, inputs):
    """Parameters become initializers, and what only transposes or reshapes one becomes an initializer of that shape, as exporters fold
    it. Returns {name: (shape, kind)}, kind being "norm", "vector", "embedding" or the number of inputs of a value."""
    graph = model.graph
    found = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in graph.input if i.name not in inputs}
    kinds = {}
    for name, shape in found.items():
        if len(shape) < 2:
            kinds[name] = "norm" if "norm" in name and name.endswith("weight") else "vector"
        else:
            kinds[name] = "embedding" if "_embedding.weight" in name else math.prod(shape[1:])
    constants = {n.output[0]: helper.get_attribute_value(n.attribute[0]) for n in graph.node if n.op_type == "Constant"}
    kept = []
    for node in graph.node:
        source = node.input[0] if node.input else None
        shape = found.get(source)
        if shape is not None and node.op_type == "Transpose":
            found[node.output[0]] = shape[::-1]
        elif shape is not None and node.op_type == "Unsqueeze":
            shape = list(shape)
            for axis in sorted(onnx.numpy_helper.to_array(constants[node.input[1]]).tolist()):
                shape.insert(axis, 1)
            found[node.output[0]] = shape
        else:
            kept.append(node)
            continue
        kinds[node.output[0]] = kinds[source]
    del graph.node[:]
    graph.node.extend(kept)
    rest = [i for i in graph.input if i.name in inputs]
    del graph.input[:]
    graph.input.extend(rest)
    used = {name for node in kept for name in node.input}
    return {name: (shape, kinds[name]) for name, shape in found.items() if name in used}


class RandomWeights:
    """Values with the deviation of torch's own initialisation, cut from one pool of normal numbers."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.pool = self.random.standard_normal(2**24, dtype=np.float32)

    def chunks(self, shape, kind, dtype):
        left = math.prod(shape)
        deviation = {"norm": 0.02, "vector": 0.02, "embedding": 0.02}.get(kind) or 1 / math.sqrt(3 * kind)
        while left > 0:
            start = int(self.random.integers(len(self.pool) // 2))
            values = self.pool[start : start + min(left, len(self.pool) // 2)] * np.float32(deviation)
            yield (values + 1 if kind == "norm" else values).astype(dtype)
            left -= len(values)


def write(folder, model, weights, random, dtype):
    """model.onnx, with the weights in model.onnx_data where they are too many for one file."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    size = np.dtype(dtype).itemsize
    is_large = size * sum(math.prod(shape) for shape, _ in weights.values()) > 0.98 * PROTOBUF_LIMIT
    offset = 0
    with open(folder / "model.onnx_data", "wb") as file:
        for name, (shape, kind) in weights.items():
            tensor = TensorProto(name=name, dims=shape, data_type=element)
            length = size * math.prod(shape)
            if is_large and length >= EXTERNAL_FROM:
                tensor.data_location = TensorProto.EXTERNAL
                for key, value in (("location", "model.onnx_data"), ("offset", offset), ("length", length)):
                    tensor.external_data.add(key=key, value=str(value))
                for chunk in random.chunks(shape, kind, dtype):
                    file.write(chunk.tobytes())
                offset += length
            else:
                tensor.raw_data = b"".join(chunk.tobytes() for chunk in random.chunks(shape, kind, dtype))
            model.graph.initializer.append(tensor)
    if not is_large:
        (folder / "model.onnx_data").unlink()
    onnx.save(model, folder / "model.onnx")


def text_encoder(model, dtype):
    """(forward, inputs, outputs, free dimensions), as the functions for the other components. dtype: of none of its inputs."""
    is_projected = isinstance(model, CLIPTextModelWithProjection)
    original = model.forward

    def forward(input_ids):
        result = original(input_ids, output_hidden_states=True, return_dict=True)
        first = (result.text_embeds, result.last_hidden_state) if is_projected else (result.last_hidden_state, result.pooler_output)
        return (*first, *result.hidden_states)

    outputs = ["text_embeds", "last_hidden_state"] if is_projected else ["last_hidden_state", "pooler_output"]
    outputs += [f"hidden_states.{index}" for index in range(model.config.num_hidden_layers + 1)]
    inputs = {"input_ids": torch.zeros(2, 77, dtype=torch.int64)}
    return forward, inputs, outputs, {"input_ids": {0: "batch_size", 1: "sequence_length"}}


def unet(model, dtype):
    original, config = model.forward, model.config

    def forward(sample, timestep, encoder_hidden_states, text_embeds, time_ids):
        added = {"text_embeds": text_embeds, "time_ids": time_ids}
        return original(sample, timestep, encoder_hidden_states, added_cond_kwargs=added, return_dict=False)[0]

    pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
    inputs = {
        "sample": torch.zeros(2, config.in_channels, 8, 8, dtype=dtype),
        "timestep": torch.tensor(801, dtype=dtype),
        "encoder_hidden_states": torch.zeros(2, 77, config.cross_attention_dim, dtype=dtype),
        "text_embeds": torch.zeros(2, pooled, dtype=dtype),
        "time_ids": torch.zeros(2, 6, dtype=dtype),
    }
    axes = {
        "sample": {0: "batch_size", 2: "height", 3: "width"},
        "encoder_hidden_states": {0: "batch_size", 1: "sequence_length"},
        "text_embeds": {0: "batch_size"},
        "time_ids": {0: "batch_size"},
    }
    return forward, inputs, ["out_sample"], axes


def vae_encoder(model, dtype):
    axes = {"sample": {0: "batch_size", 2: "sample_height", 3: "sample_width"}}
    inputs = {"sample": torch.zeros(2, 3, 32, 32, dtype=dtype)}
    return lambda sample: model.encode(sample, return_dict=False)[0].parameters, inputs, ["latent_parameters"], axes


def vae_decoder(model, dtype):
    axes = {"latent_sample": {0: "batch_size", 2: "latent_height", 3: "latent_width"}}
    inputs = {"latent_sample": torch.zeros(2, 4, 4, 4, dtype=dtype)}
    return lambda latent_sample: model.decode(latent_sample, return_dict=False)[0], inputs, ["sample"], axes


def export(folder, half, opset, seed):
    dtype = torch.float16 if half else torch.float32
    clip, clip_2 = CLIPTextConfig(**full_size.TEXT_ENCODER), CLIPTextConfig(**TEXT_ENCODER_2)
    parts = {
        "text_encoder": light(lambda: CLIPTextModel(clip), dtype),
        "text_encoder_2": light(lambda: CLIPTextModelWithProjection(clip_2), dtype),
        "unet": light(lambda: UNet2DConditionModel(**UNET), dtype),
        "vae": light(lambda: AutoencoderKL(**VAE), dtype),
    }
    tokenizers = {"tokenizer": full_size.tokenizer(), "tokenizer_2": full_size.tokenizer("!")}
    scheduler = EulerDiscreteScheduler(**SCHEDULER)
    StableDiffusionXLPipeline(**parts, **tokenizers, scheduler=scheduler, add_watermarker=False).save_config(folder)
    for name, part in (*tokenizers.items(), ("scheduler", scheduler)):
        part.save_pretrained(folder / name)
    random = RandomWeights(seed)
    components = {
        "text_encoder": (text_encoder, "text_encoder"), "text_encoder_2": (text_encoder, "text_encoder_2"), "unet": (unet, "unet"),
        "vae_encoder": (vae_encoder, "vae"), "vae_decoder": (vae_decoder, "vae"),
    }  # fmt: skip
    for name, (describe, part) in components.items():
        target = folder / name
        target.mkdir()
        model = parts[part]
        forward, inputs, outputs, axes = describe(model, dtype)
        graph = traced(target / "model.onnx", model, forward, inputs, outputs, axes, opset)
        weights = fold(graph, inputs)
        write(target, graph, weights, random, np.float16 if half else np.float32)
        configuration = model.config if hasattr(model.config, "save_pretrained") else model
        (configuration.save_pretrained if configuration is model.config else configuration.save_config)(target)
        print(f"{name}: {sum(math.prod(shape) for shape, _ in weights.values()) / 1e6:.1f} M parameters", flush=True)


def main():
    arguments = full_size.arguments(__doc__, 18, "18")
    arguments.add_argument("--half", action="store_true", help="weights, inputs and outputs in half precision")
    options = arguments.parse_args()
    warnings.filterwarnings("ignore")
    with torch.no_grad():
        full_size.export(
            options.folder, 8e9 if options.half else 15e9, lambda: export(options.folder, options.half, options.opset, options.seed))


if __name__ == "__main__":
    main()
