"""Measures how far from float32's the embedded model's pictures are with OpenVINO's bfloat16, which decides how far ours may be: schedulers
that extrapolate from several evaluations enlarge rounding.

    bfloat16_pictures.py        Tests/References/bfloat16-pictures.json

An array of {"file", "column", "deviations"} beside index.json of pictures.py, whose pictures it compares with: for every picture of a batch the
root mean square difference of its values, of 255. Needs openvino==2026.4.1, and a processor that multiplies pairs of bfloat16: on others
OpenVINO rounds nothing.
"""

import json

import numpy as np
import openvino
from optimum.onnxruntime import ORTStableDiffusionPipeline
from PIL import Image

from common import ROOT, write_json
from pictures import OPTIONS, PROMPTS, pictures

FIXTURES = ROOT / "Tests" / "SDPipelineTests" / "Fixtures" / "pictures"


class Session:
    """ONNX Runtime's session as optimum's parts use it, run by OpenVINO."""

    def __init__(self, original, core):
        self.original = original
        self.compiled = core.compile_model(original._model_path, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})

    def __getattr__(self, name):
        return getattr(self.original, name)

    def run(self, names, inputs, options=None):
        outputs = self.compiled(inputs)
        return [outputs[name] for name in names or [output.name for output in self.original.get_outputs()]]


def scheduler_of(entry):
    """The name by which pictures.py calls a scheduler with these options."""
    names = [name for name, options in OPTIONS.items() if name.startswith(entry["scheduler"] + "-") and options == entry["scheduler_options"]]
    return names[0] if names else entry["scheduler"]


def main():
    core = openvino.Core()
    assert "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"), "this processor doesn't multiply pairs of bfloat16"
    pipeline = ORTStableDiffusionPipeline.from_pretrained(str(ROOT / "Models" / "emoji"))
    pipeline.set_progress_bar_config(disable=True)
    for part in (pipeline.text_encoder, pipeline.unet, pipeline.vae.decoder):
        part.session = Session(part.session, core)
    names = {prompt[0]: name for name, prompt in PROMPTS.items()}
    measured = []
    for entry in json.loads((FIXTURES / "index.json").read_text()):
        width, height, batch, column = (entry[key] for key in ("width", "height", "batch", "column"))
        strip = pictures(pipeline, scheduler_of(entry), names[entry["prompt"]], batch, width, height)
        expected = np.asarray(Image.open(FIXTURES / entry["file"]).convert("RGB"))[:, column * width : (column + batch) * width]
        squares = (strip.astype(np.float64) - expected) ** 2
        deviations = [round(float(np.sqrt(part.mean())), 3) for part in np.split(squares, batch, axis=1)]
        measured.append({"file": entry["file"], "column": column, "deviations": deviations})
        print(entry["scheduler"], names[entry["prompt"]], deviations, flush=True)
    write_json(ROOT / "Tests" / "References" / "bfloat16-pictures.json", measured)


if __name__ == "__main__":
    main()
