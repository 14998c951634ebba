import GraphRuntime

/// Identity-1 to Identity-25: the input, whatever it is.
struct Identity: Operator {
    var outputStorage: OutputStorage { .view(input: 0) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [try inputs[0]] }

    func run(_ context: inout RunContext) throws {
        guard let value = context.inputs.first ?? nil else { throw TensorError("input 0 is missing") }
        context.setOutput(0, value)
    }

    static let definition = OperatorDefinition("Identity", since: 1) { decoder in
        try decoder.requireInputs(1...1)
        return Identity()
    }
}
