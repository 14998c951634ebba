import GraphRuntime

extension DecisionTrees {
    /// The trees of TreeEnsembleClassifier and TreeEnsembleRegressor: nodes that are named by their tree and their number in it.
    ///
    /// - Parameters:
    ///   - votes: the prefix of the attributes of the leaves' weights, `class` or `target`.
    ///   - targets: what the leaves may vote for.
    init(_ decoder: inout NodeDecoder, votes prefix: String, targets: Int) throws {
        let trees = try decoder.optionalInts("nodes_treeids") ?? []
        let ids = try decoder.optionalInts("nodes_nodeids") ?? []
        let modes = try decoder.optionalStrings("nodes_modes") ?? []
        let features = try decoder.optionalInts("nodes_featureids") ?? []
        let thresholds = try decoder.numbers("nodes_values") ?? []
        let onTrue = try decoder.optionalInts("nodes_truenodeids") ?? []
        let onFalse = try decoder.optionalInts("nodes_falsenodeids") ?? []
        let missing = try decoder.optionalInts("nodes_missing_value_tracks_true") ?? []
        // How often training came by changes no result.
        _ = try decoder.numbers("nodes_hitrates")
        let count = trees.count
        for (name, size) in [
            ("nodes_nodeids", ids.count), ("nodes_modes", modes.count), ("nodes_featureids", features.count),
            ("nodes_values", thresholds.count), ("nodes_truenodeids", onTrue.count), ("nodes_falsenodeids", onFalse.count),
        ] where size != count {
            throw TensorError("attribute \(name) has \(size) elements, expected \(count), as nodes_treeids has")
        }
        guard missing.isEmpty || missing.count == count else {
            throw TensorError("attribute nodes_missing_value_tracks_true has \(missing.count) elements, expected \(count)")
        }
        var places: [NodeName: Int] = [:]
        var roots: [Int] = []
        var seen: Set<Int> = []
        for index in 0..<count {
            let name = NodeName(tree: trees[index], node: ids[index])
            guard places.updateValue(index, forKey: name) == nil else {
                throw TensorError("node \(name.node) of tree \(name.tree) is defined twice")
            }
            if seen.insert(name.tree).inserted { roots.append(index) }
        }
        func place(_ tree: Int, _ node: Int) throws -> Int {
            guard let place = places[NodeName(tree: tree, node: node)] else {
                throw TensorError("tree \(tree) goes on at node \(node), which it doesn't have")
            }
            return place
        }
        var nodes: [Node] = []
        for index in 0..<count {
            guard let mode = Self.modes[modes[index]] else {
                throw TensorError("attribute nodes_modes names \"\(modes[index])\", expected BRANCH_LEQ, …, or LEAF")
            }
            var node = Node(mode: mode)
            if mode != .leaf {
                node.feature = features[index]
                node.threshold = thresholds[index]
                node.missingIsTrue = !missing.isEmpty && missing[index] != 0
                node.onTrue = try place(trees[index], onTrue[index])
                node.onFalse = try place(trees[index], onFalse[index])
            }
            nodes.append(node)
        }
        let votes = try Self.votes(&decoder, prefix, targets, &nodes, places)
        try self.init(nodes: nodes, roots: roots, votes: votes)
    }

    private struct NodeName: Hashable {
        let tree: Int
        let node: Int
    }

    private static let modes: [String: Mode] = [
        "BRANCH_LEQ": .lessOrEqual, "BRANCH_LT": .less, "BRANCH_GTE": .greaterOrEqual, "BRANCH_GT": .greater,
        "BRANCH_EQ": .equal, "BRANCH_NEQ": .notEqual, "LEAF": .leaf,
    ]

    /// The weights of the leaves, each leaf's in the order in which they are listed. Of a regressor's one target a leaf's first weight alone
    /// counts: skl2onnx lists the others for paths through trees of several classes, and ONNX Runtime reads the first.
    private static func votes(
        _ decoder: inout NodeDecoder, _ prefix: String, _ targets: Int, _ nodes: inout [Node], _ places: [NodeName: Int]
    ) throws -> [Vote] {
        let trees = try decoder.optionalInts("\(prefix)_treeids") ?? []
        let ids = try decoder.optionalInts("\(prefix)_nodeids") ?? []
        let named = try decoder.optionalInts("\(prefix)_ids") ?? []
        let weights = try decoder.numbers("\(prefix)_weights") ?? []
        guard ids.count == trees.count, named.count == trees.count, weights.count == trees.count else {
            throw TensorError(
                "\(trees.count) \(prefix)_treeids, \(ids.count) \(prefix)_nodeids, \(named.count) \(prefix)_ids and "
                    + "\(weights.count) \(prefix)_weights don't fit together")
        }
        var ofNode: [Int: [Vote]] = [:]
        for index in trees.indices {
            guard let place = places[NodeName(tree: trees[index], node: ids[index])] else {
                throw TensorError("\(prefix)_nodeids names node \(ids[index]) of tree \(trees[index]), which isn't there")
            }
            guard (0..<targets).contains(named[index]) else {
                throw TensorError("\(prefix)_ids has \(named[index]), expected 0 to \(targets - 1)")
            }
            // Weights of inner nodes are left where training had them, and never reached.
            guard nodes[place].mode == .leaf else { continue }
            if prefix == "target", targets == 1, ofNode[place] != nil { continue }
            ofNode[place, default: []].append(Vote(target: named[index], weight: weights[index]))
        }
        var result: [Vote] = []
        for place in nodes.indices {
            guard let votes = ofNode[place] else { continue }
            nodes[place].votes = result.count..<result.count + votes.count
            result += votes
        }
        return result
    }
}

extension DecisionTrees {
    /// The trees of TreeEnsemble (5): inner nodes and leaves in lists of their own.
    init(ensemble decoder: inout NodeDecoder, targets: Int?) throws {
        func ints(_ name: String) throws -> [Int] {
            guard let values = try decoder.optionalInts(name) else { throw TensorError("attribute \(name) is missing") }
            return values
        }
        func tensor(_ name: String) throws -> Tensor {
            guard let value = try decoder.optionalTensor(name) else { throw TensorError("attribute \(name) is missing") }
            return value
        }
        let features = try ints("nodes_featureids")
        let thresholds = try tensor("nodes_splits").doubles()
        let modeTensor = try tensor("nodes_modes")
        guard modeTensor.dtype == .uint8 else {
            throw TensorError("attribute nodes_modes should be of uint8, found \(modeTensor.dtype)")
        }
        let modes = try modeTensor.array(of: UInt8.self)
        let onTrue = try ints("nodes_truenodeids")
        let onFalse = try ints("nodes_falsenodeids")
        let trueLeafs = try ints("nodes_trueleafs")
        let falseLeafs = try ints("nodes_falseleafs")
        let missing = try decoder.optionalInts("nodes_missing_value_tracks_true") ?? []
        _ = try decoder.optionalTensor("nodes_hitrates")
        let count = features.count
        for (name, size) in [
            ("nodes_splits", thresholds.count), ("nodes_modes", modes.count), ("nodes_truenodeids", onTrue.count),
            ("nodes_falsenodeids", onFalse.count), ("nodes_trueleafs", trueLeafs.count),
            ("nodes_falseleafs", falseLeafs.count),
        ] where size != count {
            throw TensorError("attribute \(name) has \(size) elements, expected \(count), as nodes_featureids has")
        }
        guard missing.isEmpty || missing.count == count else {
            throw TensorError("attribute nodes_missing_value_tracks_true has \(missing.count) elements, expected \(count)")
        }
        let leafTargets = try ints("leaf_targetids")
        let weights = try tensor("leaf_weights").doubles()
        guard leafTargets.count == weights.count else {
            throw TensorError("\(leafTargets.count) leaf_targetids and \(weights.count) leaf_weights don't fit together")
        }
        guard leafTargets.allSatisfy({ $0 >= 0 && $0 < targets ?? Self.mostTargets }) else {
            throw TensorError("attribute leaf_targetids names a target that isn't there")
        }
        let sets = try Self.sets(&decoder, count: modes.count { $0 == 6 })
        // Leaves come behind the inner nodes.
        func place(_ index: Int, _ isLeaf: Bool) throws -> Int {
            guard index >= 0, index < (isLeaf ? weights.count : count) else {
                throw TensorError("a tree goes on at \(isLeaf ? "leaf" : "node") \(index), which isn't there")
            }
            return isLeaf ? count + index : index
        }
        let kinds: [Mode] = [.lessOrEqual, .less, .greaterOrEqual, .greater, .equal, .notEqual, .member]
        var nodes: [Node] = []
        var usedSets = 0
        for index in 0..<count {
            guard Int(modes[index]) < kinds.count else {
                throw TensorError("attribute nodes_modes has \(modes[index]), expected 0 to \(kinds.count - 1)")
            }
            var node = Node(mode: kinds[Int(modes[index])], feature: features[index], threshold: thresholds[index])
            if node.mode == .member {
                node.set = usedSets
                usedSets += 1
            }
            node.missingIsTrue = !missing.isEmpty && missing[index] != 0
            node.onTrue = try place(onTrue[index], trueLeafs[index] != 0)
            node.onFalse = try place(onFalse[index], falseLeafs[index] != 0)
            nodes.append(node)
        }
        for index in weights.indices { nodes.append(Node(mode: .leaf, votes: index..<index + 1)) }
        try self.init(
            nodes: nodes, roots: try ints("tree_roots"),
            votes: zip(leafTargets, weights).map { Vote(target: $0, weight: $1) }, members: sets)
    }

    /// The most targets that trees may vote for.
    static let mostTargets = 1 << 16

    /// The sets of the nodes that look for membership, in the order of the nodes; a NaN ends each.
    private static func sets(_ decoder: inout NodeDecoder, count: Int) throws -> [Set<Double>] {
        let values = try decoder.optionalTensor("membership_values")?.doubles() ?? []
        var sets: [Set<Double>] = []
        var current: Set<Double> = []
        for value in values {
            if value.isNaN {
                sets.append(current)
                current = []
            } else {
                current.insert(value)
            }
        }
        if !current.isEmpty { sets.append(current) }
        guard sets.count == count else {
            throw TensorError("attribute membership_values has \(sets.count) sets, and \(count) nodes look for membership")
        }
        return sets
    }
}
