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

/// Dropout-7 to Dropout-22 at inference: the input, and a mask that is true everywhere.
///
/// Training mode draws random numbers; a `training_mode` input that is true, with a ratio above 0, is refused.
struct Dropout: Operator {
    /// The type of the mask: bool from Dropout-10 on, the input's before.
    let maskType: DType?
    let hasMask: Bool
    /// Whether only the run tells that it isn't in training mode.
    var mayTrain: Bool

    var outputStorage: OutputStorage { hasMask || mayTrain ? .separate : .view(input: 0) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        try requireInference(mode: inputs.optional(2)?.tensor, ratio: inputs.optional(1)?.tensor)
        let output = Fact(dtype: data.dtype, shape: data.shape)
        return hasMask ? [output, Fact(dtype: maskType ?? data.dtype, shape: data.shape)] : [output]
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        if inputs.count > 2, inputs[2] != nil, inputs[2]?.tensor == nil { return self }
        result.mayTrain = false
        return result
    }

    private func requireInference(mode: Tensor?, ratio: Tensor?) throws {
        guard let mode, try mode.array(of: Bool.self).contains(true) else { return }
        if let ratio, !ratio.bytes.contains(where: { $0 != 0 }) { return }
        throw TensorError("dropout in training mode isn't supported")
    }

    func run(_ context: inout RunContext) throws {
        try requireInference(mode: context.optionalInput(2), ratio: context.optionalInput(1))
        try context.optionalOutput(0)?.copy(from: context.input(0))
        guard let mask = context.optionalOutput(1) else { return }
        if mask.dtype == .bool {
            try mask.fill(with: true)
        } else {
            try cast(
                Tensor(Array(repeating: Float(1), count: mask.count), shape: mask.shape), into: mask, threads: context.threads)
        }
    }

    static let definitions = [
        OperatorDefinition("Dropout", since: 7) { decoder in
            try decoder.requireInputs(1...1)
            decoder.ignore("ratio")
            return Dropout(maskType: decoder.version < 10 ? nil : .bool, hasMask: decoder.outputCount > 1, mayTrain: false)
        },
        OperatorDefinition("Dropout", since: 12) { decoder in
            try decoder.requireInputs(1...3)
            decoder.ignore("seed")
            return Dropout(maskType: .bool, hasMask: decoder.outputCount > 1, mayTrain: decoder.hasInput(2))
        },
    ]
}
