/// Hands every value that a run computes to a closure, by name, as soon as it is there.
///
/// Values live in memory that the run uses again: the closure has to look at them, or copy them, before it returns.
public final class ValueWatcher: RunObserver {
    /// What a node computed.
    public struct Result: Sendable {
        /// The value's name in the file.
        public let name: String
        /// The value, in memory that the run will use again.
        public let tensor: Tensor
        /// The node that computed it.
        public let node: Node
    }

    private let body: (Result) throws -> Void
    private var names: [String] = []
    /// What the closure threw first; later values weren't handed to it.
    public private(set) var error: (any Error)?

    /// A watcher that hands values to `body`; the first error that it throws is kept in ``error``.
    public init(_ body: @escaping (Result) throws -> Void) { self.body = body }

    public func willRun(_ graph: Graph) { names = graph.values.map(\.name) }

    public func didRun(_ event: NodeEvent) {
        // Values of graphs in attributes have numbers, and names, of their own.
        guard event.depth == 0, error == nil else { return }
        for (id, value) in zip(event.node.outputs, event.outputs) {
            guard let id, names.indices.contains(id), case .tensor(let tensor)? = value else { continue }
            do { try body(Result(name: names[id], tensor: tensor, node: event.node)) } catch { self.error = error }
        }
    }
}
