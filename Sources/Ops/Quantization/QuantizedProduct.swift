import GraphRuntime

/// The product of a tensor of bytes and another of its shape, or of one number for each of its channels, in bytes: what QuantizeLinear
/// makes of a Mul of two DequantizeLinear.
///
/// Inputs A, its scale and zero point, B, its scale and zero point, the result's scale and zero point; scales of one number.
struct QuantizedProduct: Operator {
    /// Whether the elements of A and the result lie channels last.
    var isLast = false

    var kernelName: String? { isLast ? "bytes, channels last" : "bytes" }

    /// Whether there is a factor for each of a picture's channels: [N, C, 1…] beside [N, C, spatial…].
    static func isForChannels(_ factor: Shape, of picture: Shape) -> Bool {
        picture.rank >= 3 && factor.rank == picture.rank && factor[0] == picture[0] && factor[1] == picture[1]
            && factor.count(2..<factor.rank) == 1
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[7].dtype, shape: try inputs[0].shape)]
    }

    func run(_ context: inout RunContext) throws {
        let output = try context.output(0)
        let (a, b) = (try context.input(0), try context.input(3))
        let scales = try QuantizedScale(context, 6, 7)
        let factors = try MutableTensor(dtype: .float32, shape: b.shape)
        let ofFactors = try QuantizedScale(context, 4, 5)
        try ByteQuantization.dequantize(
            b, ByteQuantization.Runs(b.shape, ofFactors), into: factors, threads: context.threads)
        let isForChannels = b.shape != a.shape
        guard !isForChannels || Self.isForChannels(b.shape, of: a.shape) else {
            throw TensorError("shapes \(a.shape) and \(b.shape) differ")
        }
        let pixels = isForChannels ? a.shape.count(2..<a.shape.rank) : 1
        try ByteQuantization.multiply(
            (a, QuantizedScale(context, 1, 2)), try factors.finish(), repeated: pixels, isLast: isLast, scale: scales.scale,
            ByteRange(output.dtype, zero: scales.zero), into: output, threads: context.threads)
    }
}
