import GraphRuntime

/// A convolution of whose windows some rows or columns of taps, at either end, see nothing but padding: the same without them, which
/// adds no zeros up. Windows of large dilations on small pictures (DeepLab's last layers), and those on pictures of a pixel or two.
struct UnseenTapsFusion: Fusion {
    let name = "Conv without unseen taps"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let conv = editor.operation(node, as: Conv.self), !conv.isFused, conv.attributes.group == 1,
            let input = editor.shape(editor.nodes[node].inputs[0]), let id = editor.nodes[node].inputs[1],
            !editor.graph.replaceable.contains(id), let weights = editor.constant(id), weights.count > 0,
            let window = try? ConvolutionWindow(conv.attributes, input: input, weights: weights.shape),
            window.outputCount > 0, let output = editor.output(node)
        else { return nil }
        let seen = window.kernel.indices.map { Self.seenTaps(of: window, axis: $0) }
        guard seen.map(\.count) != window.kernel else { return nil }
        let attributes = Self.attributes(window, seen)
        let shape = try Shape(weights.shape.dimensions.prefix(2) + seen.map(\.count))
        // Strides that leave pixels at the end unseen may ask for less than no padding.
        guard let smaller = try? ConvolutionWindow(attributes, input: input, weights: shape), smaller.output == window.output
        else {
            return nil
        }
        let kept = editor.addConstant(
            try Self.taps(seen, of: weights, shape: shape), name: editor.nodes[node].name + "/weights")
        var inputs = editor.nodes[node].inputs
        inputs[1] = kept
        return FusionMatch(
            nodes: [node], type: "Conv", operation: Conv(attributes: attributes), inputs: inputs, outputs: [output])
    }

    /// The taps from the first to the last that sees a pixel from some window; at least one.
    private static func seenTaps(of window: ConvolutionWindow, axis: Int) -> Range<Int> {
        let (extent, count) = (window.input[axis], window.kernel[axis])
        let (stride, dilation) = (window.strides[axis], window.dilations[axis])
        let windows = 0..<window.output[axis]
        func isSeen(_ tap: Int) -> Bool {
            let first = tap * dilation - window.padsBegin[axis]
            // The first window whose tap isn't before the picture.
            let index = first >= 0 ? 0 : (stride - 1 - first) / stride
            return windows.contains(index) && first + index * stride < extent
        }
        var seen = 0..<count
        // A window can begin before the picture or at its edge, and not behind it.
        while seen.count > 1, window.padsBegin[axis] >= (seen.lowerBound + 1) * dilation, !isSeen(seen.lowerBound) {
            seen = seen.lowerBound + 1..<count
        }
        while seen.count > 1, !isSeen(seen.upperBound - 1) { seen = seen.lowerBound..<seen.upperBound - 1 }
        return seen
    }

    private static func attributes(_ window: ConvolutionWindow, _ seen: [Range<Int>]) -> WindowAttributes {
        let begins = seen.indices.map { window.padsBegin[$0] - seen[$0].lowerBound * window.dilations[$0] }
        let ends = seen.indices.map { window.padEnd($0, taps: seen[$0].count, begin: begins[$0]) }
        var attributes = WindowAttributes()
        (attributes.strides, attributes.dilations, attributes.pads) = (window.strides, window.dilations, begins + ends)
        return attributes
    }

    /// - Parameter shape: of the weights that are kept.
    private static func taps(_ seen: [Range<Int>], of weights: Tensor, shape: Shape) throws -> Tensor {
        let strides = weights.shape.strides
        let first = seen.indices.reduce(0) { $0 + seen[$1].lowerBound * strides[$1 + 2] }
        return try RunContext.newTensor(of: [weights], shape: shape) { units in
            try units.run(
                StridedCopy(extents: shape.dimensions, sourceStrides: strides, targetStrides: shape.strides), at: first,
                threads: ThreadPool(threadCount: 1))
        }
    }
}
