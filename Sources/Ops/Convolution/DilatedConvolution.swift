import GraphRuntime

/// Dilated convolutions as those of smaller pictures: of every second pixel, and of those between them, where the dilation is two. So the
/// kernels for ordinary windows compute them, minimal filtering among others.
final class DilatedConvolution: DividedConvolution {
    private let planes: PhasePlanes
    private let input: Shape
    private let weights: Shape
    /// [pictures of all phases, C, H, W]
    private let pictures: Shape
    private let results: Shape
    private let convolution: Conv
    let kernelName: String?

    /// Bytes of pictures beyond which memory is worth more than time.
    private static let largestPictures = 256 << 20
    /// Pixels of a small picture along an axis below which tiles of minimal filtering are mostly empty.
    private static let leastExtent = 7

    /// - Parameter inputs: of the node.
    /// - Returns: nil where the convolution isn't of this kind.
    init?(_ window: ConvolutionWindow, inputs: [Fact?], plan: PlanContext) throws {
        guard window.kernel.count == 2, window.group == 1, !window.isPointwise, inputs.count > 1, window.batch > 0,
            window.strides.allSatisfy({ $0 == 1 }), window.dilations.contains(where: { $0 > 1 }), window.inputChannels > 0,
            let input = inputs[0], input.dtype == .float32, let shape = input.shape, let fact = inputs[1],
            let dtype = fact.dtype, let weights = fact.shape, weights.count > 0, let planes = PhasePlanes(window),
            planes.input.allSatisfy({ $0 >= Self.leastExtent }), planes.output.allSatisfy({ $0 >= Self.leastExtent })
        else { return nil }
        (self.planes, self.input, self.weights) = (planes, shape, weights)
        let count = window.batch * planes.count
        let floats = Double(count) * Double(max(window.inputChannels, window.outputChannels))
        guard floats * Double(planes.largest * MemoryLayout<Float>.stride) <= Double(Self.largestPictures) else { return nil }
        pictures = try Shape([count, window.inputChannels] + planes.input)
        results = try Shape([count, window.outputChannels] + planes.output)
        var attributes = WindowAttributes()
        attributes.pads = planes.padsBegin + planes.padsEnd
        guard let picture = try? ConvolutionWindow(attributes, input: pictures, weights: weights),
            picture.output == planes.output
        else { return nil }
        let facts = [
            Fact(dtype: .float32, shape: pictures), fact.tensor.map { Fact(.tensor($0)) } ?? Fact(dtype: dtype, shape: weights),
        ]
        let specialised = try Conv(attributes: attributes).specialised(inputs: facts, outputs: [], plan: plan)
        guard let convolution = specialised as? Conv else { return nil }
        self.convolution = convolution
        kernelName = convolution.kernelName(inputs: facts, outputs: []).map { "phases, \($0)" }
    }

    func fits(input: Shape, weights: Shape) -> Bool { self.input == input && self.weights == weights }

    func run(
        input: Tensor, weights: Tensor, bias: Tensor?, _ epilogue: ConvolutionEpilogue, output: MutableTensor,
        threads: ThreadPool
    ) throws {
        let gathered = try MutableTensor(dtype: .float32, shape: pictures)
        try planes.gather(input, into: gathered, threads: threads)
        let sums = try MutableTensor(dtype: .float32, shape: results)
        var context = RunContext(
            inputs: [.tensor(gathered.tensor), .tensor(weights), bias.map { .tensor($0) }], outputs: [sums], threads: threads)
        try convolution.run(&context)
        try planes.scatter(sums.tensor, into: output, epilogue, threads: threads)
    }
}
