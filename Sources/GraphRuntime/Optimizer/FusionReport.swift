/// What the fusions did to a graph.
public struct FusionReport: Sendable {
    /// A node that a fusion made.
    public struct Fired: Sendable {
        /// The fused node's title.
        public let node: String
        public let origin: FusionOrigin
    }

    /// A place where a fusion nearly fired.
    public struct Miss: Sendable, Hashable {
        public let fusion: String
        /// The title of the node at the pattern's heart.
        public let node: String
        /// The first condition that wasn't met.
        public let reason: String

        public init(fusion: String, node: String, reason: String) {
            self.fusion = fusion
            self.node = node
            self.reason = reason
        }
    }

    /// How often each fusion fired, those included whose nodes later fusions took in.
    public let counts: [String: Int]
    /// By the graph's order; a node that two fusions made in turn stands once, under the last.
    public let fired: [Fired]
    public let misses: [Miss]
}
