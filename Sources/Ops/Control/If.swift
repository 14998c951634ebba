import GraphRuntime

/// ONNX If (1 to 25): one of two graphs, by a condition.
struct If: InliningOperator {
    var thenBranch: Subgraph
    var elseBranch: Subgraph

    private func branch(_ condition: Tensor) throws -> Subgraph {
        guard condition.dtype == .bool, condition.count == 1 else {
            throw TensorError("expected one condition, found \(condition.dtype)\(condition.shape)")
        }
        return try condition.array(of: Bool.self)[0] ? thenBranch : elseBranch
    }

    func selectedSubgraph(_ inputs: [Fact?]) -> Subgraph? {
        guard let condition = inputs.first??.tensor else { return nil }
        return try? branch(condition)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        if let condition = try inputs[0].tensor { _ = try branch(condition) }
        return Array(repeating: .unknown, count: inputs.outputCount)
    }

    func run(_ context: inout RunContext) throws {
        let results = try context.run(branch(context.input(0)), inputs: [])
        guard results.count >= context.outputs.count else {
            throw TensorError("the branch has \(results.count) outputs, the node \(context.outputs.count)")
        }
        for (index, value) in results.enumerated() { context.setOutput(index, value) }
    }
}

extension If {
    static let definitions = OperatorDefinition.all("If", since: [1, 11, 13, 16, 19, 21, 23, 24, 25]) { decoder in
        try decoder.requireInputs(1...1)
        let (thenBranch, elseBranch) = (try decoder.subgraph("then_branch"), try decoder.subgraph("else_branch"))
        for branch in [thenBranch, elseBranch] where branch.graph.outputs.count != decoder.outputCount {
            throw TensorError("a branch has \(branch.graph.outputs.count) outputs, the node \(decoder.outputCount)")
        }
        return If(thenBranch: thenBranch, elseBranch: elseBranch)
    }
}
