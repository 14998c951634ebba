/// A node that could not run, or could not be fitted to its inputs.
public struct RunError: Error, CustomStringConvertible, Sendable {
    /// The node's operator and name, such as `Conv-11 "/conv_in/Conv"`.
    public let node: String
    /// Types and shapes of its inputs, nil where one isn't given.
    public let inputs: [String?]
    /// The nodes around it, outermost first, where it stands in a subgraph.
    public let path: [String]
    /// What the operator said.
    public let message: String

    init(node: Node, inputs: [String?], underlying: any Error) {
        if let inner = underlying as? RunError {
            // An error from within a subgraph: what failed is the inner node, this one is a step on the way to it.
            self.node = inner.node
            self.inputs = inner.inputs
            path = [node.title] + inner.path
            message = inner.message
        } else {
            self.node = node.title
            self.inputs = inputs
            path = []
            message = "\(underlying)"
        }
    }

    public var description: String {
        let given = inputs.map { $0 ?? "nothing" }.joined(separator: ", ")
        let place = path.isEmpty ? "" : " inside " + path.joined(separator: " › ")
        return "\(node)\(place) with inputs (\(given)): \(message)"
    }
}
