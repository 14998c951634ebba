import GraphRuntime

/// x / 2 · (1 + erf(x / √2)) (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016), or with tanh(√(2/π) · (x + 0.044715 · x³)) in
/// the place of erf, in every order of its factors that exporters write.
struct GELUFusion: Fusion {
    let name = "GELU"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let output = editor.output(node) else { return nil }
        for (first, second) in editor.orders(node, .multiply) {
            // (x · (1 + erf)) · 0.5
            if editor.isScalar(second, 0.5), let product = editor.producer(of: first) {
                for (x, gate) in editor.orders(product, .multiply) {
                    if let inner = erfGate(gate, of: x, editor), editor.isSameShape(x, output) {
                        return match(.geluHalvedLast, inner + [product, node], x: x, output: output)
                    }
                }
            }
            guard let other = editor.producer(of: first) else { continue }
            // (0.5 · x) · (1 + erf)
            if let x = editor.operand(other, .multiply, beside: 0.5), let (function, inner) = gate(second, of: x, editor),
                editor.isSameShape(x, output)
            {
                return match(function, inner + [other, node], x: x, output: output)
            }
            // x · (0.5 · (1 + erf))
            if let value = editor.operand(other, .multiply, beside: 0.5),
                let (function, inner) = gate(value, of: second, editor), editor.isSameShape(second, output)
            {
                return match(function, inner + [other, node], x: second, output: output)
            }
        }
        return nil
    }

    private func match(_ function: ActivationFunction, _ nodes: [Int], x: ValueID, output: ValueID) -> FusionMatch {
        FusionMatch(nodes: nodes, type: name, operation: Activation(function: function), inputs: [x], outputs: [output])
    }

    /// The nodes that compute a value as 1 + erf(x / √2), or as 1 + tanh(…), and the function that it is part of.
    private func gate(_ id: ValueID, of x: ValueID, _ editor: GraphEditor) -> (ActivationFunction, [Int])? {
        if let nodes = erfGate(id, of: x, editor) { return (.gelu, nodes) }
        guard editor.isFloat(x), let sum = editor.producer(of: id), let value = editor.operand(sum, .add, beside: 1),
            let tanh = editor.producer(of: value), let argument = editor.input(tanh, function: "Tanh"),
            let nodes = tanhArgument(argument, of: x, editor)
        else { return nil }
        return (.geluTanh, nodes + [tanh, sum])
    }

    /// The nodes that compute a value as √(2/π) · (x + 0.044715 · x³), or as (√(2/π) · x) · (1 + (0.044715 · x) · x).
    private func tanhArgument(_ id: ValueID, of x: ValueID, _ editor: GraphEditor) -> [Int]? {
        let (slope, curve) = (Float(0.7978845608), Float(0.044715))
        guard let last = editor.producer(of: id) else { return nil }
        if let inner = editor.operand(last, .multiply, beside: slope), let sum = editor.producer(of: inner),
            let term = editor.orders(sum, .add).first(where: { $0.0 == x })?.1, let product = editor.producer(of: term),
            let cube = editor.operand(product, .multiply, beside: curve), let nodes = cubeNodes(cube, of: x, editor)
        {
            return nodes + [product, sum, last]
        }
        for (first, second) in editor.orders(last, .multiply) {
            guard let scaled = editor.producer(of: first), editor.operand(scaled, .multiply, beside: slope) == x,
                let sum = editor.producer(of: second), let term = editor.operand(sum, .add, beside: 1),
                let square = editor.producer(of: term),
                let factor = editor.orders(square, .multiply).first(where: { $0.0 == x })?.1,
                let curved = editor.producer(of: factor), editor.operand(curved, .multiply, beside: curve) == x
            else { continue }
            return [scaled, curved, square, sum, last]
        }
        return nil
    }

    /// The nodes that compute a value as x³.
    private func cubeNodes(_ id: ValueID, of x: ValueID, _ editor: GraphEditor) -> [Int]? {
        guard let node = editor.producer(of: id) else { return nil }
        if editor.operation(node, as: Pow.self) != nil {
            guard editor.nodes[node].inputs[0] == x, let exponent = editor.nodes[node].inputs[1],
                editor.isScalar(exponent, 3)
            else { return nil }
            return [node]
        }
        guard let other = editor.orders(node, .multiply).first(where: { $0.0 == x })?.1,
            let square = editor.producer(of: other),
            editor.isSquare(square, of: x)
        else { return nil }
        return [square, node]
    }

    /// The nodes that compute `gate` as 1 + erf(x / √2).
    private func erfGate(_ gate: ValueID, of x: ValueID, _ editor: GraphEditor) -> [Int]? {
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
