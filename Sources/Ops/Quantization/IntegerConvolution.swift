import GraphRuntime

/// ConvInteger-10: the convolution of (x - its zero point) with (w - its zero point), in int32. The fused form scales the sums, adds a
/// bias to each output channel, and applies an activation.
struct ConvInteger: Operator {
    let attributes: WindowAttributes
    /// Whether the result is float32: the sums times input 4, one number or one for each output channel.
    var isScaled = false
    /// Whether input 5 is added to the scaled sums, one number for each output channel.
    var hasBias = false
    /// Of what has been scaled; one that kernels apply to sums (``FusedActivation/finish``).
    var activation: FusedActivation?
    /// How the elements of input and output lie.
    var placing = ChannelPlacing()
    /// Input 1 in panels, where it is constant.
    private var panels: PackedConstant?

    init(attributes: WindowAttributes, isScaled: Bool = false) { (self.attributes, self.isScaled) = (attributes, isScaled) }

    var floatingPointTypes: Set<DType>? { [.float32] }

    func kernelName(inputs: [Fact?], outputs: [Fact?]) -> String? {
        byteKernelName(inputs, weights: 1, attributes, isLast: placing.inputIsLast)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = isScaled ? DType.float32 : .int32
        guard let x = try inputs[0].shape, let w = try inputs[1].shape else { return [Fact(dtype: dtype)] }
        return [Fact(dtype: dtype, shape: try ConvolutionWindow(attributes, input: x, weights: w).outputShape)]
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        Cost(
            flops: convolutionOperations(inputs, weights: 1, outputs),
            bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        result.panels = try packedWeights(inputs, weights: 1, zero: 3, attributes, isLast: false, plan)
        return result
    }

    func run(_ context: inout RunContext) throws {
        let (x, w) = (try context.input(0), try context.input(1))
        var form = ByteConvolution.Form.int32
        if isScaled {
            let scales = try context.input(4).array(of: Float.self)
            guard scales.count == 1 || scales.count == w.shape[0] else {
                throw TensorError("expected a scale, or one for each of \(w.shape[0]) output channels, found \(scales.count)")
            }
            form = .float32(scales: scales, bias: hasBias ? try context.input(5) : nil, activation?.finish ?? .nothing)
        }
        var convolution = ByteConvolution(
            window: try ConvolutionWindow(attributes, input: x.shape, weights: w.shape), form: form)
        (convolution.inputIsLast, convolution.outputIsLast) = (placing.inputIsLast, placing.outputIsLast)
        convolution.inputZero = try zeroPoint(context.optionalInput(2))
        convolution.weightZeros = try ByteMatMul.integers(context.optionalInput(3))
        convolution.panels = try? panels?.tensor(threads: context.threads)
        try convolution.run(x, w, into: context.output(0), threads: context.threads)
    }

    static let definition = OperatorDefinition("ConvInteger", since: 10) { decoder in
        try decoder.requireInputs(2...4)
        return ConvInteger(attributes: try WindowAttributes(&decoder))
    }
}

/// QLinearConv-10, and that of com.microsoft, whose pictures may lie channels last.
struct QLinearConv: Operator {
    let attributes: WindowAttributes
    /// Whether the shapes of input and output are [N, spatial…, C].
    var hasChannelsLast = false
    /// Whether nothing below the output's zero point is written: the Relu before it was quantized.
    var isRectified = false
    /// What bytes of the result become, by their bits; empty where they stay.
    var table: [UInt8] = []
    /// How the elements of input and output lie.
    var placing = ChannelPlacing()
    /// Input 3 in panels, where it is constant.
    private var panels: PackedConstant?
    private var prepared: Prepared?

    /// What constants say, for inputs 0 and 3 of these shapes.
    private struct Prepared {
        let x: Shape
        let w: Shape
        let convolution: ByteConvolution
    }

    init(attributes: WindowAttributes, hasChannelsLast: Bool = false) {
        (self.attributes, self.hasChannelsLast) = (attributes, hasChannelsLast)
    }

    func kernelName(inputs: [Fact?], outputs: [Fact?]) -> String? {
        guard !hasChannelsLast else { return "integer im2col, channels last" }
        return byteKernelName(inputs, weights: 3, attributes, isLast: placing.inputIsLast)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try inputs.optional(7)?.dtype ?? inputs[0].dtype
        guard let x = try inputs[0].shape, let w = try inputs[3].shape else { return [Fact(dtype: dtype)] }
        let shape = try window(x, w).outputShape
        let dimensions = shape.dimensions
        return [
            Fact(dtype: dtype, shape: hasChannelsLast ? try Shape([dimensions[0]] + dimensions[2...] + [dimensions[1]]) : shape)
        ]
    }

    private func window(_ x: Shape, _ w: Shape) throws(TensorError) -> ConvolutionWindow {
        try ConvolutionWindow(attributes, input: hasChannelsLast ? channelsFirst(x) : x, weights: w)
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        Cost(
            flops: convolutionOperations(inputs, weights: 3, outputs),
            bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        result.panels = try packedWeights(inputs, weights: 3, zero: 5, attributes, isLast: hasChannelsLast, plan)
        let parameters = [1, 2] + (4..<max(inputs.count, 4))
        guard inputs.count > 7, parameters.allSatisfy({ inputs[$0] == nil || inputs[$0]?.tensor != nil }),
            let x = inputs[0]?.shape, let w = inputs[3]?.shape, let dtype = inputs[7]?.dtype
        else { return result }
        result.prepared = Prepared(
            x: x, w: w,
            convolution: try convolution(x, w, dtype, threads: ThreadPool(threadCount: 1)) { index in
                index < inputs.count ? inputs[index]?.tensor : nil
            })
        return result
    }

    func run(_ context: inout RunContext) throws {
        let (x, w, output, threads) = (try context.input(0), try context.input(3), try context.output(0), context.threads)
        var convolution: ByteConvolution
        if let prepared, prepared.x == x.shape, prepared.w == w.shape {
            convolution = prepared.convolution
        } else {
            convolution = try self.convolution(x.shape, w.shape, output.dtype, threads: threads) { [context] index in
                try context.optionalInput(index)
            }
        }
        convolution.table = table
        convolution.inputIsLast = hasChannelsLast || placing.inputIsLast
        convolution.outputIsLast = hasChannelsLast || placing.outputIsLast
        convolution.panels = try? panels?.tensor(threads: threads)
        try convolution.run(x, w, into: output, threads: threads)
    }

    /// - Parameters:
    ///   - dtype: of the output.
    ///   - parameter: an input beside 0 and 3, nil where it isn't given.
    private func convolution(
        _ x: Shape, _ w: Shape, _ dtype: DType, threads: ThreadPool, _ parameter: (Int) throws -> Tensor?
    ) throws -> ByteConvolution {
        let scales = try [1, 4, 6].map { index in
            guard let tensor = try parameter(index) else { throw TensorError("input \(index) is missing") }
            return try cast(tensor, to: .float32, threads: threads).array(of: Float.self)
        }
        guard scales[0].count == 1, scales[2].count == 1 else {
            throw TensorError("the scales of input and output should be one number each")
        }
        let window = try window(x, w)
        guard scales[1].count == 1 || scales[1].count == window.outputChannels else {
            throw TensorError("expected a scale for each of \(window.outputChannels) output channels, found \(scales[1].count)")
        }
        var range = try ByteRange(dtype, zero: zeroPoint(parameter(7)))
        if isRectified { range.least = max(range.least, range.zero) }
        // In the order in which ONNX Runtime rounds.
        let factors = scales[1].map { scales[0][0] * $0 / scales[2][0] }
        var convolution = ByteConvolution(window: window, form: .bytes(scales: factors, range))
        convolution.inputZero = try zeroPoint(parameter(2))
        convolution.weightZeros = try ByteMatMul.integers(parameter(5))
        convolution.bias = try parameter(8)?.array(of: Int32.self) ?? []
        return convolution
    }

    static let definition = OperatorDefinition("QLinearConv", since: 10) { decoder in
        try decoder.requireInputs(8...9)
        return QLinearConv(attributes: try WindowAttributes(&decoder))
    }

    static let runtimeDefinition = OperatorDefinition("QLinearConv", domain: "com.microsoft", since: 1) { decoder in
        try decoder.requireInputs(8...9)
        let isLast = try decoder.bool("channels_last", default: false)
        return QLinearConv(attributes: try WindowAttributes(&decoder), hasChannelsLast: isLast)
    }
}

/// One number of int8 or uint8; 0 of nil.
private func zeroPoint(_ tensor: Tensor?) throws -> Int32 {
    let numbers = try ByteMatMul.integers(tensor)
    guard numbers.count == 1 else { throw TensorError("expected a zero point of one number, found \(numbers.count)") }
    return numbers[0]
}

/// How the elements of tensors of shape [N, C, spatial…] lie: in the order of their shape, or channels last.
struct ChannelPlacing: Sendable, Equatable {
    var inputIsLast = false
    var outputIsLast = false
}

private func channelsFirst(_ shape: Shape) throws(TensorError) -> Shape {
    guard shape.rank >= 3 else { throw TensorError("expected a picture [N, spatial…, C], found \(shape)") }
    return try Shape([shape[0], shape[shape.rank - 1]] + shape.dimensions[1..<shape.rank - 1])
}

/// Multiplications and additions of a convolution.
private func convolutionOperations(_ inputs: [Fact?], weights: Int, _ outputs: [Fact?]) -> Double {
    guard inputs.count > weights, let weights = inputs[weights]?.shape, let output = outputs.first??.shape else { return 0 }
    return 2 * Double(output.count) * Double(weights.count(1..<weights.rank))
}

/// What a convolution of bytes runs with, for profiles.
private func byteKernelName(_ inputs: [Fact?], weights: Int, _ attributes: WindowAttributes, isLast: Bool) -> String {
    var name = "integer im2col"
    if inputs.count > weights, let x = inputs[0]?.shape, let w = inputs[weights]?.shape,
        let window = try? ConvolutionWindow(attributes, input: x, weights: w),
        GroupedByteConvolution(window, form: .int32) != nil
    {
        name = "integer groups"
    }
    return isLast ? name + ", channels last" : name
}

/// The weights of a convolution of bytes in panels, where they are constant.
private func packedWeights(
    _ inputs: [Fact?], weights: Int, zero: Int, _ attributes: WindowAttributes, isLast: Bool, _ plan: PlanContext
) throws -> PackedConstant? {
    guard inputs.count > weights, let x = inputs[0]?.shape, let w = inputs[weights]?.tensor else { return nil }
    let zero = inputs.count > zero ? inputs[zero] : nil
    if let zero, zero.tensor == nil { return nil }
    let window = try ConvolutionWindow(attributes, input: isLast ? channelsFirst(x) : x, weights: w.shape)
    return try ByteConvolution.packed(window, w, zero: zero?.tensor, constants: plan.constants)
}
