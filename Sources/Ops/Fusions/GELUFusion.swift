import GraphRuntime

/// x / 2 · (1 + erf(x / √2)) (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016), in every order of its factors that
/// exporters write.
struct GELUFusion: Fusion {
    let name = "GELU"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let output = editor.output(node) else { return nil }
        for (first, second) in editor.orders(node, .multiply) {
            // (x · (1 + erf)) · 0.5
            if editor.isScalar(second, 0.5), let product = editor.producer(of: first) {
                for (x, gate) in editor.orders(product, .multiply) {
                    if let inner = gateNodes(gate, of: x, editor), editor.isSameShape(x, output) {
                        return match(.geluHalvedLast, inner + [product, node], x: x, output: output)
                    }
                }
            }
            guard let other = editor.producer(of: first) else { continue }
            // (0.5 · x) · (1 + erf)
            if let x = editor.operand(other, .multiply, beside: 0.5), let inner = gateNodes(second, of: x, editor),
                editor.isSameShape(x, output)
            {
                return match(.gelu, inner + [other, node], x: x, output: output)
            }
            // x · (0.5 · (1 + erf))
            if let gate = editor.operand(other, .multiply, beside: 0.5), let inner = gateNodes(gate, of: second, editor),
                editor.isSameShape(second, output)
            {
                return match(.gelu, inner + [other, node], x: second, output: output)
            }
        }
        return nil
    }

    private func match(_ function: ActivationFunction, _ nodes: [Int], x: ValueID, output: ValueID) -> FusionMatch {
        FusionMatch(nodes: nodes, type: name, operation: Activation(function: function), inputs: [x], outputs: [output])
    }

    /// The nodes that compute `gate` as 1 + erf(x / √2).
    private func gateNodes(_ gate: ValueID, of x: ValueID, _ editor: GraphEditor) -> [Int]? {
        guard editor.isFloat(x), let sum = editor.producer(of: gate), let erfValue = editor.operand(sum, .add, beside: 1),
            let erf = editor.producer(of: erfValue), let scaled = editor.input(erf, function: "Erf"),
            let scale = editor.producer(of: scaled)
        else { return nil }
        if let (value, divisor) = editor.operands(scale, .divide), value == x, editor.isScalar(divisor, Float(2).squareRoot()) {
            return [scale, erf, sum]
        }
        if editor.operand(scale, .multiply, beside: Float(0.5).squareRoot()) == x { return [scale, erf, sum] }
        return nil
    }
}
