import CKernels
import GraphRuntime

/// Stride-1 convolutions with 3×3 kernels to a few output channels, such as the last ones of a U-Net and of a VAE's decoder: unfolding
/// their windows would write nine times what a handful of sums then read once. Each task adds up a strip of rows, one input channel
/// after the other.
struct DirectConvolution {
    private let window: ConvolutionWindow

    private static let outputs = Int(CK_DIRECT_OUTPUTS)
    /// Output rows of a task.
    private static let rows = 8
    private static let lanes = 16

    /// - Returns: nil where the convolution isn't of this kind, or where its rows are so short that lanes stay empty.
    init?(_ window: ConvolutionWindow) {
        guard unsafe PackedProduct.level != 0, window.kernel == [3, 3], window.strides == [1, 1], window.dilations == [1, 1],
            window.group == 1, window.outputChannels <= 2 * Self.outputs, window.batch > 0, window.outputCount > 0,
            window.output[1] >= Self.lanes
        else { return nil }
        self.window = window
    }

    /// Runs the convolution; tensors as ``convolve(_:_:_:_:bias:into:threads:)`` takes them, of float32.
    func run(input: Tensor, weights: Tensor, bias: Tensor?, output: MutableTensor, threads: ThreadPool) throws {
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        nonisolated(unsafe) let source = unsafe try input.pointer(to: Float.self)
        nonisolated(unsafe) let kernels = unsafe try weights.pointer(to: Float.self)
        nonisolated(unsafe) let offsets = unsafe try bias?.pointer(to: Float.self)
        let (height, width) = (window.output[0], window.output[1])
        let columns = (width + Self.lanes - 1) / Self.lanes * Self.lanes
        let strips = (height + Self.rows - 1) / Self.rows
        // Sums of neighbouring channels a line of cache apart from a power of two, which would put them into the same sets.
        let channelStep = Self.rows * columns + 16
        let stripStep = columns + 16
        let stripFloats = (Self.rows + 2) * stripStep
        let floats = window.outputChannels * channelStep + stripFloats
        unsafe try threads.forEach(window.batch * strips, scratchBytes: floats * MemoryLayout<Float>.stride) { task, scratch in
            let sums = unsafe scratch.assumingMemoryBound(to: Float.self)
            let picture = task / strips
            let first = task % strips * Self.rows
            let rows = first..<min(first + Self.rows, height)
            for channel in 0..<window.outputChannels {
                unsafe (sums + channel * channelStep).update(repeating: offsets?[channel] ?? 0, count: Self.rows * columns)
            }
            let strip = unsafe Strip(
                window, rows: rows, memory: sums + window.outputChannels * channelStep, step: stripStep, count: stripFloats)
            for channel in 0..<window.inputChannels {
                unsafe strip.fill(from: source + (picture * window.inputChannels + channel) * window.inputCount)
                for output in stride(from: 0, to: window.outputChannels, by: Self.outputs) {
                    unsafe ck_direct_convolution(
                        strip.memory, stripStep, kernels + (output * window.inputChannels + channel) * 9,
                        window.inputChannels * 9, Int32(min(Self.outputs, window.outputChannels - output)), rows.count, columns,
                        sums + output * channelStep, columns, channelStep)
                }
            }
            for channel in 0..<window.outputChannels {
                let plane = unsafe target + (picture * window.outputChannels + channel) * window.outputCount
                for row in rows {
                    unsafe (plane + row * width).update(
                        from: sums + channel * channelStep + (row - rows.lowerBound) * columns, count: width)
                }
            }
        }
    }

    /// The rows of one input channel that a range of output rows reads, with the padding around them.
    @unsafe private struct Strip {
        let memory: UnsafeMutablePointer<Float>
        private let step: Int
        private let width: Int
        private let padLeft: Int
        /// Input rows inside of the picture, and the row of the strip that the first of them goes to.
        private let inside: Range<Int>
        private let firstRow: Int
        /// Columns of the picture that fit the strip.
        private let columns: Int

        init(_ window: ConvolutionWindow, rows: Range<Int>, memory: UnsafeMutablePointer<Float>, step: Int, count: Int) {
            unsafe self.memory = unsafe memory
            unsafe self.step = step
            unsafe width = window.input[1]
            unsafe padLeft = window.padsBegin[1]
            let top = rows.lowerBound - window.padsBegin[0]
            let bottom = min(rows.upperBound + 2 - window.padsBegin[0], window.input[0])
            unsafe inside = max(top, 0)..<max(bottom, max(top, 0))
            unsafe firstRow = unsafe inside.lowerBound - top
            unsafe columns = unsafe max(min(width, step - padLeft), 0)
            // The padding is the same for every channel.
            unsafe memory.update(repeating: 0, count: count)
        }

        func fill(from plane: UnsafePointer<Float>) {
            for row in unsafe inside {
                unsafe (memory + (firstRow + row - inside.lowerBound) * step + padLeft).update(
                    from: plane + row * width, count: columns)
            }
        }
    }
}
