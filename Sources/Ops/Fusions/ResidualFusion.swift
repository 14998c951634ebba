import GraphRuntime

/// MatMul, with its bias or without, and an Add of a computed value of its shape: that is added to each tile of the product while it is
/// in cache.
struct MatMulResidualFusion: Fusion {
    let name = "MatMul+residual"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        for (product, residual) in editor.orders(node, .add) {
            guard let producer = editor.producer(of: product), var matMul = editor.operation(producer, as: MatMul.self),
                !matMul.hasResidual, editor.isFloat(product), let shape = editor.shape(product), shape.rank >= 2,
                let right = editor.shape(editor.nodes[producer].inputs[1]), right.rank >= 2,
                editor.constant(residual) == nil, residual != product, editor.shape(residual) == shape,
                let output = editor.output(node)
            else { continue }
            matMul.hasResidual = true
            let inputs = editor.nodes[producer].inputs
            return FusionMatch(
                nodes: [producer, node], type: "MatMul", operation: matMul,
                inputs: [inputs[0], inputs[1], matMul.hasBias ? inputs[2] : nil, residual], outputs: [output])
        }
        return nil
    }
}
