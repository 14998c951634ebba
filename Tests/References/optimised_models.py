"""Makes <cache>/optimised-models: the tiny Stable Diffusion graphs as onnxruntime.transformers' optimiser rewrites them (model types
unet, vae and clip), each a folder in the form of ONNX's backend tests with ONNX Runtime's results on the plain graph.

What the optimiser makes of U-Nets and VAEs is for graphics cards (NhwcConv, GroupNorm, BiasSplitGelu and others), which ONNX Runtime
doesn't run on the CPU: so the plain graph is asked.
"""

import builtins
import json
import shutil
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions

from common import CACHE

RECIPE = 1
KINDS = {"unet": "unet", "vae_decoder": "vae", "vae_encoder": "vae", "text_encoder": "clip"}


class FirstElement(type):
    """int() of an array of one element, which numpy 2.4 refuses and the optimiser calls."""

    def __instancecheck__(cls, value):
        return isinstance(value, builtins.int)

    def __call__(cls, value):
        return builtins.int(np.asarray(value).reshape(-1)[0])


def optimised(path, kind, options=None):
    """A graph as the optimiser rewrites it, for a model type of its own."""
    for name, module in list(sys.modules.items()):
        if name.startswith("fusion_attention"):
            module.int = FirstElement("int", (), {})
    return optimizer.optimize_model(
        str(path), model_type=kind, num_heads=0, hidden_size=0, opt_level=0,
        optimization_options=options or FusionOptions(kind), use_gpu=False)


def main():
    folder, models = CACHE / "optimised-models", CACHE / "models"
    stamp = folder / "made-by.txt"
    made = f"{RECIPE} {onnx.__version__} {onnxruntime.__version__}\n"
    if stamp.exists() and stamp.read_text() == made:
        print(f"{folder} is there")
        return
    part = CACHE / "optimised-models.part"
    shutil.rmtree(part, ignore_errors=True)
    for entry in json.loads((models / "manifest.json").read_text()):
        kind = KINDS.get(entry["component"])
        if entry["exporter"] != "optimum" or not kind:
            continue
        place = part / f"{entry['family']}-{entry['component']}"
        data = place / "test_data_set_0"
        data.mkdir(parents=True, exist_ok=True)
        model = optimised(models / entry["path"], kind)
        model.save_model_to_file(str(place / "model.onnx"))
        case = entry["cases"][0]
        for side in ("input", "output"):
            values = {name: np.load(models / path) for name, path in case[side + "s"].items()}
            for index, info in enumerate(getattr(model.model.graph, side)):
                tensor = numpy_helper.from_array(values[info.name], info.name)
                (data / f"{side}_{index}.pb").write_bytes(tensor.SerializeToString())
        print(place.name, sorted({n.op_type for n in model.model.graph.node if n.domain == "com.microsoft"}), flush=True)
    (part / "made-by.txt").write_text(made)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


if __name__ == "__main__":
    main()
