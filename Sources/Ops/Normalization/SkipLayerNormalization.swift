import GraphRuntime

/// SkipLayerNormalization (com.microsoft, 1): layer normalisation of input + skip + bias along the last axis; and
/// SkipSimplifiedLayerNormalization, which divides the sum by the root of its mean square.
///
/// Inputs: input, skip (broadcasts to the input), gamma, and optionally beta (not of the simplified form) and bias; outputs: the
/// normalised sum, optionally mean and 1 / standard deviation of each row (for the simplified form, 1 / the root), and the sum itself.
struct SkipLayerNormalization: Operator {
    /// Added to the variance; 0 or more.
    let epsilon: Double
    let isSimplified: Bool

    private var biasInput: Int { isSimplified ? 3 : 4 }

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        try NormalizationArguments.requireFloatingPoint(x, "input")
        guard let shape = x.shape else {
            return Array(
                [Fact(dtype: x.dtype), Fact(dtype: .float32), Fact(dtype: .float32), Fact(dtype: x.dtype)].prefix(
                    inputs.outputCount))
        }
        guard let width = shape.dimensions.last else { throw TensorError("input should have axes, found a scalar") }
        try RowScale.check(inputs[1], shape, "skip")
        try checkWidth(inputs[2], width)
        try checkWidth(inputs.optional(3), width)
        try checkWidth(inputs.optional(4), width)
        let y = Fact(dtype: x.dtype, shape: shape)
        let statistics = Fact(dtype: .float32, shape: try Shape(shape.dimensions.dropLast() + [1]))
        return Array([y, statistics, statistics, y].prefix(max(inputs.outputCount, 1)))
    }

    private func checkWidth(_ fact: Fact?, _ width: Int) throws(TensorError) {
        if let found = fact?.shape, found.count != width {
            throw TensorError("gamma, beta and bias should have \(width) elements, found shape \(found)")
        }
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let axis = try x.shape.axis(-1)
        let output = try context.output(0)
        let sum = context.optionalOutput(3) ?? output
        switch x.dtype {
        case .float64: try add(context, x, axis, into: sum, Double.self)
        default: try add(context, x, axis, into: sum, Float.self)
        }
        if isSimplified {
            if let mean = context.optionalOutput(1) { try Self.writeMeans(of: sum.tensor, into: mean) }
            return try normalizeRootMeanSquare(
                sum.tensor, axis: axis, scale: context.input(2), epsilon: epsilon, into: output, threads: context.threads,
                deviation: context.optionalOutput(2))
        }
        try normalizeLayers(
            sum.tensor, axis: axis, scale: context.input(2), bias: context.optionalInput(3), epsilon: epsilon, into: output,
            threads: context.threads,
            statistics: RowStatistics(mean: context.optionalOutput(1), deviation: context.optionalOutput(2)))
    }

    private static func writeMeans(of x: Tensor, into means: MutableTensor) throws {
        let values = try cast(x, to: .float64, threads: ThreadPool(threadCount: 1)).array(of: Double.self)
        let count = values.count / max(means.count, 1)
        try means.withMutableSpan(of: Float.self) { means in
            for row in 0..<means.count {
                means[row] = Float(NormalizationArguments.moments(values[row * count..<(row + 1) * count]).mean)
            }
        }
    }

    /// sum = input + skip + bias
    private func add<Element: TensorElement & BinaryFloatingPoint>(
        _ context: RunContext, _ x: Tensor, _ axis: Int, into sum: MutableTensor, _ type: Element.Type
    ) throws {
        guard x.count > 0 else { return }
        let count = x.shape[axis]
        let source = try x.view(of: type)
        let skip = try RowScale(context.input(1), shape: x.shape, axis: axis, dtype: x.dtype)
        let (skipped, skipStride) = (try skip.tensor.view(of: type), skip.rowStride)
        let bias = try context.optionalInput(biasInput)?.view(of: type)
        let grain = max(8192 / count, 1)
        try sum.forEachSlice(of: type, unit: count, grain: grain, threads: context.threads) { rows, target in
            for (place, row) in rows.enumerated() {
                for index in 0..<count {
                    let value = source[row * count + index] + skipped[row * skipStride + index]
                    target[place * count + index] = bias.map { value + $0[index] } ?? value
                }
            }
        }
    }
}

extension SkipLayerNormalization {
    static let definitions = [("SkipLayerNormalization", 5), ("SkipSimplifiedLayerNormalization", 4)].map { type, mostInputs in
        OperatorDefinition(type, domain: "com.microsoft", since: 1) { decoder in
            try decoder.requireInputs(3...mostInputs)
            return SkipLayerNormalization(
                epsilon: try NormalizationArguments.requireEpsilon(decoder.float("epsilon", default: 1e-12)),
                isSimplified: mostInputs == 4)
        }
    }
}
