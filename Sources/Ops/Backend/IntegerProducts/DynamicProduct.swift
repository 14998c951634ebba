import CKernels
import GraphRuntime
import Synchronization

/// A product of float32 whose factors are rounded to bytes, C = alpha · op(A) · B + start: A row by row with a scale and a zero point each
/// as it is read (u8, as the kernels read left factors, so that numbers of one sign use all of it), B in panels that were packed before,
/// column by column; see `dynamic_product.h`. Sums are exact, and scaled in each tile.
///
/// ONNX Runtime's DynamicQuantizeMatMul does the same with one scale for all of A.
@safe
struct DynamicProduct: @unchecked Sendable {
    var m: Int
    var n: Int
    var k: Int
    var transposeA = false
    var alpha: Float = 1
    var start = unsafe ProductStart<Float>.zero
    /// Whether C is a · GELU(b) of the halves a and b of each panel, see ``PanelProduct/isGated``.
    var isGated = false
    /// Whether that GELU is ``ActivationFunction/geluHalvedLast``.
    var halvesLast = false
    /// Whether C is written as its transpose, [n, m]. Not of a gate, and `start` isn't C or a matrix.
    var turnsResult = false

    /// Whether bytes are multiplied by instructions of their own: without them the kernels of single precision are as fast.
    static let isFast = Int(BytePanels.level) >= CK_BYTES_AVX_VNNI && BytePanels.width == PanelProduct.columns

    /// With fewer, rounding the rows and scaling the sums is as much work as the products.
    private static let (leastDepth, leastColumns) = (32, 32)
    /// Sums of more products might leave 32 bits.
    private static let mostDepth = 1 << 16

    /// Products from which on rounding is worth it: fewer take less than half a millisecond as they are.
    private static let fewestProducts = ck_rounds_all() != 0 ? 0 : 32e6

    /// Whether it is faster than in single precision, and worth its error; of products with fewer rows than four, the weights are read once
    /// either way, and the time embedding's are few.
    static func isPreferred(m: Int, n: Int, k: Int) -> Bool {
        isFast && m >= 4 && n >= leastColumns && (leastDepth...mostDepth).contains(k)
            && Double(m) * Double(n) * Double(k) >= fewestProducts
    }

    /// Bytes of A, and of panels of B, that stay in the second-level cache together.
    private static let (blockSize, panelsSize) = (384 << 10, 320 << 10)
    /// Rows of a block where C is turned.
    private static let turnedRows = 512
    /// Rows that a thread rounds at a time where that comes first.
    private static let roundedRows = 64

    /// Bytes from one row of A to the next: whole steps of AMX, and not a multiple of 4 KB, of which the first-level cache keeps a few only.
    private var step: Int {
        let size = (k + 63) / 64 * 64
        return size % 4096 == 0 ? size + 64 : size
    }

    /// Rows of A as bytes.
    @unsafe
    private struct Rows: @unchecked Sendable {
        let bytes: UnsafeMutablePointer<UInt8>
        let scales: UnsafeMutablePointer<Float>
        let zeros: UnsafeMutablePointer<Int32>

        static func byteCount(_ count: Int, step: Int) -> Int { count * step + (2 * count * 4 + 63) / 64 * 64 }

        init(_ memory: UnsafeMutableRawPointer, count: Int, step: Int) {
            unsafe bytes = unsafe memory.assumingMemoryBound(to: UInt8.self)
            unsafe scales = unsafe (memory + count * step).assumingMemoryBound(to: Float.self)
            unsafe zeros = unsafe (memory + count * step + 4 * count).assumingMemoryBound(to: Int32.self)
        }

        func from(_ row: Int, step: Int) -> Rows {
            unsafe Rows(bytes: bytes + row * step, scales: scales + row, zeros: zeros + row)
        }

        private init(
            bytes: UnsafeMutablePointer<UInt8>, scales: UnsafeMutablePointer<Float>, zeros: UnsafeMutablePointer<Int32>
        ) {
            unsafe (self.bytes, self.scales, self.zeros) = unsafe (bytes, scales, zeros)
        }
    }

    /// - Parameter panels: as ``PanelLayout`` has them for ``ProductPrecision/int8``.
    /// - Throws: ``TensorError`` where there is no memory to round A into.
    func run(
        _ a: UnsafePointer<Float>, panels: UnsafePointer<Float>, _ c: UnsafeMutablePointer<Float>, threads: ThreadPool
    ) throws(TensorError) {
        guard m > 0, n > 0, k > 0 else { return }
        let tiles = MatrixTiles(
            batch: 1, m: m, n: n, k: k, threads: threads.threadCount, columnMultiple: BytePanels.width)
        nonisolated(unsafe) let (a, panels, c) = unsafe (a, panels, c)
        let failures = Atomic(0)
        // Parts of the columns share the rows; of parts of the rows, each rounds its own while they are in cache.
        if m < n {
            unsafe try threads.withWorkspace(byteCount: Rows.byteCount(m, step: step)) { memory throws(TensorError) in
                let rounded = unsafe Rows(memory, count: m, step: step)
                threads.forEachRange(m, grain: Self.roundedRows) { rows in
                    unsafe round(rows, of: a, into: rounded.from(rows.lowerBound, step: step))
                }
                tiles.forEach(threads) { _, rows, columns in
                    let isDone = unsafe multiply(rows: rows, columns: columns, panels, c) { first, _, _ in
                        unsafe rounded.from(first, step: step)
                    }
                    if !isDone { failures.add(1, ordering: .relaxed) }
                }
            }
        } else {
            tiles.forEach(threads) { _, rows, columns in
                let isDone = unsafe multiply(rows: rows, columns: columns, panels, c) { first, count, memory in
                    let rounded = unsafe Rows(memory, count: count, step: step)
                    unsafe round(first..<first + count, of: a, into: rounded)
                    return unsafe rounded
                }
                if !isDone { failures.add(1, ordering: .relaxed) }
            }
        }
        guard failures.load(ordering: .relaxed) == 0 else {
            throw TensorError("no memory to round a matrix of \(m)×\(k) into")
        }
    }

    /// Rounds rows of A.
    private func round(_ rows: Range<Int>, of a: UnsafePointer<Float>, into target: Rows) {
        if transposeA {
            unsafe ck_quantize_columns(
                a + rows.lowerBound, m, k, rows.count, target.bytes, step, target.scales, target.zeros)
        } else {
            unsafe ck_quantize_rows(
                a + rows.lowerBound * k, k, k, rows.count, target.bytes, step, target.scales, target.zeros)
        }
        if alpha != 1 { for row in 0..<rows.count { unsafe target.scales[row] *= alpha } }
    }

    /// A part of C, on the calling thread: tiles of a block of rows, each of which meets some panels one after the other, so that C's rows
    /// are written from left to right.
    ///
    /// - Parameter block: the bytes of some rows, which it may write to memory that is enough for them.
    /// - Returns: false, with nothing done, where there is no memory to work in.
    private func multiply(
        rows: Range<Int>, columns: Range<Int>, _ panels: UnsafePointer<Float>, _ c: UnsafeMutablePointer<Float>,
        _ block: (_ first: Int, _ count: Int, _ memory: UnsafeMutableRawPointer) -> Rows
    ) -> Bool {
        let (width, height) = (BytePanels.width, BytePanels.tileRows)
        let most = turnsResult ? min(Self.turnedRows, Self.blockSize / step) : Self.blockSize / step
        let blockRows = min(max(most / height, 1) * height, rows.count)
        let blockBytes = unsafe (Rows.byteCount(blockRows, step: step) + 63) / 64 * 64
        let tileFloats = (turnsResult ? blockRows : height) * width
        guard let scratch = unsafe ThreadScratch.floats(blockBytes / 4 + height * width + tileFloats) else { return false }
        let sums = unsafe UnsafeMutableRawPointer(scratch + blockBytes / 4).assumingMemoryBound(to: Int32.self)
        let results = unsafe scratch + blockBytes / 4 + height * width
        // Tiles of as equal a height as possible, but whole ones of AMX.
        let tileRows = unsafe PackedProduct.balanced(
            blockRows, limit: height, multiple: BytePanels.usesTiles ? Int(CK_AMX_TILE) : 1)
        let groups = (k + 3) / 4
        let panelFloats = ck_byte_panel_rows(k) * width
        let blockColumns = turnsResult ? width : max(Self.panelsSize / (4 * panelFloats), 1) * width
        if BytePanels.usesTiles { ck_amx_begin() }
        defer { if BytePanels.usesTiles { ck_amx_end() } }
        for first in stride(from: rows.lowerBound, to: rows.upperBound, by: blockRows) {
            let count = min(blockRows, rows.upperBound - first)
            let left = unsafe block(first, count, scratch)
            for firstColumn in stride(from: columns.lowerBound, to: columns.upperBound, by: blockColumns) {
                let lastColumn = min(firstColumn + blockColumns, columns.upperBound)
                for row in stride(from: 0, to: count, by: tileRows) {
                    let rowCount = min(tileRows, count - row)
                    let part = unsafe left.from(row, step: step)
                    for column in stride(from: firstColumn, to: lastColumn, by: width) {
                        let panel = unsafe panels + column / width * panelFloats
                        let bytes = unsafe UnsafeRawPointer(panel + 2 * width).assumingMemoryBound(to: UInt8.self)
                        unsafe ck_bytes_kernel(
                            BytePanels.level, Int32(rowCount), Int32(width), groups, part.bytes, step, bytes, sums, width)
                        unsafe finish(
                            sums, part, panel, row: first + row, rowCount: rowCount, column: column,
                            columnCount: min(width, lastColumn - column), turnsResult ? results + row * width : results, c)
                    }
                }
                if turnsResult {
                    unsafe ck_transpose_words(
                        UnsafeRawPointer(results).assumingMemoryBound(to: UInt32.self), width, count, lastColumn - firstColumn,
                        UnsafeMutableRawPointer(c + firstColumn * m + first).assumingMemoryBound(to: UInt32.self), m)
                }
            }
        }
        return true
    }

    /// Scales the sums of a tile, into C or into memory from where they get there.
    private func finish(
        _ sums: UnsafePointer<Int32>, _ left: Rows, _ panel: UnsafePointer<Float>, row: Int, rowCount: Int, column: Int,
        columnCount: Int, _ memory: UnsafeMutablePointer<Float>, _ c: UnsafeMutablePointer<Float>
    ) {
        let width = BytePanels.width
        var terms = unsafe ck_dynamic_terms(
            row_scales: left.scales, row_zeros: left.zeros, scales: panel,
            column_sums: UnsafeRawPointer(panel + width).assumingMemoryBound(to: Int32.self), offsets: nil, row_offsets: nil,
            addend: nil, addend_step: n)
        let place = row * n + column
        switch unsafe start {
        case .zero: break
        case .target: unsafe terms.addend = unsafe UnsafePointer(c + place)
        case .columns(let values): unsafe terms.offsets = unsafe values + column
        case .rows(let values): unsafe terms.row_offsets = unsafe values + row
        case .matrix(let values, let offsets):
            unsafe terms.offsets = unsafe offsets.map { unsafe $0 + column }
            unsafe terms.addend = unsafe values + place
        }
        let (rows, columns) = (Int32(rowCount), Int32(columnCount))
        guard isGated || turnsResult else {
            return unsafe ck_scale_dynamic_sums(sums, width, terms, rows, columns, c + place, n)
        }
        unsafe ck_scale_dynamic_sums(sums, width, terms, rows, columns, memory, width)
        if isGated {
            unsafe ck_gated_gelu(
                memory, width, width / 2, c + row * (n / 2) + column / 2, n / 2, rowCount, width / 2, halvesLast ? 1 : 0)
        }
    }
}
