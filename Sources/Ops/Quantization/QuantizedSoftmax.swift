import GraphRuntime

/// The softmax of bytes along an axis with none behind it, in bytes: what QuantizeLinear makes of a Softmax of a DequantizeLinear.
///
/// Inputs X, its scale and zero point, the result's scale and zero point; scales of one number.
struct QuantizedSoftmax: Operator {
    let axis: SoftmaxAxis

    var kernelName: String? { "bytes" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[4].dtype, shape: try inputs[0].shape)]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        try ByteQuantization.softmax(
            x, count: axis.extents(x.shape).count, scale: QuantizedScale(context, 1, 2).scale, QuantizedScale(context, 3, 4),
            into: context.output(0), threads: context.threads)
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost { .perElement(5, inputs: inputs, outputs: outputs) }
}
