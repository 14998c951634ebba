"""One U-Net of the sd1 family stored in every way that exporters store weights: the same graph, the same outputs."""

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, external_data_helper, helper, numpy_helper

import export_models as exports
from common import file_name

SOURCE = exports.MODELS / "sd1-torchscript-plain" / "unet" / "model.onnx"


def external(location):
    """All tensors of a kilobyte and more in one file of that name."""

    def export(path):
        options = dict(save_as_external_data=True, all_tensors_to_one_file=True, location=location, size_threshold=1024)
        onnx.save(onnx.load(SOURCE), path, **options)

    return export


def external_file_a_tensor(path):
    """Every tensor in a file of its own, named after it."""
    model = onnx.load(SOURCE)
    for tensor in model.graph.initializer:
        external_data_helper.set_external_data(tensor, location=file_name(tensor.name))
    onnx.save(model, path)


def typed_fields(path):
    """Values in float_data and int64_data instead of raw_data."""
    model = onnx.load(SOURCE)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        tensor.CopyFrom(helper.make_tensor(tensor.name, tensor.data_type, values.shape, values.flatten().tolist()))
    onnx.save(model, path)


def as_constants(path):
    """Every weight as a Constant node."""
    model = onnx.load(SOURCE)
    nodes = [helper.make_node("Constant", [], [t.name], name=f"weight/{t.name}", value=t) for t in model.graph.initializer]
    del model.graph.initializer[:]
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    onnx.save(model, path)


def as_inputs(path):
    """Every initializer is a graph input too, as IR version 3 demanded."""
    model = onnx.load(SOURCE)
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    onnx.save(model, path)


def narrow(path, dtype, raw=True):
    """Weights in fp16 or bf16, widened by a Cast each; the graph computes in float32."""
    model = onnx.load(SOURCE)
    element = TensorProto.BFLOAT16 if dtype is ml_dtypes.bfloat16 else TensorProto.FLOAT16
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        name = tensor.name
        values = numpy_helper.to_array(tensor).astype(dtype)
        if raw:
            tensor.CopyFrom(helper.make_tensor(name + "_narrow", element, values.shape, values.tobytes(), raw=True))
        else:
            bits = values.view(np.uint16).flatten().tolist()
            tensor.CopyFrom(TensorProto(name=name + "_narrow", data_type=element, dims=values.shape, int32_data=bits))
        casts.append(helper.make_node("Cast", [name + "_narrow"], [name], name=f"widen/{name}", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)


def half(path):
    """The pipeline's half(): weights, inputs and arithmetic in fp16."""
    made = exports.component("sd1", "unet", "sdpa", timestep="int64[1]")
    module, inputs, outputs, axes = made
    module.model.half()
    inputs = {k: v.half() if v.is_floating_point() else v for k, v in inputs.items()}
    exports.export_torchscript(path, (module, inputs, outputs, axes), 17)


def half_inside(path):
    """fp16 inside, float32 inputs and outputs."""
    exports.export_torchscript(path, exports.component("sd1", "unet", "eager", timestep="int64[1]", half=True), 15)


def make(builder):
    variants = {
        "external-one-file": external("model.onnx_data"),
        "external-weights-pb": external("weights.pb"),
        "external-file-a-tensor": external_file_a_tensor,
        "typed-fields": typed_fields,
        "constants": as_constants,
        "initializers-as-inputs": as_inputs,
        "fp16-weights": lambda p: narrow(p, np.float16),
        "fp16-weights-int32-data": lambda p: narrow(p, np.float16, raw=False),
        "bf16-weights": lambda p: narrow(p, ml_dtypes.bfloat16),
    }
    for name, export in variants.items():
        builder.make("sd1", f"storage-{name}", "unet", export)
    # fp16 arithmetic rounds after every node, in an order that each runtime chooses
    builder.make("sd1", "storage-fp16", "unet", half, tolerance=1e-2)
    builder.make("sd1", "storage-fp16-inside", "unet", half_inside, tolerance=1e-2)

    made = lambda: exports.component("sd1", "vae_encoder", "sdpa", moments="sample")
    builder.make("sd1", "storage-random", "vae_encoder", lambda p: exports.export_torchscript(p, made(), 14), random=True)
