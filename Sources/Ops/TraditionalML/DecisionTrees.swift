import GraphRuntime

/// Decision trees in flat arrays, checked so that every walk from a root ends at a leaf.
struct DecisionTrees: Sendable {
    enum Mode: Sendable {
        case lessOrEqual, less, greaterOrEqual, greater, equal, notEqual, member, leaf
    }

    struct Node: Sendable {
        var mode: Mode
        var feature = 0
        var threshold = 0.0
        /// Where a feature that is NaN goes to the true side whatever the comparison says.
        var missingIsTrue = false
        /// The nodes to go on with, by their places.
        var onTrue = 0
        var onFalse = 0
        /// Of a leaf, in ``weights``.
        var votes = 0..<0
        /// Of a node that looks for membership, in ``members``.
        var set = 0
    }

    struct Vote: Sendable {
        let target: Int
        let weight: Double
    }

    private let nodes: [Node]
    private let walk: TreeWalk?
    let roots: [Int]
    /// The votes of the leaves, one leaf's together.
    let votes: [Vote]
    let members: [Set<Double>]
    /// Features that a row must have.
    let featureCount: Int

    /// - Throws: ``TensorError`` where a place isn't one, a feature or target is negative, or a walk may not end.
    init(nodes: [Node], roots: [Int], votes: [Vote], members: [Set<Double>] = []) throws(TensorError) {
        var features = 0
        for node in nodes where node.mode != .leaf {
            guard (0..<1 << 31).contains(node.feature) else {
                throw TensorError("a tree compares the feature \(node.feature), expected 0 or more, and below 2^31")
            }
            features = max(features, node.feature + 1)
            guard nodes.indices.contains(node.onTrue), nodes.indices.contains(node.onFalse) else {
                throw TensorError("a tree goes on at a node that isn't there")
            }
        }
        guard nodes.count < 1 << 31 else { throw TensorError("trees have \(nodes.count) nodes, expected fewer than 2^31") }
        guard roots.allSatisfy(nodes.indices.contains) else { throw TensorError("a tree begins at a node that isn't there") }
        try Self.requireEnd(nodes, roots)
        (self.nodes, self.roots, self.votes, self.members) = (nodes, roots, votes, members)
        walk = TreeWalk(nodes: nodes, roots: roots)
        featureCount = features
    }

    /// Looks for a walk that comes back to a node that it left, with a stack of its own, as trees may be as deep as they are large.
    private static func requireEnd(_ nodes: [Node], _ roots: [Int]) throws(TensorError) {
        enum State { case new, open, done }
        var states = [State](repeating: .new, count: nodes.count)
        for root in roots where states[root] == .new {
            var path = [root]
            while let last = path.last {
                states[last] = .open
                let next = nodes[last].mode == .leaf ? [] : [nodes[last].onTrue, nodes[last].onFalse]
                if next.contains(where: { states[$0] == .open }) { throw TensorError("a tree comes back to a node above") }
                if let below = next.first(where: { states[$0] == .new }) {
                    path.append(below)
                } else {
                    states[last] = .done
                    path.removeLast()
                }
            }
        }
    }

    /// Calls `body` with the places in ``votes`` of those of the leaves that rows come to, all rows for the first tree first.
    ///
    /// - Parameters:
    ///   - features: of all rows, one row behind the other.
    ///   - width: features of each row, ``featureCount`` at least.
    func forEachLeaf(_ features: [Double], rows: Int, width: Int, _ body: (_ row: Int, _ votes: Range<Int>) -> Void) {
        if let walk {
            var row = 0
            for leaf in walk.leaves(features, featureCount: width) {
                body(row, nodes[Int(leaf)].votes)
                row = row + 1 == rows ? 0 : row + 1
            }
            return
        }
        for root in roots {
            for row in 0..<rows { body(row, nodes[leaf(from: root, of: features, first: row * width)].votes) }
        }
    }

    /// The leaf that a row comes to, whose features begin at `first`.
    private func leaf(from root: Int, of features: [Double], first: Int) -> Int {
        var place = root
        while nodes[place].mode != .leaf {
            let node = nodes[place]
            let value = features[first + node.feature]
            let isTrue =
                switch node.mode {
                case .lessOrEqual: value <= node.threshold
                case .less: value < node.threshold
                case .greaterOrEqual: value >= node.threshold
                case .greater: value > node.threshold
                case .equal: value == node.threshold
                case .notEqual: value != node.threshold
                case .member: members[node.set].contains(value)
                case .leaf: false
                }
            place = isTrue || (node.missingIsTrue && value.isNaN) ? node.onTrue : node.onFalse
        }
        return place
    }
}
