extension Graph {
    /// Calls `body` with every tensor that the graph and those of its nodes' attributes state, and what it is called in messages.
    func forEachConstant<Failure: Error>(_ body: (Tensor, _ title: () -> String) throws(Failure) -> Void) throws(Failure) {
        for (id, tensor) in initializers { try body(tensor) { "\"\(values[id].name.shortened(to: String.longestName))\"" } }
        for node in nodes {
            for name in node.attributes.names {
                switch node.attributes[name] {
                case .tensor(let tensor): try body(tensor) { "\(name) of \(node.title)" }
                case .tensors(let tensors): for tensor in tensors { try body(tensor) { "\(name) of \(node.title)" } }
                case .graph(let graph): try graph.forEachConstant(body)
                case .graphs(let graphs): for graph in graphs { try graph.forEachConstant(body) }
                default: break
                }
            }
        }
    }

    /// - Throws: ``GraphError`` of kind `file` where a constant has no values (``Tensor/hasValues``).
    func requireValues() throws(GraphError) {
        try forEachConstant { tensor, title throws(GraphError) in
            guard !tensor.hasValues else { return }
            throw GraphError(
                "the constant \(title()) has no values: the model was read without the file that they lie in", kind: .file)
        }
    }
}
