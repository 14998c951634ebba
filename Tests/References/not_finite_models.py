"""Graphs with the embedded model's inputs and outputs whose answers aren't finite numbers, each for a stated reason; and unet-fixed, which was
exported for one size.

    not_finite_models.py [--output FOLDER]      default: Tests/SDPipelineTests/Fixtures/not-finite

Each file's producer_version names the node at which finite inputs first give NaN or an infinity.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from common import ROOT

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def save(folder, name, nodes, inputs, outputs, constants, origin):
    constants = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.producer_name, model.producer_version = "not_finite_models", origin
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / f"{name}.onnx")


def value(name, kind, *shape):
    return helper.make_tensor_value_info(name, kind, list(shape))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--output", type=Path, default=ROOT / "Tests" / "SDPipelineTests" / "Fixtures" / "not-finite")
    folder = arguments.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    latent = value("latent_sample", FLOAT, "batch", 4, "height", "width")
    picture = value("sample", FLOAT, "batch", 3, "height_out", "width_out")
    # Latents to pixels of the right size: the mean of a pixel's latents, four times as large, in three channels.
    size = {"scales": np.array([1, 1, 4, 4], np.float32), "axes": np.array([1], np.int64), "three": np.array([1, 3, 1, 1], np.int64)}

    def picture_of(last, name):
        return [
            helper.make_node("ReduceMean", [last], ["mean"], "/mean", axes=[1]),
            helper.make_node("Resize", ["mean", "", "scales"], ["large"], "/up", mode="nearest"),
            helper.make_node("Tile", ["large", "three"], [name], "/colors"),
        ]

    # The logarithm of a negative number.
    constants = {k: v for k, v in size.items() if k != "axes"}
    nodes = [
        helper.make_node("Neg", ["latent_sample"], ["negative"], "/decoder/negative"),
        helper.make_node("Log", ["negative"], ["logarithm"], "/decoder/mid/Log"),
        helper.make_node("Mul", ["logarithm", "two"], ["scaled"], "/decoder/scale"),
    ]
    save(folder, "vae_decoder-nan", nodes + picture_of("scaled", "sample"), [latent], [picture],
         constants | {"two": np.float32(2)}, "/decoder/mid/Log")  # fmt: skip
    # An overflow, of which the difference makes NaN, beside a mask with infinities that are meant.
    nodes = [
        helper.make_node("Where", ["never", "lowest", "latent_sample"], ["masked"], "/decoder/mask"),
        helper.make_node("Abs", ["masked"], ["magnitude"], "/decoder/abs"),
        helper.make_node("Mul", ["magnitude", "large_number"], ["large_values"], "/decoder/large"),
        helper.make_node("Exp", ["large_values"], ["overflow"], "/decoder/up/Exp"),
        helper.make_node("Sub", ["overflow", "overflow"], ["difference"], "/decoder/up/Sub"),
    ]
    save(folder, "vae_decoder-overflow", nodes + picture_of("difference", "sample"), [latent], [picture],
         constants | {"never": np.array([False]), "lowest": np.float32(-np.inf), "large_number": np.float32(1e9)},
         "/decoder/up/Exp")  # fmt: skip
    # One infinite pixel among finite ones.
    nodes = [
        helper.make_node("Abs", ["latent_sample"], ["magnitude"], "/decoder/abs"),
        helper.make_node("ReduceMin", ["magnitude"], ["least"], "/decoder/least", keepdims=1),
        helper.make_node("Sub", ["magnitude", "least"], ["zero"], "/decoder/zero"),
        helper.make_node("Div", ["one", "zero"], ["quotient"], "/decoder/Div"),
    ]
    save(folder, "vae_decoder-one", nodes + picture_of("quotient", "sample"), [latent], [picture],
         constants | {"one": np.float32(1)}, "/decoder/Div")  # fmt: skip
    # A weight that is NaN in the file.
    nodes = [helper.make_node("Mul", ["latent_sample", "weight"], ["product"], "/decoder/product")]
    save(folder, "vae_decoder-weight", nodes + picture_of("product", "sample"), [latent], [picture],
         constants | {"weight": np.full((1, 4, 1, 1), np.nan, np.float32)}, "weight")  # fmt: skip
    # The U-Net at large timesteps.
    sample = value("sample", FLOAT, "batch", 4, "height", "width")
    inputs = [sample, value("timestep", INT64, "steps"), value("encoder_hidden_states", FLOAT, "batch", "sequence", 160)]
    nodes = [
        helper.make_node("Cast", ["timestep"], ["time"], "/time/Cast", to=FLOAT),
        helper.make_node("Exp", ["time"], ["exponential"], "/time/Exp"),
        helper.make_node("Reshape", ["exponential", "column"], ["column_of_times"], "/time/Reshape"),
        helper.make_node("ReduceMean", ["encoder_hidden_states"], ["mean_state"], "/states/mean", axes=[1, 2], keepdims=1),
        helper.make_node("Reshape", ["mean_state", "column"], ["column_of_states"], "/states/Reshape"),
        helper.make_node("Mul", ["sample", "column_of_times"], ["timed"], "/mid/Mul"),
        helper.make_node("Add", ["timed", "column_of_states"], ["out_sample"], "/out/Add"),
    ]
    save(folder, "unet-overflow", nodes, inputs, [value("out_sample", FLOAT, "batch", 4, "height", "width")],
         {"column": np.array([-1, 1, 1, 1], np.int64)}, "/time/Exp")  # fmt: skip
    # A U-Net that was exported for pictures of 96 by 80 pixels, whose answers are finite.
    inputs[0], output = (value(name, FLOAT, "batch", 4, 20, 24) for name in ("sample", "out_sample"))
    save(folder, "unet-fixed", [helper.make_node("Identity", ["sample"], ["out_sample"], "/out/Identity")], inputs, [output], {}, "")
    # The text encoder divides by zero.
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["ids"], "/embeddings/Cast", to=FLOAT),
        helper.make_node("Sub", ["ids", "ids"], ["zeros"], "/embeddings/Sub"),
        helper.make_node("Div", ["zeros", "zeros"], ["quotient"], "/layers.0/norm/Div"),
        helper.make_node("Unsqueeze", ["quotient", "last"], ["column"], "/layers.0/Unsqueeze"),
        helper.make_node("Tile", ["column", "width"], ["last_hidden_state"], "/layers.0/Tile"),
    ]
    save(folder, "text_encoder-nan", nodes, [value("input_ids", INT64, "batch", "sequence")],
         [value("last_hidden_state", FLOAT, "batch", "sequence", 160)],
         {"last": np.array([2], np.int64), "width": np.array([1, 1, 160], np.int64)}, "/layers.0/norm/Div")  # fmt: skip
    # The VAE encoder takes the square root of negative pixels.
    nodes = [
        helper.make_node("AveragePool", ["sample"], ["small"], "/encoder/pool", kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Sub", ["small", "two"], ["below"], "/encoder/Sub"),
        helper.make_node("Sqrt", ["below"], ["root"], "/encoder/down/Sqrt"),
        helper.make_node("ReduceMean", ["root"], ["mean"], "/encoder/mean", axes=[1]),
        helper.make_node("Tile", ["mean", "eight"], ["latent_parameters"], "/encoder/Tile"),
    ]
    save(folder, "vae_encoder-nan", nodes, [value("sample", FLOAT, "batch", 3, "height", "width")],
         [value("latent_parameters", FLOAT, "batch", 8, "height_latent", "width_latent")],
         {"two": np.float32(2), "eight": np.array([1, 8, 1, 1], np.int64)}, "/encoder/down/Sqrt")  # fmt: skip


if __name__ == "__main__":
    main()
