import GraphRuntime

/// A layer that a model has by its configuration.
struct ExpectedLayer {
    /// See ``ModuleNames``.
    let name: String
    let extents: WeightExtents
    /// What its input depends on, see ``LayerOrder``.
    let source: LayerOrder.Source
}

/// Tells layers by what they compute, where a graph has no names: by their shapes, by the graph's inputs that they depend on, and by their
/// order.
///
/// Layers of one shape that depend on the same inputs come one after the other, so that the longest path from each to the graph's output
/// orders them, whatever order the file has its nodes in. Queries, keys and values of an attention are side by side instead: these are
/// told by how the attention multiplies them.
struct LayerOrder {
    /// The graph's inputs that a layer's input depends on.
    enum Source: Hashable {
        /// Latents, or token ids.
        case main
        /// The prompt's states alone.
        case states
        /// What is the same for all of a picture: the timestep and the like.
        case other
    }

    private struct Kind: Hashable {
        let out: Int
        let inside: Int
        let kernel: Int
        let source: Source
    }

    private let graph: Graph
    private var producers: [ValueID: Int] = [:]
    private var readers: [ValueID: [Int]] = [:]
    /// By node, the longest path to an output of the graph.
    private var heights: [Int]
    private var sources: [ValueID: Set<Source>] = [:]

    init(_ graph: Graph, isText: Bool) {
        self.graph = graph
        for (index, node) in graph.nodes.enumerated() {
            for case let id? in node.outputs { producers[id] = index }
            for id in node.reads { readers[id, default: []].append(index) }
        }
        heights = Array(repeating: 0, count: graph.nodes.count)
        for index in graph.nodes.indices.reversed() {
            for case let id? in graph.nodes[index].outputs {
                for reader in readers[id] ?? [] { heights[index] = max(heights[index], heights[reader] + 1) }
            }
        }
        for id in graph.inputs where graph.initializers[id] == nil {
            var rank: Int?
            if case .tensor(_, let dimensions?)? = graph.values[id].type { rank = dimensions.count }
            sources[id] = [isText || rank == 4 ? .main : rank == 3 ? .states : .other]
        }
        // Sizes of inputs say nothing about their values.
        for node in graph.nodes where node.identity.type != "Shape" && node.identity.type != "Size" {
            var all: Set<Source> = []
            for id in node.reads { all.formUnion(sources[id] ?? []) }
            for case let id? in node.outputs { sources[id] = all }
        }
    }

    /// The layers of the graph by their names, as far as they can be told.
    ///
    /// - Parameters:
    ///   - layers: of the graph, without those whose names are known.
    ///   - expected: in the order in which they are computed, without these.
    func named(_ layers: [WeightedLayers.Layer], expected: [ExpectedLayer]) -> [String: Int] {
        var found: [Kind: [Int]] = [:]
        for (index, layer) in layers.enumerated() {
            let (extents, source) = (layer.extents, source(of: layer.node))
            found[Kind(out: extents.out, inside: extents.inside, kernel: extents.kernel, source: source), default: []]
                .append(index)
        }
        var wanted: [Kind: [String]] = [:]
        for layer in expected {
            let extents = layer.extents
            wanted[
                Kind(out: extents.out, inside: extents.inside, kernel: extents.kernel, source: layer.source), default: []
            ].append(layer.name)
        }
        var result: [String: Int] = [:]
        for (kind, names) in wanted {
            guard let own = found[kind], own.count == names.count else { continue }
            let sorted = own.sorted { heights[layers[$0].node] > heights[layers[$1].node] }
            guard let placed = place(names, sorted, layers) else { continue }
            for (name, index) in placed { result[name] = index }
        }
        return result
    }

    private func source(of node: Int) -> Source {
        let all = (graph.nodes[node].inputs.first ?? nil).flatMap { sources[$0] } ?? []
        return all.contains(.main) ? .main : all.contains(.states) ? .states : .other
    }

    /// Gives names in their order to layers in theirs, with the three of an attention put right; nil where it can't be told.
    private func place(_ names: [String], _ sorted: [Int], _ layers: [WeightedLayers.Layer]) -> [(String, Int)]? {
        var result: [(String, Int)] = []
        var position = 0
        while position < names.count {
            var end = position + 1
            let group = Self.attention(names[position])
            while let group, end < names.count, Self.attention(names[end]) == group { end += 1 }
            let part = sorted[position..<end]
            if end - position > 1 {
                let roles = part.map { role(of: layers[$0].node) }
                for name in names[position..<end] {
                    guard let role = Self.role(name), let index = roles.firstIndex(of: role),
                        roles.filter({ $0 == role }).count == 1
                    else { return nil }
                    result.append((name, part[part.startIndex + index]))
                }
            } else {
                let height = heights[layers[sorted[position]].node]
                // Two at one height are side by side, and nothing tells them apart.
                if end < sorted.count, heights[layers[sorted[end]].node] == height { return nil }
                result.append((names[position], sorted[position]))
            }
            position = end
        }
        return result
    }

    private enum Role { case query, key, value }

    private static let endings: [(String, Role)] = [
        ("_to_q", .query), ("_to_k", .key), ("_to_v", .value), ("_q_proj", .query), ("_k_proj", .key), ("_v_proj", .value),
    ]

    private static func role(_ name: String) -> Role? { endings.first { name.hasSuffix($0.0) }?.1 }

    /// The attention that a query's, key's or value's layer belongs to; nil for others.
    private static func attention(_ name: String) -> String? {
        endings.first { name.hasSuffix($0.0) }.map { String(name.dropLast($0.0.count)) }
    }

    /// What an attention does with a layer's output.
    private func role(of node: Int) -> Role? {
        guard let (product, input) = nextProduct(node) else { return nil }
        switch graph.nodes[product].identity.type {
        case "Attention", "MultiHeadAttention": return [0: .query, 1: .key, 2: .value][input]
        default: return leadsToSoftmax(product) ? (input == 0 ? .query : .key) : input == 1 ? .value : nil
        }
    }

    /// The first node behind a layer that multiplies two computed values, and at which input it takes this one.
    private func nextProduct(_ start: Int) -> (node: Int, input: Int)? {
        let (products, moves): (Set, Set) = (
            ["MatMul", "FusedMatMul", "Attention", "MultiHeadAttention", "Gemm", "Einsum"],
            ["Add", "Mul", "Div", "Reshape", "Transpose", "Cast", "Identity", "Squeeze", "Unsqueeze", "Expand"]
        )
        var values = [graph.nodes[start].outputs.first ?? nil].compactMap { $0 }
        var found: (node: Int, input: Int)?
        // Exporters may lead a value on several ways, of which all but one end at its size.
        for _ in 0..<24 where !values.isEmpty {
            var next: [ValueID] = []
            for value in values {
                for reader in Set(readers[value] ?? []) {
                    let node = graph.nodes[reader]
                    if products.contains(node.identity.type), let input = node.inputs.firstIndex(where: { $0 == value }) {
                        if let found, found != (reader, input) { return nil }
                        found = (reader, input)
                    } else if moves.contains(node.identity.type), let output = node.outputs.first ?? nil {
                        next.append(output)
                    }
                }
            }
            values = Array(Set(next).prefix(64))
        }
        return found
    }

    private func leadsToSoftmax(_ start: Int) -> Bool {
        let moves: Set = ["Add", "Mul", "Div", "Cast", "Reshape", "Identity", "Where"]
        var value = graph.nodes[start].outputs.first ?? nil
        for _ in 0..<12 {
            guard let current = value else { return false }
            let next = readers[current] ?? []
            if next.contains(where: { graph.nodes[$0].identity.type == "Softmax" }) { return true }
            guard let reader = next.first(where: { moves.contains(graph.nodes[$0].identity.type) }) else { return false }
            value = graph.nodes[reader].outputs.first ?? nil
        }
        return false
    }
}
