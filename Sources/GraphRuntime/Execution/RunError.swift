/// A node that could not run, or could not be fitted to its inputs.
public struct RunError: Error, CustomStringConvertible, Sendable {
    /// What an app may decide by.
    public enum Kind: Sendable {
        /// The node contradicts its inputs.
        case invalid
        /// The system has no memory for a result.
        case outOfMemory
        /// A result would take more than ``ResourceLimits/runBytes``.
        case limit
        /// The task was cancelled while a subgraph ran: ``Session/run(_:observer:)`` throws `CancellationError` in the place of this.
        case cancelled
    }

    /// What is wrong, for programs.
    public let kind: Kind
    /// The node's operator and name, such as `Conv-11 "/conv_in/Conv"`.
    public let node: String
    /// Types and shapes of its inputs, nil where one isn't given.
    public let inputs: [String?]
    /// The nodes around it, outermost first, where it is in a subgraph.
    public let path: [String]
    /// What the operator said.
    public let message: String

    init(node: Node, inputs: [String?], underlying: any Error) {
        if let inner = underlying as? RunError {
            // An error from within a subgraph: what failed is the inner node, this one is a step on the way to it.
            kind = inner.kind
            self.node = inner.node
            self.inputs = inner.inputs
            path = [node.title] + inner.path
            message = inner.message
        } else {
            kind =
                switch underlying {
                case let error as TensorError where error.kind == .outOfMemory: .outOfMemory
                case let error as GraphError where error.kind == .limit: .limit
                case is CancellationError: .cancelled
                default: .invalid
                }
            self.node = node.title
            self.inputs = inputs
            path = []
            message = "\(underlying)".shortened(to: String.longestMessage)
        }
    }

    public var description: String {
        let given = inputs.map { $0 ?? "nothing" }.joined(separator: ", ").shortened(to: String.longestMessage / 2)
        let place = path.isEmpty ? "" : " inside " + path.joined(separator: " › ").shortened(to: String.longestMessage / 2)
        return "\(node)\(place) with inputs (\(given)): \(message)"
    }
}
