import GraphRuntime

/// LayerNorm as exporters below opset 17 write it, over the last axis (Ba et al., "Layer Normalization", 2016):
/// d = x − mean(x); d / √(mean(d²) + ε) · γ + β. In half precision torch.onnx's exporter casts d to a wider type and the quotient back.
struct LayerNormalizationFusion: Fusion {
    let name = "LayerNormalization"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let output = editor.output(node) else { return nil }
        for (product, beta) in editor.orders(node, .add) {
            guard let multiply = editor.producer(of: product) else { continue }
            for (normalised, gamma) in editor.orders(multiply, .multiply) {
                guard let found = normalization(normalised, editor), let shape = editor.shape(found.x),
                    let width = shape.dimensions.last,
                    editor.isRow(gamma, width), editor.isRow(beta, width), editor.shape(output) == shape
                else { continue }
                var operation = LayerNormalization(axis: -1, epsilon: Double(found.epsilon))
                operation.isWrittenOut = true
                return FusionMatch(
                    nodes: found.nodes + [multiply, node], type: name, operation: operation, inputs: [found.x, gamma, beta],
                    outputs: [output])
            }
        }
        return nil
    }

    /// The nodes that compute a value as d / √(mean(d²) + ε).
    private func normalization(_ id: ValueID, _ editor: GraphEditor) -> (x: ValueID, epsilon: Float, nodes: [Int])? {
        let narrowing = castInput(id, editor)
        guard let divide = editor.producer(of: narrowing?.input ?? id),
            let (wide, deviation) = editor.operands(divide, .divide),
            let root = editor.producer(of: deviation), let shifted = editor.input(root, function: "Sqrt"),
            let add = editor.producer(of: shifted), let (variance, epsilon) = editor.epsilonSum(add),
            let average = editor.producer(of: variance), let squares = editor.lastAxisMean(average),
            let square = editor.producer(of: squares), editor.isSquare(square, of: wide),
            case let widening = castInput(wide, editor), (widening == nil) == (narrowing == nil),
            let subtract = editor.producer(of: widening?.input ?? wide), let (x, mean) = editor.operands(subtract, .subtract),
            editor.isFloat(x),
            let reduce = editor.producer(of: mean), editor.lastAxisMean(reduce) == x,
            editor.fact(id).dtype == editor.fact(x).dtype
        else { return nil }
        let casts = [widening, narrowing].compactMap { $0?.node }
        return (x, epsilon, casts + [reduce, subtract, square, average, add, root, divide])
    }

    /// The node that casts to a value from another floating-point type, and what it casts.
    private func castInput(_ id: ValueID, _ editor: GraphEditor) -> (node: Int, input: ValueID)? {
        guard let node = editor.producer(of: id), let input = editor.input(node, as: Cast.self),
            editor.isFloat(id) || editor.fact(id).dtype == .float64
        else { return nil }
        return (node, input)
    }
}
