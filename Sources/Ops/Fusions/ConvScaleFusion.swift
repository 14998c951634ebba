import GraphRuntime

/// A convolution, and behind it a BatchNormalization by constants, or a product or sum with one constant for each output channel: new
/// weights and a new bias, computed in double precision.
struct ConvScaleFusion: Fusion {
    let name = "Conv+scale"
    let remakesWeights = true

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let output = editor.output(node) else { return nil }
        for product in Set(editor.nodes[node].inputs.compactMap(\.self)).sorted() {
            guard editor.soleReader(of: product) == node, let producer = editor.producer(of: product),
                let weights = ScaledWeights(producer, editor),
                let scale = scale(node, of: product, weights, editor)
            else { continue }
            guard let operation = editor.nodes[producer].operation,
                let inputs = try weights.inputs(scale, name: editor.nodes[node].name, &editor)
            else { continue }
            return FusionMatch(
                nodes: [producer, node], type: weights.type, operation: operation, inputs: inputs, outputs: [output])
        }
        return nil
    }

    /// What a node makes of each channel's numbers x: x · factor + offset.
    struct Scale {
        let factor: [Double]
        let offset: [Double]

        /// The largest factor: with larger ones the terms of a sum may leave the range of single precision where the sum doesn't.
        private static let largestFactor = 0x1p60

        /// - Returns: nil where a factor isn't an ordinary number: the weights would lose what they say.
        init?(factor: [Double], offset: [Double]) {
            guard offset.allSatisfy({ Float($0).isFinite }),
                factor.allSatisfy({ $0 == 0 || Float($0).isNormal && abs($0) <= Self.largestFactor })
            else { return nil }
            self.factor = factor
            self.offset = offset
        }

        /// What a BatchNormalization by constants makes of a value's channels.
        ///
        /// - Parameter mostDeviations: the largest mean, in standard deviations: of larger ones the offset would lose what the difference
        ///   from the mean keeps.
        init?(
            normalization node: Int, of value: ValueID, channels: Int, mostDeviations: Double = .infinity, _ editor: GraphEditor
        ) {
            let inputs = editor.nodes[node].inputs
            guard let norm = editor.operation(node, as: BatchNormalization.self), !norm.isTraining, norm.activation == nil,
                inputs.count == 5, inputs[0] == value
            else { return nil }
            let parameters = inputs.dropFirst().compactMap { editor.floats($0)?.map { Double($0) } }
            guard parameters.count == 4, parameters.allSatisfy({ $0.count == channels }) else { return nil }
            let deviations = parameters[3].map { ($0 + norm.epsilon).squareRoot() }
            guard zip(parameters[2], deviations).allSatisfy({ !(abs($0) > mostDeviations * $1) }) else { return nil }
            let factor = zip(parameters[0], deviations).map { $0 / $1 }
            self.init(factor: factor, offset: zip(zip(parameters[1], parameters[2]), factor).map { $0.0 - $0.1 * $1 })
        }
    }

    private func scale(_ node: Int, of product: ValueID, _ weights: ScaledWeights, _ editor: GraphEditor) -> Scale? {
        let channels = weights.channels
        if editor.operation(node, as: BatchNormalization.self) != nil {
            return Scale(normalization: node, of: product, channels: channels, editor)
        }
        func constant(_ function: ArithmeticFunction) -> [Double]? {
            guard let other = editor.orders(node, function).first(where: { $0.0 == product })?.1 else { return nil }
            return editor.channelConstant(other, channels: channels, rank: weights.rank)?.map { Double($0) }
        }
        if let factor = constant(.multiply) { return Scale(factor: factor, offset: factor.map { _ in 0 }) }
        // A sum with a Clip behind it may be part of an activation. A first bias is another fusion's, and changes no weights.
        let isClipped = editor.soleReader(of: editor.output(node)).map { editor.operation($0, as: Clip.self) != nil } ?? false
        if weights.hasBias, !isClipped, let offset = constant(.add) {
            return Scale(factor: offset.map { _ in 1 }, offset: offset)
        }
        return nil
    }
}

/// The weights and the bias of a convolution, both constants of float32 that nobody replaces.
private struct ScaledWeights {
    let type: String
    private let isTransposed: Bool
    private let source: ValueID?
    private let weights: Tensor
    private let bias: Tensor?
    private let weightsID: ValueID
    private let group: Int

    var hasBias: Bool { bias != nil }
    var rank: Int { weights.shape.rank }
    /// Output channels.
    var channels: Int { isTransposed ? weights.shape[1] * group : weights.shape[0] }

    init?(_ node: Int, _ editor: GraphEditor) {
        if let conv = editor.operation(node, as: Conv.self), !conv.isFused {
            (type, isTransposed, group) = ("Conv", false, conv.attributes.group)
        } else if let conv = editor.operation(node, as: ConvTranspose.self), conv.activation == nil {
            (type, isTransposed, group) = ("ConvTranspose", true, conv.attributes.group)
        } else {
            return nil
        }
        let inputs = editor.nodes[node].inputs
        guard inputs.count >= 2, let id = inputs[1], let weights = editor.constant(id), weights.dtype == .float32,
            weights.count > 0, weights.shape.rank >= 3, !editor.graph.replaceable.contains(id)
        else { return nil }
        (source, self.weights, weightsID) = (inputs[0], weights, id)
        let biasID = inputs.count > 2 ? inputs[2] : nil
        bias = editor.constant(biasID)
        guard biasID == nil || bias?.dtype == .float32, bias.map({ $0.count == channels }) ?? true,
            biasID.map({ !editor.graph.replaceable.contains($0) }) ?? true
        else { return nil }
    }

    /// What the convolution reads instead; nil where weights or the bias would leave the range, or a channel's largest weight would lose
    /// digits.
    func inputs(_ scale: ConvScaleFusion.Scale, name: String, _ editor: inout GraphEditor) throws -> [ValueID?]? {
        let old = try bias?.array(of: Float.self).map { Double($0) } ?? [Double](repeating: 0, count: channels)
        let offsets = zip(zip(old, scale.factor), scale.offset).map { Float($0.0 * $0.1 + $1) }
        var values = try weights.array(of: Float.self)
        // By channel, the largest before and after.
        var largest = [(old: Float, new: Float)](repeating: (0, 0), count: channels)
        // The weights of one channel, or of a transposed convolution those of one channel and one input channel.
        let block = weights.shape.count((isTransposed ? 2 : 1)..<rank)
        for index in values.indices {
            let row = index / block
            let channel =
                isTransposed
                ? row / weights.shape[1] / (weights.shape[0] / group) * weights.shape[1] + row % weights.shape[1] : row
            let value = values[index]
            values[index] = Float(Double(value) * scale.factor[channel])
            largest[channel] = (max(largest[channel].old, abs(value)), max(largest[channel].new, abs(values[index])))
        }
        let keepDigits = zip(largest, scale.factor).allSatisfy { $0.new.isNormal || !$0.old.isNormal || $1 == 0 }
        guard offsets.allSatisfy(\.isFinite), values.allSatisfy(\.isFinite), keepDigits else { return nil }
        let biasID = editor.addConstant(try Tensor(offsets), name: name + "/bias")
        guard scale.factor.contains(where: { $0 != 1 }) else { return [source, weightsID, biasID] }
        let scaled = editor.addConstant(try Tensor(values, shape: weights.shape), name: name + "/weights")
        return [source, scaled, biasID]
    }
}
