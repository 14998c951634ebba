import GraphRuntime

/// A Conv with kernels of one pixel and the Transpose behind it that puts its channels last.
struct ConvTransposeFusion: Fusion {
    let name = "Conv+Transpose"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let product = editor.input(node, as: Transpose.self), let producer = editor.producer(of: product),
            let shape = editor.shape(product), editor.isPointwiseConv(producer), editor.isFloat(product),
            let transpose = editor.operation(node, as: Transpose.self), let output = editor.output(node),
            try transpose.axes(rank: shape.rank) == [0] + Array(2..<shape.rank) + [1]
        else { return nil }
        return FusionMatch(
            nodes: [producer, node], type: name, operation: PointwiseConv(channelsLast: .output),
            inputs: editor.nodes[producer].inputs, outputs: [output])
    }
}

/// A Transpose that puts the last axis behind the first, and a Conv of that with kernels of one pixel.
struct TransposeConvFusion: Fusion {
    let name = "Transpose+Conv"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard editor.isPointwiseConv(node), let moved = editor.nodes[node].inputs[0], editor.isFloat(moved),
            let producer = editor.producer(of: moved), let source = editor.input(producer, as: Transpose.self),
            let transpose = editor.operation(producer, as: Transpose.self), let shape = editor.shape(source),
            try transpose.axes(rank: shape.rank) == [0, shape.rank - 1] + Array(1..<shape.rank - 1),
            let output = editor.output(node)
        else { return nil }
        return FusionMatch(
            nodes: [producer, node], type: name, operation: PointwiseConv(channelsLast: .input),
            inputs: [source] + editor.nodes[node].inputs.dropFirst(), outputs: [output])
    }
}

extension GraphEditor {
    /// Whether a node is a Conv on one group with kernels of one pixel, which reads and writes as many pixels.
    fileprivate func isPointwiseConv(_ node: Int) -> Bool {
        guard let conv = operation(node, as: Conv.self), let input = shape(nodes[node].inputs[0]), input.rank >= 3,
            let weights = shape(nodes[node].inputs[1]),
            let window = try? ConvolutionWindow(conv.attributes, input: input, weights: weights)
        else { return false }
        return window.isPointwise && window.group == 1 && weights.count > 0
    }
}
