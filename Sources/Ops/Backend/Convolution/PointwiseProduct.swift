import GraphRuntime

/// A convolution of 1×1 kernels between pictures whose channels are the last axis on one side and the second on the other: a product of
/// the weights [outputs, channels] with the pixels of each picture, neither of which is turned first.
///
/// - Parameters:
///   - panels: the weights in panels of output channels, of bytes where the input's channels are the last; nil where they weren't packed.
///   - bias: [outputs].
///   - isInputChannelsLast: whether the input is [pictures, pixels, channels], and the output [pictures, outputs, pixels]; else the other
///     way round.
/// - Throws: ``TensorError`` where a tensor isn't float32.
func convolvePointwise(
    _ input: Tensor, _ weights: Tensor, panels: PackedPanels?, bias: Tensor?, pictures: Int, pixels: Int, channels: Int,
    outputs: Int, isInputChannelsLast: Bool, _ precision: Precision, into output: MutableTensor, threads: ThreadPool
) throws {
    nonisolated(unsafe) let source = unsafe try input.pointer(to: Float.self)
    nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
    let offsets = unsafe try bias?.pointer(to: Float.self)
    if let panels {
        let product = unsafe PanelProduct(
            m: pixels, n: outputs, k: channels, transposeA: !isInputChannelsLast, start: ProductStart(columns: offsets),
            turnsResult: isInputChannelsLast)
        for picture in 0..<pictures {
            unsafe try product.run(
                source + picture * channels * pixels, panels: panels, target + picture * outputs * pixels, threads: threads)
        }
        return
    }
    nonisolated(unsafe) let kernels = unsafe try weights.pointer(to: Float.self)
    var product: MatrixProduct<Float>
    if isInputChannelsLast {
        product = unsafe MatrixProduct(
            m: outputs, n: pixels, k: channels, transposeB: true, start: offsets.map { unsafe .rows($0) } ?? .zero)
    } else {
        product = unsafe MatrixProduct(
            m: pixels, n: outputs, k: channels, transposeA: true, transposeB: true, start: ProductStart(columns: offsets))
    }
    product.precision = precision
    unsafe product.run(batch: pictures, threads: threads) { picture in
        let from = unsafe source + picture * channels * pixels
        let to = unsafe target + picture * outputs * pixels
        return unsafe isInputChannelsLast ? (kernels, from, to) : (from, kernels, to)
    }
}
