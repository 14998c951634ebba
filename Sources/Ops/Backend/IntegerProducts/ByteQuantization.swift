import CKernels
import GraphRuntime

/// Rounding float32 to bytes, and back, on all threads.
enum ByteQuantization {
    /// Elements that a thread takes at a time, at least.
    private static let grain = 1 << 15

    /// The least and the largest of x and 0; what isn't a number has no part in it.
    static func range(_ x: Tensor, threads: ThreadPool) throws(TensorError) -> (least: Float, largest: Float) {
        let count = x.count
        let parts = max(min(count / grain, 4 * threads.threadCount), 1)
        let step = (count + parts - 1) / parts
        nonisolated(unsafe) let first = unsafe try x.pointer(to: Float.self)
        let ranges = threads.map(parts) { part in
            let start = min(part * step, count)
            var range: (Float, Float) = (0, 0)
            unsafe withUnsafeMutablePointer(to: &range) { pointer in
                unsafe pointer.withMemoryRebound(to: Float.self, capacity: 2) { numbers in
                    unsafe ck_extend_range(first + start, min(step, count - start), numbers)
                }
            }
            return range
        }
        return (ranges.map(\.0).min() ?? 0, ranges.map(\.1).max() ?? 0)
    }

    /// y = x / scale, rounded, + zero, brought into y's range; y is int8 or uint8.
    ///
    /// - Throws: ``TensorError`` where types or counts don't fit.
    static func quantize(_ x: Tensor, _ scales: Runs, into y: MutableTensor, threads: ThreadPool) throws(TensorError) {
        guard x.count == y.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
        let range = try ByteRange(y.dtype, zero: 0)
        nonisolated(unsafe) let source = unsafe try x.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe y.start.assumingMemoryBound(to: UInt8.self)
        scales.forEach(threads: threads) { start, count, scale, zero in
            unsafe ck_quantize_bytes(source + start, count, scale, zero, range.least, range.largest, target + start)
        }
    }

    /// y = (x - zero) · scale; x is int8 or uint8, and y float32.
    ///
    /// - Throws: ``TensorError`` where types or counts don't fit.
    static func dequantize(_ x: Tensor, _ scales: Runs, into y: MutableTensor, threads: ThreadPool) throws(TensorError) {
        guard x.count == y.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
        _ = try ByteRange(x.dtype, zero: 0)
        let isSigned: Int32 = x.dtype == .int8 ? 1 : 0
        nonisolated(unsafe) let source = unsafe x.start.assumingMemoryBound(to: UInt8.self)
        nonisolated(unsafe) let target = unsafe try y.pointer(to: Float.self)
        scales.forEach(threads: threads) { start, count, scale, zero in
            unsafe ck_dequantize_bytes(source + start, isSigned, count, scale, zero, target + start)
        }
    }

    /// y = a + b, rounded to bytes of a scale within a range; a and b are int8 or uint8 of y's shape, each with its scale and zero point.
    ///
    /// - Throws: ``TensorError`` where types or counts don't fit.
    static func add(
        _ a: (Tensor, scale: Float, zero: Int32), _ b: (Tensor, scale: Float, zero: Int32), scale: Float, _ range: ByteRange,
        into y: MutableTensor, threads: ThreadPool
    ) throws(TensorError) {
        for tensor in [a.0, b.0] {
            _ = try ByteRange(tensor.dtype, zero: 0)
            guard tensor.count == y.count else { throw TensorError("shapes \(tensor.shape) and \(y.shape) differ") }
        }
        nonisolated(unsafe) let target = unsafe y.start.assumingMemoryBound(to: UInt8.self)
        @Sendable func part(_ x: (Tensor, scale: Float, zero: Int32), _ start: Int) -> ck_scaled_bytes {
            unsafe ck_scaled_bytes(
                bytes: x.0.start.assumingMemoryBound(to: UInt8.self) + start, is_signed: x.0.dtype == .int8 ? 1 : 0,
                zero: x.zero, scale: x.scale)
        }
        threads.forEachRange(y.count, grain: grain) { elements in
            unsafe ck_add_scaled_bytes(
                part(a, elements.lowerBound), part(b, elements.lowerBound), elements.count, scale, range.zero, range.least,
                range.largest, target + elements.lowerBound)
        }
    }

    /// Runs of elements that share a scale and a zero point: all of a tensor, or those of an index along an axis.
    struct Runs: Sendable {
        private let length: Int
        private let count: Int
        private let scales: [Float]
        private let zeros: [Int32]

        /// Runs shorter than this cost more to begin than to compute.
        private static let shortest = 16

        /// - Parameters:
        ///   - zeros: of the scales' count; nil for 0.
        ///   - axis: along which there are scales, where there are several; it may count from the end.
        /// - Returns: nil where runs are short, or where the scales don't fit.
        init?(_ shape: Shape, scales: [Float], zeros: [Int32]?, axis: Int) {
            let zeros = zeros ?? [Int32](repeating: 0, count: scales.count)
            guard zeros.count == scales.count else { return nil }
            (self.scales, self.zeros) = (scales, zeros)
            if scales.count == 1 {
                (length, count) = (shape.count, 1)
                return
            }
            guard let axis = try? shape.axis(axis), scales.count == shape[axis] else { return nil }
            let split = AxisSplit(shape, axis: axis)
            guard split.inner >= Self.shortest else { return nil }
            (length, count) = (split.inner, split.outer * split.count)
        }

        fileprivate func forEach(
            threads: ThreadPool, _ body: @Sendable (_ start: Int, _ count: Int, _ scale: Float, _ zero: Int32) -> Void
        ) {
            if count == 1 {
                return threads.forEachRange(length, grain: grain) { body($0.lowerBound, $0.count, scales[0], zeros[0]) }
            }
            threads.forEachRange(count, grain: max(grain / max(length, 1), 1)) { runs in
                for run in runs { body(run * length, length, scales[run % scales.count], zeros[run % scales.count]) }
            }
        }
    }
}
