import GraphRuntime

/// An operator whose output is its first input under another shape: only ``Operator/inferOutputs(_:)`` is left to write.
protocol ViewOperator: Operator {}

extension ViewOperator {
    var outputStorage: OutputStorage { .view(input: 0) }

    func run(_ context: inout RunContext) throws {
        guard let shape = try inferOutputs(context.inferenceInputs).first?.shape else {
            throw TensorError("the output's shape isn't known")
        }
        context.setOutput(0, .tensor(try context.input(0).reshaped(to: shape)))
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost { Cost() }
}
