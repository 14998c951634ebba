/// A specialised graph under the hands of fusions: who produces and who reads each value, and what is known of it.
public struct GraphEditor {
    /// The graph as the fusions have made it so far.
    public private(set) var graph: Graph
    /// What is known of each value, by its id.
    public private(set) var facts: [Fact]
    /// For each value the index of the node that produces it.
    private var producers: [Int?] = []
    /// For each value the indices of the nodes that read it, once for every reading input.
    private var readers: [[Int]] = []
    private var outputSet: Set<ValueID> = []
    private var removed: Set<Int> = []
    /// Of nodes that came behind others, at the end of the graph until the fusion is done: their indices, by those of the others, and the
    /// other way round.
    private var (followers, leaders): ([Int: Int], [Int: Int]) = ([:], [:])
    /// Patterns that matched and could not be replaced.
    private(set) var refusals: [FusionReport.Miss] = []

    init(_ graph: Graph, facts: [Fact]) {
        self.graph = graph
        self.facts = facts
        index()
    }

    /// The graph's nodes, those that fusions have replaced so far included.
    public var nodes: [Node] { graph.nodes }

    /// The operation of a node, if it is of the given type.
    public func operation<Wanted: Operator>(_ node: Int, as type: Wanted.Type) -> Wanted? {
        removed.contains(node) ? nil : graph.nodes[node].operation as? Wanted
    }

    /// The node that produces a value; nil for inputs and constants.
    public func producer(of id: ValueID?) -> Int? { id.flatMap { producers[$0] } }

    /// The nodes that read a value, once for every input that does.
    public func readers(of id: ValueID) -> [Int] { readers[id] }

    /// The one node that reads a value, nil where there are more, or where the value is an output of the graph.
    public func soleReader(of id: ValueID?) -> Int? {
        guard let id, readers[id].count == 1, !outputSet.contains(id) else { return nil }
        return readers[id][0]
    }

    /// What is known of a value; nothing of nil.
    public func fact(_ id: ValueID?) -> Fact { id.map { facts[$0] } ?? .unknown }

    /// The shape of a value, nil where it isn't known.
    public func shape(_ id: ValueID?) -> Shape? { fact(id).shape }

    /// The tensor of a value that is a constant, else nil.
    public func constant(_ id: ValueID?) -> Tensor? { fact(id).tensor }

    /// The numbers of a constant of float32, or of one of 16 bits, which the graph may widen; nil for others.
    package func widenedConstant(_ id: ValueID?) -> Tensor? {
        if let tensor = constant(id) {
            return tensor.dtype == .float32 ? tensor : tensor.dtype.isHalf ? try? HalfPrecision.widen(tensor) : nil
        }
        guard let id, let producer = producer(of: id), nodes[producer].operation is WidenHalf,
            let halves = constant(nodes[producer].inputs[0])
        else { return nil }
        return try? HalfPrecision.widen(halves)
    }

    /// The value of a float constant of one element.
    public func scalar(_ id: ValueID?) -> Float? {
        guard let tensor = constant(id), tensor.count == 1, let values = try? tensor.array(of: Float.self) else { return nil }
        return values[0]
    }

    /// Adds a constant for a fused node to read.
    public mutating func addConstant(_ tensor: Tensor, name: String) -> ValueID {
        let id = addValue(name: name, fact: Fact(.tensor(tensor)))
        graph.initializers[id] = tensor
        return id
    }

    /// Adds a value for a fused node to produce.
    public mutating func addValue(name: String, fact: Fact) -> ValueID {
        let id = graph.addValue(ValueDeclaration(name: name))
        facts.append(fact)
        producers.append(nil)
        readers.append([])
        return id
    }

    /// Gives a value another name: where it isn't any more, element by element, what the file's value of that name is.
    public mutating func rename(_ id: ValueID, to name: String) { graph.values[id].name = name }

    /// Puts a fused node in the place of those it stands for.
    ///
    /// - Returns: false, with nothing changed but a line in ``refusals``, where a value between the replaced nodes is also read from
    ///   outside of them or is an output of the graph.
    mutating func apply(_ match: FusionMatch, of fusion: String) -> Bool {
        let inside = Set(match.nodes)
        guard let position = inside.max(), inside.isDisjoint(with: removed),
            !inside.contains(where: { followers[$0] != nil || leaders[$0] != nil })
        else { return false }
        let last = graph.nodes[position]
        if let reason = obstacle(to: match, inside: inside, position: position) {
            refusals.append(FusionReport.Miss(fusion: fusion, node: last.title, reason: reason))
            return false
        }
        var fused = Node(
            name: last.name,
            identity: OperatorIdentity(domain: OperatorIdentity.fusionDomain, type: match.type, version: 1),
            inputs: match.inputs, outputs: match.outputs, operation: match.operation)
        fused.scopes = last.scopes
        fused.widensHalves = inside.contains { graph.nodes[$0].widensHalves }
        fused.fusion = FusionOrigin(
            fusion: fusion,
            nodes: inside.sorted().flatMap { graph.nodes[$0].fusion?.nodes ?? [graph.nodes[$0].title] })
        for index in inside {
            for id in graph.nodes[index].reads { readers[id].removeAll { $0 == index } }
        }
        for case let id? in match.inputs { readers[id].append(position) }
        for id in match.outputs { producers[id] = position }
        graph.nodes[position] = fused
        removed.formUnion(inside.subtracting([position]))
        if let follower = match.follower { add(follower, behind: position) }
        return true
    }

    private mutating func add(_ follower: FusionMatch.Follower, behind position: Int) {
        let (fused, index) = (graph.nodes[position], graph.nodes.count)
        var node = Node(
            name: fused.name,
            identity: OperatorIdentity(domain: OperatorIdentity.fusionDomain, type: follower.type, version: 1),
            inputs: follower.inputs, outputs: [follower.output], operation: follower.operation)
        (node.scopes, node.widensHalves, node.fusion) = (fused.scopes, fused.widensHalves, fused.fusion)
        graph.nodes.append(node)
        for case let id? in follower.inputs { readers[id].append(index) }
        producers[follower.output] = index
        (followers[position], leaders[index]) = (index, position)
    }

    /// Why a match can't be replaced; nil where it can.
    private func obstacle(to match: FusionMatch, inside: Set<Int>, position: Int) -> String? {
        let surviving = Set(match.outputs).union([match.follower?.output].compactMap { $0 })
        for index in inside.sorted() {
            for case let id? in graph.nodes[index].outputs where !surviving.contains(id) {
                let name = graph.values[id].name
                if outputSet.contains(id) { return "\"\(name)\" between its nodes is an output of the graph" }
                if let reader = readers[id].first(where: { !inside.contains($0) }) {
                    return "\"\(name)\" between its nodes is also read by \(graph.nodes[reader].title)"
                }
            }
        }
        // Every input must be there when the fused node runs, and every reader must come after it.
        for id in surviving.sorted() {
            if let reader = readers[id].first(where: { place(of: $0) < position && !inside.contains($0) }) {
                return "\"\(graph.values[id].name)\" is read by \(graph.nodes[reader].title) before its last node"
            }
        }
        return nil
    }

    /// Where a node comes in the graph: a follower right behind another.
    private func place(of node: Int) -> Int { leaders[node] ?? node }

    /// Drops the replaced nodes, and puts followers behind those that they follow; indices change.
    mutating func finish() {
        let indices = graph.nodes.indices.dropLast(followers.count).flatMap { [$0] + [followers[$0]].compactMap { $0 } }
        graph.nodes = indices.filter { !removed.contains($0) }.map { graph.nodes[$0] }
        (removed, followers, leaders) = ([], [:], [:])
        index()
    }

    func isRemoved(_ node: Int) -> Bool { removed.contains(node) }

    private mutating func index() {
        producers = Array(repeating: nil, count: graph.values.count)
        readers = Array(repeating: [], count: graph.values.count)
        outputSet = Set(graph.outputs)
        for (index, node) in graph.nodes.enumerated() {
            for id in node.reads { readers[id].append(index) }
            for case let id? in node.outputs { producers[id] = index }
        }
    }
}

/// Nodes that one stronger node can stand for.
public struct FusionMatch: Sendable {
    /// Indices of the nodes that go; the fused node takes the place of the last.
    public var nodes: [Int]
    /// The fused node's operator type, in ``OperatorIdentity/fusionDomain``.
    public var type: String
    /// The fused node's operator, with its attributes.
    public var operation: any Operator
    /// What the fused node reads; nil for an optional input that isn't given.
    public var inputs: [ValueID?]
    /// The values that the fused node produces: of the replaced nodes, or new ones for the follower.
    public var outputs: [ValueID]
    /// A node right behind the fused one; nil for none.
    public var follower: Follower?

    /// A node that makes a value of the replaced nodes out of what the fused node produces.
    public struct Follower: Sendable {
        /// The operator type, in ``OperatorIdentity/fusionDomain``.
        public var type: String
        /// The operator, with its attributes.
        public var operation: any Operator
        /// What it reads; nil for an optional input that isn't given.
        public var inputs: [ValueID?]
        /// The value of the replaced nodes.
        public var output: ValueID

        /// A node; each parameter is the property of its name.
        public init(type: String, operation: any Operator, inputs: [ValueID?], output: ValueID) {
            self.type = type
            self.operation = operation
            self.inputs = inputs
            self.output = output
        }
    }

    /// A match; each parameter is the property of its name.
    public init(
        nodes: [Int], type: String, operation: any Operator, inputs: [ValueID?], outputs: [ValueID], follower: Follower? = nil
    ) {
        self.nodes = nodes
        self.type = type
        self.operation = operation
        self.inputs = inputs
        self.outputs = outputs
        self.follower = follower
    }
}

/// A pattern of nodes and what to put in its place.
public protocol Fusion: Sendable {
    /// For reports: `GroupNormalization`.
    var name: String { get }

    /// Whether it is tried before nodes of constants that widen numbers are folded, see ``Operator/isFoldedLate(inputs:)``; false by
    /// default.
    var comesBeforeFolding: Bool { get }

    /// Whether it makes new weights out of constants, and needs no shape for that: it is tried once, before any shape is known, and not at
    /// all where memory is spared; false by default.
    var remakesWeights: Bool { get }

    /// The fusion with what it has to know of the whole graph, before it looks at each node; itself by default.
    func prepared(for editor: GraphEditor) -> any Fusion

    /// Looks for the pattern whose last node is `node`.
    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch?

    /// For reports: why a node that is left over, and that such a pattern has at its heart (the Softmax of an attention), isn't part
    /// of one; nil, the default, where the node has nothing to do with the pattern.
    func missReason(at node: Int, in editor: GraphEditor) -> String?
}

extension Fusion {
    public var comesBeforeFolding: Bool { false }

    public var remakesWeights: Bool { false }

    public func prepared(for editor: GraphEditor) -> any Fusion { self }

    public func missReason(at node: Int, in editor: GraphEditor) -> String? { nil }
}

extension GraphEditor {
    /// Applies a fusion wherever it matches.
    ///
    /// - Returns: how often it did.
    mutating func apply(_ fusion: any Fusion) throws -> Int {
        let fusion = fusion.prepared(for: self)
        var count = 0
        for index in graph.nodes.indices where !isRemoved(index) {
            if let match = try fusion.match(endingAt: index, in: &self), apply(match, of: fusion.name) { count += 1 }
        }
        if count > 0 { finish() }
        return count
    }
}
