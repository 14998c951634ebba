import GraphRuntime

/// Dropout-1 to Dropout-22: the input, and a mask that is true everywhere; in training mode, each element with the probability 1 - ratio,
/// divided by that, and else 0, with a mask of those that are kept.
///
/// Other runtimes keep other elements, as their generators differ; without a seed every run keeps others.
struct Dropout: Operator {
    /// The type of the mask: bool from Dropout-10 on, the input's before.
    let maskType: DType?
    let hasMask: Bool
    /// The ratio of versions that have it as an attribute, and that where input 1 is missing.
    var ratio = 0.5
    var seed: Int?
    /// Whether it is in training mode: as a version's attribute says, or for all that is known before a run.
    var mayTrain: Bool

    var isDeterministic: Bool { !mayTrain }
    var outputStorage: OutputStorage { hasMask || mayTrain ? .separate : .view(input: 0) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        let output = Fact(dtype: data.dtype, shape: data.shape)
        return hasMask ? [output, Fact(dtype: maskType ?? data.dtype, shape: data.shape)] : [output]
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        guard inputs.count > 2, let mode = inputs[2]?.tensor else { return self }
        var result = self
        result.mayTrain = try isTraining(mode, ratio: inputs[1]?.tensor)
        return result
    }

    func forwardedInput(inputs: [Fact?], outputs: [Fact?]) -> Int? {
        if hasMask { return nil }
        guard mayTrain else { return 0 }
        guard inputs.count > 2, let mode = inputs[2]?.tensor else { return nil }
        return (try? isTraining(mode, ratio: inputs[1]?.tensor)) == false ? 0 : nil
    }

    /// Without a ratio above 0 nothing is left out.
    private func isTraining(_ mode: Tensor, ratio: Tensor?) throws -> Bool {
        try mode.array(of: Bool.self).contains(true) && ratio.map { $0.bytes.contains { $0 != 0 } } ?? true
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let (stated, mode) = (try context.optionalInput(1), try context.optionalInput(2))
        let mask = context.optionalOutput(1)
        if mayTrain, try mode.map({ try isTraining($0, ratio: stated) }) ?? true {
            return try drop(x, ratio: stated, into: context.optionalOutput(0), mask, context.threads)
        }
        try context.optionalOutput(0)?.copy(from: x)
        guard let mask else { return }
        try cast(Tensor([UInt8](repeating: 1, count: mask.count), shape: mask.shape), into: mask, threads: context.threads)
    }

    private func drop(
        _ x: Tensor, ratio stated: Tensor?, into y: MutableTensor?, _ mask: MutableTensor?, _ threads: ThreadPool
    ) throws {
        let ratio = try stated.map { try cast($0, to: .float64, threads: threads).array(of: Double.self).first ?? 0 } ?? ratio
        guard ratio >= 0, ratio < 1 else { throw TensorError("the ratio is \(ratio), expected 0 to less than 1") }
        var source = RandomSource(seed: seed)
        let kept = (0..<x.count).map { _ in source.uniform() >= ratio ? UInt8(1) : 0 }
        let factor = 1 / (1 - ratio)
        if let y {
            let values = try cast(x, to: .float64, threads: threads).array(of: Double.self)
            let result = zip(values, kept).map { $1 == 0 ? 0 : $0 * factor }
            try cast(Tensor(result, shape: x.shape), into: y, threads: threads)
        }
        if let mask { try cast(Tensor(kept, shape: x.shape), into: mask, threads: threads) }
    }

    static let definitions =
        [1, 6].map { version in
            OperatorDefinition("Dropout", since: version) { decoder in
                try decoder.requireInputs(1...1)
                decoder.ignore("consumed_inputs")
                let ratio = Double(try decoder.float("ratio", default: 0.5))
                let isTraining = try decoder.int("is_test", default: 0) == 0 && ratio != 0
                return Dropout(maskType: nil, hasMask: decoder.outputCount > 1, ratio: ratio, mayTrain: isTraining)
            }
        } + [
            OperatorDefinition("Dropout", since: 7) { decoder in
                try decoder.requireInputs(1...1)
                decoder.ignore("ratio")
                return Dropout(maskType: decoder.version < 10 ? nil : .bool, hasMask: decoder.outputCount > 1, mayTrain: false)
            },
            OperatorDefinition("Dropout", since: 12) { decoder in
                try decoder.requireInputs(1...3)
                let seed = try decoder.optionalInt("seed")
                return Dropout(
                    maskType: .bool, hasMask: decoder.outputCount > 1, seed: seed, mayTrain: decoder.hasInput(2))
            },
        ]
}
