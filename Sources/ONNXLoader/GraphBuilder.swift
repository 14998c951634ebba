import GraphRuntime

/// Gives the values of named graphs their ids, and finds what graphs of attributes read of the graphs around them.
///
/// A name means the innermost definition, also where it hides one further out: ONNX forbids that, exporters do it.
final class GraphBuilder {
    private let parent: GraphBuilder?
    private let named: NamedGraph
    private var graph: Graph
    private var ids: [String: ValueID] = [:]
    /// The ids, in the parent's graph, of the graph's captures.
    private var sources: [ValueID] = []

    private init(_ named: NamedGraph, parent: GraphBuilder?) {
        self.named = named
        self.parent = parent
        graph = Graph(name: named.name)
    }

    /// - Throws: ``LoadError`` of kind `graph`.
    static func build(_ named: NamedGraph) throws(LoadError) -> Graph {
        try GraphBuilder(named, parent: nil).build()
    }

    private func build() throws(LoadError) -> Graph {
        try declareValues()
        graph.nodes.reserveCapacity(named.nodes.count)
        for node in named.nodes {
            do throws(LoadError) {
                graph.nodes.append(try build(node))
            } catch {
                throw error.prefixed("node \(node.title)")
            }
        }
        for output in named.outputs {
            guard let id = resolve(output) else {
                throw LoadError(.graph, "\(title): nothing produces the output \"\(shown(output))\"")
            }
            // One that is listed twice is answered twice.
            graph.outputs.append(id)
        }
        do throws(GraphError) {
            try graph.sortTopologically()
        } catch {
            throw LoadError(.graph, "\(title): " + error.message)
        }
        return graph
    }

    private var title: String { named.name.isEmpty ? "the graph" : "graph \"\(shown(named.name))\"" }

    /// A name as messages have it.
    private func shown(_ name: String) -> String { name.shortened(to: String.longestName) }

    /// Everything that this graph defines, before anything is read: nodes needn't stand in order.
    private func declareValues() throws(LoadError) {
        for input in named.inputs {
            guard !input.isEmpty else { throw LoadError(.graph, "\(title) has an input without a name") }
            guard ids[input] == nil else {
                throw LoadError(.graph, "\(title): the input \"\(shown(input))\" is listed twice: give each a name of its own")
            }
            graph.inputs.append(declare(input))
        }
        for (name, tensor) in named.initializers {
            guard !name.isEmpty else { throw LoadError(.graph, "\(title) has an initializer without a name") }
            let id = ids[name] ?? declare(name)
            if let other = graph.initializers[id] {
                // Readers differ in which of two they take; the same values twice are no question.
                guard other.hasSameElements(as: tensor) else {
                    throw LoadError(
                        .graph,
                        "\(title): the initializer \"\(shown(name))\" is defined twice with different values: remove one of them from "
                            + "graph.initializer with the onnx package, and save the model again")
                }
                continue
            }
            graph.initializers[id] = tensor
            if graph.values[id].type == nil {
                graph.values[id].type = .tensor(tensor.dtype, tensor.shape.dimensions.map { .fixed($0) })
            }
        }
        for node in named.nodes {
            for output in node.outputs where !output.isEmpty {
                guard ids[output] == nil else {
                    throw LoadError(
                        .graph,
                        "node \(node.title): the output \"\(shown(output))\" has another source already: give each a name of its own"
                    )
                }
                _ = declare(output)
            }
        }
    }

    private func declare(_ name: String) -> ValueID {
        let id = graph.addValue(ValueDeclaration(name: name, type: named.types[name]))
        ids[name] = id
        return id
    }

    /// The id of a value, captured from the graphs around where it isn't defined here; nil where nothing defines it.
    private func resolve(_ name: String) -> ValueID? {
        if let id = ids[name] { return id }
        guard let parent, let outer = parent.resolve(name) else { return nil }
        let id = graph.addValue(parent.graph.values[outer])
        ids[name] = id
        graph.captures.append(id)
        sources.append(outer)
        return id
    }

    private func build(_ named: NamedNode) throws(LoadError) -> Node {
        guard let version = named.version else {
            throw LoadError(.graph, "the model doesn't import the operators of the domain \"\(shown(named.domain))\"")
        }
        var inputs: [ValueID?] = []
        for input in named.inputs {
            if input.isEmpty { inputs.append(nil); continue }
            guard let id = resolve(input) else { throw LoadError(.graph, "nothing produces the input \"\(shown(input))\"") }
            inputs.append(id)
        }
        var node = Node(
            name: named.name, identity: OperatorIdentity(domain: named.domain, type: named.type, version: version),
            inputs: inputs,
            outputs: named.outputs.map { $0.isEmpty ? nil : ids[$0] })
        node.scopes = named.scopes
        for attribute in named.attributes {
            switch attribute.content {
            case .value(let value): node.attributes[attribute.name] = value
            case .graph(let graph): node.attributes[attribute.name] = .graph(try build(graph, for: &node))
            case .graphs(let graphs):
                var values: [Graph] = []
                for graph in graphs { values.append(try build(graph, for: &node)) }
                node.attributes[attribute.name] = .graphs(values)
            case .reference(let name):
                throw LoadError(.graph, "attribute \(attribute.name) refers to \(name) of a function, but isn't in one")
            }
        }
        return node
    }

    private func build(_ named: NamedGraph, for node: inout Node) throws(LoadError) -> Graph {
        let builder = GraphBuilder(named, parent: self)
        let graph = try builder.build()
        node.captures += builder.sources
        return graph
    }
}

extension Tensor {
    fileprivate func hasSameElements(as other: Tensor) -> Bool {
        guard dtype == other.dtype, shape == other.shape, strings == other.strings else { return false }
        // The same place in a file, or in the message.
        if storage === other.storage, byteOffset == other.byteOffset { return true }
        // Of what isn't there, nobody can say that it differs.
        return unsafe !hasValues || !other.hasValues || rawBytes.elementsEqual(other.rawBytes)
    }
}
