import GraphRuntime

/// SwiGLU-28: y = a · sigmoid(alpha · a) · b, for a and b of one shape.
struct SwiGLU: Operator {
    let alpha: Float

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        if let a = try inputs[0].shape, let b = try inputs[1].shape, a != b {
            throw TensorError("gate and value should have one shape, found \(a) and \(b)")
        }
        return [Fact(dtype: try commonType(inputs, 0..<2), shape: try inputs[0].shape ?? inputs[1].shape)]
    }

    func run(_ context: inout RunContext) throws {
        let output = try context.output(0)
        try preparedActivation(.swish, a: alpha, b: 1, context.input(0), into: output)(context.threads)
        try arithmetic(.multiply, output.tensor, context.input(1), into: output, threads: context.threads)
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost { .perElement(12, inputs: inputs, outputs: outputs) }

    static let definition = OperatorDefinition("SwiGLU", since: 28) { decoder in
        try decoder.requireInputs(2...2)
        return SwiGLU(alpha: try decoder.float("alpha", default: 1))
    }
}
