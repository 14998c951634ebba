import CKernels
import GraphRuntime

/// Rounding float32 to bytes, or to 16 bits, and back, on all threads.
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

    /// y = x / scale, rounded, + zero, brought into y's range; x is float32, and y int8, uint8, int16 or uint16.
    ///
    /// - Throws: ``TensorError`` where types or counts don't fit.
    static func quantize(_ x: Tensor, _ scales: Runs, into y: MutableTensor, threads: ThreadPool) throws(TensorError) {
        guard x.count == y.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
        nonisolated(unsafe) let source = unsafe try x.pointer(to: Float.self)
        switch y.dtype {
        case .int8, .uint8:
            let range = try ByteRange(y.dtype, zero: 0)
            nonisolated(unsafe) let target = unsafe y.start.assumingMemoryBound(to: UInt8.self)
            unsafe scales.forEach(threads: threads) { start, count, scale, zero in
                unsafe ck_quantize_bytes(source + start, count, scale, zero, range.least, range.largest, target + start)
            } each: { start, count, scales, zeros in
                unsafe ck_quantize_bytes_each(
                    source + start, count, scales, zeros, range.least, range.largest, target + start)
            }
        case .int16, .uint16:
            let (least, largest): (Int32, Int32) = y.dtype == .int16 ? (-0x8000, 0x7fff) : (0, 0xffff)
            nonisolated(unsafe) let target = unsafe y.start.assumingMemoryBound(to: UInt16.self)
            unsafe scales.forEach(threads: threads) { start, count, scale, zero in
                unsafe ck_quantize_words(source + start, count, scale, zero, least, largest, target + start)
            } each: { start, count, scales, zeros in
                unsafe ck_quantize_words_each(source + start, count, scales, zeros, least, largest, target + start)
            }
        default: throw TensorError("expected integers of 8 or 16 bits, found \(y.dtype)")
        }
    }

    /// y = (x - zero) · scale; x is of 8 or 16 bits with or without a sign, or int32, and y float32.
    ///
    /// - Throws: ``TensorError`` where types or counts don't fit.
    static func dequantize(_ x: Tensor, _ scales: Runs, into y: MutableTensor, threads: ThreadPool) throws(TensorError) {
        guard x.count == y.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
        let isSigned: Int32 = x.dtype == .int8 || x.dtype == .int16 ? 1 : 0
        nonisolated(unsafe) let target = unsafe try y.pointer(to: Float.self)
        switch x.dtype {
        case .int8, .uint8:
            nonisolated(unsafe) let source = unsafe x.start.assumingMemoryBound(to: UInt8.self)
            unsafe scales.forEach(threads: threads) { start, count, scale, zero in
                unsafe ck_dequantize_bytes(source + start, isSigned, count, scale, zero, target + start)
            } each: { start, count, scales, zeros in
                unsafe ck_dequantize_bytes_each(source + start, isSigned, count, scales, zeros, target + start)
            }
        case .int16, .uint16:
            nonisolated(unsafe) let source = unsafe x.start.assumingMemoryBound(to: UInt16.self)
            unsafe scales.forEach(threads: threads) { start, count, scale, zero in
                unsafe ck_dequantize_words(source + start, isSigned, count, scale, zero, target + start)
            } each: { start, count, scales, zeros in
                unsafe ck_dequantize_words_each(source + start, isSigned, count, scales, zeros, target + start)
            }
        case .int32:
            nonisolated(unsafe) let source = unsafe x.start.assumingMemoryBound(to: Int32.self)
            unsafe scales.forEach(threads: threads) { start, count, scale, zero in
                unsafe ck_dequantize_integers(source + start, count, scale, zero, target + start)
            } each: { start, count, scales, zeros in
                unsafe ck_dequantize_integers_each(source + start, count, scales, zeros, target + start)
            }
        default: throw TensorError("expected integers of 8, 16 or 32 bits, found \(x.dtype)")
        }
    }

    /// y = a + b, rounded to bytes of a scale within a range; a and b are int8 or uint8, each with its scale and zero point: a of y's
    /// shape, and b's elements are repeated until there are as many.
    ///
    /// - Throws: ``TensorError`` where types or counts don't fit.
    static func add(
        _ a: (Tensor, QuantizedScale), _ b: (Tensor, QuantizedScale), scale: Float, _ range: ByteRange,
        into y: MutableTensor, threads: ThreadPool
    ) throws(TensorError) {
        for tensor in [a.0, b.0] { _ = try ByteRange(tensor.dtype, zero: 0) }
        let columns = b.0.count
        guard a.0.count == y.count, columns == y.count || columns > 0 && y.count % columns == 0 else {
            throw TensorError("shapes \(a.0.shape), \(b.0.shape) and \(y.shape) don't fit")
        }
        nonisolated(unsafe) let target = unsafe y.start.assumingMemoryBound(to: UInt8.self)
        @Sendable func part(_ start: Int, _ addend: Int, _ count: Int) {
            unsafe ck_add_scaled_bytes(
                scaled(a, start), scaled(b, addend), count, scale, range.zero, range.least, range.largest, target + start)
        }
        if columns == y.count {
            threads.forEachRange(y.count, grain: grain) { part($0.lowerBound, $0.lowerBound, $0.count) }
        } else {
            threads.forEachRange(y.count / columns, grain: max(grain / columns, 1)) { rows in
                for row in rows { part(row * columns, 0, columns) }
            }
        }
    }

    private static func scaled(_ x: (Tensor, QuantizedScale), _ start: Int) -> ck_scaled_bytes {
        unsafe ck_scaled_bytes(
            bytes: x.0.start.assumingMemoryBound(to: UInt8.self) + start, is_signed: x.0.dtype == .int8 ? 1 : 0,
            zero: x.1.zero, scale: x.1.scale)
    }

    /// y = a · factors, rounded to bytes of a scale within a range; a is int8 or uint8 of y's shape.
    ///
    /// - Parameters:
    ///   - factors: of float32, one for each `repeated` elements of a.
    ///   - isLast: whether those lie channels last: [N, pixels, C], with factors [N, C].
    /// - Throws: ``TensorError`` where types or counts don't fit.
    static func multiply(
        _ a: (Tensor, QuantizedScale), _ factors: Tensor, repeated: Int, isLast: Bool, scale: Float, _ range: ByteRange,
        into y: MutableTensor, threads: ThreadPool
    ) throws(TensorError) {
        _ = try ByteRange(a.0.dtype, zero: 0)
        guard a.0.count == y.count, factors.count * repeated == y.count else {
            throw TensorError("shapes \(a.0.shape), \(factors.shape) and \(y.shape) don't fit")
        }
        guard y.count > 0 else { return }
        nonisolated(unsafe) let numbers = unsafe try factors.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe y.start.assumingMemoryBound(to: UInt8.self)
        @Sendable func run(_ start: Int, _ count: Int, factor: Int, isOne: Bool) {
            unsafe ck_multiply_scaled_bytes(
                scaled(a, start), numbers + factor, isOne ? 1 : 0, count, scale, range.zero, range.least, range.largest,
                target + start)
        }
        if repeated == 1 {
            threads.forEachRange(y.count, grain: grain) { elements in
                run(elements.lowerBound, elements.count, factor: elements.lowerBound, isOne: false)
            }
        } else if isLast {
            let channels = y.shape[1]
            threads.forEachRange(y.count / channels, grain: max(grain / channels, 1)) { pixels in
                for pixel in pixels { run(pixel * channels, channels, factor: pixel / repeated * channels, isOne: false) }
            }
        } else {
            threads.forEachRange(factors.count, grain: max(grain / repeated, 1)) { rows in
                for row in rows { run(row * repeated, repeated, factor: row, isOne: true) }
            }
        }
    }

    /// The sums of the pixels of each plane of pictures [N, C, pixels], or, channels last, [N, pixels, C]: [N, C].
    ///
    /// - Throws: ``TensorError`` where the type or counts don't fit.
    static func sums(
        _ x: Tensor, pixels: Int, channels: Int, isLast: Bool, threads: ThreadPool
    ) throws(TensorError) -> [Int32] {
        _ = try ByteRange(x.dtype, zero: 0)
        guard pixels > 0, channels > 0, x.count % (pixels * channels) == 0 else {
            throw TensorError("\(x.count) bytes aren't pictures of \(channels) channels with \(pixels) pixels")
        }
        let isSigned: Int32 = x.dtype == .int8 ? 1 : 0
        nonisolated(unsafe) let source = unsafe x.start.assumingMemoryBound(to: UInt8.self)
        if isLast {
            return threads.map(x.count / (pixels * channels)) { picture in
                var sums = [Int32](repeating: 0, count: channels)
                unsafe ck_sum_byte_pixels(source + picture * pixels * channels, isSigned, pixels, channels, &sums)
                return sums
            }.flatMap { $0 }
        }
        var sums = [Int32](repeating: 0, count: x.count / pixels)
        unsafe ck_sum_byte_planes(source, isSigned, sums.count, pixels, &sums)
        return sums
    }

    /// What bytes become that are dequantized by one scale and quantized by another.
    static func table(
        from source: (dtype: DType, scale: Float, zero: Int32), to target: (dtype: DType, scale: Float, zero: Int32)
    ) throws(TensorError) -> [UInt8] {
        _ = try ByteRange(source.dtype, zero: 0)
        let range = try ByteRange(target.dtype, zero: target.zero)
        let values = (0...255).map { bits in
            let number = source.dtype == .int8 ? Int32(Int8(truncatingIfNeeded: bits)) : Int32(bits)
            return Float(number - source.zero) * source.scale
        }
        var table = [UInt8](repeating: 0, count: 256)
        unsafe ck_quantize_bytes(values, 256, target.scale, range.zero, range.least, range.largest, &table)
        return table
    }

    /// Rows of bytes, mapped by a table of 256 or, without one, copied, into rows of y that begin at `first` and lie `step` bytes apart.
    ///
    /// - Throws: ``TensorError`` where types or counts don't fit.
    static func map(
        _ x: Tensor, by table: [UInt8]?, rows: Int, columns: Int, into y: MutableTensor, first: Int, step: Int,
        threads: ThreadPool
    ) throws(TensorError) {
        for dtype in [x.dtype, y.dtype] { _ = try ByteRange(dtype, zero: 0) }
        guard x.count == rows * columns, table.map({ $0.count == 256 }) ?? true, first >= 0, first + columns <= step,
            rows * step <= y.count
        else { throw TensorError("\(x.shape) doesn't fit into \(y.shape)") }
        guard x.count > 0 else { return }
        nonisolated(unsafe) let source = unsafe x.start.assumingMemoryBound(to: UInt8.self)
        nonisolated(unsafe) let target = unsafe y.start.assumingMemoryBound(to: UInt8.self) + first
        threads.forEachRange(rows, grain: max(grain / max(columns, 1), 1)) { part in
            unsafe ck_map_byte_rows(
                table, source + part.lowerBound * columns, columns, part.count, columns, target + part.lowerBound * step, step)
        }
    }

    /// y = table[x], element by element; x and y are bytes of either sign, and the table has 256.
    ///
    /// - Throws: ``TensorError`` where types or counts don't fit.
    static func map(_ x: Tensor, by table: [UInt8], into y: MutableTensor, threads: ThreadPool) throws(TensorError) {
        for dtype in [x.dtype, y.dtype] { _ = try ByteRange(dtype, zero: 0) }
        guard x.count == y.count, table.count == 256 else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
        nonisolated(unsafe) let source = unsafe x.start.assumingMemoryBound(to: UInt8.self)
        nonisolated(unsafe) let target = unsafe y.start.assumingMemoryBound(to: UInt8.self)
        threads.forEachRange(x.count, grain: grain) { elements in
            unsafe ck_map_bytes(table, source + elements.lowerBound, elements.count, target + elements.lowerBound)
        }
    }

    /// The scales and zero points of a tensor's elements.
    struct Runs: Sendable {
        private let layout: QuantizationLayout
        private let scales: [Float]
        private let zeros: [Int32]

        /// - Parameters:
        ///   - scales: as many as the layout's scale has elements.
        ///   - zeros: as many; nil for 0.
        /// - Throws: ``TensorError`` where the counts differ.
        init(_ layout: QuantizationLayout, scales: [Float], zeros: [Int32]?) throws(TensorError) {
            let zeros = zeros ?? [Int32](repeating: 0, count: scales.count)
            guard zeros.count == scales.count else {
                throw TensorError("there are \(scales.count) scales and \(zeros.count) zero points")
            }
            (self.layout, self.scales, self.zeros) = (layout, scales, zeros)
        }

        /// One scale and zero point for all elements of a shape.
        init(_ shape: Shape, _ scale: QuantizedScale) throws(TensorError) {
            let layout = try QuantizationLayout(shape, scale: .scalar, axis: 0, blockSize: 0)
            try self.init(layout, scales: [scale.scale], zeros: [scale.zero])
        }

        /// Calls one of the two for parts of the tensor: `one` where all elements have a scale, `each` with those of each.
        fileprivate func forEach(
            threads: ThreadPool, _ one: @Sendable (_ start: Int, _ count: Int, _ scale: Float, _ zero: Int32) -> Void,
            each: @Sendable (_ start: Int, _ count: Int, UnsafePointer<Float>, UnsafePointer<Int32>) -> Void
        ) {
            if layout.runCount == 1, !layout.run(0).hasScaleEach {
                return threads.forEachRange(layout.run(0).count, grain: grain) {
                    one($0.lowerBound, $0.count, scales[0], zeros[0])
                }
            }
            guard layout.runCount > 0 else { return }
            threads.forEachRange(layout.runCount, grain: max(grain / max(layout.run(0).count, 1), 1)) { numbers in
                unsafe scales.withUnsafeBufferPointer { scales in
                    unsafe zeros.withUnsafeBufferPointer { zeros in
                        guard let first = scales.baseAddress, let firstZero = zeros.baseAddress else { return }
                        for number in numbers {
                            let run = layout.run(number)
                            if run.hasScaleEach {
                                unsafe each(run.start, run.count, first + run.scale, firstZero + run.scale)
                            } else {
                                unsafe one(run.start, run.count, scales[run.scale], zeros[run.scale])
                            }
                        }
                    }
                }
            }
        }
    }
}
