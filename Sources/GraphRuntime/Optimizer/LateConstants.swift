import Synchronization

/// Constants of a session's graph that are folded late, when the shapes of a plan are known, and don't depend on these: later plans take those
/// that were made for the first, and find the forms that kernels keep of them.
final class LateConstants: Sendable {
    /// The graph's own constants, but for defaults of inputs.
    private let stated: Set<ValueID>
    private let made = Mutex<[ValueID: Tensor]>([:])

    /// - Parameter graph: the session's.
    init(of graph: Graph) { stated = Set(graph.initializers.keys).subtracting(graph.inputs) }

    /// Whether what a node of a plan makes is the same in all plans: it reads nothing but what is.
    func isShared(_ node: Node) -> Bool {
        made.withLock { made in node.reads.allSatisfy { stated.contains($0) || made[$0] != nil } }
    }

    /// What was made of a value that is shared.
    subscript(id: ValueID) -> Tensor? { made.withLock { $0[id] } }

    /// Keeps a tensor for a value that is shared.
    ///
    /// - Returns: the one that another plan made meanwhile, if there is one.
    func keep(_ tensor: Tensor, for id: ValueID) -> Tensor {
        made.withLock { made in
            if let known = made[id] { return known }
            made[id] = tensor
            return tensor
        }
    }
}
