#!/usr/bin/env python3
"""Exports a ControlNet to ONNX, for sd-onnx generate --control.

    export-controlnet.py MODEL FOLDER [--opset N] [--half]

MODEL is a ControlNet in diffusers' format: a folder, or a name on the Hugging Face Hub such as lllyasviel/sd-controlnet-canny. FOLDER gets model.onnx,
its weights beside it where they are over 2 GB, and config.json. Needs diffusers and torch (Tools/setup-python.sh installs them).

Inputs: sample [N, 4, h, w], timestep [], encoder_hidden_states [N, tokens, width], controlnet_cond [N, 3, 8h, 8w] from 0 to 1; of SDXL's
also text_embeds and time_ids. Outputs: down_block_res_samples_0 and so on, one for each skip connection of the U-Net in the order of its way down,
and mid_block_res_sample. The strength isn't part of the graph: it multiplies the outputs.
"""

import argparse
from pathlib import Path

import onnx
import torch

TOKENS = 77


class ControlNet(torch.nn.Module):
    """All outputs in a row; what SDXL adds comes by its place."""

    def __init__(self, model, added):
        super().__init__()
        self.model, self.added = model, added

    def forward(self, sample, timestep, encoder_hidden_states, controlnet_cond, *added):
        named = dict(zip(self.added, added))
        down, middle = self.model(
            sample, timestep, encoder_hidden_states, controlnet_cond, added_cond_kwargs=named or None, return_dict=False)  # fmt: skip
        return (*down, middle)


def example(config, factor, side, pooled):
    """Inputs by name, and their free axes."""
    rows = {0: "batch_size"}
    inputs = {
        "sample": torch.randn(2, config.in_channels, side, side),
        "timestep": torch.tensor(801.0),
        "encoder_hidden_states": torch.randn(2, TOKENS, config.cross_attention_dim),
        "controlnet_cond": torch.rand(2, config.conditioning_channels, factor * side, factor * side),
    }
    axes = {
        "sample": {**rows, 2: "height", 3: "width"},
        "encoder_hidden_states": {**rows, 1: "sequence_length"},
        "controlnet_cond": {**rows, 2: "image_height", 3: "image_width"},
    }
    if config.addition_embed_type == "text_time":
        count = (config.projection_class_embeddings_input_dim - pooled) // config.addition_time_embed_dim
        inputs |= {"text_embeds": torch.randn(2, pooled), "time_ids": torch.full((2, count), 64.0)}
        axes |= {"text_embeds": rows, "time_ids": rows}
    return inputs, axes


def pooled_width(config):
    """Of the pooled prompt: what six sizes leave of SDXL's added embedding."""
    if config.addition_embed_type != "text_time":
        return 0
    return config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim


@torch.no_grad()
def export(model, folder, opset=18, half=False, side=None):
    """Writes the graph and its configuration. side: of the example's latents, in which nothing depends on it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = model.config
    factor = 1 << (len(config.conditioning_embedding_out_channels) - 1)
    inputs, axes = example(config, factor, side or 16, pooled_width(config))
    model = model.eval()
    if half:
        model = model.half()
        inputs = {name: value.half() for name, value in inputs.items()}
    wrapped = ControlNet(model, list(inputs)[4:])
    count = len(wrapped(*inputs.values())) - 1
    outputs = [f"down_block_res_samples_{index}" for index in range(count)] + ["mid_block_res_sample"]
    path = folder / "model.onnx"
    torch.onnx.export(
        wrapped, tuple(inputs.values()), str(path), input_names=list(inputs), output_names=outputs, dynamic_axes=axes,
        opset_version=opset, dynamo=False)  # fmt: skip
    gather(path)
    model.save_config(folder)


def gather(path):
    """Puts the files that the exporter makes of large weights into one."""
    graph = onnx.load(path, load_external_data=False)
    parts = {entry.value for tensor in graph.graph.initializer for entry in tensor.external_data if entry.key == "location"}
    if not parts:
        return
    onnx.load_external_data_for_model(graph, str(path.parent))
    onnx.save(graph, path, save_as_external_data=True, all_tensors_to_one_file=True, location="model.onnx_data", size_threshold=100)
    for part in parts - {"model.onnx_data"}:
        (path.parent / part).unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a ControlNet in diffusers' format: a folder or a name on the Hugging Face Hub")
    parser.add_argument("folder", type=Path, help="is made, or its model.onnx replaced")
    parser.add_argument("--opset", type=int, default=18, help="of ONNX, 14 to 20 (default: 18)")
    parser.add_argument("--half", action="store_true", help="in half precision")
    options = parser.parse_args()
    from diffusers import ControlNetModel

    export(ControlNetModel.from_pretrained(options.model), options.folder, options.opset, options.half)
    print(options.folder / "model.onnx")


if __name__ == "__main__":
    main()
