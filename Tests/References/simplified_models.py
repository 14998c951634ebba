"""Makes Tests/SDPipelineTests/Fixtures/simplified: U-Nets of a few channels, exported by torch.onnx and rewritten by onnxslim, onnxsim and ONNX
Runtime's extended optimisations, which fold, merge and rename nodes.

The first two are installed into an environment of their own, beside what requirements.txt names:

    python -m pip install onnxslim==0.1.98 onnxsim==0.8.1
    python simplified_models.py
"""

import warnings

import onnx
import onnxruntime
import onnxsim
import onnxslim
import torch
from diffusers import UNet2DConditionModel

import family_exports as exports
import tiny_models
from common import ROOT
from export_models import export_torchscript

SMALL = dict(block_out_channels=(4, 8), norm_num_groups=2, attention_head_dim=4, cross_attention_dim=8)
UNETS = {
    "sd1": {},
    "sdxl": dict(
        tiny_models.UNETS["sdxl"], attention_head_dim=[1, 2], cross_attention_dim=8, addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=6 * 4 + exports.TEXT["projection_dim"],
    ),
}  # fmt: skip


def main():
    warnings.filterwarnings("ignore")
    folder = ROOT / "Tests" / "SDPipelineTests" / "Fixtures" / "simplified"
    folder.mkdir(parents=True, exist_ok=True)
    for name, options in UNETS.items():
        torch.manual_seed(len(name))
        model = tiny_models.randomised(UNet2DConditionModel(**{**tiny_models.UNET, **SMALL, **options}))
        plain = folder / f"{name}-plain.onnx"
        with torch.no_grad():
            export_torchscript(plain, exports.unet(model, exports.OPTIMUM), 17)
        onnx.save(onnxslim.slim(onnx.load(plain)), folder / f"{name}-onnxslim.onnx")
        simplified, _ = onnxsim.simplify(onnx.load(plain))
        onnx.save(simplified, folder / f"{name}-onnxsim.onnx")
        settings = onnxruntime.SessionOptions()
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        settings.optimized_model_filepath = str(folder / f"{name}-onnxruntime.onnx")
        settings.log_severity_level = 3
        onnxruntime.InferenceSession(str(plain), settings, providers=["CPUExecutionProvider"])
        plain.unlink()
    for file in sorted(folder.glob("*.onnx")):
        print(f"{file.name}: {len(onnx.load(file).graph.node)} nodes, {file.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
