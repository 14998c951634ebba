import Dispatch

/// Runs single nodes on actual values, deciding shapes just before: for folding, for subgraphs, and where shapes depend on data.
struct NodeRunner {
    let threads: ThreadPool
    var observer: (any RunObserver)?
    var depth = 0
    /// See ``ResourceLimits/runBytes``.
    var runBytes: Int?
    /// What runs the node's graphs; nil to run them node by node.
    var subgraphs: (any SubgraphRunner)?

    /// - Returns: one value per output that the node names, nil where nobody asked for it.
    func run(
        _ node: Node, _ operation: any Operator, inputs: [Value?], captures: [Value] = []
    ) throws(RunError) -> [Value?] {
        do {
            return try attempt(node, operation, inputs: inputs, captures: captures)
        } catch {
            throw RunError(node: node, inputs: inputs.map { $0?.kind }, underlying: error)
        }
    }

    private func attempt(_ node: Node, _ operation: any Operator, inputs: [Value?], captures: [Value]) throws -> [Value?] {
        let facts = try node.inferOutputs(operation, inputs.map { $0.map { Fact($0) } })
        let allocated = observer == nil ? 0 : TensorStorage.allocatedBytes
        let start = observer == nil ? 0 : DispatchTime.now().uptimeNanoseconds
        var results = [Value?](repeating: nil, count: node.outputs.count)
        if case .view(let input) = operation.outputStorage, let shape = facts.first?.shape, input < inputs.count,
            case .tensor(let source)? = inputs[input]
        {
            results[0] = .tensor(try source.reshaped(to: shape))
        } else {
            var outputs = [MutableTensor?](repeating: nil, count: node.outputs.count)
            let wanted = zip(facts, node.outputs).map { fact, id in id == nil ? nil : fact }
            try ResourceLimits.requireRunBytes(Fact.byteCount(wanted), within: runBytes)
            for (index, fact) in facts.enumerated() where index < outputs.count && node.outputs[index] != nil {
                if let value = fact.value {
                    results[index] = value
                } else if let dtype = fact.dtype, dtype != .string, let shape = fact.shape {
                    outputs[index] = try MutableTensor(dtype: dtype, shape: shape)
                }
            }
            if zip(node.outputs, results).contains(where: { $0 != nil && $1 == nil }) {
                let produced = try operation.produce(
                    inputs: inputs, captures: captures, outputs: outputs, threads: threads,
                    subgraphs: subgraphs
                        ?? GraphRunner(threads: threads, observer: observer, depth: depth + 1, runBytes: runBytes))
                for (index, value) in produced.enumerated() where results[index] == nil { results[index] = value }
            }
        }
        for (index, id) in node.outputs.enumerated() where id != nil && results[index] == nil {
            throw GraphError("output \(index) was not computed")
        }
        if let observer {
            let end = DispatchTime.now().uptimeNanoseconds
            observer.didRun(
                NodeEvent(
                    place: .alone(node), kernelName: kernelName(operation, inputs: inputs, outputs: results), start: start,
                    end: end,
                    inputs: inputs, outputs: results, depth: depth,
                    allocatedBytes: TensorStorage.allocatedBytes - allocated))
        }
        return results
    }

    private func kernelName(_ operation: any Operator, inputs: [Value?], outputs: [Value?]) -> String? {
        operation.kernelName(inputs: inputs.map { $0.map { Fact($0) } }, outputs: outputs.map { $0.map { Fact($0) } })
    }
}

/// Runs graphs node by node, without a plan: subgraphs, and whole graphs with the optimizer off.
struct GraphRunner: SubgraphRunner {
    let threads: ThreadPool
    var observer: (any RunObserver)?
    var depth = 0
    /// See ``ResourceLimits/runBytes``.
    var runBytes: Int?

    func run(_ subgraph: Subgraph, inputs: [Value], captures: [Value]) throws -> [Value] {
        try run(subgraph.graph, bindings: bindings(subgraph, inputs: inputs, captures: captures))
    }

    /// The values that a subgraph is given, by its own ids.
    func bindings(_ subgraph: Subgraph, inputs: [Value], captures: [Value]) throws -> [(id: ValueID, value: Value)] {
        let graph = subgraph.graph
        guard inputs.count == graph.inputs.count, subgraph.captureRange.upperBound <= captures.count else {
            throw GraphError("the graph \"\(graph.name)\" takes \(graph.inputs.count) inputs, found \(inputs.count)")
        }
        var bindings: [(id: ValueID, value: Value)] = []
        bindings.reserveCapacity(graph.inputs.count + subgraph.captureRange.count)
        for (id, value) in zip(graph.inputs, inputs) { bindings.append((id, value)) }
        for (id, value) in zip(graph.captures, captures[subgraph.captureRange]) { bindings.append((id, value)) }
        return bindings
    }

    /// - Parameters:
    ///   - pages: of this graph's weights, where memory is to be spared.
    ///   - files: those of the whole model, which are checked after each node.
    func run(
        _ graph: Graph, bindings: [(id: ValueID, value: Value)], pages: WeightPages? = nil, files: MappedFiles? = nil
    ) throws -> [Value] {
        defer { pages?.didEnd() }
        if depth == 0 { observer?.willRun(graph) }
        let start = observer == nil || depth > 0 ? 0 : DispatchTime.now().uptimeNanoseconds
        var values = [Value?](repeating: nil, count: graph.values.count)
        for (id, tensor) in graph.initializers { values[id] = .tensor(tensor) }
        for (id, value) in bindings { values[id] = value }
        let lastUses = graph.lastUses()
        let runner = NodeRunner(threads: threads, observer: observer, depth: depth, runBytes: runBytes)
        for (index, node) in graph.nodes.enumerated() {
            try Task.checkCancellation()
            guard let operation = node.operation else { throw GraphError("\(node.title) isn't resolved") }
            pages?.willRun(index)
            defer { pages?.didRun(index) }
            let inputs = node.inputs.map { id in id.flatMap { values[$0] } }
            let captures = node.captures.compactMap { values[$0] }
            let results = try runner.run(node, operation, inputs: inputs, captures: captures)
            try files?.requireWhole()
            for (id, value) in zip(node.outputs, results) { if let id { values[id] = value } }
            for id in lastUses[index] { values[id] = nil }
        }
        let outputs = try graph.outputs.map { id in
            guard let value = values[id] else { throw GraphError("the output \"\(graph.values[id].name)\" was not computed") }
            return value
        }
        if let observer, depth == 0 {
            observer.didRun(Section(name: graph.name, kind: .run, start: start, end: DispatchTime.now().uptimeNanoseconds))
        }
        return outputs
    }
}

extension Graph {
    /// For each node the values that nobody reads after it, outputs of the graph excepted.
    func lastUses() -> [[ValueID]] {
        var last = [Int](repeating: -1, count: values.count)
        for (index, node) in nodes.enumerated() {
            for id in node.reads { last[id] = index }
            for case let id? in node.outputs { last[id] = max(last[id], index) }
        }
        var result = [[ValueID]](repeating: [], count: nodes.count)
        let keep = Set(outputs)
        for (id, index) in last.enumerated() where index >= 0 && !keep.contains(id) { result[index].append(id) }
        return result
    }
}
