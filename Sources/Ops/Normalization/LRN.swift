import GraphRuntime

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// x / (bias + alpha / size · Σ x²)^beta, the sum over the `size` channels around each (Krizhevsky, Sutskever and Hinton,
/// "ImageNet Classification with Deep Convolutional Neural Networks", 2012, section 3.3, with alpha divided by size).
///
/// - Parameters:
///   - x: [N, C, …] of float32 or float64.
///   - y: of x's type and shape, in memory of its own.
package func normalizeLocalResponse<Element: TensorElement & BinaryFloatingPoint>(
    _ x: Tensor, size: Int, alpha: Double, beta: Double, bias: Double, into y: MutableTensor, threads: ThreadPool,
    _ type: Element.Type
) throws(TensorError) {
    let source = try x.view(of: type)
    guard x.shape.rank >= 2, y.count == x.count else {
        throw TensorError("expected the axes [N, C, …] and a result of the same shape, found \(x.shape) and \(y.shape)")
    }
    guard x.count > 0 else { return }
    let channels = x.shape[1]
    let inner = x.shape.count(2..<x.shape.rank)
    // ONNX: from floor((size - 1) / 2) channels before to ceil((size - 1) / 2) behind.
    let before = min((size - 1) / 2, channels)
    let behind = min(size / 2, channels)
    try y.forEachSlice(of: type, unit: inner, grain: max(4096 / inner, 1), threads: threads) { range, target in
        for (index, row) in range.enumerated() {
            let channel = row % channels
            let window = max(channel - before, 0)...min(channel + behind, channels - 1)
            let first = (row - channel) * inner
            for place in 0..<inner {
                var sum = 0.0
                for neighbour in window {
                    let value = Double(source[first + neighbour * inner + place])
                    sum += value * value
                }
                let divisor = pow(bias + alpha / Double(size) * sum, beta)
                target[index * inner + place] = Element(Double(source[row * inner + place]) / divisor)
            }
        }
    }
}

/// LRN (1, 13), local response normalisation.
struct LRN: Operator {
    /// Channels in a sum; 1 or more.
    let size: Int
    let alpha: Double
    let beta: Double
    let bias: Double

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        try NormalizationArguments.requireFloatingPoint(x, "X")
        if let shape = x.shape, shape.rank < 2 { throw TensorError("X should have the axes [N, C, …], found shape \(shape)") }
        return [Fact(dtype: x.dtype, shape: x.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let output = try context.output(0)
        func compute<Element: TensorElement & BinaryFloatingPoint>(_ type: Element.Type) throws {
            try normalizeLocalResponse(
                x, size: size, alpha: alpha, beta: beta, bias: bias, into: output, threads: context.threads, type)
        }
        try x.dtype == .float64 ? compute(Double.self) : compute(Float.self)
    }
}

extension LRN {
    static let definitions = [1, 13].map { version in
        OperatorDefinition("LRN", since: version) { decoder in
            try decoder.requireInputs(1...1)
            let size = try decoder.requiredInt("size")
            guard size > 0 else { throw TensorError("attribute size should be 1 or more, found \(size)") }
            return LRN(
                size: size, alpha: Double(try decoder.float("alpha", default: 1e-4)),
                beta: Double(try decoder.float("beta", default: 0.75)), bias: Double(try decoder.float("bias", default: 1)))
        }
    }
}
