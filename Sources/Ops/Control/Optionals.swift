import GraphRuntime

/// ONNX Optional (15): its input, or an optional that holds nothing.
struct OptionalConstruct: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let fact = inputs.optional(0) else { return [Fact(.empty)] }
        return [Fact(dtype: nil, shape: nil, value: fact.value)]
    }

    func run(_ context: inout RunContext) throws { context.setOutput(0, context.inputs.first.flatMap { $0 } ?? .empty) }
}

/// ONNX OptionalGetElement (15 to 18): what an optional holds.
struct OptionalGetElement: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        if case .empty? = try inputs[0].value { throw TensorError("the optional holds nothing") }
        return [.unknown]
    }

    func run(_ context: inout RunContext) throws {
        guard let value = context.inputs.first.flatMap({ $0 }) else { throw TensorError("input 0 is missing") }
        if case .empty = value { throw TensorError("the optional holds nothing") }
        context.setOutput(0, value)
    }
}

/// ONNX OptionalHasElement (15 to 18).
struct OptionalHasElement: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard inputs.optional(0) != nil else { return [Fact(.tensor(try Tensor(scalar: false)))] }
        return [Fact(dtype: .bool, shape: .scalar)]
    }

    func run(_ context: inout RunContext) throws {
        var holds = false
        if let value = context.inputs.first.flatMap({ $0 }) {
            if case .empty = value { holds = false } else { holds = true }
        }
        try context.output(0).copy(from: Tensor(scalar: holds))
    }
}

/// The registry entries of the operators on optionals.
enum OptionalOperators {
    static let definitions: [OperatorDefinition] =
        OperatorDefinition.all("Optional", since: [15]) { decoder in
            try decoder.requireInputs(0...1)
            // The type of what an empty one might hold.
            decoder.ignore("type")
            return OptionalConstruct()
        }
        + OperatorDefinition.all("OptionalGetElement", since: [15, 18]) { decoder in
            try decoder.requireInputs(1...1)
            return OptionalGetElement()
        }
        + OperatorDefinition.all("OptionalHasElement", since: [15, 18]) { decoder in
            try decoder.requireInputs(0...1)
            return OptionalHasElement()
        }
}
