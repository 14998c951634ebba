import GraphRuntime

/// HardSigmoid as it was written before it was an operator, clip(x + 3, 0, 6) / 6, by a division or by a product.
struct HardSigmoidFusion: Fusion {
    let name = "HardSigmoid"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let clipped = editor.sixth(node), let pattern = editor.clippedSum(clipped), editor.isFloat(pattern.x),
            let output = editor.output(node), editor.isSameShape(pattern.x, output)
        else { return nil }
        return FusionMatch(
            nodes: pattern.nodes + [node], type: name,
            operation: ParametricActivation(function: .hardSigmoid, a: 1 / 6, b: 0.5),
            inputs: [pattern.x], outputs: [output])
    }
}

/// HardSwish (Howard et al. 2019) as exporters write it: x · clip(x + 3, 0, 6) / 6, in any order, or x · HardSigmoid(x).
struct HardSwishFusion: Fusion {
    let name = "HardSwish"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let output = editor.output(node) else { return nil }
        func fused(
            _ function: ActivationFunction, _ x: ValueID, _ nodes: [Int], _ editor: GraphEditor
        ) -> FusionMatch? {
            guard editor.isFloat(x), editor.isSameShape(x, output) else { return nil }
            return FusionMatch(
                nodes: nodes + [node], type: name, operation: Activation(function: function), inputs: [x], outputs: [output])
        }
        if let product = editor.sixth(node), let producer = editor.producer(of: product) {
            for (x, clipped) in editor.orders(producer, .multiply) {
                guard let pattern = editor.clippedSum(clipped), pattern.x == x else { continue }
                return fused(.hardSwishDividedLast, x, pattern.nodes + [producer], editor)
            }
        }
        for (x, gate) in editor.orders(node, .multiply) {
            guard let producer = editor.producer(of: gate),
                let sigmoid = editor.operation(producer, as: ParametricActivation.self), sigmoid.function == .hardSigmoid,
                abs(sigmoid.a - 1 / 6) < 1e-6, sigmoid.b == 0.5, editor.nodes[producer].inputs.first == x
            else { continue }
            return fused(.hardSwish, x, [producer], editor)
        }
        return nil
    }
}

/// x · tanh(softplus(x)) (Misra 2019).
struct MishFusion: Fusion {
    let name = "Mish"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        for (x, gate) in editor.orders(node, .multiply) where editor.isFloat(x) {
            guard let tanh = editor.producer(of: gate), let inner = editor.input(tanh, function: "Tanh"),
                let softplus = editor.producer(of: inner),
                editor.operation(softplus, as: Activation.self)?.function == .softplus,
                editor.nodes[softplus].inputs.first == x, let output = editor.output(node)
            else { continue }
            return FusionMatch(
                nodes: [softplus, tanh, node], type: name, operation: Activation(function: .mish), inputs: [x],
                outputs: [output])
        }
        return nil
    }
}

extension GraphEditor {
    /// The bounds of a Clip of float32, where they are constants.
    func clipBounds(_ node: Int) -> (least: Float, most: Float)? {
        guard let clip = operation(node, as: Clip.self), isFloat(nodes[node].inputs.first ?? nil) else { return nil }
        if let bounds = clip.bounds { return (bounds.minimum, bounds.maximum) }
        let inputs = nodes[node].inputs
        func bound(_ index: Int, none: Float) -> Float? {
            guard inputs.count > index, let id = inputs[index] else { return none }
            return scalar(id)
        }
        guard let least = bound(1, none: -.infinity), let most = bound(2, none: .infinity) else { return nil }
        return (least, most)
    }

    /// What a node divides by 6.
    fileprivate func sixth(_ node: Int) -> ValueID? {
        if let (dividend, divisor) = operands(node, .divide), isScalar(divisor, 6) { return dividend }
        return operand(node, .multiply, beside: 1 / 6)
    }

    /// The x of clip(x + 3, 0, 6), and the nodes.
    fileprivate func clippedSum(_ id: ValueID) -> (x: ValueID, nodes: [Int])? {
        guard let clip = producer(of: id), let bounds = clipBounds(clip), bounds.least == 0, bounds.most == 6,
            let sum = nodes[clip].inputs[0], let add = producer(of: sum), let x = operand(add, .add, beside: 3)
        else { return nil }
        return (x, [add, clip])
    }
}
