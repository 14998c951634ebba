/// What an operator sees while it runs, on its thread alone: its inputs, its outputs to fill, threads, scratch memory and its subgraphs' executor.
public struct RunContext {
    /// What it reads and where it writes.
    public let operands: Operands
    /// The values that the node's graphs capture, see ``Node/captures``.
    public let captures: [Value]
    /// The threads to share the work among.
    public let threads: ThreadPool
    /// What ``setOutput(_:_:)`` was given.
    public private(set) var results: [Value?]
    let subgraphs: SubgraphRunner?

    /// What one run of a node sees; `subgraphs` nil runs no graphs.
    public init(
        inputs: [Value?], captures: [Value] = [], outputs: [MutableTensor?], threads: ThreadPool,
        subgraphs: SubgraphRunner? = nil
    ) {
        operands = Operands(inputs: inputs, outputs: outputs)
        self.captures = captures
        self.threads = threads
        self.subgraphs = subgraphs
        results = []
    }

    /// Nil for an optional input that isn't given.
    public var inputs: [Value?] { operands.inputs }

    /// Nil where nobody asked for the output or its shape wasn't inferred.
    public var outputs: [MutableTensor?] { operands.outputs }

    /// As ``Operands/input(_:)``.
    public func input(_ index: Int) throws(TensorError) -> Tensor { try operands.input(index) }

    /// As ``Operands/optionalInput(_:)``.
    public func optionalInput(_ index: Int) throws(TensorError) -> Tensor? { try operands.optionalInput(index) }

    /// As ``Operands/output(_:)``.
    public func output(_ index: Int) throws(TensorError) -> MutableTensor { try operands.output(index) }

    /// Output `index`, nil where nobody asked for it.
    public func optionalOutput(_ index: Int) -> MutableTensor? { index < outputs.count ? outputs[index] : nil }

    /// States an output that inference gave no storage: a sequence, or a tensor whose shape only the run tells.
    public mutating func setOutput(_ index: Int, _ value: Value) {
        while results.count <= index { results.append(nil) }
        results[index] = value
    }

    /// Runs one of the node's graphs.
    ///
    /// - Parameters:
    ///   - subgraph: the graph, one among the node's attributes.
    ///   - inputs: one value for each of the graph's inputs.
    /// - Returns: one value for each of its outputs.
    public func run(_ subgraph: Subgraph, inputs: [Value]) throws -> [Value] {
        guard let subgraphs else { throw GraphError("this context runs no subgraphs") }
        return try subgraphs.run(subgraph, inputs: inputs, captures: captures)
    }

    /// Runs one of the node's graphs turn by turn, each on some of the values that the turn before left.
    ///
    /// - Parameters:
    ///   - subgraph: the graph, one among the node's attributes.
    ///   - carried: which of its inputs are which of its outputs of the turn before.
    ///   - values: those inputs of the first turn.
    ///   - next: is given the other outputs of a turn, none before the first, and returns the other inputs of the next one, nil to end.
    ///     They are tensors of the same types and shapes in every turn.
    /// - Returns: the carried outputs of the last turn; `values` where there is none.
    /// - Throws: what a turn throws, and `next`; ``GraphError`` where an input has another type or shape than in the turn before.
    public func run(
        _ subgraph: Subgraph, carrying carried: CarriedValues, values: [Value], next: ([Value]) throws -> [Value]?
    ) throws -> [Value] {
        guard let subgraphs else { throw GraphError("this context runs no subgraphs") }
        let graph = subgraph.graph
        guard values.count == carried.inputs.count, graph.inputs.indices.contains(carried.inputs),
            graph.outputs.indices.contains(carried.outputs)
        else {
            throw GraphError(
                "\(values.count) values can't be carried from outputs \(carried.outputs) to inputs \(carried.inputs) of a graph of \(graph.inputs.count) inputs and \(graph.outputs.count) outputs"
            )
        }
        return try subgraphs.run(subgraph, carrying: carried, captures: captures, values: values, next: next)
    }
}

extension RunContext {
    /// What a run of one of the node's graphs would give, as far as that follows from types, shapes and small captured values: for results
    /// of a loop that makes no turn. Types and extents that don't follow are those that the graph declares, with 0 for extents that it
    /// leaves open, as ONNX Runtime has them.
    ///
    /// - Parameters:
    ///   - subgraph: the graph, one among the node's attributes.
    ///   - inputs: a fact for each of the graph's inputs.
    public func inferOutputs(_ subgraph: Subgraph, inputs: [Fact]) -> [Fact] {
        let graph = subgraph.graph
        var known: [ValueID: Fact] = [:]
        for (id, fact) in zip(graph.inputs, inputs) { known[id] = fact }
        for (id, value) in zip(graph.captures, captures[subgraph.captureRange]) {
            // Constants are computed with: that should cost nothing.
            let fact = Fact(value)
            known[id] = (fact.tensor?.count ?? 0) > Self.largestKnownCapture ? fact.withoutValue : fact
        }
        var specializer = Specializer(graph, inputFacts: known, threads: threads)
        // Where a node doesn't fit its inputs, what comes before it is known nevertheless: it would never have run.
        try? specializer.run()
        return graph.outputs.map { id in
            var fact = specializer.facts[id]
            guard case .tensor(let dtype, let dimensions)? = graph.values[id].type else { return fact }
            fact.dtype = fact.dtype ?? dtype
            if fact.shape == nil {
                fact.shape = try? Shape((dimensions ?? []).map { if case .fixed(let extent) = $0 { extent } else { 0 } })
            }
            return fact
        }
    }

    private static let largestKnownCapture = 1024
}

/// A graph among the attributes of a node, with its operators resolved.
public struct Subgraph: Sendable {
    /// The graph, whose nodes have their operators.
    public let graph: Graph
    /// Which of the node's ``Node/captures`` are this graph's.
    public let captureRange: Range<Int>
    /// Tells graphs apart; copies share it.
    let identity = Identity()

    final class Identity: Sendable {}
}

/// Runs subgraphs for control flow: the executor's face towards operators.
public protocol SubgraphRunner {
    /// Runs a graph.
    ///
    /// - Parameters:
    ///   - subgraph: one of the node's graphs.
    ///   - inputs: one value for each of the graph's inputs.
    ///   - captures: all values that the node captures, of which the graph takes its ``Subgraph/captureRange``.
    /// - Returns: one value for each of the graph's outputs.
    /// - Throws: ``RunError`` where a node fails.
    func run(_ subgraph: Subgraph, inputs: [Value], captures: [Value]) throws -> [Value]

    /// Runs a graph turn by turn, as ``RunContext/run(_:carrying:values:next:)`` has it. By default, each turn for itself.
    ///
    /// - Parameters:
    ///   - subgraph: one of the node's graphs.
    ///   - carried: which of its inputs are which of its outputs of the turn before.
    ///   - captures: all values that the node captures.
    ///   - values: the carried inputs of the first turn.
    ///   - next: returns the other inputs of each turn, of the other outputs of the one before; nil to end.
    /// - Returns: the carried outputs of the last turn.
    /// - Throws: ``RunError`` where a node fails, and what `next` throws.
    func run(
        _ subgraph: Subgraph, carrying carried: CarriedValues, captures: [Value], values: [Value],
        next: ([Value]) throws -> [Value]?
    ) throws -> [Value]
}

extension SubgraphRunner {
    public func run(
        _ subgraph: Subgraph, carrying carried: CarriedValues, captures: [Value], values: [Value],
        next: ([Value]) throws -> [Value]?
    ) throws -> [Value] {
        var values = values
        var given = try next([])
        while let others = given {
            let results = try run(subgraph, inputs: carried.inputs(values, others), captures: captures)
            values = Array(results[carried.outputs])
            given = try next(carried.others(results))
        }
        return values
    }
}
