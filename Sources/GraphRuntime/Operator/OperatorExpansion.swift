/// An operator that stands for a few others: where a graph has it, these are put in its place before anything else is done, so that
/// they run on the kernels, and take part in the fusions, that there are for them.
public struct OperatorExpansion: Sendable {
    /// The operator's domain, `""` for ONNX's own.
    public let domain: String
    /// The operator's name.
    public let type: String
    /// The opset version that introduced these semantics.
    public let sinceVersion: Int
    let expand: @Sendable (inout NodeExpansion) throws -> Void

    /// An operator in whose place come the nodes that `expand` adds.
    ///
    /// - Parameters:
    ///   - type: its name.
    ///   - domain: `""` for ONNX's own.
    ///   - sinceVersion: the opset version from which it holds.
    ///   - expand: reads every attribute that the operator honours, adds nodes, and states each of the node's outputs with
    ///     ``NodeExpansion/setOutput(_:_:)``; throws where the node can't be honoured.
    public init(
        _ type: String, domain: String = "", since sinceVersion: Int,
        expand: @escaping @Sendable (inout NodeExpansion) throws -> Void
    ) {
        self.domain = domain
        self.type = type
        self.sinceVersion = sinceVersion
        self.expand = expand
    }
}

/// The nodes that come into the place of one.
public struct NodeExpansion {
    /// The attributes of the node.
    public var decoder: NodeDecoder
    /// The opset version that the added nodes of ONNX's own domain are of.
    public let version: Int
    private let node: Node
    private(set) var graph: Graph
    private(set) var nodes: [Node] = []

    init(_ node: Node, in graph: Graph, version: Int) {
        self.node = node
        self.graph = graph
        self.version = version
        decoder = NodeDecoder(node)
    }

    /// Input `index`, nil where it isn't given.
    public func input(_ index: Int) -> ValueID? { index < node.inputs.count ? node.inputs[index] : nil }

    /// Whether somebody asks for output `index`.
    public func hasOutput(_ index: Int) -> Bool { index < node.outputs.count && node.outputs[index] != nil }

    /// The attributes of these names, as far as the node has them, for a node that honours them.
    public mutating func attributes(_ names: [String]) -> NodeAttributes {
        var result = NodeAttributes()
        for name in names {
            decoder.ignore(name)
            result[name] = node.attributes[name]
        }
        return result
    }

    /// Adds a node with one output.
    ///
    /// - Parameters:
    ///   - type: the operator's name.
    ///   - inputs: what it reads; nil for an optional input that isn't given.
    ///   - attributes: as a file would have them.
    ///   - version: the opset version that holds at it; by default ``version``.
    ///   - operation: the operator itself, for one that no file has.
    /// - Returns: the output.
    public mutating func add(
        _ type: String, _ inputs: [ValueID?], _ attributes: NodeAttributes = NodeAttributes(), version: Int? = nil,
        operation: (any Operator)? = nil
    ) -> ValueID {
        add(type, inputs, attributes, outputs: 1, version: version, operation: operation)[0]
    }

    /// Adds a node with any number of outputs, see ``add(_:_:_:version:operation:)``.
    public mutating func add(
        _ type: String, _ inputs: [ValueID?], _ attributes: NodeAttributes = NodeAttributes(), outputs: Int,
        version: Int? = nil, operation: (any Operator)? = nil
    ) -> [ValueID] {
        let base = node.name.isEmpty ? node.identity.type : node.name
        let results = (0..<outputs).map { _ in
            // The number tells it from values of other nodes of the same name, or of none.
            graph.addValue(ValueDeclaration(name: "\(base)/\(type)_\(graph.values.count)"))
        }
        let domain = operation == nil ? "" : OperatorIdentity.fusionDomain
        var added = Node(
            name: "\(base)/\(type)",
            identity: OperatorIdentity(domain: domain, type: type, version: version ?? self.version), inputs: inputs,
            outputs: results, attributes: attributes, operation: operation)
        added.scopes = node.scopes
        nodes.append(added)
        return results
    }

    /// Adds a constant.
    public mutating func constant(_ tensor: Tensor) -> ValueID {
        let base = node.name.isEmpty ? node.identity.type : node.name
        let id = graph.addValue(ValueDeclaration(name: "\(base)/constant_\(graph.values.count)"))
        graph.initializers[id] = tensor
        return id
    }

    /// Says which value the node's output `index` is; nothing where nobody asks for it.
    public mutating func setOutput(_ index: Int, _ value: ValueID) {
        guard index < node.outputs.count, let output = node.outputs[index] else { return }
        let isMade = nodes.contains { $0.outputs.contains(value) }
        guard isMade, !node.outputs.contains(value) else {
            let copy = add("Identity", [value])
            return rename(copy, to: output)
        }
        rename(value, to: output)
    }

    private mutating func rename(_ value: ValueID, to output: ValueID) {
        for index in nodes.indices {
            nodes[index].inputs = nodes[index].inputs.map { $0 == value ? output : $0 }
            nodes[index].outputs = nodes[index].outputs.map { $0 == value ? output : $0 }
        }
    }
}

extension Graph {
    /// The graph with others in the place of the nodes for which there are expansions; graphs of attributes stay as they are.
    ///
    /// - Throws: ``GraphError`` where a node can't be honoured.
    func expanding(_ expansion: (OperatorIdentity) -> OperatorExpansion?, version: Int) throws(GraphError) -> Graph {
        guard nodes.contains(where: { $0.operation == nil && expansion($0.identity) != nil }) else { return self }
        var result = self
        result.nodes = []
        for node in nodes {
            guard node.operation == nil, let expansion = expansion(node.identity) else {
                result.nodes.append(node)
                continue
            }
            var expanded = NodeExpansion(node, in: result, version: version)
            do {
                try expansion.expand(&expanded)
                try expanded.decoder.requireAllRead()
                for case let (index, id?) in node.outputs.enumerated()
                where !expanded.nodes.contains(where: { $0.outputs.contains(id) }) {
                    throw TensorError("output \(index) isn't supported")
                }
            } catch {
                throw GraphError("\(node.title): \(error)", kind: .unsupported)
            }
            let made = expanded.nodes
            result = expanded.graph
            result.nodes += made
        }
        return result
    }
}
