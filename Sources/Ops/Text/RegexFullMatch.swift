import GraphRuntime

/// RegexFullMatch-20: whether a regular expression matches the whole text.
struct RegexFullMatch: Operator {
    let expression: RegularExpression

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .bool, shape: try inputs[0].shape)] }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let matches = try x.texts().map { text in
            try Task.checkCancellation()
            return try expression.matches(text)
        }
        try context.output(0).copy(from: Tensor(matches, shape: x.shape))
    }

    static let definition = OperatorDefinition("RegexFullMatch", since: 20) { decoder in
        try decoder.requireInputs(1...1)
        guard let pattern = try decoder.optionalString("pattern") else { throw TensorError("attribute pattern is missing") }
        return RegexFullMatch(expression: try RegularExpression(pattern, attribute: "pattern"))
    }
}
