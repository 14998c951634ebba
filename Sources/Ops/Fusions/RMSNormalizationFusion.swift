import GraphRuntime

/// RMSNorm as exporters below opset 23 write it, over the last axis (Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019):
/// x / √(mean(x²) + ε) · γ, the quotient as one or as a product with 1 / √….
struct RMSNormalizationFusion: Fusion {
    let name = "RMSNormalization"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let output = editor.output(node) else { return nil }
        for (normalised, gamma) in editor.orders(node, .multiply) {
            guard let found = quotient(normalised, editor), let shape = editor.shape(found.x),
                let width = shape.dimensions.last, editor.isRow(gamma, width), editor.shape(output) == shape
            else { continue }
            var operation = RMSNormalization(axis: -1, epsilon: Double(found.epsilon))
            operation.isWrittenOut = true
            return FusionMatch(
                nodes: found.nodes + [node], type: name, operation: operation, inputs: [found.x, gamma], outputs: [output])
        }
        return nil
    }

    /// The nodes that compute a value as x / √(mean(x²) + ε).
    private func quotient(_ id: ValueID, _ editor: GraphEditor) -> (x: ValueID, epsilon: Float, nodes: [Int])? {
        guard let last = editor.producer(of: id) else { return nil }
        if let (x, value) = editor.operands(last, .divide), let found = root(value, of: x, editor) {
            return (x, found.epsilon, found.nodes + [last])
        }
        for (x, inverse) in editor.orders(last, .multiply) {
            guard let node = editor.producer(of: inverse), let value = inverted(node, editor),
                let found = root(value, of: x, editor)
            else { continue }
            return (x, found.epsilon, found.nodes + [node, last])
        }
        return nil
    }

    /// What a node divides 1 by.
    private func inverted(_ node: Int, _ editor: GraphEditor) -> ValueID? {
        if let (one, value) = editor.operands(node, .divide) { return editor.floats(one) == [1] ? value : nil }
        return editor.input(node, function: "Reciprocal")
    }

    /// The nodes that compute a value as √(mean(x²) + ε).
    private func root(_ id: ValueID, of x: ValueID, _ editor: GraphEditor) -> (epsilon: Float, nodes: [Int])? {
        guard editor.isFloat(x), let root = editor.producer(of: id), let shifted = editor.input(root, function: "Sqrt"),
            let add = editor.producer(of: shifted), let (mean, epsilon) = editor.epsilonSum(add),
            let average = editor.producer(of: mean), let squares = editor.lastAxisMean(average),
            let square = editor.producer(of: squares), editor.isSquare(square, of: x)
        else { return nil }
        return (epsilon, [square, average, add, root])
    }
}
