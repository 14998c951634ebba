import GraphRuntime

/// The sum, mean, least or largest of any number of operands (ONNX Sum-13, Mean-13, Min-13, Max-13).
struct VariadicArithmetic: Operator {
    let function: ArithmeticFunction
    /// Whether the result is divided by the number of operands.
    let isMean: Bool

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try commonType(inputs, 0..<inputs.count), shape: try commonShape(inputs, 0..<inputs.count))]
    }

    func run(_ context: inout RunContext) throws {
        let output = try context.output(0)
        if context.inputs.count == 1 { return try output.copy(from: context.input(0)) }
        try arithmetic(function, context.input(0), context.input(1), into: output, threads: context.threads)
        for index in 2..<max(context.inputs.count, 2) {
            try arithmetic(function, output.tensor, context.input(index), into: output, threads: context.threads)
        }
        guard isMean else { return }
        let count = Double(context.inputs.count)
        let divisor = output.dtype == .float64 ? try Tensor(scalar: count) : try Tensor(scalar: Float(count))
        try arithmetic(.divide, output.tensor, divisor, into: output, threads: context.threads)
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        .perElement(Double(inputs.count - 1), inputs: inputs, outputs: outputs)
    }

    static func definition(_ type: String, since version: Int, _ function: ArithmeticFunction, isMean: Bool = false)
        -> OperatorDefinition
    {
        OperatorDefinition(type, since: version) { decoder in
            guard decoder.inputCount >= 1 else { throw TensorError("expected at least 1 input, found 0") }
            return VariadicArithmetic(function: function, isMean: isMean)
        }
    }
}
