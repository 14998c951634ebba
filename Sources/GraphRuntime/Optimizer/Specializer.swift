/// Binds facts to a graph's inputs, follows them through all nodes, and folds what they determine.
///
/// After this pass every value whose shape follows from the inputs' shapes has a ``Fact/shape``, and nodes whose outputs are
/// constants are gone: the Shape, Gather, Concat and Unsqueeze chains that exporters write around every reshape, and the Casts of
/// weights that are stored in half precision.
struct Specializer {
    var graph: Graph
    /// What is known of each value, by id.
    private(set) var facts: [Fact]
    private let threads: ThreadPool
    /// See ``SessionOptions/savesMemory``.
    private let savesMemory: Bool
    private let limits: ResourceLimits
    /// Whether nodes that are folded late stay, see ``Operator/isFoldedLate(inputs:)``.
    private let keepsLate: Bool
    /// What of the session's graph was folded late for other plans.
    private let late: LateConstants?
    /// Bytes of constants that may still be computed ahead.
    private var remainingBytes: Int
    /// Constants that were computed of others, and can be computed again: kernels may keep them packed alone.
    private(set) var renewable: [Tensor] = []
    private let outputs: Set<ValueID>
    private var kept: [Node] = []
    /// The values that stand for outputs of nodes which change nothing.
    private var forwarded: [ValueID: ValueID] = [:]

    /// Constants that grow beyond their inputs are computed at run time rather than kept, from this size on.
    private static let largestGrownConstant = 16 << 20
    /// Scales and other small inputs of a constant that can be made again may be in memory for that: 64 KB.
    private static let largestKeptInput = 64 << 10
    /// Where memory is spared, larger constants are computed at run time: 64 KB, more than any bias.
    private static let largestSparedConstant = 64 << 10

    /// - Parameter inputFacts: for each input what is known of it.
    init(
        _ graph: Graph, inputFacts: [ValueID: Fact], threads: ThreadPool, savesMemory: Bool = false,
        limits: ResourceLimits = ResourceLimits(), keepsLate: Bool = false, late: LateConstants? = nil
    ) {
        self.keepsLate = keepsLate
        self.late = late
        self.graph = graph
        self.limits = limits
        remainingBytes = limits.foldedBytes ?? Self.defaultFoldedBytes(graph)
        outputs = Set(graph.outputs)
        self.threads = threads
        self.savesMemory = savesMemory
        facts = Array(repeating: .unknown, count: graph.values.count)
        for (id, tensor) in graph.initializers { facts[id] = Fact(.tensor(tensor)) }
        for (id, fact) in inputFacts { facts[id] = fact }
        for id in graph.inputs + graph.captures where inputFacts[id] == nil {
            // An input that isn't bound may be given at run time: its initializer is only its default.
            facts[id] = .unknown
        }
    }

    /// See ``ResourceLimits/foldedBytes``. Constants that share their place in a file count once.
    private static func defaultFoldedBytes(_ graph: Graph) -> Int {
        var bytes: [ObjectIdentifier: Int] = [:]
        for tensor in graph.initializers.values {
            let (id, most) = (ObjectIdentifier(tensor.storage), tensor.storage.byteCount)
            bytes[id] = min(most, bytes[id, default: 0] + min(most, tensor.byteCount))
        }
        return 256 << 20 + 4 * bytes.values.reduce(0, +)
    }

    /// - Throws: ``RunError`` with the node whose inputs don't fit it.
    mutating func run() throws(RunError) {
        let nodes = graph.nodes
        kept.reserveCapacity(nodes.count)
        for node in nodes { try visit(node) }
        graph.nodes = kept
        kept = []
    }

    private mutating func visit(_ original: Node) throws(RunError) {
        var node = original
        node.inputs = original.inputs.map { id in id.map { forwarded[$0] ?? $0 } }
        node.captures = original.captures.map { forwarded[$0] ?? $0 }
        guard let operation = node.operation else { return kept.append(node) }
        if let inlining = operation as? any InliningOperator, try inline(node, inlining) { return }
        let inputs = node.inputs.map { id in id.map { facts[$0] } }
        let outputs: [Fact]
        do {
            outputs = try node.inferOutputs(operation, inputs)
        } catch {
            throw RunError(node: node, inputs: inputs.map { $0.map(\.summary) }, underlying: error)
        }
        for (id, fact) in zip(node.outputs, outputs) { if let id { facts[id] = fact } }
        if try fold(node, operation, inputs: inputs, outputs: outputs) { return }
        if forward(node, operation, inputs: inputs, outputs: outputs) { return }
        kept.append(node)
    }

    /// Lets the readers of a node that changes nothing read its input.
    private mutating func forward(_ node: Node, _ operation: any Operator, inputs: [Fact?], outputs: [Fact]) -> Bool {
        // An output of the graph keeps its name, and so its node.
        guard let output = node.outputs.first ?? nil, node.outputs.dropFirst().allSatisfy({ $0 == nil }),
            !self.outputs.contains(output), let input = operation.forwardedInput(inputs: inputs, outputs: outputs),
            input < node.inputs.count, let source = node.inputs[input]
        else { return false }
        forwarded[output] = source
        return true
    }

    /// Replaces a node by constants where all that it computes is known.
    private mutating func fold(_ node: Node, _ operation: any Operator, inputs: [Fact?], outputs: [Fact]) throws(RunError)
        -> Bool
    {
        guard operation.isDeterministic, !outputs.isEmpty else { return false }
        let isKnown = zip(node.outputs, outputs).allSatisfy { $0 == nil || $1.value != nil }
        if isKnown && outputs.count >= node.outputs.count { return setConstants(node, outputs.map(\.value)) }
        guard node.captures.isEmpty, node.attributes.graphs.isEmpty else { return false }
        guard inputs.allSatisfy({ $0 == nil || $0?.value != nil }) else { return false }
        if keepsLate && operation.isFoldedLate(inputs: inputs) { return false }
        guard operation.isView || !growsTooLarge(inputs: inputs, outputs: outputs) else { return false }
        // A few nodes can double a constant until no memory holds it: what goes beyond the budget is left to the run.
        guard operation.isView || Fact.byteCount(outputs) <= remainingBytes else { return false }
        if let late, let id = node.outputs.first ?? nil, node.outputs.count == 1, late.isShared(node), let known = late[id] {
            renewable.append(known)
            return setConstants(node, [.tensor(known)])
        }
        let values = inputs.map { $0.flatMap(\.value) }
        let results = try NodeRunner(threads: threads, runBytes: limits.runBytes).run(node, operation, inputs: values)
        let sources = Set(values.flatMap { Self.storages($0) })
        for storage in Set(results.flatMap { Self.storages($0) }).subtracting(sources) { remainingBytes -= storage.byteCount }
        return setConstants(node, renewed(node, operation, values, results))
    }

    /// What a node made of constants, such as the Cast of a weight, so that it can be made again: where kernels read it packed, it
    /// needn't be in memory in another form, too. Such constants are packed once, as a file's own are, and not in every run.
    private mutating func renewed(
        _ node: Node, _ operation: any Operator, _ inputs: [Value?], _ results: [Value?]
    ) -> [Value?] {
        guard keepsLate || late?.isShared(node) == true, !savesMemory, !operation.isView, node.outputs.count == 1,
            case .tensor(let known)? = results.first ?? nil, known.shape.rank > 1, known.dtype != .string,
            known.byteCount > Graph.largestMergedConstant,
            inputs.allSatisfy({ input in
                guard case .tensor(let tensor)? = input else { return input == nil }
                return tensor.storage.isMappedFile || tensor.byteCount <= Self.largestKeptInput
            })
        else { return results }
        let (threads, runBytes) = (threads, limits.runBytes)
        do {
            let tensor = try Tensor(dtype: known.dtype, shape: known.shape, known: known) {
                let runner = NodeRunner(threads: threads, runBytes: runBytes)
                guard case .tensor(let made)? = try runner.run(node, operation, inputs: inputs).first ?? nil else {
                    throw TensorError("\(node.title) made no tensor")
                }
                return made
            }
            let kept = node.outputs[0].flatMap { late?.keep(tensor, for: $0) } ?? tensor
            renewable.append(kept)
            return [.tensor(kept)]
        } catch {
            // Without addresses for it it stays as it is.
            return results
        }
    }

    /// - Returns: false where the node must stay: a graph holds constant tensors, but no constant sequences.
    private mutating func setConstants(_ node: Node, _ results: [Value?]) -> Bool {
        let values = zip(node.outputs, results).compactMap { id, value in id.flatMap { id in value.map { (id, $0) } } }
        let areTensors = values.allSatisfy { if case .tensor = $0.1 { true } else { false } }
        for (id, value) in values {
            if areTensors { setConstant(id, value) } else { facts[id] = Fact(value) }
        }
        return areTensors
    }

    private struct StorageKey: Hashable {
        let id: ObjectIdentifier
        let byteCount: Int
    }

    private static func storages(_ value: Value?) -> [StorageKey] {
        let tensors: [Tensor] =
            switch value {
            case .tensor(let tensor): [tensor]
            case .sequence(let tensors): tensors
            case .map(let map): [map.keys, map.values]
            case .maps(let maps): maps.flatMap { [$0.keys, $0.values] }
            case .empty, nil: []
            }
        return tensors.filter { !$0.storage.isMappedFile }.map {
            StorageKey(id: ObjectIdentifier($0.storage), byteCount: $0.storage.byteCount)
        }
    }

    private func growsTooLarge(inputs: [Fact?], outputs: [Fact]) -> Bool {
        let produced = Fact.byteCount(outputs)
        if savesMemory, produced > Self.largestSparedConstant { return true }
        // A Cast from half to single precision doubles its input, and is wanted; an Expand over a whole picture is not.
        return produced > Self.largestGrownConstant && produced / 4 > Fact.byteCount(inputs)
    }

    private mutating func setConstant(_ id: ValueID, _ value: Value) {
        facts[id] = Fact(value)
        if case .tensor(let tensor) = value { graph.initializers[id] = tensor }
    }

    /// Replaces a node by the one of its graphs that its inputs select, as `If` with a constant condition.
    private mutating func inline(_ node: Node, _ operation: any InliningOperator) throws(RunError) -> Bool {
        guard let subgraph = operation.selectedSubgraph(node.inputs.map { id in id.map { facts[$0] } }) else { return false }
        let inner = subgraph.graph
        var mapping = [ValueID?](repeating: nil, count: inner.values.count)
        for (id, outer) in zip(inner.captures, node.captures[subgraph.captureRange]) { mapping[id] = outer }
        for (id, outer) in zip(inner.inputs, node.inputs) { mapping[id] = outer }
        func outer(_ id: ValueID, _ specializer: inout Specializer) -> ValueID {
            if let known = mapping[id] { return known }
            let new = specializer.graph.addValue(inner.values[id])
            specializer.facts.append(.unknown)
            mapping[id] = new
            return new
        }
        for (id, tensor) in inner.initializers {
            let new = outer(id, &self)
            setConstant(new, .tensor(tensor))
        }
        for innerNode in inner.nodes {
            var copy = innerNode
            copy.inputs = innerNode.inputs.map { id in id.map { outer($0, &self) } }
            copy.captures = innerNode.captures.map { outer($0, &self) }
            copy.outputs = innerNode.outputs.map { id in id.map { outer($0, &self) } }
            try visit(copy)
        }
        for (id, innerID) in zip(node.outputs, inner.outputs) {
            guard let id else { continue }
            let source = outer(innerID, &self)
            let identity = Node(
                name: node.name,
                identity: OperatorIdentity(domain: OperatorIdentity.fusionDomain, type: "Identity", version: 1),
                inputs: [source], outputs: [id], operation: IdentityOperator())
            try visit(identity)
        }
        return true
    }
}

/// An operator that may become one of its own graphs once its inputs are known.
public protocol InliningOperator: Operator {
    /// The graph that the node stands for, nil where that isn't known before the run.
    func selectedSubgraph(_ inputs: [Fact?]) -> Subgraph?
}

/// Hands its input on: what is left of a node after its graph was put in its place.
struct IdentityOperator: Operator {
    var outputStorage: OutputStorage { .view(input: 0) }
    var mergeKey: String? { "Identity" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [try inputs[0]] }

    func run(_ context: inout RunContext) throws {
        guard let value = context.inputs.first ?? nil else { throw TensorError("input 0 is missing") }
        context.setOutput(0, value)
    }
}

extension Fact {
    /// For messages: `float32[1, 4, 64, 64]`.
    var summary: String {
        if case .sequence(let tensors) = value { return "a sequence of \(tensors.count) tensors" }
        return "\(dtype.map(String.init(describing:)) ?? "?")\(shape.map(String.init(describing:)) ?? "[…]")"
    }
}
