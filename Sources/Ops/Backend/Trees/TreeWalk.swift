import CKernels

/// Walks through trees all of whose nodes compare in the same way, several at a time; see `trees.h`.
struct TreeWalk: Sendable {
    private let steps: [ck_tree_step]
    private let roots: [Int32]
    private let isLess: Bool

    /// - Returns: nil for trees whose nodes don't all say "less or equal", or all "less", and for trees that are a leaf each.
    init?(nodes: [DecisionTrees.Node], roots: [Int]) {
        let modes = Set(nodes.lazy.map(\.mode)).subtracting([.leaf])
        guard modes == [.lessOrEqual] || modes == [.less] else { return nil }
        isLess = modes == [.less]
        self.roots = roots.map { Int32($0) }
        steps = nodes.enumerated().map { place, node in
            let isLeaf = node.mode == .leaf
            return ck_tree_step(
                threshold: node.threshold, feature: isLeaf ? 0 : Int32(node.feature),
                missing_is_true: node.missingIsTrue ? 1 : 0,
                next: isLeaf ? (Int32(place), Int32(place)) : (Int32(node.onFalse), Int32(node.onTrue)))
        }
    }

    /// The places of the leaves that some rows come to, those of the first tree first.
    ///
    /// - Parameters:
    ///   - features: of all rows, one row behind the other.
    ///   - featureCount: of each row; as many as ``DecisionTrees/featureCount`` at least.
    func leaves(_ features: [Double], featureCount: Int) -> [Int32] {
        let rows = features.count / featureCount
        return unsafe [Int32](unsafeUninitializedCapacity: roots.count * rows) { leaves, count in
            count = roots.count * rows
            unsafe ck_walk_trees(
                steps, isLess ? 1 : 0, roots, roots.count, features, rows, featureCount, leaves.baseAddress)
        }
    }
}
