import GraphRuntime

/// A convolution that is computed as one of other pictures, which are gathered from the input, and whose results make up the output.
protocol DividedConvolution: Sendable {
    /// What computes the pictures, for profiles.
    var kernelName: String? { get }

    /// Whether it was made for these shapes.
    func fits(input: Shape, weights: Shape) -> Bool

    /// - Parameters:
    ///   - weights: of float32 or a half type.
    ///   - epilogue: what becomes of the output's numbers.
    func run(
        input: Tensor, weights: Tensor, bias: Tensor?, _ epilogue: ConvolutionEpilogue, output: MutableTensor,
        threads: ThreadPool
    ) throws
}
