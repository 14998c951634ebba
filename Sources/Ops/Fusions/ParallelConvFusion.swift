import GraphRuntime

/// The sum of two convolutions of one input, or of a convolution and a BatchNormalization of its input, all by constants: one convolution with
/// the sum of their weights, as networks with several branches in training are reparameterised (Ding et al., "RepVGG: Making VGG-style
/// ConvNets Great Again", 2021, section 3.3). A kernel of one element becomes the middle of a larger one. Where the sums of one branch alone
/// would leave the range, those of the merged one may not.
struct ParallelConvFusion: Fusion {
    let name = "Conv+Conv"
    let remakesWeights = true

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        for (first, second) in editor.orders(node, .add) {
            guard first != second, let producer = editor.producer(of: first), let other = editor.producer(of: second),
                editor.soleReader(of: first) == node, editor.soleReader(of: second) == node,
                var branch = ConvolutionBranch(producer, editor), let output = editor.output(node),
                let added = ConvolutionBranch(other, editor) ?? ConvolutionBranch(normalization: other, like: branch, editor),
                let operation = editor.nodes[producer].operation, branch.add(added)
            else { continue }
            let name = editor.nodes[node].name
            let weights = editor.addConstant(try Tensor(branch.weights, shape: branch.shape), name: name + "/weights")
            let bias = editor.addConstant(try Tensor(branch.bias), name: name + "/bias")
            return FusionMatch(
                nodes: [producer, other, node].sorted(), type: "Conv", operation: operation,
                inputs: [branch.source, weights, bias],
                outputs: [output])
        }
        return nil
    }
}

/// A convolution of float32 by constants that nobody replaces.
private struct ConvolutionBranch {
    let source: ValueID
    /// [M, C / group, kernel…].
    let shape: Shape
    private(set) var weights: [Float]
    private(set) var bias: [Float]
    private let attributes: WindowAttributes

    /// The largest weight: the terms of larger ones may leave the range of single precision where those of both convolutions don't.
    private static let largestWeight: Float = 0x1p60

    private var kernel: [Int] { Array(shape.dimensions.dropFirst(2)) }
    /// Weights of a pair of an output and an input channel.
    private var taps: Int { kernel.reduce(1, *) }
    private var isPointwise: Bool { taps == 1 }

    init?(_ node: Int, _ editor: GraphEditor) {
        let inputs = editor.nodes[node].inputs
        guard let conv = editor.operation(node, as: Conv.self), !conv.isFused, inputs.count >= 2, let source = inputs[0],
            let weights = editor.fixedFloats(inputs[1]), let shape = editor.constant(inputs[1])?.shape, shape.rank >= 3
        else { return nil }
        (self.source, self.shape, self.weights, attributes) = (source, shape, weights, conv.attributes)
        bias = [Float](repeating: 0, count: shape[0])
        if inputs.count > 2, inputs[2] != nil {
            guard let values = editor.fixedFloats(inputs[2]), values.count == shape[0] else { return nil }
            bias = values
        }
    }

    /// A BatchNormalization as the convolution with one weight for each channel that it is beside another one of its input.
    init?(normalization node: Int, like other: ConvolutionBranch, _ editor: GraphEditor) {
        let inputs = editor.nodes[node].inputs
        guard let norm = editor.operation(node, as: BatchNormalization.self), !norm.isTraining, norm.activation == nil,
            inputs.count == 5, inputs[0] == other.source, other.attributes.strides.allSatisfy({ $0 == 1 })
        else { return nil }
        let parameters = inputs.dropFirst().compactMap { editor.fixedFloats($0)?.map { Double($0) } }
        let (outputs, depth, group) = (other.shape[0], other.shape[1], other.attributes.group)
        // As many output channels as there are input channels.
        guard parameters.count == 4, parameters.allSatisfy({ $0.count == outputs }), depth * group == outputs,
            let shape = try? Shape([outputs, depth] + other.kernel.map { _ in 1 })
        else { return nil }
        let factor = zip(parameters[0], parameters[3]).map { $0 / ($1 + norm.epsilon).squareRoot() }
        (source, self.shape) = (other.source, shape)
        weights = (0..<outputs * depth).map { $0 % depth == $0 / depth % depth ? Float(factor[$0 / depth]) : 0 }
        bias = zip(zip(parameters[1], parameters[2]), factor).map { Float($0.0 - $0.1 * $1) }
        var attributes = WindowAttributes()
        (attributes.group, attributes.strides) = (group, other.attributes.strides)
        self.attributes = attributes
    }

    /// Adds the weights and the bias of another branch, whose kernel is no larger.
    ///
    /// - Returns: whether the branches have one input and windows that fit, and all sums are ordinary numbers.
    mutating func add(_ other: ConvolutionBranch) -> Bool {
        guard source == other.source, shape[0] == other.shape[0], shape[1] == other.shape[1], shape.rank == other.shape.rank,
            attributes.group == other.attributes.group, let tap = tap(of: other)
        else { return false }
        let step = other.taps == taps ? 1 : taps
        for (index, weight) in other.weights.enumerated() { weights[index * step + tap] += weight }
        for (index, value) in other.bias.enumerated() { bias[index] += value }
        return weights.allSatisfy { abs($0) <= Self.largestWeight } && bias.allSatisfy(\.isFinite)
    }

    /// Where the first weight of another branch belongs in the kernel of this one; nil where their windows don't fit.
    private func tap(of other: ConvolutionBranch) -> Int? {
        guard let own = try? attributes.values(kernel: kernel), let added = try? other.attributes.values(kernel: other.kernel),
            own.strides == added.strides
        else { return nil }
        if kernel == other.kernel {
            let isSame = own.dilations == added.dilations && own.pads == added.pads
            return isSame && attributes.autoPad == other.attributes.autoPad ? 0 : nil
        }
        guard other.isPointwise, attributes.autoPad == .notSet, other.attributes.autoPad == .notSet,
            added.pads.allSatisfy({ $0 == 0 })
        else { return nil }
        var tap = 0
        for (axis, extent) in kernel.enumerated() {
            let middle = extent / 2
            let pad = middle * own.dilations[axis]
            guard extent % 2 == 1, own.pads[axis] == pad, own.pads[kernel.count + axis] == pad else { return nil }
            tap = tap * extent + middle
        }
        return tap
    }
}

extension GraphEditor {
    /// The elements of a constant of float32 that nobody replaces.
    fileprivate func fixedFloats(_ id: ValueID?) -> [Float]? {
        guard let id, let tensor = constant(id), tensor.dtype == .float32, !graph.replaceable.contains(id) else { return nil }
        return try? tensor.array(of: Float.self)
    }
}
