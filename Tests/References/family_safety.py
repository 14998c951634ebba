"""Safety checkers: one that decides by a rule that can be seen in the picture, and one with the structure of the published one.
Both are exported as diffusers' script does it: clip_input [B, 3, h, w], images [B, H, W, 3] → out_images, has_nsfw_concepts [B]."""

import json

import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessor

from common import write_json
from export_models import export_torchscript

SIDE = 32
VISION = dict(image_size=SIDE, patch_size=8, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)


def feature_extractor():
    return CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})


class RuleSafetyChecker(torch.nn.Module):
    """Flags a picture whose left half, as CLIP's preprocessing crops it, is brighter than its right half."""

    device, dtype = torch.device("cpu"), torch.float32

    def flags(self, clip_input):
        left, right = clip_input[..., : SIDE // 2], clip_input[..., SIDE // 2 :]
        return left.mean(dim=(1, 2, 3)) > right.mean(dim=(1, 2, 3))

    def forward(self, clip_input, images):
        images, flagged = self.forward_onnx(clip_input, images)
        return images, flagged.tolist()

    def forward_onnx(self, clip_input, images):
        flagged = self.flags(clip_input)
        return torch.where(flagged.reshape(-1, 1, 1, 1), torch.zeros_like(images), images), flagged


def clip_safety_checker(seed, threshold):
    torch.manual_seed(seed)
    text = dict(vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, projection_dim=24)
    vision = dict(VISION, projection_dim=24)
    checker = StableDiffusionSafetyChecker(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)).eval()
    with torch.no_grad():
        for parameter in checker.vision_model.parameters():
            parameter.mul_(4) if parameter.ndim > 1 else parameter.add_(0.1 * torch.randn_like(parameter))
        checker.concept_embeds.copy_(torch.randn(17, 24))
        checker.special_care_embeds.copy_(torch.randn(3, 24))
        checker.concept_embeds_weights.copy_(threshold + 0.02 * torch.rand(17))
        checker.special_care_embeds_weights.fill_(0.35)
    return checker


class Exported(torch.nn.Module):
    def __init__(self, checker):
        super().__init__()
        self.checker = checker

    def forward(self, clip_input, images):
        # The published checker writes into its argument.
        return self.checker.forward_onnx(clip_input, images.clone())


def exported(checker):
    """(module, inputs, outputs, free dimensions), with the script's names: it calls the last axis of images "width" too."""
    axes = {0: "batch", 1: "channels", 2: "height", 3: "width"}
    inputs = {"clip_input": torch.randn(2, 3, SIDE, SIDE), "images": torch.rand(2, 64, 64, 3)}
    return Exported(checker), inputs, ["out_images", "has_nsfw_concepts"], {"clip_input": axes, "images": axes}


def write(folder, checker):
    """The checker's graph into its folder, and its name, as published folders have it, into model_index.json. The rule comes with the
    preprocessor_config.json of older folders, whose sizes are numbers and which doesn't say that pixels are divided by 255."""
    if isinstance(checker, RuleSafetyChecker):
        path = folder / "feature_extractor" / "preprocessor_config.json"
        kept = ("do_center_crop", "do_normalize", "do_resize", "image_mean", "image_std", "resample")
        older = {key: value for key, value in json.loads(path.read_text()).items() if key in kept}
        write_json(path, {**older, "crop_size": SIDE, "size": SIDE, "feature_extractor_type": "CLIPFeatureExtractor"})
    (folder / "safety_checker").mkdir()
    torch.manual_seed(0)
    export_torchscript(folder / "safety_checker" / "model.onnx", exported(checker), 14)
    index = json.loads((folder / "model_index.json").read_text())
    write_json(folder / "model_index.json", {**index, "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]})
