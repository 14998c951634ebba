import GraphRuntime

/// MatMul by one matrix, with its bias or without, and GEGLU: each tile of the product is gated while it is in cache.
struct GatedMatMulFusion: Fusion {
    let name = "MatMul+GEGLU"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let gate = editor.operation(node, as: GEGLU.self), let product = editor.input(node, as: GEGLU.self),
            let producer = editor.producer(of: product),
            let matMul = editor.operation(producer, as: MatMul.self), !matMul.hasResidual, editor.isFloat(product),
            let left = editor.shape(editor.nodes[producer].inputs[0]), left.rank >= 2,
            let right = editor.shape(editor.nodes[producer].inputs[1]), right.rank == 2, right.count > 0,
            let output = editor.output(node)
        else { return nil }
        return FusionMatch(
            nodes: [producer, node], type: name, operation: GatedMatMul(hasBias: matMul.hasBias, halvesLast: gate.halvesLast),
            inputs: editor.nodes[producer].inputs, outputs: [output])
    }
}
