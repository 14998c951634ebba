"""SHA-256 of byte patterns and of the embedded model, from Python's hashlib.

    hashes.py       writes Tests/References/hashes.json

Also makes Tests/SDPipelineTests/Fixtures/external/, a folder whose unet keeps its two weights in files of their own.

`patterns` gives, by length, the digest of the bytes 0, 1, 2, …, each modulo 251. `model` is the digest of the graphs' bytes, one after the other:
text_encoder, unet, vae_decoder, vae_encoder; the embedded model has no external data. `external` is that of the folder's graph and of its
two files, in the order of their names.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
LENGTHS = list(range(0, 131)) + [1000, 4095, 4096, 4097, 100_003, (1 << 20) - 1, 1 << 20, (1 << 20) + 65, 3_000_001]


def external():
    """The SHA-256 of a model with external data, which it writes."""
    folder = ROOT / "Tests" / "SDPipelineTests" / "Fixtures" / "external"
    (folder / "unet").mkdir(parents=True, exist_ok=True)
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}\n')
    weights = {"w": ("b.bin", np.arange(4)), "v": ("a.bin", np.arange(4) / 3)}
    constants = []
    for name, (file, values) in weights.items():
        tensor = numpy_helper.from_array(values.astype(np.float32), name)
        (folder / "unet" / file).write_bytes(tensor.raw_data)
        onnx.external_data_helper.set_external_data(tensor, file, 0, len(tensor.raw_data))
        tensor.ClearField("raw_data")
        constants.append(tensor)
    nodes = [helper.make_node("Mul", ["x", "w"], ["z"]), helper.make_node("Add", ["z", "v"], ["y"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    model = helper.make_model(helper.make_graph(nodes, "external", ends[:1], ends[1:], constants), ir_version=8)
    (folder / "unet" / "model.onnx").write_bytes(model.SerializeToString())
    files = [folder / "unet" / name for name in ("model.onnx", "a.bin", "b.bin")]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def main():
    patterns = {length: hashlib.sha256(bytes(index % 251 for index in range(length))).hexdigest() for length in LENGTHS}
    model = hashlib.sha256()
    for component in ("text_encoder", "unet", "vae_decoder", "vae_encoder"):
        model.update((ROOT / "Models" / "emoji" / component / "model.onnx").read_bytes())
    result = {"patterns": patterns, "model": model.hexdigest(), "external": external()}
    (ROOT / "Tests" / "References" / "hashes.json").write_text(json.dumps(result, indent=0) + "\n")


if __name__ == "__main__":
    main()
