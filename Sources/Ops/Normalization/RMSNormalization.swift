import GraphRuntime

/// Divides each row by the root of its mean square and applies a scale per element (Zhang and Sennrich, "Root Mean Square Layer
/// Normalization", 2019, equation 4): y = x / √(mean of x² + ε)·γ.
///
/// - Parameters:
///   - isWrittenOut: as there.
///   - deviation: where each row's 1 / √(mean of x² + ε) goes, float32; nil where nobody asks for it.
///
/// Further parameters and errors as for ``normalizeLayers(_:axis:scale:bias:epsilon:isWrittenOut:into:threads:statistics:)``.
package func normalizeRootMeanSquare(
    _ x: Tensor, axis: Int, scale: Tensor, epsilon: Double, isWrittenOut: Bool = false, into y: MutableTensor,
    threads: ThreadPool,
    deviation: MutableTensor? = nil
) throws {
    let rows = x.shape.count(0..<axis)
    let count = x.shape.count(axis..<x.shape.rank)
    let statistics = RowStatistics(deviation: deviation)
    guard x.count > 0 else { return count == 0 ? try statistics.writeNaN() : () }
    let scale = try RowScale(scale, shape: x.shape, axis: axis, dtype: x.dtype)
    guard x.dtype == .float64 else {
        let recorded = try deviation.map { _ in try MutableTensor(dtype: .float64, shape: Shape([rows, 2])) }
        try NormalizationKernels.rootMeanSquareRows(
            x, into: y, rows: rows, count: count, scale: scale, epsilon: epsilon, isWrittenOut: isWrittenOut, threads: threads,
            statistics: recorded)
        if let recorded { try statistics.write(recorded.finish().array(of: Double.self)) }
        return
    }
    let source = try x.view(of: Double.self)
    let (factors, factorStride) = (try scale.tensor.view(of: Double.self), scale.rowStride)
    @Sendable func factor(_ row: Int) -> Double {
        let squares = source[row * count..<(row + 1) * count].reduce(0) { $0 + $1 * $1 }
        return 1 / (squares / Double(count) + epsilon).squareRoot()
    }
    // First: y may lie over x.
    if deviation != nil { try statistics.write((0..<rows).flatMap { [0, factor($0)] }) }
    try y.forEachSlice(of: Double.self, unit: count, grain: 1, threads: threads) { range, target in
        for (place, row) in range.enumerated() {
            let factor = factor(row)
            for index in 0..<count {
                target[place * count + index] = source[row * count + index] * factor * factors[row * factorStride + index]
            }
        }
    }
}

/// RMSNormalization (23), and SimplifiedLayerNormalization, as which ONNX Runtime saves it into models of any opset. Inputs: X, scale;
/// outputs: Y, and of the latter optionally InvStdVar, a float32 tensor with X's shape but 1 for the axes of a row.
struct RMSNormalization: Operator {
    /// The first of the axes that make up a row; may count from the end.
    let axis: Int
    /// Added to the mean square; 0 or more.
    let epsilon: Double
    /// Whether it stands for the formula written out in float32, see ``normalizeLayers(_:axis:scale:bias:epsilon:isWrittenOut:into:threads:statistics:)``.
    var isWrittenOut = false

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        let scale = try inputs[1]
        try NormalizationArguments.requireFloatingPoint(x, "X")
        if let shape = x.shape {
            _ = try shape.axis(axis)
            try RowScale.check(scale, shape, "scale")
        }
        let deviation = try x.shape.map { shape in
            let axis = try shape.axis(axis)
            return try Shape(shape.dimensions.enumerated().map { $0.offset < axis ? $0.element : 1 })
        }
        let facts = [Fact(dtype: x.dtype, shape: x.shape), Fact(dtype: .float32, shape: deviation)]
        return Array(facts.prefix(max(inputs.outputCount, 1)))
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        try normalizeRootMeanSquare(
            x, axis: x.shape.axis(axis), scale: context.input(1), epsilon: epsilon, isWrittenOut: isWrittenOut,
            into: context.output(0),
            threads: context.threads, deviation: context.optionalOutput(1))
    }
}

extension RMSNormalization {
    static let definitions = [("RMSNormalization", 23, 1), ("SimplifiedLayerNormalization", 1, 2)].map {
        type, version, mostOutputs in
        OperatorDefinition(type, since: version) { decoder in
            try decoder.requireInputs(2...2)
            guard decoder.outputCount <= mostOutputs else {
                throw TensorError("expected \(mostOutputs) outputs at most, found \(decoder.outputCount)")
            }
            try NormalizationArguments.requireStashType(&decoder)
            return RMSNormalization(
                axis: try decoder.int("axis", default: -1),
                epsilon: try NormalizationArguments.requireEpsilon(decoder.float("epsilon", default: 1e-5)))
        }
    }
}
