import CKernels
import GraphRuntime

/// Pooling of pictures of bytes, which are turned channels last.
struct BytePooling {
    let geometry: PoolGeometry
    let placing: ChannelPlacing

    /// y = the largest of each window.
    ///
    /// - Throws: ``TensorError`` where types or shapes don't fit, or there is no memory.
    func largest(_ x: Tensor, into y: MutableTensor, threads: ThreadPool) throws(TensorError) {
        let axes = geometry.axes
        guard x.dtype == .int8 || x.dtype == .uint8, y.dtype == x.dtype, axes.count <= 3, x.shape == geometry.shape else {
            throw TensorError("a pool over \(axes.count) axes of \(x.dtype) isn't supported")
        }
        let (batch, channels) = (x.shape[0], x.shape[1])
        let (inputCount, outputCount) = (axes.map(\.input).reduce(1, *), axes.map(\.output).reduce(1, *))
        guard y.count == batch * channels * outputCount, y.count > 0 else { return }
        func three(_ values: [Int], _ missing: Int) -> (Int, Int, Int) {
            let all = Array(repeating: missing, count: 3 - values.count) + values
            return (all[0], all[1], all[2])
        }
        let windows = ck_byte_windows(
            pixel_step: channels, channels: channels, input: three(axes.map(\.input), 1), kernel: three(axes.map(\.kernel), 1),
            strides: three(axes.map(\.stride), 1), dilations: three(axes.map(\.dilation), 1),
            pads: three(axes.map(\.before), 0), output: three(axes.map(\.output), 1))
        let (inputBytes, outputBytes) = (placing.inputIsLast ? 0 : x.count, placing.outputIsLast ? 0 : y.count)
        let flip: UInt8 = x.dtype == .int8 ? 0x80 : 0
        let input = unsafe x.start.assumingMemoryBound(to: UInt8.self)
        let output = unsafe y.start.assumingMemoryBound(to: UInt8.self)
        unsafe try threads.withWorkspace(byteCount: inputBytes + outputBytes) { memory throws(TensorError) in
            let memory = unsafe memory.assumingMemoryBound(to: UInt8.self)
            nonisolated(unsafe) var source = unsafe input
            if !placing.inputIsLast {
                unsafe ByteConvolution.transpose(input, planes: batch, rows: channels, columns: inputCount, memory, threads)
                unsafe source = unsafe UnsafePointer(memory)
            }
            nonisolated(unsafe) let pictures = unsafe source
            nonisolated(unsafe) let target = unsafe placing.outputIsLast ? output : memory + inputBytes
            threads.forEachRange(batch * outputCount, grain: max((1 << 14) / channels, 1)) { range in
                var windows = windows
                unsafe ck_max_windows(
                    pictures, &windows, range.lowerBound, range.count, flip, target + range.lowerBound * channels)
            }
            if !placing.outputIsLast {
                unsafe ByteConvolution.transpose(
                    UnsafePointer(target), planes: batch, rows: outputCount, columns: channels, output, threads)
            }
        }
    }
}
