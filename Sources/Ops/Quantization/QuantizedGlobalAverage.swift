import GraphRuntime

/// The means of pictures of bytes [N, C, spatial…], in bytes [N, C, 1…]: what QuantizeLinear makes of a GlobalAveragePool of a
/// DequantizeLinear. Sums are exact.
///
/// Inputs X, its scale and zero point, the result's scale and zero point; scales of one number.
struct QuantizedGlobalAverage: Operator {
    /// Whether X's elements lie channels last.
    var isLast = false

    /// Sums of more bytes might leave 32 bits.
    static let mostPixels = 1 << 23

    var kernelName: String? { isLast ? "bytes, channels last" : "bytes" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let shape = try inputs[0].shape else { return [Fact(dtype: try inputs[4].dtype)] }
        return [
            Fact(
                dtype: try inputs[4].dtype,
                shape: try Shape(shape.dimensions[..<2] + Array(repeating: 1, count: shape.rank - 2)))
        ]
    }

    func run(_ context: inout RunContext) throws {
        let output = try context.output(0)
        let (x, own, scales) = (
            try context.input(0), try QuantizedScale(context, 1, 2), try QuantizedScale(context, 3, 4)
        )
        let pixels = x.shape.count(2..<x.shape.rank)
        guard pixels > 0, pixels <= Self.mostPixels else { throw TensorError("expected pixels, found \(x.shape)") }
        let sums = try ByteQuantization.sums(x, pixels: pixels, channels: x.shape[1], isLast: isLast, threads: context.threads)
        let count = Int32(pixels)
        let means = sums.map { Float($0 &- own.zero &* count) * own.scale / Float(pixels) }
        let values = try Tensor(means, shape: output.shape)
        try ByteQuantization.quantize(
            values, ByteQuantization.Runs(output.shape, scales), into: output, threads: context.threads)
    }
}
