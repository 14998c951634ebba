"""Writes what the generators of random numbers beside torch's are compared with.

    noise_sources.py        Tests/References/noise-sources.json, Tests/SDPipelineTests/Fixtures/noise-sources/

noise-sources.json: `numpy`, numbers of numpy.random.RandomState by seed and counts of successive calls, in hexadecimal;
`philox_words`, the vectors that Random123 publishes for philox4x32-10 (kat_vectors); `cuda_published`, what torch.randn((3, 4),
device="cuda") gives with seed 0, as AUTOMATIC1111's modules/rng_philox.py states it; `cuda`, normal numbers of the generator below, which is
written from Salmon et al. 2011 and cuRAND's Box-Muller form, and is itself checked against both; `slerp`, torch's values of the
interpolation that AUTOMATIC1111's variation seeds use.

Fixtures/noise-sources: pictures.png, all side by side, and index.json, of diffusers over the embedded model with `randn_tensor` replaced by
these generators, an array of
    {"rng", "scheduler", "prompt", "steps", "strength", "guidance_scale", "seed", "batch", "variation_seed", "variation_strength", "column"}
"""

import sys

import diffusers
import numpy as np
import torch
from optimum.onnxruntime import ORTStableDiffusionImg2ImgPipeline, ORTStableDiffusionPipeline
from PIL import Image

from common import ROOT, write_json
from pictures import ORIGINAL

FIXTURES = ROOT / "Tests" / "SDPipelineTests" / "Fixtures"
PUBLISHED_WORDS = [
    # counter, key, words
    ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    ([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0], [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]),
]
PUBLISHED_NORMALS = [
    -0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564, -0.62285122, -0.32838709, -1.07454231, -0.36314407,
    -1.67105067, 2.26550497,
]  # fmt: skip


def philox(counter, key):
    """Ten rounds over four words of a counter; plain integers."""
    a, b, c, d = counter
    k, l = key
    for _ in range(10):
        first, second = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (second >> 32) ^ b ^ k, second & 0xFFFFFFFF, (first >> 32) ^ d ^ l, first & 0xFFFFFFFF
        k, l = (k + 0x9E3779B9) & 0xFFFFFFFF, (l + 0xBB67AE85) & 0xFFFFFFFF
    return [a, b, c, d]


class CUDA:
    """torch's generator of a GPU: the key is the seed, the counter the number of the call and of the element."""

    def __init__(self, seed):
        self.key, self.calls = (seed & 0xFFFFFFFF, seed >> 32), 0

    def randn(self, shape):
        count = int(np.prod(shape))
        words = np.array([philox((self.calls, 0, element, 0), self.key)[:2] for element in range(count)], np.uint64)
        self.calls += 1
        u, v = (words[:, 0] + 0.5) * 2.0**-32, (words[:, 1] + 0.5) * 2.0**-32 * 2 * np.pi
        return (np.sqrt(-2 * np.log(u)) * np.sin(v)).astype(np.float32).reshape(shape)


class NumPy:
    def __init__(self, seed):
        self.state = np.random.RandomState(seed)

    def randn(self, shape):
        return self.state.randn(*shape).astype(np.float32)


class Torch:
    def __init__(self, seed):
        self.generator = torch.Generator("cpu").manual_seed(seed)

    def randn(self, shape):
        return torch.randn(tuple(shape), generator=self.generator).numpy()


def slerp(share, low, high):
    """AUTOMATIC1111's modules/rng.py in words: unit vectors along axis 1, their angle, weights by sines; where they are nearly parallel on
    the mean, a weighted mean whose weights are exchanged."""
    low, high = torch.as_tensor(low), torch.as_tensor(high)
    unit = [value / torch.linalg.vector_norm(value, dim=1, keepdim=True) for value in (low, high)]
    cosine = (unit[0] * unit[1]).sum(1)
    if cosine.mean() > 0.9995:
        return (low * share + high * (1 - share)).numpy()
    angle = torch.acos(cosine)
    weights = [torch.sin((1 - share) * angle) / torch.sin(angle), torch.sin(share * angle) / torch.sin(angle)]
    return (weights[0].unsqueeze(1) * low + weights[1].unsqueeze(1) * high).numpy()


KINDS = {"numpy": NumPy, "cuda": CUDA, "cuda-a1111": CUDA, "cpu-a1111": Torch, "torch": Torch}


class Source:
    """The numbers of one picture, in the place of torch.Generator."""

    def __init__(self, kind, seed, variation=None, skips=False):
        self.generator = KINDS[kind](seed)
        self.skips, self.kind, self.variation = skips and kind.endswith("a1111"), kind, variation
        # With a picture to start from, diffusers draws for its latents first.
        self.before = 1 if skips else 0
        self.device = torch.device("cpu")

    def randn(self, shape):
        if self.before:
            self.before -= 1
            return np.zeros(shape, np.float32) if self.skips else self.generator.randn(shape)
        values = self.generator.randn(shape)
        if self.variation:
            seed, share = self.variation
            self.variation = None
            other = KINDS[self.kind](seed).randn(shape)
            values = slerp(share, values.reshape(shape[-3:]), other.reshape(shape[-3:])).reshape(shape)
        return values


def randn_tensor(shape, generator=None, device=None, dtype=None, layout=None):
    if isinstance(generator, list):
        return torch.cat([torch.from_numpy(source.randn((1, *shape[1:]))) for source in generator])
    return torch.from_numpy(generator.randn(tuple(shape)))


# (rng, scheduler, prompt, steps, guidance scale, seed, batch, strength, variation seed, variation strength)
RUNS = [
    ("numpy", "EulerAncestralDiscreteScheduler", "a fox", 8, 4.0, 5, 2, None, None, None),
    ("cuda", "EulerAncestralDiscreteScheduler", "an owl", 8, 4.0, 2**32 + 9, 2, None, None, None),
    ("cuda", "DDIMScheduler", "a fox", 12, 4.0, 42, 2, 0.6, None, None),
    ("numpy", "DDPMScheduler", "an owl", 10, 4.0, 7, 1, 0.5, None, None),
    ("cuda-a1111", "EulerAncestralDiscreteScheduler", "a slice of pizza", 10, 4.0, 8, 2, 0.7, None, None),
    ("cpu-a1111", "EulerAncestralDiscreteScheduler", "a fox", 10, 4.0, 3, 2, 0.7, None, None),
    ("cpu-a1111", "EulerAncestralDiscreteScheduler", "a fox", 8, 4.0, 3, 1, None, None, None),
    ("torch", "EulerDiscreteScheduler", "a penguin", 8, 4.0, 11, 3, None, 100, 0.3),
    ("cuda", "EulerAncestralDiscreteScheduler", "a penguin", 8, 4.0, 11, 2, None, 2**33, 0.8),
    ("torch", "DDIMScheduler", "a fox", 12, 4.0, 42, 2, 0.6, 5, 0.5),
]  # fmt: skip


def numbers():
    calls = [[1], [3, 2, 5], [16, 1, 1, 20], [100]]
    result = {
        "numpy": [
            {"seed": seed, "calls": [[value.hex() for value in state.standard_normal(count)] for count in counts]}
            for seed in [0, 1, 42, 2**31, 2**32 - 1]
            for counts in calls
            for state in [np.random.RandomState(seed)]
        ],
        "philox_words": [{"counter": c, "key": k, "words": w} for c, k, w in PUBLISHED_WORDS],
        "cuda_published": PUBLISHED_NORMALS,
        "cuda": [], "slerp": [],
    }  # fmt: skip
    for counter, key, words in PUBLISHED_WORDS:
        assert philox(counter, key) == words
    assert np.abs(CUDA(0).randn((12,)) - np.array(PUBLISHED_NORMALS)).max() < 1e-6
    for seed in [0, 1, 2**32 + 5, 2**64 - 1]:
        generator = CUDA(seed)
        result["cuda"].append({"seed": str(seed), "calls": [[float(v) for v in generator.randn((count,))] for count in [5, 64, 1, 300]]})
    random = np.random.RandomState(3)
    for share in [0.0, 0.1, 0.5, 0.9, 1.0]:
        shape = (4, 6, 5)
        low = random.randn(*shape).astype(np.float32)
        for high in [random.randn(*shape).astype(np.float32), low * np.float32(1.001)]:
            result["slerp"].append({
                "share": share, "shape": shape, "low": low.ravel().tolist(), "high": high.ravel().tolist(),
                "value": slerp(share, low, high).ravel().tolist()})  # fmt: skip
    return result


def pictures(folder):
    folder.mkdir(parents=True, exist_ok=True)
    model = str(ROOT / "Models" / "emoji")
    from_text = ORTStableDiffusionPipeline.from_pretrained(model)
    from_picture = ORTStableDiffusionImg2ImgPipeline.from_pretrained(model)
    for pipeline in (from_text, from_picture):
        pipeline.set_progress_bar_config(disable=True)
    for scheduler in {run[1] for run in RUNS}:
        getattr(diffusers, scheduler)
    for module in list(sys.modules.values()):
        if hasattr(module, "randn_tensor") and module is not sys.modules[__name__]:
            module.randn_tensor = randn_tensor
    apple = Image.open(FIXTURES / "pictures" / "DDIMScheduler-apple.png").convert("RGB").crop((0, 0, 64, 64))
    entries, strips, column = [], [], 0
    for rng, scheduler, prompt, steps, scale, seed, batch, strength, other, share in RUNS:
        pipeline = from_text if strength is None else from_picture
        pipeline.scheduler = getattr(diffusers, scheduler).from_config(ORIGINAL)
        start = {} if strength is None else {"image": apple, "strength": strength}
        sources = [
            Source(
                rng, (seed + (0 if other is not None else index)) % 2**64,
                None if other is None else (other + index, share), strength is not None)
            for index in range(batch)
        ]  # fmt: skip
        images = pipeline(
            prompt, num_inference_steps=steps, guidance_scale=scale, num_images_per_prompt=batch, generator=sources,
            output_type="np", **start).images  # fmt: skip
        strips += list((images * 255).round().astype(np.uint8))
        entries.append({
            "rng": rng, "scheduler": scheduler, "prompt": prompt, "steps": steps, "strength": strength, "guidance_scale": scale,
            "seed": seed, "batch": batch, "variation_seed": other, "variation_strength": share, "column": column})  # fmt: skip
        column += batch
        print(rng, scheduler, flush=True)
    Image.fromarray(np.concatenate(strips, axis=1)).save(folder / "pictures.png", optimize=True)
    write_json(folder / "index.json", entries)


if __name__ == "__main__":
    write_json(ROOT / "Tests" / "References" / "noise-sources.json", numbers())
    pictures(FIXTURES / "noise-sources")
