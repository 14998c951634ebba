import CKernels
import GraphRuntime

/// Convolutions of pictures of so few pixels that reading the weights is what takes the time: the unfolded windows are the rows of a
/// product with the weights, which were packed in panels of output channels.
struct FewPixelConvolution {
    private let window: ConvolutionWindow

    /// More pixels than this are worth transforming 3×3 kernels for, see ``WinogradConvolution``.
    private static let mostPixels = 32
    /// The same of convolutions that would be unfolded in any case, with weights that would be packed in each run.
    private static let mostUnfoldedPixels = 256

    /// - Parameter isUnfolded: whether no other kernel takes the pixels where they lie.
    /// - Returns: nil where the convolution isn't of this kind.
    init?(_ window: ConvolutionWindow, isUnfolded: Bool = false) {
        let pixels = window.batch * window.outputCount
        guard window.group == 1, pixels <= (isUnfolded ? Self.mostUnfoldedPixels : Self.mostPixels),
            unsafe PackedProduct.isPreferredForPanels(n: window.outputChannels, k: Im2Col<Float>(window).rowCount)
        else { return nil }
        self.window = window
    }

    private var extents: (m: Int, n: Int, k: Int) {
        (window.batch * window.outputCount, window.outputChannels, Im2Col<Float>(window).rowCount)
    }

    /// Whether the product is one of bytes where a plan wants such.
    var multipliesBytes: Bool {
        let (m, n, k) = extents
        return DynamicProduct.isPreferred(m: m, n: n, k: k)
            && Double(m) * Double(n) * Double(k) >= DynamicConvolution.fewestProducts
    }

    /// The numbers of the panels of weights, for a plan.
    func precisionOfPanels(_ plan: PlanContext, _ weights: DType) -> ProductPrecision {
        let (m, n, k) = extents
        guard plan.precision != .int8 || multipliesBytes else {
            return ProductPrecision(plan.precision, isPacked: true, weights: weights, format: plan.weights)
        }
        return ProductPrecision(m: m, n: n, k: k, weights: weights, plan: plan)
    }

    /// Runs the convolution; tensors as ``convolve(_:_:_:_:bias:into:threads:)`` takes them, of float32.
    ///
    /// - Parameter panels: the weights, packed in panels of output channels.
    func run(
        input: Tensor, panels: PackedPanels, bias: Tensor?, output: MutableTensor, threads: ThreadPool
    ) throws {
        let source = unsafe try input.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        let bias = unsafe try bias?.pointer(to: Float.self)
        let (pixels, channels) = (window.outputCount, window.outputChannels)
        let unfold = Im2Col<Float>(window)
        let depth = unfold.rowCount
        let rows = window.batch * pixels
        unsafe try threads.withWorkspace(byteCount: (depth + channels) * rows * MemoryLayout<Float>.stride) {
            memory throws(TensorError) in
            let matrix = unsafe memory.assumingMemoryBound(to: Float.self)
            unsafe unfold.fillJoined(matrix, from: source, threads: threads)
            nonisolated(unsafe) let products = unsafe matrix + depth * rows
            let product = unsafe PanelProduct(
                m: rows, n: channels, k: depth, transposeA: true, start: ProductStart(columns: bias))
            unsafe try product.run(matrix, panels: panels, products, threads: threads)
            // From [picture, pixel, channel] to [picture, channel, pixel].
            threads.forEachRange(channels, grain: 256) { part in
                for picture in 0..<window.batch {
                    let first = unsafe UnsafeRawPointer(products + picture * pixels * channels + part.lowerBound)
                    let planes = unsafe UnsafeMutableRawPointer(target + (picture * channels + part.lowerBound) * pixels)
                    unsafe ck_transpose_words(
                        first.assumingMemoryBound(to: UInt32.self), channels, pixels, part.count,
                        planes.assumingMemoryBound(to: UInt32.self), pixels)
                }
            }
        }
    }
}
