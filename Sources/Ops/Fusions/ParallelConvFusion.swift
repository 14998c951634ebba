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
                let branch = ConvolutionBranch(producer, editor), let operation = editor.nodes[producer].operation,
                let output = editor.output(node), let sum = try sum(branch, other, editor)
            else { continue }
            let name = editor.nodes[node].name
            let weights = editor.addConstant(try Tensor(sum.weights, shape: branch.shape), name: name + "/weights")
            let bias = editor.addConstant(try Tensor(sum.bias), name: name + "/bias")
            return FusionMatch(
                nodes: [producer, other, node].sorted(), type: "Conv", operation: operation,
                inputs: [branch.source, weights, bias],
                outputs: [output])
        }
        return nil
    }

    private func sum(_ branch: ConvolutionBranch, _ other: Int, _ editor: GraphEditor) throws -> ConvolutionSum? {
        if let added = ConvolutionBranch(other, editor) {
            guard let tap = branch.tap(of: added) else { return nil }
            var sum = try ConvolutionSum(branch)
            return try sum.add(added, tap: tap) ? sum : nil
        }
        // As many output channels as there are input channels.
        let (outputs, depth) = (branch.shape[0], branch.shape[1])
        guard outputs % depth == 0, outputs / depth == branch.attributes.group,
            branch.attributes.strides.allSatisfy({ $0 == 1 }),
            let tap = branch.middle,
            let scale = ConvScaleFusion.Scale(
                normalization: other, of: branch.source, channels: outputs, mostDeviations: 64, editor)
        else { return nil }
        var sum = try ConvolutionSum(branch)
        return sum.add(scale, depth: depth, tap: tap) ? sum : nil
    }
}

/// A convolution of float32 by constants that nobody replaces.
private struct ConvolutionBranch {
    let source: ValueID
    let attributes: WindowAttributes
    let weights: Tensor
    let bias: Tensor?

    /// [M, C / group, kernel…].
    var shape: Shape { weights.shape }
    /// Weights of a pair of an output and an input channel.
    var taps: Int { kernel.reduce(1, *) }
    private var kernel: [Int] { Array(shape.dimensions.dropFirst(2)) }

    init?(_ node: Int, _ editor: GraphEditor) {
        let inputs = editor.nodes[node].inputs
        func fixed(_ id: ValueID?) -> Tensor? {
            guard let id, let tensor = editor.constant(id), tensor.dtype == .float32, tensor.count > 0 else { return nil }
            return editor.graph.replaceable.contains(id) ? nil : tensor
        }
        guard let conv = editor.operation(node, as: Conv.self), !conv.isFused, inputs.count >= 2, let source = inputs[0],
            let weights = fixed(inputs[1]), weights.shape.rank >= 3
        else { return nil }
        (self.source, self.weights, attributes) = (source, weights, conv.attributes)
        let biasID = inputs.count > 2 ? inputs[2] : nil
        bias = fixed(biasID)
        guard biasID == nil || bias?.count == weights.shape[0] else { return nil }
    }

    /// Where the first weight of another branch, whose kernel is no larger, belongs in the kernel of this one; nil where the branches have
    /// different inputs or channels, or their windows don't fit.
    func tap(of other: ConvolutionBranch) -> Int? {
        guard source == other.source, attributes.group == other.attributes.group, shape.rank == other.shape.rank,
            shape.dimensions.prefix(2) == other.shape.dimensions.prefix(2),
            let own = try? attributes.values(kernel: kernel), let added = try? other.attributes.values(kernel: other.kernel),
            own.strides == added.strides
        else { return nil }
        if kernel == other.kernel {
            let isSame = own.dilations == added.dilations && own.pads == added.pads
            return isSame && attributes.autoPad == other.attributes.autoPad ? 0 : nil
        }
        guard other.taps == 1, other.attributes.autoPad == .notSet, added.pads.allSatisfy({ $0 == 0 }) else { return nil }
        return middle
    }

    /// The weight by which the input's element at the place of an output's is multiplied; nil where it isn't the middle one.
    var middle: Int? {
        guard attributes.autoPad == .notSet, let own = try? attributes.values(kernel: kernel) else { return nil }
        var tap = 0
        for (axis, extent) in kernel.enumerated() {
            let pad = extent / 2 * own.dilations[axis]
            guard extent % 2 == 1, own.pads[axis] == pad, own.pads[kernel.count + axis] == pad else { return nil }
            tap = tap * extent + extent / 2
        }
        return tap
    }
}

/// The weights and the bias of one convolution, to which those of others are added.
private struct ConvolutionSum {
    private(set) var weights: [Float]
    private(set) var bias: [Float]
    private let taps: Int

    /// The largest weight: the terms of larger ones may leave the range of single precision where those of both convolutions don't.
    private static let largestWeight: Float = 0x1p60

    init(_ branch: ConvolutionBranch) throws {
        weights = try branch.weights.array(of: Float.self)
        bias = try branch.bias?.array(of: Float.self) ?? [Float](repeating: 0, count: branch.shape[0])
        taps = branch.taps
    }

    /// - Returns: whether all sums are ordinary numbers.
    mutating func add(_ branch: ConvolutionBranch, tap: Int) throws -> Bool {
        let step = branch.taps == taps ? 1 : taps
        for (index, weight) in try branch.weights.array(of: Float.self).enumerated() { weights[index * step + tap] += weight }
        for (index, value) in try branch.bias?.array(of: Float.self).enumerated() ?? [].enumerated() { bias[index] += value }
        return isOrdinary
    }

    /// Adds what multiplies each channel of the input by one number: a weight at `tap` of each output channel, for the same input channel, of
    /// `depth` in its group.
    ///
    /// - Returns: whether all sums are ordinary numbers.
    mutating func add(_ scale: ConvScaleFusion.Scale, depth: Int, tap: Int) -> Bool {
        for (channel, factor) in scale.factor.enumerated() {
            weights[(channel * depth + channel % depth) * taps + tap] += Float(factor)
            bias[channel] += Float(scale.offset[channel])
        }
        return isOrdinary
    }

    private var isOrdinary: Bool { weights.allSatisfy { abs($0) <= Self.largestWeight } && bias.allSatisfy(\.isFinite) }
}
