import GraphRuntime

/// Divides each row by the root of its mean square and applies a scale per element (Zhang and Sennrich, "Root Mean Square Layer
/// Normalization", 2019, equation 4): y = x / √(mean of x² + ε)·γ.
///
/// - Parameter record: called with each row's number and 1 / √(mean of x² + ε), from any thread.
///
/// Further parameters and errors as for ``normalizeLayers(_:axis:scale:bias:epsilon:into:threads:record:)``.
package func normalizeRootMeanSquare(
    _ x: Tensor, axis: Int, scale: Tensor, epsilon: Double, into y: MutableTensor, threads: ThreadPool,
    record: @Sendable (Int, Double) -> Void = { _, _ in }
) throws {
    let rows = x.shape.count(0..<axis)
    let count = x.shape.count(axis..<x.shape.rank)
    guard x.count > 0 else {
        for row in 0..<(count == 0 ? rows : 0) { record(row, .nan) }
        return
    }
    let scale = try RowScale(scale, shape: x.shape, axis: axis, dtype: x.dtype)
    guard x.dtype == .float64 else {
        return unsafe NormalizationKernels.rootMeanSquareRows(
            try x.pointer(to: Float.self), into: try y.pointer(to: Float.self), rows: rows, count: count,
            scale: try scale.kernelParameters(), epsilon: epsilon, threads: threads, record: record)
    }
    nonisolated(unsafe) let source = unsafe try x.buffer(of: Double.self)
    nonisolated(unsafe) let target = unsafe try y.buffer(of: Double.self)
    nonisolated(unsafe) let factors = unsafe try scale.elements(of: Double.self)
    let factorStride = scale.rowStride
    threads.forEachRange(rows, grain: 1) { range in
        for row in range {
            let squares = unsafe source[row * count..<(row + 1) * count].reduce(0) { $0 + $1 * $1 }
            let factor = 1 / (squares / Double(count) + epsilon).squareRoot()
            record(row, factor)
            for index in 0..<count {
                unsafe target[row * count + index] =
                    unsafe source[row * count + index] * factor * factors[row * factorStride + index]
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
        nonisolated(unsafe) let deviation = unsafe try context.optionalOutput(1)?.buffer(of: Float.self)
        try normalizeRootMeanSquare(
            x, axis: x.shape.axis(axis), scale: context.input(1), epsilon: epsilon, into: context.output(0),
            threads: context.threads
        ) { row, factor in unsafe deviation?[row] = Float(factor) }
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
