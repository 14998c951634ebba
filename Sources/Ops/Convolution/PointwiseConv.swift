import GraphRuntime

/// A convolution with kernels of one pixel, stride 1 and one group, of which either the input or the output has its channels last:
/// [N, spatial…, C] to [N, M, spatial…], or [N, C, spatial…] to [N, spatial…, M]; weights [M, C, 1…], bias [M].
///
/// What exporters write as a Transpose before a Conv, or behind it, around the transformer blocks of diffusers (proj_in, proj_out): the
/// products read, or write, the pixels in the other order.
struct PointwiseConv: Operator {
    enum ChannelsLast: String { case input, output }

    var channelsLast: ChannelsLast
    /// The weights in panels of output channels, where these are the columns of the product, or of bytes, and worth packing once.
    private var panels: PackedFactor?
    /// The weights as whole numbers with scales, where the plan keeps them so and there are no panels of them.
    private var rows: QuantizedRows?
    /// In which numbers a product of float32 is computed.
    private var precision = Precision.single

    init(channelsLast: ChannelsLast) { self.channelsLast = channelsLast }

    var floatingPointTypes: Set<DType>? { [.float32] }
    func takesHalves(input index: Int) -> Bool { index == 1 }
    var mergeKey: String? { channelsLast.rawValue }

    /// The extents of the products, one for each picture.
    private struct Extents {
        let pictures: Int
        let pixels: Int
        let channels: Int
        let outputChannels: Int
        let output: Shape

        init(input: Shape, weights: Shape, _ channelsLast: ChannelsLast) throws(TensorError) {
            let rank = input.rank
            guard rank >= 3, weights.rank == rank, weights.dimensions.dropFirst(2).allSatisfy({ $0 == 1 }) else {
                throw TensorError("a convolution with kernels of one pixel doesn't take \(input) and \(weights)")
            }
            let spatial = channelsLast == .input ? input.dimensions[1..<rank - 1] : input.dimensions[2...]
            pictures = input[0]
            channels = channelsLast == .input ? input[rank - 1] : input[1]
            guard weights[1] == channels else { throw TensorError("weights \(weights) don't fit \(channels) channels") }
            outputChannels = weights[0]
            output = try Shape(
                channelsLast == .input
                    ? [pictures, outputChannels] + spatial : [pictures] + spatial + [outputChannels])
            pixels = try Shape(Array(spatial)).count
            try BLASLimits.check(pixels, channels, outputChannels)
        }
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let input = try inputs[0]
        guard let shape = input.shape, let weights = try inputs[1].shape else { return [Fact(dtype: input.dtype)] }
        return [Fact(dtype: input.dtype, shape: try Extents(input: shape, weights: weights, channelsLast).output)]
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        var cost = Cost(bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
        if inputs.count > 1, let weights = inputs[1]?.shape, weights.rank > 1, let output = outputs.first??.shape {
            cost.flops = 2 * Double(output.count) * Double(weights[1])
        }
        return cost
    }

    func kernelName(inputs: [Fact?], outputs: [Fact?]) -> String? {
        if let panels { return ProductKernel.prePackedName(panels.precision) + " 1×1" }
        guard inputs.count > 1, let input = inputs[0]?.shape, let weights = inputs[1]?.shape,
            let extents = try? Extents(input: input, weights: weights, channelsLast)
        else { return nil }
        return ProductKernel.gemmName(precision, m: extents.outputChannels, n: extents.pixels, k: extents.channels) + " 1×1"
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        result.precision = plan.precision.withoutBytes
        guard let (input, weights) = PanelProduct.constantFactor(inputs) else { return result }
        let extents = try Extents(input: input, weights: weights.shape, channelsLast)
        let precision = ProductPrecision(
            m: extents.pixels, n: extents.outputChannels, k: extents.channels, weights: weights.dtype, plan: plan)
        guard channelsLast == .output || precision == .int8 else {
            result.rows = QuantizedRows(weights, plan: plan)
            return result
        }
        result.panels = PanelProduct.packed(
            weights, m: extents.pixels, n: extents.outputChannels, k: extents.channels, isTransposed: true, plan: plan)
        return result
    }

    func run(_ context: inout RunContext) throws {
        let input = try context.input(0)
        let bias = try context.optionalInput(2)
        let output = try context.output(0)
        let threads = context.threads
        // Without memory for the panels the weights are read as they lie.
        let panels = try? panels?.panels(threads: threads)
        var weights = try context.weights(isPacked: panels != nil || rows != nil)
        if let rows { weights = try rows.matrix(threads: threads).widened(to: weights.shape, threads: threads) }
        let extents = try Extents(input: input.shape, weights: weights.shape, channelsLast)
        guard output.count == extents.output.count, bias.map({ $0.count == extents.outputChannels }) ?? true else {
            throw TensorError("\(extents.outputChannels) channels fit neither the bias nor the output \(output.shape)")
        }
        try convolvePointwise(
            input, weights, panels: panels, bias: bias, pictures: extents.pictures, pixels: extents.pixels,
            channels: extents.channels, outputs: extents.outputChannels, isInputChannelsLast: channelsLast == .input, precision,
            into: output, threads: threads)
    }
}
