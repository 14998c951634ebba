import GraphRuntime

/// SkipSimplifiedLayerNormalization (com.microsoft, 1): input + skip + bias, divided along the last axis by the root of its mean square.
///
/// Inputs: input, skip (broadcasts to the input), gamma, and optionally bias; outputs: the normalised sum, optionally mean and 1 / the root
/// of each row, and the sum itself.
struct SkipSimplifiedLayerNormalization: Operator {
    /// Added to the mean square; 0 or more.
    let epsilon: Double

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
        let y = Fact(dtype: x.dtype, shape: shape)
        let statistics = Fact(dtype: .float32, shape: try Shape(shape.dimensions.dropLast() + [1]))
        return Array([y, statistics, statistics, y].prefix(max(inputs.outputCount, 1)))
    }

    private func checkWidth(_ fact: Fact?, _ width: Int) throws(TensorError) {
        if let found = fact?.shape, found.count != width {
            throw TensorError("gamma and bias should have \(width) elements, found shape \(found)")
        }
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let output = try context.output(0)
        let sum = context.optionalOutput(3) ?? output
        try arithmetic(.add, x, context.input(1), into: sum, threads: context.threads)
        if let bias = try context.optionalInput(3) {
            try arithmetic(.add, sum.tensor, bias, into: sum, threads: context.threads)
        }
        if let mean = context.optionalOutput(1) { try Self.writeMeans(of: sum.tensor, into: mean) }
        try normalizeRootMeanSquare(
            sum.tensor, axis: x.shape.axis(-1), scale: context.input(2), epsilon: epsilon, into: output,
            threads: context.threads, deviation: context.optionalOutput(2))
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

    static let definition = OperatorDefinition(
        "SkipSimplifiedLayerNormalization", domain: ContributedFamily.domain, since: 1
    ) { decoder in
        try decoder.requireInputs(3...4)
        return SkipSimplifiedLayerNormalization(
            epsilon: try NormalizationArguments.requireEpsilon(decoder.float("epsilon", default: 1e-12)))
    }
}
