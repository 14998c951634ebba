import GraphRuntime

/// y = a + b, element by element; may be written over either input.
struct ToyAdd: Operator {
    var outputStorage: OutputStorage { .mayReplace(inputs: [0, 1]) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let (a, b) = (try inputs[0], try inputs[1])
        if let left = a.shape, let right = b.shape, left != right { throw TensorError("shapes \(left) and \(right) differ") }
        return [Fact(dtype: .float32, shape: a.shape ?? b.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let (a, b) = (try context.input(0), try context.input(1))
        try a.withSpan(of: Float.self) { a in
            try b.withSpan(of: Float.self) { b in
                try context.output(0).withMutableSpan(of: Float.self) { y in
                    for index in 0..<y.count { y[index] = a[index] + b[index] }
                }
            }
        }
    }
}

/// y = factor · x, in memory of its own.
struct ToyScale: Operator {
    var factor: Float

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .float32, shape: try inputs[0].shape)] }

    func run(_ context: inout RunContext) throws {
        try context.input(0).withSpan(of: Float.self) { x in
            try context.output(0).withMutableSpan(of: Float.self) { y in
                for index in 0..<y.count { y[index] = factor * x[index] }
            }
        }
    }
}

/// x as a vector, without a copy. It stays in the plan even where x is a vector: views are what it is there to test.
struct ToyFlatten: Operator {
    var outputStorage: OutputStorage { .view(input: 0) }

    func forwardedInput(inputs: [Fact?], outputs: [Fact?]) -> Int? { nil }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let input = try inputs[0]
        return [Fact(dtype: input.dtype, shape: try input.shape.map { try Shape([$0.count]) })]
    }

    func run(_ context: inout RunContext) throws { throw GraphError("views never run") }
}

/// The elements above zero: a shape that depends on data.
struct ToyPositives: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let tensor = try inputs[0].tensor else { return [Fact(dtype: .float32)] }
        let count = try tensor.withSpan(of: Float.self) { x in (0..<x.count).count { x[$0] > 0 } }
        return [Fact(dtype: .float32, shape: try Shape([count]))]
    }

    func run(_ context: inout RunContext) throws {
        let positives = try context.input(0).array(of: Float.self).filter { $0 > 0 }
        try context.output(0).withMutableSpan(of: Float.self) { y in
            for index in 0..<y.count { y[index] = positives[index] }
        }
    }
}

/// The extents of x: known as soon as its shape is.
struct ToyShape: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let shape = try inputs[0].shape else { return [Fact(dtype: .int64)] }
        return [Fact(.tensor(try Tensor(shape.dimensions.map { Int64($0) })))]
    }

    func run(_ context: inout RunContext) throws { throw GraphError("a known shape is a constant") }
}

/// Runs one of two graphs, as ONNX's If.
struct ToyIf: InliningOperator {
    let thenBranch: Subgraph
    let elseBranch: Subgraph

    func selectedSubgraph(_ inputs: [Fact?]) -> Subgraph? {
        guard let condition = inputs.first??.tensor, let values = try? condition.array(of: Bool.self), values.count == 1 else {
            return nil
        }
        return values[0] ? thenBranch : elseBranch
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact()] }

    func run(_ context: inout RunContext) throws {
        let condition = try context.input(0).array(of: Bool.self)[0]
        context.setOutput(0, try context.run(condition ? thenBranch : elseBranch, inputs: [])[0])
    }
}

/// y = -x; may be written over x.
struct ToyNegate: Operator {
    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .float32, shape: try inputs[0].shape)] }

    func run(_ context: inout RunContext) throws {
        try context.input(0).withSpan(of: Float.self) { x in
            try context.output(0).withMutableSpan(of: Float.self) { y in
                for index in 0..<y.count { y[index] = -x[index] }
            }
        }
    }
}

/// x, its double, and the sum of its elements as a scalar: three outputs, of which nobody need ask for any.
struct ToyTriple: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let shape = try inputs[0].shape
        return [
            Fact(dtype: .float32, shape: shape), Fact(dtype: .float32, shape: shape), Fact(dtype: .float32, shape: .scalar),
        ]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0).array(of: Float.self)
        for (index, values) in [x, x.map { 2 * $0 }, [x.reduce(0, +)]].enumerated() {
            try context.optionalOutput(index)?.withMutableSpan(of: Float.self) { y in
                for element in 0..<y.count { y[element] = values[element] }
            }
        }
    }
}

/// The sum of all elements, whatever their number, and the positive ones: one shape that is known and one that isn't.
struct ToySumAndPositives: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: .float32, shape: .scalar)] + (try ToyPositives().inferOutputs(inputs))
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0).array(of: Float.self)
        try context.optionalOutput(0)?.withMutableSpan(of: Float.self) { $0[0] = x.reduce(0, +) }
        context.setOutput(1, .tensor(try Tensor(x.filter { $0 > 0 })))
    }
}

/// x under the shape that input 1 holds, without a copy.
struct ToyReshape: Operator {
    var outputStorage: OutputStorage { .view(input: 0) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let extents = try inputs.integers(1) else { return [Fact(dtype: try inputs[0].dtype)] }
        let shape = try Shape(extents)
        if let other = try inputs[0].shape, other.count != shape.count { throw TensorError("\(other) can't become \(shape)") }
        return [Fact(dtype: try inputs[0].dtype, shape: shape)]
    }

    func run(_ context: inout RunContext) throws { throw GraphError("views never run") }
}

/// The number of elements as a vector of one, counted at run time.
struct ToyCount: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .int64, shape: try Shape([1]))] }

    func run(_ context: inout RunContext) throws {
        let count = Int64(try context.input(0).count)
        try context.output(0).withMutableSpan(of: Int64.self) { $0[0] = count }
    }
}

/// Hands its input on, though its shape is known and it was given a place to write to.
struct ToyPass: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .float32, shape: try inputs[0].shape)] }

    func run(_ context: inout RunContext) throws { context.setOutput(0, .tensor(try context.input(0))) }
}

/// A sequence of its inputs.
struct ToyPack: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [.unknown] }

    func run(_ context: inout RunContext) throws {
        context.setOutput(0, .sequence(try context.inputs.indices.map { try context.input($0) }))
    }
}

/// The first tensor of a sequence.
struct ToyUnpack: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [.unknown] }

    func run(_ context: inout RunContext) throws {
        guard let first = try context.inputs.first??.asSequence().first else { throw TensorError("the sequence is empty") }
        context.setOutput(0, .tensor(first))
    }
}

/// The tensor of a sequence at the index in input 1, from 1 on.
struct ToyUnpackAt: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [.unknown] }

    func run(_ context: inout RunContext) throws {
        let index = try context.input(1).integers().first ?? 0
        guard let tensors = try context.inputs.first??.asSequence(), tensors.indices.contains(index - 1) else {
            throw TensorError("the sequence has no tensor \(index)")
        }
        context.setOutput(0, .tensor(tensors[index - 1]))
    }
}

/// Whether there are elements, told at run time.
struct ToyIsAny: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .bool, shape: .scalar)] }

    func run(_ context: inout RunContext) throws {
        let isAny = try context.input(0).count > 0
        try context.output(0).withMutableSpan(of: Bool.self) { $0[0] = isAny }
    }
}

/// The third of the weights given as input 1: its shape is known before theirs.
struct ToyNeedsThree: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        if let shape = try inputs[1].shape, shape.count < 3 { throw TensorError("expected 3 elements or more, found \(shape)") }
        return [Fact(dtype: .float32, shape: .scalar)]
    }

    func run(_ context: inout RunContext) throws {
        let third = try context.input(1).view(of: Float.self)[2]
        try context.output(0).withMutableSpan(of: Float.self) { $0[0] = third }
    }
}

let toyLibrary = OperatorLibrary(
    registry: OperatorRegistry(
        [
            OperatorDefinition("Add", since: 1) { _ in ToyAdd() },
            OperatorDefinition("Scale", since: 1) { node in ToyScale(factor: try node.float("factor", default: 2)) },
            OperatorDefinition("Flatten", since: 1) { _ in ToyFlatten() },
            OperatorDefinition("Positives", since: 1) { _ in ToyPositives() },
            OperatorDefinition("Shape", since: 1) { _ in ToyShape() },
            OperatorDefinition("Negate", since: 1) { _ in ToyNegate() },
            OperatorDefinition("Triple", since: 1) { _ in ToyTriple() },
            OperatorDefinition("SumAndPositives", since: 1) { _ in ToySumAndPositives() },
            OperatorDefinition("Reshape", since: 1) { _ in ToyReshape() },
            OperatorDefinition("Count", since: 1) { _ in ToyCount() },
            OperatorDefinition("Pass", since: 1) { _ in ToyPass() },
            OperatorDefinition("Pack", since: 1) { _ in ToyPack() },
            OperatorDefinition("Unpack", since: 1) { _ in ToyUnpack() },
            OperatorDefinition("UnpackAt", since: 1) { _ in ToyUnpackAt() },
            OperatorDefinition("IsAny", since: 1) { _ in ToyIsAny() },
            OperatorDefinition("NeedsThree", since: 1) { _ in ToyNeedsThree() },
            OperatorDefinition("If", since: 1) { node in
                ToyIf(thenBranch: try node.subgraph("then"), elseBranch: try node.subgraph("else"))
            },
        ], newestOpset: ["": 9]))

/// Builds graphs of toy operators by name.
struct ToyGraph {
    var graph = Graph(name: "toy")
    private var ids: [String: ValueID] = [:]

    mutating func value(_ name: String) -> ValueID {
        if let id = ids[name] { return id }
        let id = graph.addValue(ValueDeclaration(name: name))
        ids[name] = id
        return id
    }

    mutating func input(_ name: String, _ dimensions: [Dimension]? = nil) {
        let id = value(name)
        if let dimensions { graph.values[id].type = .tensor(.float32, dimensions) }
        graph.inputs.append(id)
    }

    mutating func output(_ name: String) { graph.outputs.append(value(name)) }

    mutating func capture(_ name: String) { graph.captures.append(value(name)) }

    mutating func constant(_ name: String, _ tensor: Tensor) { graph.initializers[value(name)] = tensor }

    mutating func node(
        _ type: String, _ inputs: [String], _ outputs: [String], attributes: NodeAttributes = NodeAttributes(),
        captures: [String] = []
    ) {
        graph.nodes.append(
            Node(
                name: "\(type)→\(outputs.joined())", identity: OperatorIdentity(type: type, version: 1),
                inputs: inputs.map { value($0) }, outputs: outputs.map { value($0) }, captures: captures.map { value($0) },
                attributes: attributes))
    }
}
