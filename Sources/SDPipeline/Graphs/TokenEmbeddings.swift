import GraphRuntime

/// Puts vectors beside those that a text encoder's graph has for its tokens.
enum TokenEmbeddings {
    /// The id of the first vector, beyond every vocabulary; the next ones follow.
    static let firstID = 1 << 20

    /// Gives the ids from ``firstID`` on vectors of their own. All else that the graph does with ids sees 0 in their place: encoders that pool
    /// the states at the largest id would take them for the end.
    ///
    /// - Parameters:
    ///   - vectors: [count, width].
    ///   - input: the input of token ids.
    ///   - title: what messages call the graph.
    /// - Throws: ``PipelineError`` where the table of the token embeddings isn't found, or has another width.
    static func add(_ vectors: Tensor, to graph: inout Graph, input: ValueID, title: String) throws {
        guard let found = lookUp(graph, input: input), case let table? = graph.nodes[found.node].inputs[0],
            let looked = graph.nodes[found.node].outputs.first ?? nil
        else {
            throw PipelineError(
                "The \(title)'s table of token embeddings isn't found in its graph (a Gather of \(graph.values[input].name.shortened(to: String.longestName))): embeddings can't be added.",
                kind: .unsupportedModel)
        }
        if let shape = shape(of: table, graph), shape.count == 2, shape[1] != vectors.shape[1] {
            throw PipelineError(
                "The embeddings' vectors have the shape \(vectors.shape), and the \(title)'s token embeddings \(shape): expected as many numbers for each.",
                kind: .invalidRequest)
        }
        var editor = Insertion(graph: graph)
        let first = try editor.constant(Tensor(scalar: Int64(firstID)), "first")
        let zero = try editor.constant(Tensor(scalar: Int64(0)), "zero")
        let axis = try editor.constant(Tensor([Int64(-1)]), "axis")
        let rows = editor.constant(vectors, "vectors")
        // What reads the ids, or what became of them on the way to the table, reads clean ones.
        var own: Set<Int> = [found.node]
        for value in found.path {
            if let node = graph.nodes.indices.first(where: { graph.nodes[$0].outputs.contains(value) }) { own.insert(node) }
        }
        for (index, value) in found.path.enumerated() {
            let isLast = index == found.path.count - 1
            let readers = graph.nodes.indices.filter { graph.nodes[$0].reads.contains(value) && (isLast || !own.contains($0)) }
            guard isLast || !readers.isEmpty || graph.outputs.contains(value) else { continue }
            let place = editor.place(behind: value)
            let bound = editor.add("CastLike", 15, [first, value], at: place)
            let none = editor.add("CastLike", 15, [zero, value], at: place)
            let isToken = editor.add("Less", 13, [value, bound], at: place)
            let clean = editor.add("Where", 9, [isToken, value, none], at: place)
            for reader in readers { editor.replace(value, by: clean, inNode: reader) }
            guard isLast else { continue }
            let offset = editor.add("Sub", 14, [value, bound], at: place)
            let positive = editor.add("Max", 13, [offset, none], at: place)
            let vector = editor.add("Gather", 13, [rows, positive], at: place)
            let behind = editor.place(behind: looked)
            let like = editor.add("CastLike", 15, [vector, looked], at: behind)
            let mask = editor.add("Unsqueeze", 13, [isToken, axis], at: behind)
            let chosen = editor.add("Where", 9, [mask, looked, like], at: behind)
            for reader in graph.nodes.indices where graph.nodes[reader].reads.contains(looked) {
                editor.replace(looked, by: chosen, inNode: reader)
            }
        }
        graph = editor.finished()
    }

    /// The node that looks up the ids, and the values from the input to its indices.
    private static func lookUp(_ graph: Graph, input: ValueID) -> (node: Int, path: [ValueID])? {
        let moves: Set = ["Reshape", "Cast", "Identity", "Squeeze", "Unsqueeze", "Flatten"]
        var path: [ValueID: [ValueID]] = [input: [input]]
        for (index, node) in graph.nodes.enumerated() where node.identity.domain.isEmpty {
            if node.identity.type == "Gather", node.inputs.count == 2, let ids = node.inputs[1], let found = path[ids],
                node.attributes["axis"].map({ if case .int(0) = $0 { true } else { false } }) ?? true,
                let table = node.inputs[0], path[table] == nil
            {
                return (index, found)
            }
            guard moves.contains(node.identity.type), let source = node.inputs.first ?? nil, let known = path[source],
                let output = node.outputs.first ?? nil
            else { continue }
            path[output] = known + [output]
        }
        return nil
    }

    /// The shape of a constant, seen through a conversion of its type.
    private static func shape(of value: ValueID, _ graph: Graph) -> [Int]? {
        var value = value
        while graph.initializers[value] == nil {
            guard let node = graph.nodes.first(where: { $0.outputs.contains(value) }),
                ["Cast", "Identity", "DequantizeLinear"].contains(node.identity.type), let source = node.inputs.first ?? nil
            else { return nil }
            value = source
        }
        return graph.initializers[value]?.shape.dimensions
    }

    /// A graph with nodes that are still to be put into their places.
    private struct Insertion {
        var graph: Graph
        /// Nodes behind the one of each place, -1 for the graph's beginning.
        private var added: [Int: [Node]] = [:]

        init(graph: Graph) { self.graph = graph }

        mutating func constant(_ tensor: Tensor, _ name: String) -> ValueID {
            let id = graph.addValue(ValueDeclaration(name: "sd-onnx.embeddings.\(name)"))
            graph.initializers[id] = tensor
            return id
        }

        func place(behind value: ValueID) -> Int { graph.nodes.firstIndex { $0.outputs.contains(value) } ?? -1 }

        mutating func add(_ type: String, _ version: Int, _ inputs: [ValueID], at place: Int) -> ValueID {
            let id = graph.addValue(ValueDeclaration(name: "sd-onnx.embeddings.\(type).\(graph.values.count)"))
            added[place, default: []].append(
                Node(
                    name: "sd-onnx/embeddings/\(type)", identity: OperatorIdentity(type: type, version: version),
                    inputs: inputs,
                    outputs: [id]))
            return id
        }

        mutating func replace(_ value: ValueID, by other: ValueID, inNode index: Int) {
            graph.nodes[index].inputs = graph.nodes[index].inputs.map { $0 == value ? other : $0 }
            graph.nodes[index].captures = graph.nodes[index].captures.map { $0 == value ? other : $0 }
        }

        func finished() -> Graph {
            var result = graph
            result.nodes = (added[-1] ?? []) + graph.nodes.indices.flatMap { [graph.nodes[$0]] + (added[$0] ?? []) }
            return result
        }
    }
}
