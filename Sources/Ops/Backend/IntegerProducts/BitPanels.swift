import CKernels
import GraphRuntime
import Synchronization

/// The transpose of a matrix [columns, depth] of numbers of few bits, which blocks of a row share a scale and a zero point of, in the
/// panels that ``PackedProduct`` multiplies with: numbers stay in their own bits in memory, and are widened in the cache.
///
/// The packed form has for each panel its numbers (`ck_widen_bits`), then [block][column of the panel] scales, then as many zero points.
struct BitPanels {
    /// Columns of a panel.
    static let width = unsafe PackedProduct.columns

    let columns: Int
    let depth: Int
    let bits: Int
    /// A power of two.
    let blockSize: Int

    var blocks: Int { (depth + blockSize - 1) / blockSize }
    /// Bytes of a row of the matrix.
    private var rowBytes: Int { blocks * blockSize * bits / 8 }
    private var panelCount: Int { (columns + Self.width - 1) / Self.width }
    private var floatsOfPanel: Int { 2 * blocks * Self.width }
    private var panelSize: Int { rowBytes * Self.width + floatsOfPanel * MemoryLayout<Float>.stride }

    /// What a signed number's bits are changed by, so that the least of them is 0.
    static func sign(of dtype: DType) -> UInt8 {
        [.int8, .int4, .int2].contains(dtype) ? 1 << UInt8(dtype.bitWidth - 1) : 0
    }

    /// The numbers of a matrix [depth, columns], or of its transpose, as ``pack(_:scales:zeros:threads:)`` takes them, the least of which is 0.
    ///
    /// - Throws: ``TensorError`` where their count doesn't fit, or there is no memory.
    func rows(of matrix: Tensor, isTransposed: Bool, threads: ThreadPool) throws(TensorError) -> Tensor {
        guard matrix.count == columns * depth, matrix.dtype.bitWidth == bits else {
            throw TensorError("\(matrix.dtype)\(matrix.shape) isn't a matrix of \(columns)×\(depth) numbers of \(bits) bits")
        }
        let result = try MutableTensor(dtype: .uint8, shape: Shape([columns * rowBytes]))
        nonisolated(unsafe) let source = unsafe matrix.start.assumingMemoryBound(to: UInt8.self)
        nonisolated(unsafe) let target = unsafe result.start.assumingMemoryBound(to: UInt8.self)
        let (bits, mask, sign) = (bits, UInt8(truncatingIfNeeded: 1 << bits - 1), Self.sign(of: matrix.dtype))
        let (own, other) = isTransposed ? (depth, 1) : (1, columns)
        threads.forEachRange(columns, grain: 64) { part in
            unsafe (target + part.lowerBound * rowBytes).update(repeating: 0, count: part.count * rowBytes)
            for index in 0..<depth {
                for column in part {
                    let (from, to) = ((column * own + index * other) * bits, index * bits)
                    let number = unsafe source[from / 8] >> UInt8(from % 8) & mask ^ sign
                    unsafe target[column * rowBytes + to / 8] |= number << UInt8(to % 8)
                }
            }
        }
        return try result.finish()
    }

    /// The packed form.
    ///
    /// - Parameters:
    ///   - numbers: [columns, blocks, bytes of a block], the numbers of low bits first.
    ///   - scales: [columns, blocks].
    ///   - zeros: as many as scales.
    /// - Throws: ``TensorError`` where counts don't fit, or there is no memory.
    func pack(_ numbers: Tensor, scales: [Float], zeros: [Float], threads: ThreadPool) throws(TensorError) -> Tensor {
        guard numbers.byteCount == columns * rowBytes, scales.count == columns * blocks, zeros.count == scales.count else {
            throw TensorError("\(numbers.byteCount) bytes and \(scales.count) scales aren't a matrix of \(columns)×\(depth)")
        }
        let result = try MutableTensor(dtype: .uint8, shape: Shape([panelCount * panelSize]))
        nonisolated(unsafe) let source = unsafe numbers.start.assumingMemoryBound(to: UInt8.self)
        nonisolated(unsafe) let target = unsafe result.start
        let (width, blocks) = (Self.width, blocks)
        threads.forEach(panelCount) { panel in
            let place = unsafe target + panel * panelSize
            let first = panel * width
            let count = min(width, columns - first)
            let bytes = unsafe place.assumingMemoryBound(to: UInt8.self)
            if count < width { unsafe bytes.update(repeating: 0, count: rowBytes * width) }
            unsafe ck_transpose_bytes(source + first * rowBytes, rowBytes, count, rowBytes, bytes, width)
            let floats = unsafe (place + rowBytes * width).assumingMemoryBound(to: Float.self)
            for block in 0..<blocks {
                for column in 0..<width {
                    let index = (first + column) * blocks + block
                    unsafe floats[block * width + column] = column < count ? scales[index] : 0
                    unsafe floats[(blocks + block) * width + column] = column < count ? zeros[index] : 0
                }
            }
        }
        return try result.finish()
    }

    /// A · the widened matrix + bias + residual.
    struct Product {
        let panels: BitPanels
        /// The block that each of the matrix's columns belongs to; nil where blocks are of neighbouring columns.
        var groups: [Int]?
        let bias: Tensor?
        let residual: Tensor?
        /// Whether both factors are rounded to bfloat16, and multiplied in pairs.
        var inPairs = false
        /// Whether a few rows may be rounded to bytes, see ``BitRows``.
        var inBytes = false
        /// The zero point of all blocks; nil where they have their own.
        var zero: Int?

        /// Floats of widened panels at a time.
        private static let widenedCount = 128 << 10

        /// - Parameters:
        ///   - a: [.., depth], float32.
        ///   - packed: see ``BitPanels/pack(_:scales:zeros:threads:)``.
        /// - Throws: ``TensorError`` where shapes don't fit, or there is no memory.
        func run(_ a: Tensor, _ packed: Tensor, into output: MutableTensor, threads: ThreadPool) throws(TensorError) {
            let (n, k, width) = (panels.columns, panels.depth, BitPanels.width)
            guard k > 0, n > 0, a.count % k == 0, output.count == a.count / k * n, groups.map({ $0.count >= k }) ?? true,
                packed.byteCount == panels.panelCount * panels.panelSize, bias.map({ $0.count == n }) ?? true,
                residual.map({ $0.count == output.count }) ?? true
            else { throw TensorError("\(a.shape) times a matrix of \(k)×\(n) doesn't have shape \(output.shape)") }
            let m = a.count / k
            guard m > 0 else { return }
            let start = unsafe ProductStart<Float>(
                columns: try bias?.pointer(to: Float.self), matrix: try residual?.pointer(to: Float.self))
            nonisolated(unsafe) let (left, numbers) = unsafe (try a.pointer(to: Float.self), packed.start)
            nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
            if groups == nil, BitRows.isPreferred(rows: m, depth: k, blockSize: panels.blockSize, inBytes: inBytes) {
                return unsafe try rows(packed).run(left, rows: m, start, target, threads: threads)
            }
            nonisolated(unsafe) let starts = unsafe start
            let blockOfIndex = (0..<k).map { Int32(groups?[$0] ?? $0 / panels.blockSize) }
            // Few rows leave each panel little work beyond widening it.
            let fitting = max(Self.widenedCount / (k * width), m < 16 ? 1 : 2)
            let parts = max((panels.panelCount + fitting - 1) / fitting, min(threads.threadCount, panels.panelCount))
            let step = (panels.panelCount + parts - 1) / parts
            let failures = Atomic(0)
            let sizeOfPanel = PanelLayout.rows(depth: k, isPaired: inPairs) * width
            let floats = step * sizeOfPanel + (inPairs ? k * width : 0)
            unsafe try threads.forEach(
                (panels.panelCount + step - 1) / step, scratchBytes: floats * MemoryLayout<Float>.stride
            ) { part, scratch in
                let widened = unsafe scratch.assumingMemoryBound(to: Float.self)
                let numbersOfPanel = unsafe widened + step * sizeOfPanel
                let first = part * step
                let last = min(first + step, panels.panelCount)
                for panel in first..<last {
                    let place = unsafe widened + (panel - first) * sizeOfPanel
                    unsafe widen(numbers + panel * panels.panelSize, blockOfIndex, into: inPairs ? numbersOfPanel : place)
                    if inPairs {
                        unsafe ck_pack_column_pairs(numbersOfPanel, width, k, Int32(width), Int32(width), 1, place, width)
                    }
                }
                let range = first * width..<min(last * width, n)
                let isDone = unsafe PackedProduct(
                    m: m, n: range.count, k: k, a: left, lda: k, b: .panels(widened),
                    start: starts.part(rows: 0..<m, columns: range, step: n), c: target + range.lowerBound, ldc: n,
                    precision: inPairs ? .bfloat16 : .single
                ).run()
                if !isDone { failures.add(1, ordering: .relaxed) }
            }
            guard failures.load(ordering: .relaxed) == 0 else {
                throw TensorError("no memory to pack a matrix of \(m)×\(k) into")
            }
        }

        /// The same panels, each number of which is widened where it is multiplied.
        private func rows(_ packed: Tensor) -> BitRows {
            let (width, perByte) = (BitPanels.width, 8 / panels.bits)
            let numbers = unsafe packed.start.assumingMemoryBound(to: UInt8.self)
            let scales = unsafe (packed.start + panels.rowBytes * width).assumingMemoryBound(to: Float.self)
            let first = unsafe ck_bit_panel(
                numbers: numbers, block_bytes: panels.blockSize / perByte * width, scales: scales, block_scales: width,
                zeros: zero == nil ? scales + panels.blocks * width : nil, zero: Int32(zero ?? 0), bits: Int32(panels.bits),
                columns: Int32(width), blocks: panels.blocks, block: panels.blockSize, byte_step: perByte, number_step: 1)
            return unsafe BitRows(
                first: first, panelBytes: panels.panelSize, columns: panels.columns, depth: panels.depth, inBytes: inBytes)
        }

        private func widen(_ panel: UnsafeRawPointer, _ blockOfIndex: [Int32], into target: UnsafeMutablePointer<Float>) {
            let width = BitPanels.width
            let scales = unsafe (panel + panels.rowBytes * width).assumingMemoryBound(to: Float.self)
            unsafe blockOfIndex.withUnsafeBufferPointer { blocks in
                unsafe ck_widen_bits(
                    panel.assumingMemoryBound(to: UInt8.self), Int32(panels.bits), panels.depth, Int32(width),
                    blocks.baseAddress, scales, scales + panels.blocks * width, target)
            }
        }
    }
}
