import GraphRuntime

/// Attention of which an optimiser put the weights of queries, keys and values into one matrix, as ONNX Runtime's do: Attention, and
/// MultiHeadAttention over one product for all three, or for keys and values.
///
/// Such a matrix has no name that tells its modules: the layer behind the attention does.
struct FusedAttention {
    private var found: [Int: [WeightedLayers.Part]] = [:]

    /// The modules that share the weight of a layer, by its index; empty where it is one module's.
    func parts(of layer: Int) -> [WeightedLayers.Part] { found[layer] ?? [] }

    /// - Parameter readers: of each value, the nodes.
    init(_ graph: Graph, layers: [WeightedLayers.Layer], readers: [ValueID: [Int]]) {
        let names = Dictionary(layers.map { ($0.node, $0.names) }, uniquingKeysWith: { first, _ in first })
        func next(_ node: Int) -> [Int] { (graph.nodes[node].outputs.first ?? nil).flatMap { readers[$0] } ?? [] }
        func module(behind node: Int) -> (prefix: String, isText: Bool)? {
            var nodes = [node]
            for _ in 0..<6 {
                nodes = nodes.flatMap(next)
                for node in nodes {
                    for name in names[node] ?? [] {
                        if name.hasSuffix("_to_out_0") { return (String(name.dropLast("_to_out_0".count)), false) }
                        if name.hasSuffix("_out_proj") { return (String(name.dropLast("_out_proj".count)), true) }
                    }
                }
            }
            return nil
        }
        func parts(_ attention: Int, roles: [String], blocks: Int) -> [WeightedLayers.Part]? {
            guard let (prefix, isText) = module(behind: attention) else { return nil }
            return roles.enumerated().map { index, role in
                WeightedLayers.Part(
                    name: isText ? "\(prefix)_\(role)_proj" : "\(prefix)_to_\(role)",
                    packing: WeightedLayers.Packing(index: index, count: roles.count, blocks: blocks))
            }
        }
        for (index, layer) in layers.enumerated() {
            if graph.nodes[layer.node].identity.type == "Attention" {
                if layer.extents.out.isMultiple(of: 3) { found[index] = parts(layer.node, roles: ["q", "k", "v"], blocks: 1) }
                continue
            }
            guard layer.names.isEmpty, layer.order == .inputsFirst else { continue }
            var nodes = [layer.node]
            for _ in 0..<3 {
                let before = nodes
                nodes = nodes.flatMap(next)
                guard let attention = nodes.first(where: { graph.nodes[$0].identity.type == "MultiHeadAttention" }) else {
                    continue
                }
                let (node, sources) = (
                    graph.nodes[attention], Set(before.flatMap { graph.nodes[$0].outputs.compactMap { $0 } })
                )
                func isGiven(_ input: Int) -> Bool { node.inputs.count > input && node.inputs[input] != nil }
                guard case .int(let heads)? = node.attributes["num_heads"], heads > 0, heads < 1 << 20,
                    let input = node.inputs.firstIndex(where: { $0.map(sources.contains) ?? false })
                else { break }
                let roles = input == 0 ? ["q", "k", "v"] : ["k", "v"]
                guard input == 0 ? !isGiven(1) : input == 1 && !isGiven(2),
                    layer.extents.out.isMultiple(of: roles.count * Int(heads))
                else { break }
                found[index] = parts(attention, roles: roles, blocks: Int(heads))
                break
            }
        }
    }
}
