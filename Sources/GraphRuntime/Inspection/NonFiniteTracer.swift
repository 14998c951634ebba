/// Watches a run for the node that first makes NaN or an infinity of finite numbers.
///
/// Values live in memory that the run uses again, so each is looked at as soon as it is computed. For one run of one graph.
public final class NonFiniteTracer: RunObserver {
    /// Where values that aren't finite come from.
    public struct Origin: Sendable, Equatable {
        /// What can make them.
        public enum Source: Sendable, Equatable {
            /// A node, by its operator and name; of a fused one, what it stands for follows.
            case node(String)
            /// Something that the model file states itself, such as a weight.
            case constant
            /// What the run was given.
            case input
        }

        /// What makes them.
        public let source: Source
        /// The value's name in the file.
        public let value: String
        /// Whether it has NaN; infinities otherwise.
        public let hasNaN: Bool
        /// Where ``hasNaN`` is false and the output has NaN: the node that makes NaN of the infinities.
        public let firstNaN: String?
    }

    private enum State { case finite, infinite, notANumber }

    private var graph: Graph?
    private var states: [ValueID: State] = [:]
    private var producers: [ValueID: Node] = [:]

    /// A tracer that has seen nothing so far.
    public init() {}

    public func willRun(_ graph: Graph) {
        self.graph = graph
        states = [:]
        producers = [:]
        for node in graph.nodes {
            for case let id? in node.outputs { producers[id] = node }
        }
    }

    public func didRun(_ event: NodeEvent) {
        // Values of graphs in attributes have numbers of their own; the node that they belong to follows.
        guard event.depth == 0 else { return }
        let node = event.node
        // What no node computed is a constant or an input, and nobody writes to these.
        for (id, value) in zip(node.inputs, event.inputs) {
            if let id, states[id] == nil, producers[id] == nil { states[id] = Self.state(value) }
        }
        for (id, value) in zip(node.outputs, event.outputs) {
            guard let id else { continue }
            states[id] = Self.state(value)
        }
    }

    /// Goes back from an output, along values that aren't finite, to where they begin.
    ///
    /// - Parameter name: the output's name.
    /// - Returns: nil where the output is finite or unknown.
    public func origin(of name: String) -> Origin? {
        guard let graph, var id = graph.outputs.first(where: { graph.values[$0].name == name }),
            case var state = state(of: id), state != .finite
        else { return nil }
        var firstNaN: String?
        // Each step goes to an earlier node, so this ends.
        while let node = producers[id], let next = cause(of: state, in: node) {
            if state == .notANumber, next.state == .infinite { firstNaN = Self.title(node) }
            (id, state) = (next.id, next.state)
        }
        let source: Origin.Source =
            producers[id].map { .node(Self.title($0)) } ?? (graph.initializers[id] == nil ? .input : .constant)
        return Origin(
            source: source, value: graph.values[id].name, hasNaN: state == .notANumber, firstNaN: firstNaN)
    }

    /// The input that a value's NaN or infinities come from: NaN makes NaN. Infinities among constants, as in masks of attention, are
    /// meant to be there.
    private func cause(of state: State, in node: Node) -> (id: ValueID, state: State)? {
        let reads = node.reads.map { (id: $0, state: self.state(of: $0)) }
        if state == .notANumber, let found = reads.first(where: { $0.state == .notANumber }) { return found }
        return reads.first { $0.state == .infinite && producers[$0.id] != nil }
    }

    /// A plan leaves out views of what is in its arena: these are as what they show.
    private func state(of id: ValueID) -> State {
        var id = id
        while true {
            if let known = states[id] { return known }
            guard let node = producers[id], case .view(let input)? = node.operation?.outputStorage, input < node.inputs.count,
                let source = node.inputs[input]
            else { return .finite }
            id = source
        }
    }

    private static func title(_ node: Node) -> String {
        guard let parts = node.fusion?.nodes, !parts.isEmpty else { return node.title }
        let named = parts.prefix(3).joined(separator: ", ") + (parts.count > 3 ? ", …" : "")
        return "\(node.title) (in the place of \(named))"
    }

    private static func state(_ value: Value?) -> State {
        guard case .tensor(let tensor)? = value else { return .finite }
        switch tensor.dtype {
        case .float16, .bfloat16: return (try? HalfPrecision.widen(tensor)).map(scan(Float.self)) ?? .finite
        case .float32: return scan(Float.self)(tensor)
        case .float64: return scan(Double.self)(tensor)
        default: return .finite
        }
    }

    private static func scan<Element: TensorElement & BinaryFloatingPoint>(_ type: Element.Type) -> (Tensor) -> State {
        { tensor in
            let found = try? tensor.withSpan(of: type) { elements in
                var state = State.finite
                for index in 0..<elements.count where !elements[index].isFinite {
                    if elements[index].isNaN { return State.notANumber }
                    state = .infinite
                }
                return state
            }
            return found ?? .finite
        }
    }
}
