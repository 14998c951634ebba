import GraphRuntime

/// Divides each row by the root of its mean square and applies a scale per element (Zhang and Sennrich, "Root Mean Square Layer
/// Normalization", 2019, equation 4): y = x / √(mean of x² + ε)·γ.
///
/// Parameters and errors as for ``normalizeLayers(_:axis:scale:bias:epsilon:into:threads:record:)``.
package func normalizeRootMeanSquare(
    _ x: Tensor, axis: Int, scale: Tensor, epsilon: Double, into y: MutableTensor, threads: ThreadPool
) throws {
    guard x.count > 0 else { return }
    let rows = x.shape.count(0..<axis)
    let count = x.shape.count(axis..<x.shape.rank)
    let scale = try RowScale(scale, shape: x.shape, axis: axis, dtype: x.dtype)
    guard x.dtype == .float64 else {
        return unsafe NormalizationKernels.rootMeanSquareRows(
            try x.pointer(to: Float.self), into: try y.pointer(to: Float.self), rows: rows, count: count,
            scale: try scale.kernelParameters(), epsilon: epsilon, threads: threads)
    }
    nonisolated(unsafe) let source = unsafe try x.buffer(of: Double.self)
    nonisolated(unsafe) let target = unsafe try y.buffer(of: Double.self)
    nonisolated(unsafe) let factors = unsafe try scale.elements(of: Double.self)
    threads.forEachRange(rows, grain: 1) { range in
        for row in range {
            let squares = unsafe source[row * count..<(row + 1) * count].reduce(0) { $0 + $1 * $1 }
            let factor = 1 / (squares / Double(count) + epsilon).squareRoot()
            for index in 0..<count {
                unsafe target[row * count + index] =
                    unsafe source[row * count + index] * factor * factors[row * scale.rowStride + index]
            }
        }
    }
}

/// RMSNormalization (23). Inputs: X, scale; output: Y.
struct RMSNormalization: Operator {
    /// The first of the axes that make up a row; may count from the end.
    let axis: Int
    /// Added to the mean square; 0 or more.
    let epsilon: Double

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
        return [Fact(dtype: x.dtype, shape: x.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        try normalizeRootMeanSquare(
            x, axis: x.shape.axis(axis), scale: context.input(1), epsilon: epsilon, into: context.output(0),
            threads: context.threads)
    }
}

extension RMSNormalization {
    static let definitions = [
        OperatorDefinition("RMSNormalization", since: 23) { decoder in
            try decoder.requireInputs(2...2)
            try NormalizationArguments.requireStashType(&decoder)
            return RMSNormalization(
                axis: try decoder.int("axis", default: -1),
                epsilon: try NormalizationArguments.requireEpsilon(decoder.float("epsilon", default: 1e-5)))
        }
    ]
}
