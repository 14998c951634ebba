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
        guard let runs = ByteQuantization.Runs(b.shape, scales: [ofFactors.scale], zeros: [ofFactors.zero], axis: 0) else {
            throw TensorError("expected scales of one number")
        }
        try ByteQuantization.dequantize(b, runs, into: factors, threads: context.threads)
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
        let range = try ByteRange(output.dtype, zero: scales.zero)
        guard let runs = ByteQuantization.Runs(output.shape, scales: [scales.scale], zeros: [range.zero], axis: 0) else {
            throw TensorError("expected scales of one number")
        }
        let values = try Tensor(means, shape: output.shape)
        try ByteQuantization.quantize(values, runs, into: output, threads: context.threads)
    }
}

/// A scale of one number and its zero point.
struct QuantizedScale {
    let scale: Float
    let zero: Int32

    /// - Parameters:
    ///   - scale: the index of the input that has the scale.
    ///   - zero: that of the zero point, 0 where it isn't given.
    /// - Throws: ``TensorError`` where there are several numbers.
    init(_ context: RunContext, _ scale: Int, _ zero: Int) throws(TensorError) {
        let scales = try context.input(scale).array(of: Float.self)
        guard scales.count == 1 else { throw TensorError("expected a scale of one number, found \(scales.count)") }
        let zeros = try ByteMatMul.integers(context.optionalInput(zero))
        guard zeros.count == 1 else { throw TensorError("expected a zero point of one number, found \(zeros.count)") }
        (self.scale, self.zero) = (scales[0], zeros[0])
    }
}
