#!/usr/bin/env python3
"""Exports architectures of transformers as most people do, by optimum, with random weights and a few layers, where they aren't there yet.

    architecture_models.py FOLDER [NAME ...]

compare_networks.py --architectures compares with ONNX Runtime on them.
"""

import os
import sys
import tempfile
from pathlib import Path

import network_models

TEXT = dict(
    hidden_size=384, num_hidden_layers=4, num_attention_heads=6, intermediate_size=1536, vocab_size=8000, max_position_embeddings=160)
STEP = {"decoder_sequence_length": 1, "past_decoder_sequence_length": 5}
# Name: model type, task, what differs from the architecture's own configuration, the file of the export (one of several, or its only one),
# and symbolic extents that differ from EXTENTS.
ARCHITECTURES = {
    "transformers-levit": ("levit", "feature-extraction", {}, "model", {}),
    "transformers-mobilenet-v1": ("mobilenet_v1", "image-classification", {}, "model", {}),
    "transformers-mobilenet-v2": ("mobilenet_v2", "image-classification", {}, "model", {}),
    "transformers-efficientnet-b0": (
        "efficientnet", "image-classification",
        dict(width_coefficient=1.0, depth_coefficient=1.0, image_size=224, hidden_dim=1280), "model", {}),
    "transformers-resnet": (
        "resnet", "image-classification", dict(hidden_sizes=[128, 256, 384, 512], depths=[2, 2, 2, 2]), "model", {}),
    "transformers-segformer": (
        "segformer", "semantic-segmentation", dict(hidden_sizes=[32, 64, 160, 256], decoder_hidden_size=256), "model", {}),
    "transformers-swin-v2": (
        "swinv2", "image-classification",
        dict(embed_dim=48, depths=[2, 2, 4, 2], num_heads=[2, 4, 8, 16], image_size=256, window_size=8), "model",
        {"height": 256, "width": 256}),
    "transformers-sam-vision-encoder": (
        "sam", "feature-extraction",
        dict(
            vision_config=dict(
                hidden_size=192, num_hidden_layers=4, num_attention_heads=6, image_size=512, window_size=14,
                global_attn_indexes=[1, 3], mlp_dim=768),
            prompt_encoder_config=dict(image_size=512, image_embedding_size=32)), "vision_encoder", {}),
    "transformers-deberta-v2": (
        "deberta-v2", "feature-extraction",
        dict(TEXT, relative_attention=True, pos_att_type=["c2p", "p2c"], position_buckets=64, share_att_key=True), "model", {}),
    "transformers-gpt2": (
        "gpt2", "text-generation-with-past", dict(n_embd=384, n_layer=4, n_head=6, vocab_size=8000, n_positions=160), "model", {}),
    "transformers-llama": (
        "llama", "text-generation-with-past", dict(TEXT, intermediate_size=768, num_key_value_heads=2, head_dim=64), "model", {}),
    "transformers-t5-step": (
        "t5", "text2text-generation-with-past", dict(d_model=384, d_kv=64, num_heads=6, num_layers=4, d_ff=768, vocab_size=8000),
        "decoder_with_past_model", STEP),
    "transformers-whisper-step": (
        "whisper", "automatic-speech-recognition-with-past",
        dict(
            d_model=384, encoder_layers=4, decoder_layers=4, encoder_attention_heads=6, decoder_attention_heads=6,
            encoder_ffn_dim=768, decoder_ffn_dim=768, vocab_size=8000, pad_token_id=0, bos_token_id=1, eos_token_id=2,
            decoder_start_token_id=1, suppress_tokens=[], begin_suppress_tokens=[]),
        "decoder_with_past_model", {**STEP, "encoder_sequence_length": 1500}),
    "transformers-wav2vec2": (
        "wav2vec2", "automatic-speech-recognition",
        dict(TEXT, vocab_size=32, intermediate_size=768, num_attention_heads=4, conv_dim=[256] * 7), "model", {"sequence_length": 32000}),
}
EXTENTS = {
    "batch_size": 1, "num_channels": 3, "height": 224, "width": 224, "sequence_length": 128, "past_sequence_length": 5,
    "encoder_sequence_length": 128,
}


def shapes(name, session):
    """The shapes of a model's inputs."""
    extents = {**EXTENTS, **ARCHITECTURES[name][4]}
    return {
        value.name: [sum(extents[part] for part in extent.split(" + ")) if isinstance(extent, str) else extent for extent in value.shape]
        for value in session.get_inputs()
    }


def export(name, path):
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
    import torch
    import transformers
    from optimum.exporters.onnx import onnx_export_from_model
    from optimum.exporters.tasks import TasksManager

    kind, task, differences, file, _ = ARCHITECTURES[name]
    torch.manual_seed(17)
    configuration = transformers.AutoConfig.for_model(kind, **differences)
    model_class = TasksManager.get_model_class_for_task(
        task.removesuffix("-with-past"), framework="pt", model_type=kind, library="transformers")
    make = getattr(model_class, "from_config", None) or model_class._from_config
    model = (transformers.SamModel(configuration) if kind == "sam" else make(configuration)).eval()
    network_models.draw_statistics(model)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        onnx_export_from_model(model, Path(folder), task=task, do_validation=False)
        (Path(folder) / f"{file}.onnx").rename(path)


def make(name, folder):
    """The path of a graph, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    if not path.exists():
        export(name, path)
    return path


if __name__ == "__main__":
    for wanted in sys.argv[2:] or ARCHITECTURES:
        print(make(wanted, Path(sys.argv[1])), flush=True)
