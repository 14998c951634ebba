import GraphRuntime

extension Graph {
    /// The part of a graph that one of its values needs, with that as its only output.
    ///
    /// - Parameters:
    ///   - output: the value's name.
    ///   - given: names of values that the part takes as inputs, whatever made them.
    /// - Returns: nil where a name is no value's.
    func restricted(to output: String, given: [String] = []) -> Graph? {
        func value(_ name: String) -> ValueID? { values.firstIndex { $0.name == name } }
        let starts = given.compactMap(value)
        guard let end = value(output), starts.count == given.count else { return nil }
        var producers: [ValueID: Int] = [:]
        for (index, node) in nodes.enumerated() { for case let value? in node.outputs { producers[value] = index } }
        var (needed, kept): (Set<ValueID>, Set<Int>) = ([end], [])
        var waiting = [end]
        while let value = waiting.popLast() {
            guard !starts.contains(value), let producer = producers[value], kept.insert(producer).inserted else { continue }
            for read in nodes[producer].reads where needed.insert(read).inserted { waiting.append(read) }
        }
        var result = self
        result.outputs = [end]
        result.nodes = nodes.indices.filter(kept.contains).map { nodes[$0] }
        result.inputs = starts + inputs.filter { needed.contains($0) && !starts.contains($0) }
        result.initializers = initializers.filter { needed.contains($0.key) && !starts.contains($0.key) }
        return result
    }
}
