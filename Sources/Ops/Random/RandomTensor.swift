import GraphRuntime

/// RandomNormal-22, RandomUniform-22, and their `Like` forms, which take the shape and by default the type of their input.
///
/// With a seed every run gives the same numbers; they aren't those of other runtimes.
struct RandomTensor: Operator {
    let distribution: Distribution
    let seed: Float?
    /// Nil for the input's type.
    let dtype: DType?
    /// Nil for the input's shape.
    let shape: Shape?

    var isDeterministic: Bool { false }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        if let shape { return [Fact(dtype: dtype ?? .float32, shape: shape)] }
        let like = try inputs[0]
        return [Fact(dtype: dtype ?? like.dtype, shape: like.shape)]
    }

    func run(_ context: inout RunContext) throws {
        try fillRandomly(context.output(0), distribution, seed: seed, threads: context.threads)
    }

    private static func definitions(
        _ type: String, _ distribution: @escaping @Sendable (inout NodeDecoder) throws -> Distribution
    ) -> [OperatorDefinition] {
        [
            OperatorDefinition(type, since: 1) { decoder in
                try decoder.requireInputs(0...0)
                guard let extents = try decoder.optionalInts("shape") else { throw TensorError("attribute shape is missing") }
                return RandomTensor(
                    distribution: try distribution(&decoder), seed: try decoder.optionalFloat("seed"),
                    dtype: try decoder.optionalDType("dtype") ?? .float32, shape: try Shape(extents))
            },
            OperatorDefinition(type + "Like", since: 1) { decoder in
                try decoder.requireInputs(1...1)
                return RandomTensor(
                    distribution: try distribution(&decoder), seed: try decoder.optionalFloat("seed"),
                    dtype: try decoder.optionalDType("dtype"), shape: nil)
            },
        ]
    }

    static let definitions =
        definitions("RandomNormal") { decoder in
            .normal(
                mean: Double(try decoder.float("mean", default: 0)), scale: Double(try decoder.float("scale", default: 1)))
        }
        + definitions("RandomUniform") { decoder in
            .uniform(low: Double(try decoder.float("low", default: 0)), high: Double(try decoder.float("high", default: 1)))
        }
}
