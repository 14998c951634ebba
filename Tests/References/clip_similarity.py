"""Makes the CLIP models that similarities are compared with, tiny and with random weights, and what transformers' CLIPModel and open_clip
say of ten pictures.

    clip_similarity.py      Tests/SDPipelineTests/Fixtures/clip/

Runs in the environment of requirements-open-clip.txt (Tools/setup-python.sh open-clip).

`one/` is one graph with optimum's names, `two/` two graphs in transformers.js' folder, `towers/` open_clip's towers as immich and others name
them, with the configurations of four ways to prepare pictures. None has a tokenizer: all take the embedded model's. `pictures/` has ten
pictures of other proportions, one with transparency, one in gray.
similarities.json: {"texts", "cases": [{"folder", "configuration", "visual", "logit_scale", "pictures": [{"file", "cosines", "shares"}]}]}
"""

import gzip
import json
import shutil
import tempfile
from pathlib import Path

import open_clip
import torch
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from common import ROOT, write_json

FIXTURES = ROOT / "Tests" / "SDPipelineTests" / "Fixtures"
FOLDER = FIXTURES / "clip"
TOKENIZER = ROOT / "Models" / "emoji" / "tokenizer"
TEXTS = ["a fox", "An OWL on a blue background!", "", "a red apple, " * 30]
SIZE = 40
WIDE = (32, 56)
SIZES = [(64, 64), (96, 64), (64, 96), (47, 31), (31, 47), (30, 20), (101, 40), (40, 40), (23, 60), (53, 50)]
# Of open_clip: which visual tower, and how pictures are prepared.
PREPARATIONS = {
    "shortest": ("visual", {"size": SIZE}),
    "squash": ("visual", {"size": [SIZE, SIZE], "resize_mode": "squash", "interpolation": "bilinear"}),
    "longest": ("visual", {"size": SIZE, "resize_mode": "longest", "fill_color": 90, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}),
    "wide": ("visual-wide", {"size": list(WIDE)}),
}


def randomize(model):
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.4 if parameter.ndim > 1 else 0.2
            parameter.copy_(torch.randn_like(parameter) * spread + (1 if parameter.ndim == 1 else 0))
        model.logit_scale.fill_(2.2)
    return model.eval()


def transformers_model(tokenizer):
    torch.manual_seed(4)
    layers = {"num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config=layers | {
            "hidden_size": 8, "intermediate_size": 16, "vocab_size": len(tokenizer), "bos_token_id": tokenizer.bos_token_id,
            "max_position_embeddings": tokenizer.model_max_length, "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id},
        vision_config=layers | {"hidden_size": 16, "intermediate_size": 32, "image_size": SIZE, "patch_size": 8}, projection_dim=12,
    )  # fmt: skip
    config._attn_implementation = "eager"
    return randomize(CLIPModel(config))


def open_clip_model(size):
    torch.manual_seed(5)
    return randomize(open_clip.CLIP(
        embed_dim=12, vision_cfg={"layers": 2, "width": 16, "head_width": 8, "patch_size": 8, "image_size": size},
        text_cfg={"context_length": 32, "vocab_size": 2048, "width": 8, "heads": 2, "layers": 2}))  # fmt: skip


class Whole(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, pixel_values, attention_mask):
        answer = self.model(input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask)
        return answer.logits_per_image, answer.logits_per_text, answer.text_embeds, answer.image_embeds


class Method(torch.nn.Module):
    def __init__(self, model, name):
        super().__init__()
        self.model, self.name = model, name

    def forward(self, value):
        return getattr(self.model, self.name)(value)


def export(module, inputs, names, outputs, path, axes):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        module, inputs, str(path), input_names=names, output_names=outputs, dynamic_axes={name: axes[name] for name in names},
        opset_version=17, dynamo=False)  # fmt: skip


def make_pictures():
    folder = FOLDER / "pictures"
    folder.mkdir(parents=True)
    sources = sorted((FIXTURES / "pictures").glob("PNDM*.png"))
    for number, (size, source) in enumerate(zip(SIZES, sources)):
        image = Image.open(source).convert("RGB").resize(size, Image.Resampling.BILINEAR)
        if number == 3:
            image.putalpha(Image.linear_gradient("L").resize(size))
        if number == 4:
            image = image.convert("L")
        image.save(folder / f"{number}.png")
    return sorted(folder.iterdir())


def comparison(files, words, vector, scale):
    """What a model says of every picture; `vector` is what makes one of a picture."""
    words = words / words.norm(dim=-1, keepdim=True)
    result = []
    for file in files:
        picture = vector(Image.open(file).convert("RGB"))
        cosines = ((picture / picture.norm(dim=-1, keepdim=True)) @ words.T)[0]
        shares = (cosines * scale).softmax(-1)
        result.append({"file": f"pictures/{file.name}", "cosines": cosines.tolist(), "shares": shares.tolist()})
    return result


def transformers_cases(files):
    tokenizer = CLIPTokenizer.from_pretrained(TOKENIZER)
    clip = transformers_model(tokenizer)
    processor = CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE})
    texts = tokenizer(TEXTS, padding="max_length", truncation=True, return_tensors="pt")
    pixels = torch.randn(2, 3, SIZE, SIZE)
    axes = {
        "input_ids": {0: "text_batch_size", 1: "sequence_length"}, "attention_mask": {0: "text_batch_size", 1: "sequence_length"},
        "pixel_values": {0: "image_batch_size"},
    }  # fmt: skip
    export(
        Whole(clip), (texts.input_ids, pixels, texts.attention_mask), ["input_ids", "pixel_values", "attention_mask"],
        ["logits_per_image", "logits_per_text", "text_embeds", "image_embeds"], FOLDER / "one" / "model.onnx", axes)  # fmt: skip
    onnx = FOLDER / "two" / "onnx"
    export(Method(clip, "get_text_features"), (texts.input_ids,), ["input_ids"], ["text_embeds"], onnx / "text_model.onnx", axes)
    export(Method(clip, "get_image_features"), (pixels,), ["pixel_values"], ["image_embeds"], onnx / "vision_model.onnx", axes)
    pictures = []
    for file in files:
        values = processor(Image.open(file).convert("RGB"), return_tensors="pt").pixel_values
        answer = clip(input_ids=texts.input_ids, attention_mask=texts.attention_mask, pixel_values=values)
        cosines = (answer.image_embeds @ answer.text_embeds.T)[0]
        pictures.append({
            "file": f"pictures/{file.name}", "cosines": cosines.tolist(), "shares": answer.logits_per_image.softmax(-1)[0].tolist()})  # fmt: skip
    for name in ["one", "two"]:
        processor.save_pretrained(FOLDER / name)
        clip.config.save_pretrained(FOLDER / name)
    case = {"configuration": None, "visual": None, "logit_scale": clip.logit_scale.exp().item(), "pictures": pictures}
    return [{"folder": name} | case for name in ["one", "two"]]


def open_clip_tokenizer():
    """open_clip's own, with the embedded model's merges, whose last line has no end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "merges.txt.gz"
        with gzip.open(path, "wt") as file:
            file.write((TOKENIZER / "merges.txt").read_text().rstrip("\n"))
        return SimpleTokenizer(bpe_path=str(path), context_length=32)


def open_clip_cases(files):
    tokenizer = open_clip_tokenizer()
    assert len(tokenizer.encoder) == 2048, len(tokenizer.encoder)
    texts = tokenizer(TEXTS)
    towers = FOLDER / "towers"
    models = {"visual": open_clip_model(SIZE), "visual-wide": open_clip_model(WIDE)}
    text = models["visual"]
    export(Method(text, "encode_text"), (texts,), ["text"], ["text_embedding"], towers / "textual.onnx", {"text": {0: "batch"}})
    for name, model in models.items():
        extents = (SIZE, SIZE) if name == "visual" else WIDE
        export(
            Method(model, "encode_image"), (torch.randn(2, 3, *extents),), ["image"], ["image_embedding"], towers / f"{name}.onnx",
            {"image": {0: "batch"}})  # fmt: skip
    cases = []
    for name, (visual, settings) in PREPARATIONS.items():
        size = settings["size"] if isinstance(settings["size"], int) else tuple(settings["size"])
        transform = image_transform_v2(PreprocessCfg(**(settings | {"size": size})), is_train=False)
        model = models[visual]
        pictures = comparison(
            files, text.encode_text(texts), lambda image: model.encode_image(transform(image)[None]), text.logit_scale.exp())  # fmt: skip
        # Where the size is the model's own, open_clip's files leave it out.
        stated = {key: value for key, value in settings.items() if key != "size"}
        write_json(towers / f"{name}.json", {
            "model_cfg": {"embed_dim": 12, "vision_cfg": {"image_size": settings["size"]}, "text_cfg": {"context_length": 32}},
            "preprocess_cfg": stated})  # fmt: skip
        cases.append({
            "folder": "towers", "configuration": f"{name}.json", "visual": f"{visual}.onnx", "logit_scale": text.logit_scale.exp().item(),
            "pictures": pictures})  # fmt: skip
    return cases


def main():
    torch.backends.mha.set_fastpath_enabled(False)
    shutil.rmtree(FOLDER, ignore_errors=True)
    with torch.no_grad():
        files = make_pictures()
        cases = transformers_cases(files) + open_clip_cases(files)
    (FOLDER / "similarities.json").write_text(json.dumps({"texts": TEXTS, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
