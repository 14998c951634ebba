import CKernels
import GraphRuntime

extension ByteQuantization {
    /// y = the softmax of each row of `count` bytes, which are a scale apart, rounded.
    ///
    /// - Throws: ``TensorError`` where types or counts don't fit.
    static func softmax(
        _ x: Tensor, count: Int, scale: Float, _ result: QuantizedScale, into y: MutableTensor, threads: ThreadPool
    ) throws(TensorError) {
        guard x.count == y.count, count > 0, x.count % count == 0 else {
            throw TensorError("rows of \(count) don't fit \(x.shape) and \(y.shape)")
        }
        _ = try ByteRange(x.dtype, zero: 0)
        let range = try ByteRange(y.dtype, zero: result.zero)
        var softmax = ck_byte_softmax()
        softmax.is_signed = x.dtype == .int8 ? 1 : 0
        (softmax.scale, softmax.result_scale) = (scale, result.scale)
        (softmax.zero, softmax.least, softmax.largest) = (range.zero, range.least, range.largest)
        unsafe ck_prepare_byte_softmax(&softmax)
        let prepared = softmax
        nonisolated(unsafe) let source = unsafe x.start.assumingMemoryBound(to: UInt8.self)
        nonisolated(unsafe) let target = unsafe y.start.assumingMemoryBound(to: UInt8.self)
        threads.forEachRange(x.count / count, grain: max((1 << 14) / count, 1)) { rows in
            let first = rows.lowerBound * count
            unsafe withUnsafePointer(to: prepared) {
                unsafe ck_softmax_byte_rows($0, source + first, rows.count, count, target + first)
            }
        }
    }
}
