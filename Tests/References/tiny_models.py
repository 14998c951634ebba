"""Tiny random-weight versions of the model families: the structure of the real ones (published configurations of SD 1.5,
SD 2.1, SDXL base 1.0, SD 1.5 inpainting and LCM Dreamshaper v7), with few channels and layers. A file stays under 8 MB."""

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
    LatentConsistencyModelPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from common import ROOT

FAMILIES = ["sd1", "sd2", "sdxl", "inpaint", "lcm"]
VOCABULARY = 2048
TOKENS = 77

UNET = dict(
    sample_size=8,
    in_channels=4,
    out_channels=4,
    layers_per_block=1,
    block_out_channels=(32, 64),
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    cross_attention_dim=32,
    norm_num_groups=8,
    attention_head_dim=8,
)
UNETS = {
    "sd1": {},
    # attention_head_dim counts heads here, as in the published files; a list gives every level its own number.
    "sd2": dict(attention_head_dim=[2, 4], use_linear_projection=True, upcast_attention=True),
    "sdxl": dict(
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=[2, 4],
        use_linear_projection=True,
        transformer_layers_per_block=[1, 2],
        cross_attention_dim=64,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 32,
    ),
    "inpaint": dict(in_channels=9, layers_per_block=2),
    "lcm": dict(time_cond_proj_dim=32),
}
VAE = dict(
    down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
    up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
    block_out_channels=(16, 32),
    layers_per_block=1,
    latent_channels=4,
    norm_num_groups=8,
    sample_size=16,
)
TEXT = dict(
    vocab_size=VOCABULARY,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=TOKENS,
    projection_dim=32,
    bos_token_id=VOCABULARY - 2,
    pad_token_id=VOCABULARY - 1,
)
# SD 1.5's own config.json says eos_token_id 2, which makes CLIPTextModel pool at the largest id; the others pool at the first
# end token.
FIRST_TEXT = dict(hidden_act="quick_gelu", eos_token_id=2)
SECOND_TEXT = dict(hidden_act="gelu", eos_token_id=VOCABULARY - 1)


def randomised(model):
    """Biases and normalisation weights start as zeros and ones; give them values that a wrong kernel can't hide behind."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def text_model(kind, config, attention):
    return randomised(kind._from_config(CLIPTextConfig(**TEXT, **config), attn_implementation=attention))


def build(family, attention="sdpa"):
    """The parts of one family by component name. attention: "eager" writes attention as MatMul and Softmax, "sdpa" calls
    torch's scaled_dot_product_attention."""
    torch.manual_seed(1000 + FAMILIES.index(family))
    parts = {}
    if family == "sdxl":
        parts["text_encoder"] = text_model(CLIPTextModel, FIRST_TEXT, attention)
        parts["text_encoder_2"] = text_model(CLIPTextModelWithProjection, SECOND_TEXT, attention)
    else:
        parts["text_encoder"] = text_model(CLIPTextModel, SECOND_TEXT if family == "sd2" else FIRST_TEXT, attention)
    parts["unet"] = randomised(UNet2DConditionModel(**{**UNET, **UNETS[family]}))
    parts["vae"] = randomised(AutoencoderKL(**VAE, force_upcast=family == "sdxl"))
    if attention == "eager":
        parts["unet"].set_default_attn_processor()
        for part in (parts["unet"], parts["vae"]):
            part.set_attn_processor(plain_processor())
    return parts


def plain_processor():
    from diffusers.models.attention_processor import AttnProcessor

    return AttnProcessor()


def save_pipeline(family, folder):
    """The family as a diffusers pipeline folder, as optimum reads it."""
    parts = build(family)
    tokenizer = CLIPTokenizer.from_pretrained(ROOT / "Models" / "emoji" / "tokenizer")
    schedule = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
    safety = dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    if family == "sdxl":
        pipeline = StableDiffusionXLPipeline(
            **parts, tokenizer=tokenizer, tokenizer_2=tokenizer, scheduler=EulerDiscreteScheduler(**schedule)
        )
    elif family == "sd2":
        scheduler = DDIMScheduler(**schedule, prediction_type="v_prediction", set_alpha_to_one=False, clip_sample=False)
        pipeline = StableDiffusionPipeline(**parts, tokenizer=tokenizer, scheduler=scheduler, **safety)
    elif family == "inpaint":
        scheduler = PNDMScheduler(**schedule, skip_prk_steps=True, set_alpha_to_one=False)
        pipeline = StableDiffusionInpaintPipeline(**parts, tokenizer=tokenizer, scheduler=scheduler, **safety)
    elif family == "lcm":
        scheduler = LCMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
        pipeline = LatentConsistencyModelPipeline(**parts, tokenizer=tokenizer, scheduler=scheduler, **safety)
    else:
        scheduler = PNDMScheduler(**schedule, skip_prk_steps=True, set_alpha_to_one=False)
        pipeline = StableDiffusionPipeline(**parts, tokenizer=tokenizer, scheduler=scheduler, **safety)
    pipeline.save_pretrained(folder)
