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
///   - record: called with each row's number, mean and 1 / √(σ² + ε), from any thread.
/// - Throws: ``TensorError`` where the shapes or types don't fit.
package func normalizeLayers(
    _ x: Tensor, axis: Int, scale: Tensor, bias: Tensor?, epsilon: Double, isWrittenOut: Bool = false, into y: MutableTensor,
    threads: ThreadPool, record: @Sendable (Int, Double, Double) -> Void = { _, _, _ in }
) throws {
    let rows = x.shape.count(0..<axis)
    let count = x.shape.count(axis..<x.shape.rank)
    guard x.count > 0 else {
        // The mean of nothing is not a number.
        for row in 0..<(count == 0 ? rows : 0) { record(row, .nan, .nan) }
        return
    }
    let scale = try RowScale(scale, shape: x.shape, axis: axis, dtype: x.dtype)
    let bias = try bias.map { try RowScale($0, shape: x.shape, axis: axis, dtype: x.dtype) }
    guard x.dtype == .float64 else {
        return unsafe NormalizationKernels.layerRows(
            try x.pointer(to: Float.self), into: try y.pointer(to: Float.self), rows: rows, count: count,
            scale: try scale.kernelParameters(), bias: try bias?.kernelParameters(), epsilon: epsilon,
            isWrittenOut: isWrittenOut, threads: threads, record: record)
    }
    nonisolated(unsafe) let source = unsafe try x.buffer(of: Double.self)
    nonisolated(unsafe) let target = unsafe try y.buffer(of: Double.self)
    nonisolated(unsafe) let factors = unsafe try scale.elements(of: Double.self)
    nonisolated(unsafe) let offsets = unsafe try bias?.elements(of: Double.self)
    let (factorStride, offsetStride) = (scale.rowStride, bias?.rowStride ?? 0)
    threads.forEachRange(rows, grain: 1) { range in
        for row in range {
            let (mean, variance) = unsafe NormalizationArguments.moments(source[row * count..<(row + 1) * count])
            let factor = 1 / (variance + epsilon).squareRoot()
            for index in 0..<count {
                let value = unsafe (source[row * count + index] - mean) * factor * factors[row * factorStride + index]
                unsafe target[row * count + index] = unsafe value + (offsets?[row * offsetStride + index] ?? 0)
            }
            record(row, mean, factor)
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
    /// Whether it stands for the formula written out in float32, see ``normalizeLayers(_:axis:scale:bias:epsilon:isWrittenOut:into:threads:record:)``.
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
        nonisolated(unsafe) let mean = unsafe try context.optionalOutput(1)?.buffer(of: Float.self)
        nonisolated(unsafe) let deviation = unsafe try context.optionalOutput(2)?.buffer(of: Float.self)
        try normalizeLayers(
            x, axis: x.shape.axis(axis), scale: context.input(1), bias: context.optionalInput(2), epsilon: epsilon,
            isWrittenOut: isWrittenOut, into: context.output(0), threads: context.threads
        ) { row, rowMean, factor in
            unsafe mean?[row] = Float(rowMean)
            unsafe deviation?[row] = Float(factor)
        }
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
