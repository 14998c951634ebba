/// What the fusions did to a graph.
public struct FusionReport: Sendable {
    /// A node that a fusion made.
    public struct Fired: Sendable {
        /// The fused node's title.
        public let node: String
        /// The fusion and the nodes that it replaced.
        public let origin: FusionOrigin
    }

    /// A place where a fusion nearly fired.
    public struct Miss: Sendable, Hashable {
        /// The fusion's name, see ``Fusion/name``.
        public let fusion: String
        /// The title of the node at the pattern's heart.
        public let node: String
        /// The first condition that wasn't met.
        public let reason: String

        /// A place where `fusion` didn't fire, and why.
        public init(fusion: String, node: String, reason: String) {
            self.fusion = fusion
            self.node = node
            self.reason = reason
        }
    }

    /// How often each fusion fired, those included whose nodes later fusions took in.
    public let counts: [String: Int]
    /// By the graph's order; a node that two fusions made in turn is listed once, under the last.
    public let fired: [Fired]
    /// Places where a fusion nearly fired, in the graph's order.
    public let misses: [Miss]
}
