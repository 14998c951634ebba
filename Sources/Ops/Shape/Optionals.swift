import GraphRuntime

/// Optional-15: its input, or nothing.
struct OptionalValue: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [inputs.optional(0) ?? Fact(value: .empty)] }

    func run(_ context: inout RunContext) throws { context.setOutput(0, (context.inputs.first ?? nil) ?? .empty) }

    static let definition = OperatorDefinition("Optional", since: 15) { decoder in
        try decoder.requireInputs(0...1)
        decoder.ignore("type")
        return OptionalValue()
    }
}

/// OptionalHasElement-15 and -18: whether the input is there.
struct OptionalHasElement: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .bool, shape: .scalar)] }

    func run(_ context: inout RunContext) throws {
        var hasElement = false
        switch context.inputs.first ?? nil {
        case nil, .empty?: break
        case .tensor?, .sequence?: hasElement = true
        }
        try context.output(0).copy(from: Tensor(scalar: hasElement))
    }

    static let definition = OperatorDefinition("OptionalHasElement", since: 15) { decoder in
        try decoder.requireInputs(0...1)
        return OptionalHasElement()
    }
}

/// OptionalGetElement-15 and -18: what is in the input.
struct OptionalGetElement: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [try inputs[0]] }

    func run(_ context: inout RunContext) throws {
        guard let value = context.inputs.first ?? nil else { throw TensorError("input 0 is missing") }
        if case .empty = value { throw TensorError("the optional is empty") }
        context.setOutput(0, value)
    }

    static let definition = OperatorDefinition("OptionalGetElement", since: 15) { decoder in
        try decoder.requireInputs(1...1)
        return OptionalGetElement()
    }
}
