import CKernels
import GraphRuntime

/// Convolutions that cut a signal of one channel into frames, as those of spectrograms, filter banks and resamplers: along the last axis
/// alone, a window lies in one piece, and the windows are the rows of a product with the weights, from one to the next a stride further.
/// Nothing is unfolded; the weights were packed in panels of output channels.
struct FrameConvolution {
    private let window: ConvolutionWindow
    /// Of a window, and from one to the next.
    private let (length, stride): (Int, Int)
    private let frames: Int

    /// Shorter windows are as well laid out by ``WindowConvolution``.
    private static let shortestWindow = 32

    /// - Returns: nil where the convolution isn't of this kind.
    init?(_ window: ConvolutionWindow) {
        guard window.group == 1, window.inputChannels == 1, let length = window.kernel.last, length >= Self.shortestWindow,
            let stride = window.strides.last, window.dilations.last == 1, window.inputCount == window.input.last,
            window.kernelCount == length, window.padsBegin.dropLast().allSatisfy({ $0 == 0 }), window.batch > 0,
            let frames = window.output.last, frames == window.outputCount, frames > 0,
            unsafe PackedProduct.isPreferredForPanels(n: window.outputChannels, k: length)
        else { return nil }
        self.window = window
        (self.length, self.stride, self.frames) = (length, stride, frames)
    }

    /// The numbers of the panels of weights, for a plan.
    func precisionOfPanels(_ plan: PlanContext, _ weights: DType) -> ProductPrecision {
        ProductPrecision(m: frames, n: window.outputChannels, k: length, weights: weights, plan: plan)
    }

    /// Runs the convolution; tensors as ``convolve(_:_:_:_:bias:into:threads:)`` takes them, of float32.
    ///
    /// - Parameter panels: the weights, packed in panels of output channels.
    func run(
        input: Tensor, panels: PackedPanels, bias: Tensor?, _ epilogue: ConvolutionEpilogue, output: MutableTensor,
        threads: ThreadPool
    ) throws {
        let source = unsafe try input.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        let bias = unsafe try bias?.pointer(to: Float.self)
        let channels = window.outputChannels
        let product = unsafe PanelProduct(
            m: frames, n: channels, k: length, rowStep: stride, start: ProductStart(columns: bias))
        // What all frames read, of which samples are missing at the ends.
        let span = (frames - 1) * stride + length
        let (samples, before) = (window.inputCount, min(window.padsBegin.last ?? 0, span))
        let isPadded = before > 0 || span > samples
        let floats = frames * channels + (isPadded ? span : 0)
        unsafe try threads.withWorkspace(byteCount: floats * MemoryLayout<Float>.stride) { memory throws(TensorError) in
            nonisolated(unsafe) let products = unsafe memory.assumingMemoryBound(to: Float.self)
            for picture in 0..<window.batch {
                var signal = unsafe source + picture * samples
                if isPadded {
                    let padded = unsafe products + frames * channels
                    let present = max(min(samples, span - before), 0)
                    unsafe padded.update(repeating: 0, count: before)
                    unsafe (padded + before).update(from: signal, count: present)
                    unsafe (padded + before + present).update(repeating: 0, count: span - before - present)
                    unsafe signal = unsafe UnsafePointer(padded)
                }
                unsafe try product.run(signal, panels: panels, products, threads: threads)
                // From [frame, channel] to [channel, frame].
                let first = picture * channels
                threads.forEachRange(channels, grain: max(BroadcastPlan.grain / frames, 1)) { part in
                    let place = (first + part.lowerBound) * frames
                    unsafe ck_transpose_words(
                        UnsafeRawPointer(products + part.lowerBound).assumingMemoryBound(to: UInt32.self), channels, frames,
                        part.count, UnsafeMutableRawPointer(target + place).assumingMemoryBound(to: UInt32.self), frames)
                    for channel in 0..<part.count {
                        unsafe epilogue.apply(
                            target + place + channel * frames, count: frames, place: place + channel * frames)
                    }
                }
            }
        }
    }
}
