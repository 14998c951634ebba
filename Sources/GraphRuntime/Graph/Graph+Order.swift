extension Graph {
    /// Puts the nodes into an order in which each reads only what earlier ones wrote, keeping the file's order where it is one.
    ///
    /// - Throws: ``GraphError`` for ids outside of ``values``, a value with two sources, one that is read but has none, and a
    ///   cycle.
    public mutating func sortTopologically() throws(GraphError) {
        var known = try sources()
        if isOrdered(from: known) { return }

        var producer = [Int](repeating: -1, count: values.count)
        for (index, node) in nodes.enumerated() {
            for case let output? in node.outputs { producer[output] = index }
        }
        var readers = [[Int]](repeating: [], count: nodes.count)
        var missing = [Int](repeating: 0, count: nodes.count)
        for (index, node) in nodes.enumerated() {
            for value in Set(node.reads) where !known[value] {
                guard producer[value] >= 0 else {
                    throw GraphError("\(node.title) reads \"\(values[value].name)\", which nothing produces")
                }
                readers[producer[value]].append(index)
                missing[index] += 1
            }
        }
        // A queue in the order of the file: every node whose inputs are there, earliest first.
        var ready = nodes.indices.filter { missing[$0] == 0 }
        var order: [Int] = []
        var next = 0
        while next < ready.count {
            let index = ready[next]
            next += 1
            order.append(index)
            for reader in readers[index] {
                missing[reader] -= 1
                if missing[reader] == 0 { ready.append(reader) }
            }
        }
        guard order.count == nodes.count else {
            let stuck = nodes.indices.first { missing[$0] > 0 }.map { nodes[$0].title } ?? ""
            throw GraphError("the graph has a cycle through \(stuck)")
        }
        nodes = order.map { nodes[$0] }
        for node in nodes { for case let output? in node.outputs { known[output] = true } }
        try requireOutputs(known)
    }

    /// Checks the invariants, for tests and after each pass of the optimizer.
    public func validate() throws(GraphError) {
        var known = try sources()
        for node in nodes {
            for value in node.reads where !known[value] {
                throw GraphError("\(node.title) reads \"\(values[value].name)\" before it is produced")
            }
            for case let output? in node.outputs { known[output] = true }
        }
        try requireOutputs(known)
    }

    private func requireOutputs(_ known: [Bool]) throws(GraphError) {
        for output in outputs where !known[output] {
            throw GraphError("nothing produces the output \"\(values[output].name)\"")
        }
    }

    private func isOrdered(from known: [Bool]) -> Bool {
        var known = known
        for node in nodes {
            for value in node.reads where !known[value] { return false }
            for case let output? in node.outputs { known[output] = true }
        }
        return outputs.allSatisfy { known[$0] }
    }

    /// Marks what is there before the first node, after a check that no value has two sources.
    private func sources() throws(GraphError) -> [Bool] {
        let range = values.indices
        var known = [Bool](repeating: false, count: values.count)
        for value in inputs + captures {
            guard range.contains(value) else { throw GraphError("value \(value) doesn't exist") }
            guard !known[value] else { throw GraphError("the input \"\(values[value].name)\" is listed twice") }
            known[value] = true
        }
        for value in outputs where !range.contains(value) { throw GraphError("value \(value) doesn't exist") }
        for value in initializers.keys {
            guard range.contains(value) else { throw GraphError("value \(value) doesn't exist") }
            known[value] = true
        }
        var produced = known
        for node in nodes {
            for value in node.reads where !range.contains(value) { throw GraphError("value \(value) doesn't exist") }
            for case let output? in node.outputs {
                guard range.contains(output) else { throw GraphError("value \(output) doesn't exist") }
                guard !produced[output] else { throw GraphError("\"\(values[output].name)\" is produced twice") }
                produced[output] = true
            }
        }
        return known
    }
}
