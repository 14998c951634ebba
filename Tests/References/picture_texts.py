"""Writes Tests/References/picture-texts.json: what pictures of several programs say, and how it is to be read.

`infotexts`: texts in the form of AUTOMATIC1111's web interface, with prompt, negative prompt and pairs as its rules give them (its wiki's
page on infotext and the docstring of parse_generation_parameters), applied by Python's `re` and `json`.
`files`: PNG and JPEG files that Pillow wrote with texts of every kind, base64, and the texts.
`foreign`: what other programs keep with their pictures (formats as their sources and published pictures have them), and the settings that this
stands for.
"""

import base64
import io
import json
import re

from PIL import Image, PngImagePlugin

from common import ROOT, write_json

WORD = r"\w[\w \-/]+"
PAIR = re.compile(rf'\s*({WORD}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


def read(text):
    """The settings are the last line if it has three pairs or more; what follows the marker is the negative prompt."""
    lines = text.strip().split("\n")
    pairs = PAIR.findall(lines[-1])
    if len(pairs) >= 3:
        lines = lines[:-1]
    else:
        pairs = []
    prompts, current = ["", ""], 0
    for line in lines:
        line = line.strip()
        if line.startswith("Negative prompt:"):
            current, line = 1, line[len("Negative prompt:"):].strip()
        prompts[current] += ("\n" if prompts[current] else "") + line
    values = []
    for key, value in pairs:
        if len(value) > 1 and value[0] == value[-1] == '"':
            try:
                value = json.loads(value)
            except json.JSONDecodeError:
                pass
        values.append([key, value])
    return {"text": text, "prompt": prompts[0], "negative": prompts[1], "pairs": values}


INFOTEXTS = [
    "a fox\nNegative prompt: rain\nSteps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 965400086, Size: 512x512, Model hash: 45dee52b",
    "line one\nline two, (fox:1.2)\n\nNegative prompt: rain,\nsnow\nSteps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 1, Size: 512x768, Lora hashes: \"a: 123abc, b: 456def\", Version: v1.6.0",
    "a fox",
    "",
    "Steps: 20, Sampler: Euler, Seed: 1",
    "a fox\nSteps: 20, Seed: 1",
    "\n\n  a fox  \nNegative prompt:rain\nSteps: 20, Sampler: Euler, Seed: 1\n\n",
    'x\nSteps: 3, TI hashes: "one: 12, two: \\"34\\"", Model: "a: \\\\b", Odd: "unfinished, Seed: 5',
    'x\nSteps: 3, A: "", Bad key!: 4, é clé: 5, _x: "q" z, Seed: 7,, Last: "a"',
    "x\nSteps: 3, Hires upscale: 2, Hires upscaler: R-ESRGAN 4x+, Denoising strength: 0.7, a/b-c: d, :x: 1, Size: 10x20",
    "Negative prompt: only\nSteps: 1, Sampler: DDIM, CFG scale: 1",
    "x\nNegative prompt: a\nNegative prompt: b\nSteps: 1, Sampler: DDIM, CFG scale: 1",
    "x: y, z: w, v: u\nSteps:1,Sampler:DDIM,CFG scale:1",
    "猫 👨‍👩‍👧\nSteps: 1, Sampler: DDIM, CFG scale: 1, Template: \"a\\nb\"",
]  # fmt: skip


def png(kinds, exif=None):
    information = PngImagePlugin.PngInfo()
    for kind, key, text in kinds:
        if kind == "itxt":
            information.add_itxt(key, text)
        elif kind == "compressed itxt":
            information.add_itxt(key, text, lang="en", tkey=key, zip=True)
        else:
            information.add_text(key, text, zip=kind == "ztxt")
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "PNG", pnginfo=information, **({"exif": exif.tobytes()} if exif is not None else {}))
    return file.getvalue()


def comment(data):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = data
    return exif


def jpeg(data):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=comment(data))
    return file.getvalue()


def files():
    kinds = [("text", "parameters", "grüße\nSteps: 1"), ("ztxt", "Comment", "x" * 3000), ("itxt", "prompt", "猫\nNegative prompt: é"),
             ("compressed itxt", "workflow", "狐" * 500)]  # fmt: skip
    text = "a 猫\nNegative prompt: rain\nSteps: 4, Sampler: Euler, Seed: 9"
    written = [(png(kinds), {key: value for _, key, value in kinds})]
    for data in [
        b"UNICODE\0" + text.encode("utf-16-be"), b"UNICODE\0" + text.encode("utf-16-le"),
        b"ASCII\0\0\0" + text.encode(), b"\0" * 8 + text.encode(),
    ]:  # fmt: skip
        written.append((jpeg(data), {"parameters": text}))
    written.append((png([], comment(b"UNICODE\0" + text.encode("utf-16-be"))), {"parameters": text}))
    return [{"file": base64.b64encode(data).decode(), "texts": texts} for data, texts in written]


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


COMFY = {
    "3": node("KSampler", seed=156680208700286, steps=20, cfg=8.0, sampler_name="dpmpp_2m", scheduler="karras", denoise=1.0,
              model=["10", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0]),
    "4": node("CheckpointLoaderSimple", ckpt_name="v1-5-pruned.safetensors"),
    "5": node("EmptyLatentImage", width=512, height=768, batch_size=1),
    "6": node("CLIPTextEncode", text="a (fox:1.2)", clip=["11", 0]),
    "7": node("CLIPTextEncode", text="rain", clip=["11", 0]),
    "8": node("VAEDecode", samples=["12", 0], vae=["4", 2]),
    "9": node("SaveImage", filename_prefix="x", images=["8", 0]),
    "10": node("LoraLoader", lora_name="style.safetensors", strength_model=0.8, strength_clip=1.0, model=["4", 0], clip=["4", 1]),
    "11": node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["10", 1]),
    "12": node("KSampler", seed=5, steps=10, cfg=7.0, sampler_name="euler", scheduler="normal", denoise=0.5,
               model=["4", 0], positive=["6", 0], negative=["7", 0], latent_image=["13", 0]),
    "13": node("LatentUpscale", samples=["3", 0], width=1024, height=1536),
}  # fmt: skip
CUSTOM = {
    "1": node("UNETLoader", unet_name="model.safetensors"),
    "2": node("CLIPTextEncode", text=["3", 0], clip=["9", 0]),
    "3": node("PrimitiveString", value="an owl"),
    "4": node("ConditioningCombine", conditioning_1=["2", 0], conditioning_2=["2", 0]),
    "5": node("CFGGuider", model=["1", 0], positive=["4", 0], negative=["6", 0], cfg=3.5),
    "6": node("CLIPTextEncode", text="snow", clip=["9", 0]),
    "7": node("SamplerCustomAdvanced", noise=["8", 0], guider=["5", 0], sampler=["10", 0], sigmas=["11", 0], latent_image=["12", 0]),
    "8": node("RandomNoise", noise_seed=77),
    "9": node("CLIPLoader", clip_name="x"),
    "10": node("KSamplerSelect", sampler_name="euler_ancestral"),
    "11": node("BasicScheduler", model=["1", 0], scheduler="sgm_uniform", steps=12, denoise=0.6),
    "12": node("VAEEncode", pixels=["13", 0], vae=["1", 2]),
    "13": node("LoadImage", image="start.png"),
}  # fmt: skip
CIRCULAR = {"1": node("KSampler", seed=["1", 0], steps=["2", 0], positive=["3", 0], negative=["3", 0], latent_image=["1", 0], model=["3", 0]),
            "2": node("X", steps=["2", 0]), "3": node("Y", text=["3", 0], conditioning=["3", 0], model=["3", 0], positive=["3", 0])}  # fmt: skip
NOVEL = {"prompt": "{{red}} fox, [blue], (x)", "steps": 28, "height": 768, "width": 512, "scale": 11.0, "uncond_scale": 1.0, "seed": 3141,
         "n_samples": 1, "noise_schedule": "native", "sampler": "k_euler_ancestral", "uc": "lowres, {bad}"}  # fmt: skip
INVOKE = {
    "app_version": "3.6.0", "generation_mode": "txt2img", "positive_prompt": "a fox", "negative_prompt": "", "width": 512, "height": 640,
    "seed": 4006217163, "rand_device": "cpu", "cfg_scale": 7.5, "steps": 30, "scheduler": "dpmpp_2m_k", "clip_skip": 1,
    "model": {"model_name": "stable-diffusion-v1-5", "base_model": "sd-1", "model_type": "main"},
    "loras": [{"lora": {"model_name": "ink", "base_model": "sd-1"}, "weight": 0.75}], "controlnets": [], "vae": None,
}  # fmt: skip
OLD_INVOKE = {
    "model": "stable diffusion", "model_weights": "stable-diffusion-1.5", "model_hash": "cc6cb27103417325ff94f52b7a5d2dde45a7515b25c255d8e396c90014281516",
    "app_id": "invoke-ai/InvokeAI", "app_version": "2.2.4",
    "image": {"prompt": [{"prompt": "a fox [rain]", "weight": 1}], "steps": 50, "cfg_scale": 7.5, "threshold": 0, "perlin": 0,
              "height": 512, "width": 512, "seed": 2722, "type": "txt2img", "postprocessing": None, "sampler": "k_lms"},
}  # fmt: skip


def a1111(line):
    return {"parameters": f"a fox\nNegative prompt: rain\n{line}"}


BASE = {"prompt": "a fox", "negative_prompt": "rain", "prompt_syntax": "a1111"}
FOREIGN = [
    ("a1111", a1111("Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 965400086, Size: 512x640, Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, VAE: x.pt, Variation seed: 3, Variation seed strength: 0.25, Clip skip: 2, RNG: CPU, Sigma noise: 1.1, Version: v1.9.4"),
     BASE | {"steps": 20, "scheduler": "DPM++ 2M Karras", "cfg_scale": 7, "seed": 965400086, "width": 512, "height": 640, "model_hash": "6ce0161689",
             "model": "v1-5-pruned-emaonly", "vae": "x.pt", "variation_seed": 3, "variation_strength": 0.25, "clip_skip": 2, "rng": "cpu-a1111", "s_noise": 1.1,
             "others": {"Version": "v1.9.4"}}),
    ("a1111", a1111("Steps: 20, Sampler: DPM++ 2M SDE, Schedule type: Automatic, CFG scale: 7, Seed: 1, Size: 512x512, Denoising strength: 0.7, Hires upscale: 2, Version: v1.10.1"),
     BASE | {"steps": 20, "scheduler": "DPM++ 2M SDE Exponential", "cfg_scale": 7, "seed": 1, "width": 512, "height": 512, "hires": 2, "hires_strength": 0.7, "rng": "cuda-a1111",
             "others": {"Version": "v1.10.1"}}),
    ("a1111", a1111("Steps: 20, Sampler: Euler, Schedule type: Automatic, CFG scale: 7, Seed: 1, Size: 512x768, Denoising strength: 0.55, Hires upscale: 1.5, Hires steps: 12, Hires upscaler: Latent (bicubic antialiased), Version: v1.10.1"),
     BASE | {"steps": 20, "scheduler": "Euler Uniform", "cfg_scale": 7, "seed": 1, "width": 512, "height": 768, "hires": 1.5, "hires_strength": 0.55, "hires_steps": 12,
             "hires_upscaler": "Latent (bicubic antialiased)", "rng": "cuda-a1111", "others": {"Version": "v1.10.1"}}),
    ("a1111", a1111("Steps: 20, Sampler: DPM++ SDE Karras, CFG scale: 7, Seed: 1, Size: 512x512, Version: v1.6.0"),
     BASE | {"steps": 20, "scheduler": "DPM++ SDE Karras", "cfg_scale": 7, "seed": 1, "width": 512, "height": 512, "rng": "cuda-a1111", "others": {"Version": "v1.6.0"}}),
    ("a1111", a1111("Steps: 20, CFG scale: 7.000000, Guidance: 3.5, Seed: 42, Size: 512x512, Model: m.safetensors, RNG: cuda, Sampler: euler_a, Version: stable-diffusion.cpp"),
     BASE | {"steps": 20, "scheduler": "euler_a", "cfg_scale": 7, "seed": 42, "width": 512, "height": 512, "model": "m.safetensors", "rng": "cuda",
             "others": {"Guidance": "3.5", "Version": "stable-diffusion.cpp"}}),
    ("a1111", a1111("Steps: 99999999999, Sampler: nobody's, CFG scale: 1e999, Seed: -1, Size: 0x99999, Clip skip: 0, RNG: dice"),
     BASE | {"others": {"Steps": "99999999999", "Sampler": "nobody's", "CFG scale": "1e999", "Seed": "-1", "Size": "0x99999", "Clip skip": "0", "RNG": "dice"}}),
    ("comfyui", {"prompt": json.dumps(COMFY), "workflow": "{}"},
     {"prompt": "a (fox:1.2)", "negative_prompt": "rain", "prompt_syntax": "a1111", "steps": 20, "cfg_scale": 8, "seed": 156680208700286, "rng": "torch",
      "scheduler": "dpmpp_2m karras", "width": 512, "height": 768, "model": "v1-5-pruned.safetensors", "clip_skip": 2,
      "adapters": [{"name": "style.safetensors", "weight": 0.8}], "others": {}}),
    ("comfyui", {"prompt": json.dumps(CUSTOM)},
     {"prompt": "an owl", "negative_prompt": "snow", "prompt_syntax": "a1111", "steps": 12, "cfg_scale": 3.5, "seed": 77, "rng": "torch", "strength": 0.6,
      "scheduler": "euler_ancestral sgm_uniform", "model": "model.safetensors", "others": {"image": "start.png"}}),
    ("comfyui", {"prompt": json.dumps(CIRCULAR)}, {"prompt_syntax": "a1111", "rng": "torch", "others": {}}),
    ("novelai", {"Software": "NovelAI", "Source": "Stable Diffusion F1022A28", "Description": "{{red}} fox, [blue], (x)", "Comment": json.dumps(NOVEL)},
     {"prompt": "((red:1.05):1.05) fox, (blue:0.952), \\(x\\)", "negative_prompt": "lowres, (bad:1.05)", "prompt_syntax": "a1111", "clip_skip": 2, "steps": 28,
      "height": 768, "width": 512, "cfg_scale": 11, "seed": 3141, "scheduler": "k_euler_ancestral Uniform", "others": {"n_samples": "1", "uncond_scale": "1"}}),
    ("invokeai", {"invokeai_metadata": json.dumps(INVOKE), "invokeai_graph": "{}"},
     {"prompt": "a fox", "negative_prompt": "", "width": 512, "height": 640, "seed": 4006217163, "rng": "torch", "cfg_scale": 7.5, "steps": 30,
      "scheduler": "dpmpp_2m Karras", "clip_skip": 2, "model": "stable-diffusion-v1-5", "adapters": [{"name": "ink", "weight": 0.75}],
      "others": {"generation_mode": "txt2img"}}),
    ("invokeai", {"Dream": "x", "sd-metadata": json.dumps(OLD_INVOKE)},
     {"prompt": "a fox", "negative_prompt": "rain", "width": 512, "height": 512, "seed": 2722, "cfg_scale": 7.5, "steps": 50, "scheduler": "k_lms",
      "model": "stable-diffusion-1.5", "model_hash": OLD_INVOKE["model_hash"], "others": {}}),
]  # fmt: skip


if __name__ == "__main__":
    write_json(ROOT / "Tests" / "References" / "picture-texts.json", {
        "infotexts": [read(text) for text in INFOTEXTS], "files": files(),
        "foreign": [{"source": source, "texts": texts, "settings": json.dumps(settings, ensure_ascii=False)} for source, texts, settings in FOREIGN]})  # fmt: skip
