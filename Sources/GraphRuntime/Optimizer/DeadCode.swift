extension Graph {
    /// Removes nodes and initializers that no output depends on; inputs stay.
    public mutating func removeDeadCode() {
        var needed = [Bool](repeating: false, count: values.count)
        for id in outputs { needed[id] = true }
        var kept: [Node] = []
        for node in nodes.reversed() {
            guard node.outputs.contains(where: { $0.map { needed[$0] } ?? false }) else { continue }
            for id in node.reads { needed[id] = true }
            kept.append(node)
        }
        nodes = kept.reversed()
        // The default of an input stays: without it a run would have to give one.
        for id in inputs { needed[id] = true }
        initializers = initializers.filter { needed[$0.key] }
    }
}
