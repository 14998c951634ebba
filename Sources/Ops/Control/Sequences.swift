import GraphRuntime

/// An operator that makes a sequence. The optimizer keeps tensors as constants and no sequences, so these always run.
protocol SequenceProducer: Operator {}

extension SequenceProducer {
    var isDeterministic: Bool { false }
}

/// ONNX SequenceConstruct (11): a sequence of the inputs.
struct SequenceConstruct: SequenceProducer {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [.unknown] }

    func run(_ context: inout RunContext) throws {
        var tensors: [Tensor] = []
        for index in context.inputs.indices { tensors.append(try context.input(index)) }
        if let first = tensors.first, let other = tensors.first(where: { $0.dtype != first.dtype }) {
            throw TensorError("a sequence can't hold \(first.dtype) and \(other.dtype)")
        }
        context.setOutput(0, .sequence(tensors))
    }
}

/// ONNX SequenceEmpty (11).
struct SequenceEmpty: SequenceProducer {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [.unknown] }

    func run(_ context: inout RunContext) throws { context.setOutput(0, .sequence([])) }
}

/// ONNX SequenceInsert (11): a tensor put in before a place, at the end by default.
struct SequenceInsert: SequenceProducer {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [.unknown] }

    func run(_ context: inout RunContext) throws {
        var tensors = try context.sequence(0)
        let tensor = try context.input(1)
        let place = try context.optionalInput(2)?.integer("position") ?? tensors.count
        guard place >= -tensors.count, place <= tensors.count else {
            throw TensorError("position \(place) is outside of a sequence of \(tensors.count) tensors")
        }
        if let first = tensors.first, first.dtype != tensor.dtype {
            throw TensorError("a sequence of \(first.dtype) can't hold \(tensor.dtype)")
        }
        tensors.insert(tensor, at: place < 0 ? place + tensors.count : place)
        context.setOutput(0, .sequence(tensors))
    }
}

/// ONNX SequenceErase (11): the last tensor taken out, or the one at a position.
struct SequenceErase: SequenceProducer {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [.unknown] }

    func run(_ context: inout RunContext) throws {
        var tensors = try context.sequence(0)
        let place = try context.optionalInput(1)?.integer("position") ?? -1
        tensors.remove(at: try checkedIndex(place, extent: tensors.count))
        context.setOutput(0, .sequence(tensors))
    }
}

/// ONNX SequenceAt (11): the tensor at a position.
struct SequenceAt: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [.unknown] }

    func run(_ context: inout RunContext) throws {
        let tensors = try context.sequence(0)
        let place = try context.input(1).integer("position")
        context.setOutput(0, .tensor(tensors[try checkedIndex(place, extent: tensors.count)]))
    }
}

/// ONNX SequenceLength (11).
struct SequenceLength: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .int64, shape: .scalar)] }

    func run(_ context: inout RunContext) throws {
        try context.output(0).copy(from: Tensor(scalar: Int64(context.sequence(0).count)))
    }
}

/// ONNX ConcatFromSequence (11): the tensors of a sequence along an axis, or along a new one.
struct ConcatFromSequence: Operator {
    var axis: Int
    var isNewAxis: Bool

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [.unknown] }

    func run(_ context: inout RunContext) throws {
        let tensors = try context.sequence(0)
        guard !tensors.isEmpty else { throw TensorError("an empty sequence can't be concatenated") }
        let result =
            isNewAxis
            ? try Loop.stack(tensors, axis: axis, slice: .unknown, threads: context.threads)
            : try concatenated(tensors, axis: axis, threads: context.threads)
        context.setOutput(0, .tensor(result))
    }
}

/// ONNX SplitToSequence (11 to 24): the parts of a tensor along an axis.
struct SplitToSequence: SequenceProducer {
    var axis: Int
    /// Whether the axis stays where no split is given, and each part is one slice.
    var keepsAxis: Bool

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        if let shape = try inputs[0].shape { _ = try shape.axis(axis) }
        return [.unknown]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let axis = try data.shape.axis(axis)
        let (outer, extent, inner) = data.shape.split(at: axis)
        let split = try context.optionalInput(1)
        let sizes = try Self.sizes(split, extent: extent)
        let threads = context.threads
        var offset = 0
        var parts: [Tensor] = []
        for size in sizes {
            let part = try RunContext.newTensor(of: [data], shape: data.shape.replacing(axis, with: size)) { units in
                let copy = StridedCopy(
                    extents: [outer, size * inner], sourceStrides: [extent * inner, 1], targetStrides: [size * inner, 1])
                try units.run(copy, at: offset, threads: threads)
            }
            var extents = part.shape.dimensions
            if split == nil && !keepsAxis { extents.remove(at: axis) }
            parts.append(try part.reshaped(to: Shape(extents)))
            offset += size * inner
        }
        context.setOutput(0, .sequence(parts))
    }

    /// A scalar is the size of every part but the last; a list names all.
    private static func sizes(_ split: Tensor?, extent: Int) throws -> [Int] {
        guard let split else { return Array(repeating: 1, count: extent) }
        let values = try split.integers()
        guard split.shape.rank == 0 else {
            guard values.allSatisfy({ $0 >= 0 }), values.reduce(0, saturatingAdd) == extent else {
                throw TensorError("the parts \(values) don't add up to the extent \(extent)")
            }
            return values
        }
        guard values[0] > 0 else { throw TensorError("the parts have the size \(values[0])") }
        let size = min(values[0], max(extent, 1))
        return stride(from: 0, to: extent, by: size).map { min(size, extent - $0) }
    }
}

/// ONNX SequenceMap (17): runs a graph for every place of one or more sequences.
struct SequenceMap: SequenceProducer {
    var body: Subgraph

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { Array(repeating: .unknown, count: inputs.outputCount) }

    func run(_ context: inout RunContext) throws {
        let count = try context.sequence(0).count
        var results = [[Tensor]](repeating: [], count: body.graph.outputs.count)
        for place in 0..<count {
            let inputs = try context.inputs.enumerated().map { index, value -> Value in
                guard let value else { throw TensorError("input \(index) is missing") }
                guard case .sequence(let tensors) = value else { return value }
                guard tensors.count == count else {
                    throw TensorError("sequences of \(count) and \(tensors.count) tensors can't be mapped together")
                }
                return .tensor(tensors[place])
            }
            for (index, value) in try context.run(body, inputs: inputs).enumerated() {
                results[index].append(try value.asTensor())
            }
        }
        for (index, tensors) in results.enumerated() { context.setOutput(index, .sequence(tensors)) }
    }
}

extension RunContext {
    /// The tensors of the sequence at input `index`.
    func sequence(_ index: Int) throws -> [Tensor] {
        guard index < inputs.count, let value = inputs[index] else { throw TensorError("input \(index) is missing") }
        return try value.asSequence()
    }
}

/// The registry entries of all sequence operators.
enum SequenceOperators {
    static let definitions: [OperatorDefinition] =
        [
            OperatorDefinition("SequenceConstruct", since: 11) { decoder in
                try decoder.requireInputs(1...Int.max)
                return SequenceConstruct()
            },
            OperatorDefinition("SequenceEmpty", since: 11) { decoder in
                try decoder.requireInputs(0...0)
                // An empty sequence holds nothing that has the type.
                _ = try decoder.optionalDType("dtype")
                return SequenceEmpty()
            },
            OperatorDefinition("SequenceInsert", since: 11) { decoder in
                try decoder.requireInputs(2...3)
                return SequenceInsert()
            },
            OperatorDefinition("SequenceErase", since: 11) { decoder in
                try decoder.requireInputs(1...2)
                return SequenceErase()
            },
            OperatorDefinition("SequenceAt", since: 11) { decoder in
                try decoder.requireInputs(2...2)
                return SequenceAt()
            },
            OperatorDefinition("SequenceLength", since: 11) { decoder in
                try decoder.requireInputs(1...1)
                return SequenceLength()
            },
            OperatorDefinition("ConcatFromSequence", since: 11) { decoder in
                try decoder.requireInputs(1...1)
                return ConcatFromSequence(
                    axis: try decoder.requiredInt("axis"), isNewAxis: try decoder.bool("new_axis", default: false))
            },
            OperatorDefinition("SequenceMap", since: 17) { decoder in
                let body = try decoder.subgraph("body")
                guard decoder.inputCount >= 1, body.graph.inputs.count == decoder.inputCount,
                    body.graph.outputs.count == decoder.outputCount
                else { throw TensorError("the body doesn't fit the node's \(decoder.inputCount) inputs") }
                return SequenceMap(body: body)
            },
        ]
        + OperatorDefinition.all("SplitToSequence", since: [11, 24]) { decoder in
            try decoder.requireInputs(1...2)
            return SplitToSequence(
                axis: try decoder.int("axis", default: 0), keepsAxis: try decoder.bool("keepdims", default: true))
        }
}
