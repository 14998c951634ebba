"""Makes pictures with DeepCache, and with guidance in a part of the steps, that the pipeline's tests compare with.

    step_caching.py [--only MODEL] [--force]

Writes <cache>/step-caching: for each model of controls.py, which must have run, MODEL/expected (latents and pictures) and MODEL/cases.json. The keys
of a case are those of controls.py, whose exported models and inputs it names, and

    caching             "deep:INTERVAL:BRANCH", the branch counted along the skip connections from the output; null for none
    guidance_interval   [start, end], the shares of the run between which guidance counts; null for all of it

The judge is diffusers' pipeline with the package DeepCache over the torch modules that were exported, in float32. That package counts branches as if
every block on the way up had three layers, as those of Stable Diffusion have. Guidance that doesn't count is a guidance scale of 1.
"""

import argparse
import json
import logging
import shutil
import time
import warnings

import torch
from DeepCache import DeepCacheSDHelper

import controls
import families
from common import CACHE, write_json
from controls import control

RECIPE = 1
ROOT = CACHE / "step-caching"


def caching_cases(kind, sizes, branches):
    """The forms, each at another branch."""
    square, wide, tall = sizes
    forms = [
        ("ddim", "text", "ddim", square, 3, [], {}),
        ("euler-batch", "text", "euler", wide, 2, [], dict(batch=3, guidance_scale=5.0, negative_prompt="a green background", seed=5)),
        ("karras", "text", "dpm++2m-karras", tall, 4, [], dict(seed=6, steps=11)),
        ("euler-a", "text", "euler-a", square, 2, [], dict(batch=2, seed=12, generators="shared")),
        ("unguided", "text", "ddim", tall, 3, [], dict(guidance_scale=1.0, seed=7)),
        ("one", "picture", "ddim", square, 3, [], dict(strength=0.7, seed=21)),
        ("one", "inpaint", "euler", wide, 2, [], dict(strength=0.8, seed=31)),
        ("control", "text", "euler", square, 3, [control(0, "lines", 0.8)], dict(seed=41)),
        ("freeu", "text", "euler", square, 3, [], dict(seed=42, freeu=controls.FREEU)),
    ]
    made = []
    for number, (name, task, scheduler, size, interval, networks, arguments) in enumerate(forms):
        one = controls.case(name, task, scheduler, kind, size, networks, **arguments)
        # diffusers' FreeU scales hidden states where they are, those that DeepCache keeps in its blocks among them, and so anew in every step:
        # the cut lies behind them.
        branch = 1 if "freeu" in arguments else branches[number % len(branches)]
        made.append(one | {"caching": (interval, branch), "guidance_interval": None})
    # Every branch of one form.
    for branch in branches:
        one = controls.case(f"branch-{branch}", "text", "ddim", kind, square, [], seed=50 + branch)
        made.append(one | {"caching": (3, branch), "guidance_interval": None})
    intervals = [("ddim", "text", (0.2, 0.7), {}), ("euler", "text", (0.0, 0.45), dict(batch=2)), ("ddim", "picture", (0.3, 1.0), dict(strength=0.7))]
    for number, (scheduler, task, interval, arguments) in enumerate(intervals):
        one = controls.case(f"interval-{number}", task, scheduler, kind, square, [], seed=60 + number, **arguments)
        made.append(one | {"caching": None, "guidance_interval": interval})
    return made


def guide_within(pipeline, start, end):
    """Has the guidance scale count in a part of the run alone."""
    steps = [-1]
    forward = pipeline.unet.forward

    def counted(*given, **named):
        steps[0] += 1
        return forward(*given, **named)

    pipeline.unet.forward = counted
    kind = type(pipeline)
    is_inside = lambda self: start <= steps[0] / self._num_timesteps < end
    pipeline.__class__ = type(kind.__name__, (kind,), {
        "guidance_scale": property(lambda self: self._guidance_scale if is_inside(self) else 1.0),
        "do_classifier_free_guidance": property(lambda self: True),
    })  # fmt: skip
    return forward


def make(name, parts, factor, asked):
    folder = ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    networks = [controls.control_net(parts["unet"], 300 + index, factor) for index in range(2)]
    layers = parts["unet"].config.layers_per_block + 1
    entries = []
    for one in asked:
        pipeline = controls.assemble(parts, networks, one)
        if one["caching"]:
            interval, branch = one["caching"]
            helper = DeepCacheSDHelper(pipe=pipeline)
            helper.set_params(cache_interval=interval, cache_branch_id=3 * (branch // layers) + branch % layers)
            helper.enable()
            answer, latents = controls.call(pipeline, one)
            helper.disable()
        else:
            forward = guide_within(pipeline, *one["guidance_interval"])
            answer, latents = controls.call(pipeline, one)
            pipeline.unet.forward = forward
        if one["freeu"]:
            pipeline.disable_freeu()
        entry = controls.record(ROOT, name, one, answer, latents)
        entry["caching"] = f"deep:{interval}:{branch}" if one["caching"] else None
        entries.append(entry)
    write_json(folder / "cases.json", {"recipe": recipe(), "cases": entries})


def recipe():
    return [RECIPE, *controls.recipe()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="MODEL")
    parser.add_argument("--force", action="store_true", help="make every folder again")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(2)
    kinds = {"sdxl": ("xl", families.LARGE)}
    with torch.no_grad():
        for name, (parts, factor, _) in controls.models(families.Modules()).items():
            file = ROOT / name / "cases.json"
            is_made = file.exists() and json.loads(file.read_text())["recipe"] == recipe()
            if name.endswith("-inside") or name == "sd1-inpaint" or options.only not in (None, name) or is_made and not options.force:
                continue
            start = time.time()
            kind, sizes = kinds.get(name, ("sd", families.SMALL))
            count = (parts["unet"].config.layers_per_block + 1) * len(parts["unet"].config.up_block_types)
            made = caching_cases(kind, sizes, range(count))
            make(name, parts, factor, made if name in ("sd1", "sdxl") else [one for one in made if "branch" in one["name"] or one["controls"]])
            print(f"{name}: {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
