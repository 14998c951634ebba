/// One operator, from one version of its operator set on.
public struct OperatorDefinition: Sendable {
    /// The operator's domain, `""` for ONNX's own.
    public let domain: String
    /// The operator's name, such as `Conv`.
    public let type: String
    /// The opset version that introduced these semantics.
    public let sinceVersion: Int
    let decode: @Sendable (inout NodeDecoder) throws -> any Operator

    /// An operator that `decode` makes of a node's attributes.
    ///
    /// - Parameters:
    ///   - type: its name.
    ///   - domain: `""` for ONNX's own.
    ///   - sinceVersion: the opset version from which it holds, until a newer definition's.
    ///   - decode: reads every attribute that the operator honours, and throws where it can't.
    public init(
        _ type: String, domain: String = "", since sinceVersion: Int,
        decode: @escaping @Sendable (inout NodeDecoder) throws -> any Operator
    ) {
        self.domain = domain
        self.type = type
        self.sinceVersion = sinceVersion
        self.decode = decode
    }
}

/// The operators that a session knows, by domain, type and version.
public struct OperatorRegistry: Sendable {
    private struct Key: Hashable {
        let domain: String
        let type: String
    }

    private var definitions: [Key: [OperatorDefinition]] = [:]
    private var expansions: [Key: [OperatorExpansion]] = [:]
    /// What helps with a domain none of whose operators is known.
    private let advice: [String: String]
    /// The newest opset version of each domain whose semantics the definitions know.
    private let newestOpset: [String: Int]

    /// A registry of these definitions.
    ///
    /// - Parameters:
    ///   - list: the definitions.
    ///   - newestOpset: for each domain the newest version whose semantics the definitions know; models that import a newer one are
    ///     refused, since an operator may mean something else there.
    ///   - expansions: operators that stand for others.
    ///   - advice: by domain, what the message about an unknown operator goes on with.
    public init(
        _ list: [OperatorDefinition], newestOpset: [String: Int], expansions: [OperatorExpansion] = [],
        advice: [String: String] = [:]
    ) {
        self.newestOpset = newestOpset
        self.advice = advice
        for definition in list { add(definition) }
        for expansion in expansions { add(expansion) }
    }

    /// Adds an operator that stands for others; one with the same domain, type and version is replaced.
    public mutating func add(_ expansion: OperatorExpansion) {
        let key = Key(domain: expansion.domain, type: expansion.type)
        var versions = expansions[key, default: []]
        versions.removeAll { $0.sinceVersion == expansion.sinceVersion }
        versions.append(expansion)
        expansions[key] = versions.sorted { $0.sinceVersion < $1.sinceVersion }
    }

    private func expansion(for identity: OperatorIdentity) -> OperatorExpansion? {
        expansions[Key(domain: identity.domain, type: identity.type)]?.last { $0.sinceVersion <= identity.version }
    }

    /// Adds an operator; one with the same domain, type and version is replaced.
    public mutating func add(_ definition: OperatorDefinition) {
        let key = Key(domain: definition.domain, type: definition.type)
        var versions = definitions[key, default: []]
        versions.removeAll { $0.sinceVersion == definition.sinceVersion }
        versions.append(definition)
        definitions[key] = versions.sorted { $0.sinceVersion < $1.sinceVersion }
    }

    /// The definition that holds for an identity: the newest that isn't newer than its version.
    public func definition(for identity: OperatorIdentity) -> OperatorDefinition? {
        definitions[Key(domain: identity.domain, type: identity.type)]?.last { $0.sinceVersion <= identity.version }
    }

    /// Every (domain, type) with the versions it is known from, sorted.
    public var listing: [(domain: String, type: String, sinceVersions: [Int])] {
        let versions = definitions.mapValues { $0.map(\.sinceVersion) }
            .merging(expansions.mapValues { $0.map(\.sinceVersion) }) { $0 + $1 }
        return versions.map { ($0.key.domain, $0.key.type, $0.value.sorted()) }
            .sorted { ($0.0, $0.1) < ($1.0, $1.1) }
    }

    /// A copy of the graph in which every node has its ``Node/operation``, and so have those of its subgraphs.
    ///
    /// - Parameters:
    ///   - graph: the graph, as a loader makes it.
    ///   - halfRounding: with ``HalfRounding/outputs``, nodes between which numbers stay float32 are rewritten.
    /// - Throws: ``GraphError`` that names every operator that isn't known, or the node and attribute that can't be honoured.
    public func resolve(_ graph: Graph, halfRounding: HalfRounding = .outputs) throws(GraphError) -> Graph {
        let missing = missingOperators(in: graph)
        guard missing.isEmpty else {
            throw GraphError(
                "the model needs operators that aren't supported: " + missing.joined(separator: ", ") + advice(about: graph),
                kind: .unsupported)
        }
        return try resolveNodes(graph, captureTypes: [], halfRounding)
    }

    /// The operators of a graph, and of those in its attributes, that aren't known, with their versions, sorted.
    public func missingOperators(in graph: Graph) -> [String] { unknownOperators(graph).sorted() }

    private func advice(about graph: Graph) -> String {
        graph.nodes.lazy.compactMap { node in
            self.advice[node.identity.domain].flatMap { self.isKnown(node.identity) ? nil : ": \($0)" }
        }.first ?? ""
    }

    private func isKnown(_ identity: OperatorIdentity) -> Bool {
        definition(for: identity) != nil || expansion(for: identity) != nil
    }

    private func unknownOperators(_ graph: Graph) -> Set<String> {
        var missing: Set<String> = []
        for node in graph.nodes where node.operation == nil {
            if let newest = newestOpset[node.identity.domain], node.identity.version > newest {
                missing.insert("\(node.identity) (opset \(newest) is the newest known)")
            } else if !isKnown(node.identity) {
                missing.insert("\(node.identity)")
            }
            for (_, graph) in node.attributes.graphs { missing.formUnion(unknownOperators(graph)) }
        }
        return missing
    }

    /// - Parameter captureTypes: of the graph's captures, where they are known.
    private func resolveNodes(
        _ graph: Graph, captureTypes: [DType?], _ halfRounding: HalfRounding
    ) throws(GraphError) -> Graph {
        var graph = try graph.expanding(expansion(for:), version: newestOpset[""] ?? 1)
        let hasHalves = graph.hasHalves || captureTypes.contains { $0?.isHalf ?? false }
        var widening = halfRounding == .outputs && hasHalves ? HalfWidening(graph, captureTypes: captureTypes) : nil
        for index in graph.nodes.indices {
            var node = graph.nodes[index]
            if node.operation == nil {
                node.operation = try operation(of: node, halfRounding) { widening?.type(of: $0) }
            }
            graph.nodes[index] = node
            widening?.append(node)
        }
        widening?.finish()
        return widening?.graph ?? graph
    }

    /// - Parameter type: the type of a value of the node's graph, where it is known.
    private func operation(
        of node: Node, _ halfRounding: HalfRounding, type: (ValueID) -> DType?
    ) throws(GraphError) -> (any Operator)? {
        guard let definition = definition(for: node.identity) else { return nil }
        var subgraphs: [String: [Subgraph]] = [:]
        var offset = 0
        for (attribute, inner) in node.attributes.graphs {
            let range = offset..<offset + inner.captures.count
            let types = range.map { $0 < node.captures.count ? type(node.captures[$0]) : nil }
            let resolved = try resolveNodes(inner, captureTypes: types, halfRounding)
            subgraphs[attribute, default: []].append(Subgraph(graph: resolved, captureRange: range))
            offset = range.upperBound
        }
        var decoder = NodeDecoder(node, subgraphs: subgraphs)
        do {
            let operation = try definition.decode(&decoder)
            try decoder.requireAllRead()
            return operation
        } catch {
            throw GraphError("\(node.title): \(error)", kind: .unsupported)
        }
    }
}
