import GraphRuntime

/// Brings each row to mean 0 and variance 1 and applies a scale and bias per element (Ba, Kiros and Hinton, "Layer
/// Normalization", 2016, equation 4): y = (x - μ) / √(σ² + ε)·γ + β.
///
/// - Parameters:
///   - x: of float32 or float64; a row is what lies along the axes from `axis` on.
///   - scale: γ, broadcasts to x's shape, of x's type.
///   - bias: β, likewise; nil for 0.
///   - isWrittenOut: whether rows of numbers whose squares float32 doesn't hold come out as the formula does, computed node by node in
///     float32. Only of float32, with a scale and a bias that all rows share.
///   - y: of x's type and shape; may share x's memory.
///   - statistics: where each row's mean and 1 / √(σ² + ε) go, float32; nil where nobody asks for them.
/// - Throws: ``TensorError`` where the shapes or types don't fit.
package func normalizeLayers(
    _ x: Tensor, axis: Int, scale: Tensor, bias: Tensor?, epsilon: Double, isWrittenOut: Bool = false, into y: MutableTensor,
    threads: ThreadPool, statistics: RowStatistics = RowStatistics()
) throws {
    let rows = x.shape.count(0..<axis)
    let count = x.shape.count(axis..<x.shape.rank)
    // The mean of nothing is not a number.
    guard x.count > 0 else { return count == 0 ? try statistics.writeNaN() : () }
    let scale = try RowScale(scale, shape: x.shape, axis: axis, dtype: x.dtype)
    let bias = try bias.map { try RowScale($0, shape: x.shape, axis: axis, dtype: x.dtype) }
    let recorded =
        statistics.isWanted ? try MutableTensor(dtype: .float64, shape: Shape([rows, 2])) : nil
    if x.dtype == .float64 {
        try normalizeDoubles(x, count: count, scale: scale, bias: bias, epsilon: epsilon, into: y, recorded, threads: threads)
    } else {
        try NormalizationKernels.layerRows(
            x, into: y, rows: rows, count: count, scale: scale, bias: bias, epsilon: epsilon, isWrittenOut: isWrittenOut,
            threads: threads, statistics: recorded)
    }
    if let recorded { try statistics.write(recorded.finish().array(of: Double.self)) }
}

/// Where the mean and 1 / √(σ² + ε) of each row go.
package struct RowStatistics {
    var mean: MutableTensor?
    var deviation: MutableTensor?

    var isWanted: Bool { mean != nil || deviation != nil }

    func writeNaN() throws {
        for output in [mean, deviation] { try output?.fill(with: Float.nan) }
    }

    /// - Parameter pairs: the mean and the other of each row, one after the other.
    func write(_ pairs: [Double]) throws {
        for (output, offset) in [(mean, 0), (deviation, 1)] {
            try output?.withMutableSpan(of: Float.self) { values in
                for row in 0..<values.count { values[row] = Float(pairs[2 * row + offset]) }
            }
        }
    }
}

private func normalizeDoubles(
    _ x: Tensor, count: Int, scale: RowScale, bias: RowScale?, epsilon: Double, into y: MutableTensor,
    _ statistics: MutableTensor?, threads: ThreadPool
) throws(TensorError) {
    let source = try x.view(of: Double.self)
    let factors = try scale.tensor.view(of: Double.self)
    let offsets = try bias?.tensor.view(of: Double.self)
    let (factorStride, offsetStride) = (scale.rowStride, bias?.rowStride ?? 0)
    @Sendable func moments(_ row: Int) -> (mean: Double, factor: Double) {
        let (mean, variance) = NormalizationArguments.moments(source[row * count..<(row + 1) * count])
        return (mean, 1 / (variance + epsilon).squareRoot())
    }
    // First: y may lie over x.
    try statistics?.forEachSlice(of: Double.self, unit: 2, grain: 1, threads: threads) { rows, pairs in
        for (index, row) in rows.enumerated() { (pairs[2 * index], pairs[2 * index + 1]) = moments(row) }
    }
    try y.forEachSlice(of: Double.self, unit: count, grain: 1, threads: threads) { rows, target in
        for (place, row) in rows.enumerated() {
            let (mean, factor) = moments(row)
            for index in 0..<count {
                let value = (source[row * count + index] - mean) * factor * factors[row * factorStride + index]
                target[place * count + index] = value + (offsets?[row * offsetStride + index] ?? 0)
            }
        }
    }
}

/// LayerNormalization (17). Inputs: X, Scale, B (optional); outputs: Y, and optionally Mean and InvStdDev, float32 tensors with
/// X's shape but 1 for the axes of a row.
struct LayerNormalization: Operator {
    /// The first of the axes that make up a row; may count from the end.
    let axis: Int
    /// Added to the variance; 0 or more.
    let epsilon: Double
    /// Whether it stands for the formula written out in float32, see ``normalizeLayers(_:axis:scale:bias:epsilon:isWrittenOut:into:threads:statistics:)``.
    var isWrittenOut = false

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        let scale = try inputs[1]
        try NormalizationArguments.requireFloatingPoint(x, "X")
        var statistics = Fact(dtype: .float32)
        if let shape = x.shape {
            let axis = try shape.axis(axis)
            try RowScale.check(scale, shape, "Scale")
            if let bias = inputs.optional(2) { try RowScale.check(bias, shape, "B") }
            statistics.shape = try Shape(shape.dimensions.enumerated().map { $0.offset < axis ? $0.element : 1 })
        }
        let facts = [Fact(dtype: x.dtype, shape: x.shape), statistics, statistics]
        return Array(facts.prefix(max(inputs.outputCount, 1)))
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        try normalizeLayers(
            x, axis: x.shape.axis(axis), scale: context.input(1), bias: context.optionalInput(2), epsilon: epsilon,
            isWrittenOut: isWrittenOut, into: context.output(0), threads: context.threads,
            statistics: RowStatistics(mean: context.optionalOutput(1), deviation: context.optionalOutput(2)))
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        Cost(
            flops: 8 * Double(outputs.first??.shape?.count ?? 0), bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
    }
}

extension LayerNormalization {
    /// 17, and below it what ONNX Runtime saves into models of any opset, which means the same.
    static let definitions = [1, 17].map { version in
        OperatorDefinition("LayerNormalization", since: version) { decoder in
            try decoder.requireInputs(2...3)
            try NormalizationArguments.requireStashType(&decoder)
            return LayerNormalization(
                axis: try decoder.int("axis", default: -1),
                epsilon: try NormalizationArguments.requireEpsilon(decoder.float("epsilon", default: 1e-5)))
        }
    }
}
