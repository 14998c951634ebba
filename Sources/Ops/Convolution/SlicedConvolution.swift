import GraphRuntime

/// Convolutions along three axes as those of pictures: a slice of the output sees a few slices of the input, whose planes are the
/// channels of a picture then, and the weights [M, C, taps, kernel…] lie in memory as [M, C · taps, kernel…]. So the kernels for pictures
/// compute them, minimal filtering among others, where unfolding would copy each number once for each place of the window.
final class SlicedConvolution: DividedConvolution {
    private let window: ConvolutionWindow
    private let input: Shape
    private let weights: Shape
    /// [slices at once, C · taps, H, W]
    private let pictures: Shape
    private let pictureWeights: Shape
    private let convolution: Conv
    let kernelName: String?

    /// Bytes of planes up to which all slices are computed at once, which small pictures gain by.
    private static let largestPictures = 64 << 20
    /// Pixels of a slice of the output below which there is nothing to gain.
    private static let fewestPixels = 16

    /// - Parameter inputs: of the node.
    /// - Returns: nil where the convolution isn't of this kind.
    init?(_ window: ConvolutionWindow, inputs: [Fact?], plan: PlanContext) throws {
        guard window.kernel.count == 3, !window.isPointwise, inputs.count > 1, window.batch > 0,
            window.output[0] > 0, window.output[1] * window.output[2] >= Self.fewestPixels,
            let input = inputs[0], input.dtype == .float32, let shape = input.shape, let fact = inputs[1],
            let dtype = fact.dtype, let weights = fact.shape, weights.count > 0
        else { return nil }
        self.window = window
        (self.input, self.weights) = (shape, weights)
        // The slices of a group's channels are the channels of the same group.
        let channels = window.inputChannels * window.kernel[0]
        let slices = window.batch * window.output[0]
        let bytes = Double(slices) * Double(channels * MemoryLayout<Float>.stride) * Double(shape[3] * shape[4])
        pictures = try Shape([bytes <= Double(Self.largestPictures) ? slices : 1, channels, shape[3], shape[4]])
        let pictureWeights = try Shape([weights[0], channels / window.group, weights[3], weights[4]])
        self.pictureWeights = pictureWeights
        var attributes = WindowAttributes()
        attributes.group = window.group
        attributes.strides = Array(window.strides.dropFirst())
        attributes.dilations = Array(window.dilations.dropFirst())
        attributes.pads = [1, 2].map { window.padsBegin[$0] } + [1, 2].map { window.padEnd($0) }
        guard let picture = try? ConvolutionWindow(attributes, input: pictures, weights: pictureWeights),
            picture.output == Array(window.output.dropFirst())
        else { return nil }
        let factor = try fact.tensor.map { Fact(.tensor(try $0.reshaped(to: pictureWeights))) }
        let facts = [Fact(dtype: .float32, shape: pictures), factor ?? Fact(dtype: dtype, shape: pictureWeights)]
        let specialised = try Conv(attributes: attributes).specialised(inputs: facts, outputs: [], plan: plan)
        guard let convolution = specialised as? Conv else { return nil }
        self.convolution = convolution
        kernelName = convolution.kernelName(inputs: facts, outputs: []).map { "slices, \($0)" }
    }

    func fits(input: Shape, weights: Shape) -> Bool { self.input == input && self.weights == weights }

    func run(
        input: Tensor, weights: Tensor, bias: Tensor?, _ epilogue: ConvolutionEpilogue, output: MutableTensor,
        threads: ThreadPool
    ) throws {
        let factor = try weights.reshaped(to: pictureWeights)
        let results = try MutableTensor(
            dtype: .float32, shape: Shape([pictures[0], window.outputChannels] + window.output.dropFirst()))
        let planes = try MutableTensor(dtype: .float32, shape: pictures)
        for first in stride(from: 0, to: window.batch * window.output[0], by: pictures[0]) {
            let slices = SlicePlanes(window, first..<first + pictures[0])
            try slices.gather(input, into: planes, threads: threads)
            var context = RunContext(
                inputs: [.tensor(planes.tensor), .tensor(factor), bias.map { .tensor($0) }], outputs: [results],
                threads: threads)
            try convolution.run(&context)
            try slices.scatter(results.tensor, into: output, epilogue, threads: threads)
        }
    }
}
