import GraphRuntime

/// A graph into which nodes, constants and inputs are put; each node right before the one that first reads what it makes, so that values live no
/// longer than they must.
struct GraphInsertion {
    private(set) var graph: Graph
    /// What the names of everything that is added begin with.
    private let prefix: String
    /// Nodes before each of the graph's own.
    private var added: [Int: [Node]] = [:]

    init(_ graph: Graph, prefix: String) {
        self.graph = graph
        self.prefix = prefix
    }

    mutating func constant(_ tensor: Tensor) -> ValueID {
        let id = graph.addValue(ValueDeclaration(name: "\(prefix).\(graph.values.count)"))
        graph.initializers[id] = tensor
        return id
    }

    /// A further input of the graph.
    mutating func input(_ name: String, _ type: ValueType) -> ValueID {
        let id = graph.addValue(ValueDeclaration(name: name, type: type))
        graph.inputs.append(id)
        return id
    }

    /// A node of ONNX's own operators with one output.
    ///
    /// - Parameter place: the node of the graph that reads it first.
    mutating func add(
        _ type: String, _ version: Int, _ inputs: [ValueID], _ attributes: KeyValuePairs<String, AttributeValue> = [:],
        before place: Int
    ) -> ValueID {
        let id = graph.addValue(ValueDeclaration(name: "\(prefix).\(graph.values.count)"))
        added[place, default: []].append(
            Node(
                name: "\(prefix)/\(type)", identity: OperatorIdentity(type: type, version: version), inputs: inputs,
                outputs: [id], attributes: NodeAttributes(attributes)))
        return id
    }

    /// Lets a node of the graph read another value.
    mutating func replace(input: Int, ofNode node: Int, by value: ValueID) { graph.nodes[node].inputs[input] = value }

    /// The graph with all that was added.
    func finished() -> Graph {
        var result = graph
        result.nodes = graph.nodes.indices.flatMap { (added[$0] ?? []) + [graph.nodes[$0]] }
        return result
    }
}
