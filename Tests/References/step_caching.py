"""Makes pictures with DeepCache, and with guidance in a part of the steps, that the pipeline's tests compare with.

    step_caching.py [--only MODEL] [--force]

Writes <cache>/step-caching: for each model of controls.py, which must have run, MODEL/expected (latents and pictures) and MODEL/cases.json. The keys
of a case are those of controls.py, whose exported models and inputs it names, and

    caching             "deep:INTERVAL:BRANCH", the branch counted along the skip connections from the output, "forecast:THRESHOLD", or both with a
                        plus sign between them; null for none
    guidance_interval   [start, end], the shares of the run between which guidance counts; null for all of it

The judge is diffusers' pipeline with the package DeepCache over the torch modules that were exported, in float32. That package counts branches as if
every block on the way up had three layers, as those of Stable Diffusion have. Guidance that doesn't count is a guidance scale of 1.
"""

import argparse
import json
import logging
import math
import shutil
import time
import warnings

import torch
from DeepCache import DeepCacheSDHelper

import controls
import families
from common import CACHE, write_json
from controls import control

RECIPE = 2
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
        made.append(one | {"caching": caching(deep=(interval, branch)), "guidance_interval": None})
    # Every branch of one form.
    for branch in branches:
        one = controls.case(f"branch-{branch}", "text", "ddim", kind, square, [], seed=50 + branch)
        made.append(one | {"caching": caching(deep=(3, branch)), "guidance_interval": None})
    intervals = [("ddim", "text", (0.2, 0.7), {}), ("euler", "text", (0.0, 0.45), dict(batch=2)), ("ddim", "picture", (0.3, 1.0), dict(strength=0.7))]
    for number, (scheduler, task, interval, arguments) in enumerate(intervals):
        one = controls.case(f"interval-{number}", task, scheduler, kind, square, [], seed=60 + number, **arguments)
        made.append(one | {"caching": None, "guidance_interval": interval})
    forecasts = [
        ("ddim", "text", 0.3, None, {}), ("euler", "text", 0.5, (2, 2), dict(batch=2, negative_prompt="a green background")),
        ("dpm++2m-karras", "text", 0.4, (2, 1), {}), ("dpm++2m-karras", "text", 0.5, None, dict(guidance_scale=1.0)),
        ("euler", "picture", 0.7, (3, 1), dict(strength=0.8)),
    ]  # fmt: skip
    for number, (scheduler, task, threshold, deep, arguments) in enumerate(forecasts):
        one = controls.case(f"forecast-{number}", task, scheduler, kind, square, [], seed=70 + number, steps=16, **arguments)
        made.append(one | {"caching": caching(threshold, deep), "guidance_interval": None})
    return made


def caching(threshold=None, deep=None):
    return {"threshold": threshold, "deep": deep}


def caching_text(one):
    """As the option has it; None for no caching."""
    parts = [f"forecast:{one['threshold']}"] if one and one["threshold"] else []
    parts += ["deep:{}:{}".format(*one["deep"])] if one and one["deep"] else []
    return "+".join(parts) or None


class CachedPipeline:
    """A pipeline with DeepCache, with forecasts, or with both, for the time of a with statement."""

    class Helper(DeepCacheSDHelper):
        """Counts the evaluations that reach the U-Net, where the package's counts the timesteps."""

        def wrap_unet_forward(self):
            forward = self.function_dict["unet_forward"] = self.pipe.unet.forward
            computed = [-1]

            def counted(*given, **named):
                computed[0] += 1
                self.cur_timestep = computed[0]
                return forward(*given, **named)

            self.pipe.unet.forward = counted

    def __init__(self, pipeline, caching, guidance_scale, layers):
        self.pipeline, self.threshold, self.scale, self.helper = pipeline, caching["threshold"], guidance_scale, None
        if caching["deep"]:
            interval, branch = caching["deep"]
            self.helper = self.Helper(pipe=pipeline)
            self.helper.set_params(cache_interval=interval, cache_branch_id=3 * (branch // layers) + branch % layers)

    def __enter__(self):
        if self.helper:
            self.helper.enable()
        self.forward = self.pipeline.unet.forward
        self.samples, self.curvature, self.skipped, self.count = [], None, 0, 0
        if self.threshold:
            self.pipeline.unet.forward = self.forecasting

    def __exit__(self, *_):
        self.pipeline.unet.forward = self.forward
        if self.helper:
            self.helper.disable()
        assert not self.threshold or self.count, "nothing was forecast"

    def position(self, timestep):
        """λ of Lu et al. 2022: the logarithm of signal over noise."""
        # Schedules of noise levels begin their timesteps between whole numbers.
        scheduler = self.pipeline.scheduler
        if len(getattr(scheduler, "sigmas", [])) > 1:
            return -math.log(scheduler.sigmas[(scheduler.timesteps == timestep).nonzero()[0].item()].item())
        signal = scheduler.alphas_cumprod[int(timestep)].item()
        return 0.5 * math.log(signal / (1 - signal))

    def guided(self, answer):
        if self.scale <= 1:
            return answer
        without, given = answer.chunk(2)
        return without + self.scale * (given - without)

    def forecasting(self, sample, timestep, *given, **named):
        timestep = float(timestep)
        place = self.position(timestep)
        line = span = None
        if len(self.samples) == 2:
            (a, first), (b, second) = self.samples
            line, span = second + (place - b) / (b - a) * (second - first), abs((place - a) * (place - b))
        is_last = timestep == float(self.pipeline.scheduler.timesteps[-1])
        if not is_last and self.skipped < 4 and self.curvature is not None:
            ratio = self.curvature * span / self.threshold
            assert abs(ratio - 1) > 0.01, f"whether this is forecast depends on rounding: {ratio}"
            if ratio <= 1:
                self.skipped += 1
                self.count += 1
                return (torch.cat([line] * (sample.shape[0] // line.shape[0])),)
        answer = self.forward(sample, torch.tensor(timestep), *given, **named)
        whole = self.guided(answer[0])
        if line is not None:
            self.curvature = ((line - whole).norm() / whole.norm()).item() / span
        self.samples, self.skipped = [*self.samples[-1:], (place, whole)], 0
        return answer


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
            with CachedPipeline(pipeline, one["caching"], one["guidance_scale"], layers):
                answer, latents = controls.call(pipeline, one)
        else:
            forward = guide_within(pipeline, *one["guidance_interval"])
            answer, latents = controls.call(pipeline, one)
            pipeline.unet.forward = forward
        if one["freeu"]:
            pipeline.disable_freeu()
        entry = controls.record(ROOT, name, one, answer, latents)
        entry["caching"] = caching_text(one["caching"])
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
