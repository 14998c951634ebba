import GraphRuntime

/// The sum of two tensors of bytes, in bytes, the second of which has the first one's shape or a number for each index of its last axis: what QuantizeLinear makes of an Add of two DequantizeLinear.
///
/// Inputs A, its scale and zero point, B, its scale and zero point, the result's scale and zero point; scales of one number.
struct QuantizedSum: Operator {
    /// Whether nothing below the result's zero point is written: the Relu before it was quantized.
    var isRectified = false

    /// Whether there is an addend for each index of a value's last axis.
    static func isForLastAxis(_ addend: Shape, of shape: Shape) -> Bool {
        addend.rank >= 1 && addend.rank <= shape.rank && addend.count == addend[addend.rank - 1]
            && addend[addend.rank - 1] == shape[shape.rank - 1]
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[7].dtype, shape: try inputs[0].shape)]
    }

    func run(_ context: inout RunContext) throws {
        let output = try context.output(0)
        let result = try QuantizedScale(context, 6, 7)
        var range = try ByteRange(output.dtype, zero: result.zero)
        if isRectified { range.least = max(range.least, range.zero) }
        try ByteQuantization.add(
            (context.input(0), QuantizedScale(context, 1, 2)), (context.input(3), QuantizedScale(context, 4, 5)),
            scale: result.scale, range, into: output, threads: context.threads)
    }
}

/// MaxPool of bytes, whose elements may lie channels last.
struct QuantizedMaxPool: Operator {
    let attributes: PoolAttributes
    /// How the elements of input and output lie.
    var placing = ChannelPlacing()

    var kernelName: String? { placing.inputIsLast ? "bytes, channels last" : "bytes" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let shape = try inputs[0].shape else { return [Fact(dtype: try inputs[0].dtype)] }
        return [Fact(dtype: try inputs[0].dtype, shape: try attributes.geometry(shape).output())]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        try BytePooling(geometry: attributes.geometry(x.shape), placing: placing)
            .largest(x, into: context.output(0), threads: context.threads)
    }
}
