/// The float32 numbers of 16-bit floats.
struct WidenHalf: Operator {
    var mergeKey: String? { "widen" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .float32, shape: try inputs[0].shape)] }

    func run(_ context: inout RunContext) throws {
        try HalfPrecision.widen(context.input(0), into: context.output(0), threads: context.threads)
    }
}

/// The 16-bit floats nearest to float32 numbers.
struct RoundToHalf: Operator {
    let target: DType

    var mergeKey: String? { "round to \(target)" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: target, shape: try inputs[0].shape)] }

    func run(_ context: inout RunContext) throws {
        try HalfPrecision.narrow(context.input(0), into: context.output(0), threads: context.threads)
    }
}
