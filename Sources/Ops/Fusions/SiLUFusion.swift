import GraphRuntime

/// x · sigmoid(a · x), as exporters write SiLU (a = 1; Hendrycks and Gimpel 2016, Ramachandran et al. 2017) and CLIP's quick GELU
/// (a = 1.702): one pass over memory in the place of two or three.
struct SiLUFusion: Fusion {
    let name = "SiLU"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        for (x, gate) in editor.orders(node, .multiply) where editor.isFloat(x) {
            guard let sigmoid = editor.producer(of: gate), editor.operation(sigmoid, as: Activation.self)?.function == .sigmoid,
                let inner = editor.nodes[sigmoid].inputs.first ?? nil, let output = editor.output(node)
            else { continue }
            if inner == x {
                return FusionMatch(
                    nodes: [sigmoid, node], type: name, operation: ParametricActivation(function: .swish, a: 1, b: 1),
                    inputs: [x], outputs: [output])
            }
            let scale = editor.producer(of: inner)
            guard let scale, let factor = editor.orders(scale, .multiply).first(where: { $0.0 == x })?.1,
                let value = editor.floats(factor), value.count == 1, editor.isSameShape(x, inner)
            else { continue }
            return FusionMatch(
                nodes: [scale, sigmoid, node], type: "QuickGELU",
                operation: ParametricActivation(function: .swish, a: value[0], b: 1), inputs: [x], outputs: [output])
        }
        return nil
    }
}
