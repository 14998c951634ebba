"""The torch modules of every family at tiny sizes, with random weights that make pictures worth comparing.

A U-Net of plain random weights predicts noise that has nothing to do with its input, so that latents grow or stay noise. Here the last
convolution is fitted (least squares) to predict the noise of smooth random latents, and then disturbed, so that what comes before it -
the prompt, the timestep, sizes - shows in the picture. VAEs are scaled: latents have a standard deviation near one, pictures keep off
black and white, and the activations inside exceed what half precision can hold, as those of SDXL's published VAE do.
"""

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from common import ROOT
from tiny_models import TOKENS, VOCABULARY, randomised

LATENT = 16  # the latents' side that weights are fitted at
BETAS = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
SCHEDULE = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000)

TEXT = dict(
    vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
    max_position_embeddings=TOKENS, projection_dim=24, hidden_act="quick_gelu", bos_token_id=VOCABULARY - 2,
)  # fmt: skip
# An eos_token_id of 2, as in SD 1.5's files, makes the encoder pool at the largest id; otherwise at the first end token.
TEXTS = {
    "clip": dict(eos_token_id=2, pad_token_id=1),
    "openclip": dict(eos_token_id=VOCABULARY - 1, pad_token_id=0, hidden_act="gelu", hidden_size=48, num_attention_heads=3),
}
UNET = dict(
    sample_size=LATENT, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(16, 32, 32), norm_num_groups=8,
    down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=32, attention_head_dim=4,
)  # fmt: skip
# attention_head_dim counts heads, a number for each level, as in the published files of SD 2.x and SDXL.
SD2 = dict(attention_head_dim=[2, 4, 4], use_linear_projection=True, cross_attention_dim=48)
SDXL = dict(
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=[1, 1, 2],
    attention_head_dim=[2, 4, 4], use_linear_projection=True, cross_attention_dim=32 + 48, addition_embed_type="text_time",
    addition_time_embed_dim=8, projection_class_embeddings_input_dim=6 * 8 + 24,
)  # fmt: skip
REFINER = dict(
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=1, cross_attention_dim=48,
    projection_class_embeddings_input_dim=5 * 8 + 24,
)  # fmt: skip
UNETS = {
    "sd1": {},
    "sd1-inpaint": dict(in_channels=9),
    "sd2": SD2,
    "sd2-inpaint": dict(**SD2, in_channels=9),
    "turbo": dict(**SD2, layers_per_block=2),
    "lcm": dict(time_cond_proj_dim=32),
    "lcm-merged": {},
    "sdxl": SDXL,
    "sdxl-inpaint": dict(**SDXL, in_channels=9),
    "sdxl-turbo": SDXL,
    "refiner": {**SDXL, **REFINER},
}
PREDICTIONS = {"sd2": "v_prediction"}
VAE = dict(latent_channels=4, norm_num_groups=4, layers_per_block=1)


def vae_options(*channels, **options):
    levels = len(channels)
    return dict(
        **VAE, block_out_channels=channels, sample_size=LATENT << (levels - 1), down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels, **options,
    )  # fmt: skip


VAES = {
    "sd1": vae_options(8, 16, 16, scaling_factor=0.18215, force_upcast=False),
    "sdxl": vae_options(8, 8, 16, 16, scaling_factor=0.13025, force_upcast=True),
    # Others for a U-Net of the families above: another scaling, without the 1×1 convolutions, another number of levels.
    "other": vae_options(8, 16, 16, scaling_factor=0.5, force_upcast=False, use_quant_conv=False, use_post_quant_conv=False),
    "other-scale": vae_options(8, 16, scaling_factor=0.18215, force_upcast=False),
    "sdxl-mean": vae_options(
        8, 8, 16, 16, scaling_factor=0.5, force_upcast=True, latents_mean=[-1.6, 0.4, 0.9, -0.2], latents_std=[8.4, 6.1, 7.3, 5.2]
    ),
}
# Activations are this many times what they would be. A power of two, so that float32 results stay the same.
LARGE = 2.0**16


def tokenizer(pad_token="<|endoftext|>"):
    """The embedded model's words, with the 77 tokens that every published model has."""
    folder = ROOT / "Models" / "emoji" / "tokenizer"
    return CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=TOKENS, pad_token=pad_token, unk_token="<|endoftext|>"
    )


def text_encoder(name, seed, projected=False):
    torch.manual_seed(seed)
    kind = CLIPTextModelWithProjection if projected else CLIPTextModel
    return randomised(kind(CLIPTextConfig(**{**TEXT, **TEXTS[name]})))


def smooth(count, channels, side):
    """Random fields [count, channels, side, side] with a standard deviation near one, most of it in low frequencies."""
    coarse = torch.randn(count, channels, 4, 4)
    fields = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic") * 1.2
    return fields + 0.2 * torch.randn_like(fields)


def training_examples(model, prediction, count=96):
    """Arguments for the U-Net at random timesteps, and what it should answer."""
    config = model.config
    timesteps = torch.randint(0, 1000, (count,))
    remaining = torch.cumprod(1 - BETAS, 0)[timesteps].float().reshape(-1, 1, 1, 1)
    clean, noise = smooth(count, 4, LATENT), torch.randn(count, 4, LATENT, LATENT)
    sample = remaining.sqrt() * clean + (1 - remaining).sqrt() * noise
    wanted = remaining.sqrt() * noise - (1 - remaining).sqrt() * clean if prediction == "v_prediction" else noise
    if config.in_channels == 9:
        mask = (smooth(count, 1, LATENT) > 0).float()
        sample = torch.cat([sample, mask, clean * (1 - mask)], dim=1)
    states = torch.nn.functional.layer_norm(torch.randn(count, TOKENS, config.cross_attention_dim), (config.cross_attention_dim,))
    arguments = dict(sample=sample, timestep=timesteps, encoder_hidden_states=states)
    if config.time_cond_proj_dim:
        arguments["timestep_cond"] = torch.randn(count, config.time_cond_proj_dim)
    if config.addition_embed_type == "text_time":
        pooled, width = TEXT["projection_dim"], config.projection_class_embeddings_input_dim
        ids = (width - pooled) // config.addition_time_embed_dim
        arguments["added_cond_kwargs"] = {"text_embeds": torch.randn(count, pooled), "time_ids": 128 * torch.rand(count, ids)}
    return arguments, wanted


def fit_last_convolution(model, prediction, disturbance):
    """Least squares for conv_out, then weights that are off by `disturbance` times their own size."""
    arguments, wanted = training_examples(model, prediction)
    seen = []
    hook = model.conv_out.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(**arguments)
    hook.remove()
    columns = torch.nn.functional.unfold(seen[0], 3, padding=1).transpose(1, 2).flatten(0, 1).double()
    columns = torch.cat([columns, torch.ones_like(columns[:, :1])], dim=1)
    values = wanted.permute(0, 2, 3, 1).flatten(0, 2).double()
    gram = columns.T @ columns
    gram += 1e-4 * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    solved = torch.linalg.solve(gram, columns.T @ values).T.float()
    weight, bias = solved[:, :-1].reshape(model.conv_out.weight.shape), solved[:, -1]
    model.conv_out.weight.copy_(weight + disturbance * weight.std() * torch.randn_like(weight))
    model.conv_out.bias.copy_(bias)


@torch.no_grad()
def unet(name, seed, disturbance=0.2):
    torch.manual_seed(seed)
    model = randomised(UNet2DConditionModel(**{**UNET, **UNETS[name]}))
    for path, parameter in model.named_parameters():
        # Text and sizes have to matter.
        if "attn2.to_out.0.weight" in path or "attn2.to_q.weight" in path or "attn2.to_k.weight" in path:
            parameter.mul_(3)
        if path.startswith(("add_embedding.linear_2", "time_embedding.cond_proj")):
            parameter.mul_(4)
        # The sample reaches the last block over this convolution's skip connection.
        if path.startswith("conv_in."):
            parameter.mul_(4)
    fit_last_convolution(model, PREDICTIONS.get(name, "epsilon"), disturbance)
    return model


def enlarge_activations(half, factor):
    """The same function with everything between the first convolution and the last normalisation `factor` times larger:
    every branch starts with a normalisation, and what it adds grows with the rest."""
    half.conv_in.weight.mul_(factor)
    half.conv_in.bias.mul_(factor)
    for path, module in half.named_modules():
        if path.endswith(("conv2", "to_out.0")):
            module.weight.mul_(factor)
            module.bias.mul_(factor)
        elif path.endswith(("conv_shortcut", "upsamplers.0.conv", "downsamplers.0.conv")):
            module.bias.mul_(factor)


def calm(model):
    """Keeps small errors small: less from the residual branches, and encoder kernels with a mean, without which a smooth picture is as
    good as cancelled and rounding errors stay."""
    for path, module in model.named_modules():
        if path.endswith("conv2"):
            module.weight.mul_(0.4)
            module.bias.mul_(0.4)
        if path.startswith("encoder.") and getattr(module, "kernel_size", None) == (3, 3):
            module.weight.copy_(0.7 * module.weight + 2 * module.weight.mean(dim=(2, 3), keepdim=True))


def standardise(convolution, values, mean, deviation):
    """Changes the weights of the convolution that gave `values` so that each channel has that mean and deviation."""
    channels = values.transpose(0, 1).flatten(1)
    factor = deviation / channels.std(dim=1)
    convolution.weight.mul_(factor.reshape(-1, 1, 1, 1))
    convolution.bias.copy_((convolution.bias - channels.mean(dim=1)) * factor + mean)


@torch.no_grad()
def vae(name, seed, noise=0.3):
    """noise: the deviation of the encoder's distribution beside that of its means; 0 for none, as far as float32 can say."""
    torch.manual_seed(seed)
    model = randomised(AutoencoderKL(**VAES[name]))
    config = model.config
    calm(model)
    for half in (model.encoder, model.decoder):
        enlarge_activations(half, LARGE)
    pictures = (0.45 * smooth(16, 3, config.sample_size)).clamp(-1, 1)
    last = model.quant_conv if config.use_quant_conv else model.encoder.conv_out
    moments = model.encode(pictures).latent_dist.parameters
    deviation = torch.tensor(config.latents_std or [1.0] * 4) / config.scaling_factor
    mean = torch.tensor(config.latents_mean or [0.0] * 4)
    variance = 2 * torch.log(noise * deviation) if noise else torch.full((4,), -40.0)
    standardise(last, moments, torch.cat([mean, variance]), torch.cat([deviation, torch.full((4,), 0.3 if noise else 1e-3)]))
    latents = smooth(16, 4, LATENT) * deviation.reshape(1, 4, 1, 1) + mean.reshape(1, 4, 1, 1)
    standardise(model.decoder.conv_out, model.decode(latents).sample, torch.zeros(3), torch.full((3,), 0.33))
    return model


@torch.no_grad()
def tiny_autoencoder(seed):
    """AutoencoderTiny with few channels: no distribution, scaling factor 1. Four levels as published, so for 8 pixels a latent; here
    three, for 4."""
    torch.manual_seed(seed)
    channels = dict(encoder_block_out_channels=(8, 8, 8), decoder_block_out_channels=(8, 8, 8))
    blocks = dict(num_encoder_blocks=(1, 1, 2), num_decoder_blocks=(2, 1, 1))
    model = randomised(AutoencoderTiny(**channels, **blocks, latent_channels=4))
    pictures = (0.45 * smooth(16, 3, 4 * LATENT)).clamp(-1, 1)
    standardise(model.encoder.layers[-1], model.encode(pictures).latents, 0.0, torch.ones(4))
    answered = model.decode(smooth(16, 4, LATENT)).sample
    # The decoder answers 2x - 1 for its last convolution's x.
    standardise(model.decoder.layers[-1], (answered + 1) / 2, 0.5, torch.full((3,), 0.16))
    return model
