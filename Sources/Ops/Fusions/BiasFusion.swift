import GraphRuntime

/// MatMul and an Add of one number per column: the product starts from the bias in the place of zero.
struct MatMulBiasFusion: Fusion {
    let name = "MatMul+bias"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        for (product, bias) in editor.orders(node, .add) {
            guard let producer = editor.producer(of: product), let matMul = editor.operation(producer, as: MatMul.self),
                !matMul.hasBias, !matMul.hasResidual, editor.isFloat(product), let shape = editor.shape(product),
                shape.rank >= 2,
                let columns = shape.dimensions.last, editor.nodes[producer].inputs.count == 2,
                let right = editor.shape(editor.nodes[producer].inputs[1]), right.rank >= 2,
                let offsets = editor.constant(bias), offsets.shape.dimensions.last == columns, offsets.count == columns,
                let output = editor.output(node), editor.shape(output) == shape
            else { continue }
            return FusionMatch(
                nodes: [producer, node], type: "MatMul", operation: MatMul(hasBias: true),
                inputs: editor.nodes[producer].inputs + [bias], outputs: [output])
        }
        return nil
    }
}

/// Conv without a bias and an Add of one number per channel.
struct ConvBiasFusion: Fusion {
    let name = "Conv+bias"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        for (product, bias) in editor.orders(node, .add) {
            guard let producer = editor.producer(of: product), let conv = editor.operation(producer, as: Conv.self),
                editor.nodes[producer].inputs.dropFirst(2).allSatisfy({ $0 == nil }), editor.isFloat(product),
                let shape = editor.shape(product),
                let values = editor.channelConstant(bias, channels: shape[1], rank: shape.rank),
                let output = editor.output(node), editor.shape(output) == shape
            else { continue }
            let constant = editor.addConstant(try Tensor(values), name: editor.nodes[node].name + "/bias")
            return FusionMatch(
                nodes: [producer, node], type: "Conv", operation: conv,
                inputs: Array(editor.nodes[producer].inputs.prefix(2)) + [constant], outputs: [output])
        }
        return nil
    }
}
