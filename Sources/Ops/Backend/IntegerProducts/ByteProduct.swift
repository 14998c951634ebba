import CKernels
import GraphRuntime

/// A product of matrices of 8-bit integers, C = (A - its zero points) · (B - its zero points), with exact sums in 32 bits that wrap
/// around, cut into tiles for the pool; what becomes of the sums is done while they are in the first-level cache.
@safe
struct ByteProduct: @unchecked Sendable {
    /// Where the rows of A come from.
    @unsafe
    enum Left {
        /// Row-major numbers, `step` from one row to the next.
        case matrix(UnsafePointer<UInt8>, step: Int)
        /// The windows of a convolution's pictures, and what stands for zero in those.
        case windows(UnsafePointer<UInt8>, ck_byte_windows, zero: UInt8)
    }

    /// Where a result lies whose columns are planes: element (row, column) at [row / size][column][row % size] of [pictures][channels]
    /// planes.
    struct Planes {
        var size: Int
        var channels: Int
    }

    var m: Int
    var n: Int
    var k: Int
    /// Whether A's numbers have signs.
    var leftIsSigned: Bool
    var left: Left
    var panels: UnsafePointer<UInt8>
    /// The sums of the panels' columns.
    var columnSums: UnsafePointer<Int32>
    /// One for all rows, or one for each.
    var leftZeros: [Int32]
    /// One for all columns, or one for each, in the panels' numbers.
    var rightZeros: [Int32]
    /// Added to the sums: one for each column, or none.
    var offsets: [Int32] = []
    /// One for each row, or none.
    var rowScales: [Float] = []
    /// One for each column, where the result isn't integers.
    var scales: [Float] = []
    /// What bytes of the result become, by their bits; empty where they stay.
    var table: [UInt8] = []
    /// What is applied to a result of float32.
    var activation = ck_finish.nothing
    /// Nil for a result that lies row by row; else its step and addend have no part.
    var planes: Planes?
    var result: Result

    /// Below this many multiply-adds a part costs more to hand out than to compute.
    private static let smallestPart = 1 << 19

    /// Computes it on all threads.
    ///
    /// - Throws: ``TensorError`` where there is no memory to work in.
    func run(threads: ThreadPool) throws(TensorError) {
        guard m > 0, n > 0 else { return }
        let plan = TileTerms(self)
        let (rows, columns) = parts(threads: threads.threadCount)
        let (rowStep, columnStep) = (
            Self.step(m, rows, multiple: BytePanels.tileRows), Self.step(n, columns, multiple: BytePanels.width)
        )
        let rowParts = (m + rowStep - 1) / rowStep
        let columnParts = (n + columnStep - 1) / columnStep
        unsafe try threads.forEach(rowParts * columnParts, scratchBytes: plan.scratchSize) { index, scratch in
            let row = index / columnParts * rowStep
            let column = index % columnParts * columnStep
            unsafe run(
                rows: row..<min(row + rowStep, m), columns: column..<min(column + columnStep, n), plan, scratch)
        }
    }

    /// Computes products of the same extents: where they are many and small, each on one thread.
    ///
    /// - Throws: ``TensorError`` where there is no memory to work in.
    static func run(_ products: [ByteProduct], threads: ThreadPool) throws(TensorError) {
        guard let first = products.first else { return }
        let work = Double(first.m) * Double(first.n) * Double(max(first.k, 1))
        guard products.count >= 2 * threads.threadCount, work < Double(threads.threadCount * Self.smallestPart), first.m > 0,
            first.n > 0
        else {
            for product in products { try product.run(threads: threads) }
            return
        }
        // As many as are worth waking a thread for.
        let step = max(Self.smallestPart / 8 / max(Int(work), 1), 1)
        let parts = (products.count + step - 1) / step
        unsafe try threads.forEach(parts, scratchBytes: TileTerms(first).scratchSize) { part, scratch in
            for product in products[part * step..<min((part + 1) * step, products.count)] {
                unsafe product.run(rows: 0..<product.m, columns: 0..<product.n, TileTerms(product), scratch)
            }
        }
    }

    /// How often to cut rows and columns: along the longer side, into more parts than threads where each is large. Windows, which each
    /// part copies, are cut by rows as long as there are two tiles of them.
    private func parts(threads: Int) -> (rows: Int, columns: Int) {
        let sums = Double(m) * Double(n) * Double(max(k, 1))
        let work = Int(min(sums / Double(Self.smallestPart), 1e6))
        guard threads > 1, work > 1 else { return (1, 1) }
        let wanted = min(work < 64 * threads ? threads : 4 * threads, work)
        guard case .windows = unsafe left else { return m >= n ? (wanted, 1) : (1, wanted) }
        let most = m / (2 * BytePanels.tileRows)
        return most >= threads ? (min(wanted, most / threads * threads), 1) : (1, min(wanted, threads))
    }

    private static func step(_ count: Int, _ parts: Int, multiple: Int) -> Int {
        ((count + parts - 1) / parts + multiple - 1) / multiple * multiple
    }

    /// One part, on the calling thread: blocks of rows, which each panel meets one tile after the other.
    private func run(rows: Range<Int>, columns: Range<Int>, _ terms: TileTerms, _ scratch: UnsafeMutableRawPointer) {
        let groups = (k + 3) / 4
        let (width, level) = (BytePanels.width, BytePanels.level)
        let panelSize = groups * 4 * width
        let memory = unsafe terms.memory(scratch)
        // Tiles of as equal a height as possible, but whole ones of AMX.
        let multiple = BytePanels.usesTiles ? CK_AMX_TILE : 1
        let tileRows = unsafe PackedProduct.balanced(rows.count, limit: BytePanels.tileRows, multiple: multiple)
        if BytePanels.usesTiles { ck_amx_begin() }
        defer { if BytePanels.usesTiles { ck_amx_end() } }
        for first in stride(from: rows.lowerBound, to: rows.upperBound, by: terms.blockRows) {
            let count = min(terms.blockRows, rows.upperBound - first)
            let (block, step) = unsafe rowsOfLeft(first, count, groups: groups, into: memory.block)
            if terms.needsRowSums { unsafe ck_byte_row_sums(block, step, k, count, memory.rowSums) }
            for column in stride(from: columns.lowerBound, to: columns.upperBound, by: width) {
                let panel = unsafe panels + column / width * panelSize
                let columnCount = min(width, columns.upperBound - column)
                for start in stride(from: 0, to: count, by: tileRows * TileTerms.tiles) {
                    let end = min(start + tileRows * TileTerms.tiles, count)
                    for row in stride(from: start, to: end, by: tileRows) {
                        unsafe ck_bytes_kernel(
                            level, Int32(min(tileRows, end - row)), Int32(columnCount), groups, block + row * step, step, panel,
                            memory.sums + (row - start) * width, width)
                    }
                    unsafe finish(
                        terms, memory, row: first + start, of: start, rowCount: end - start, column: column,
                        columnCount: columnCount)
                }
            }
        }
    }

    /// Rows of A as the kernel reads them, and the bytes from one to the next: in place where they are whole groups without signs.
    private func rowsOfLeft(
        _ first: Int, _ count: Int, groups: Int, into block: UnsafeMutablePointer<UInt8>
    ) -> (UnsafePointer<UInt8>, step: Int) {
        let flip: UInt8 = leftIsSigned ? 0x80 : 0
        switch unsafe left {
        case .matrix(let numbers, let step):
            let place = unsafe numbers + first * step
            if TileTerms.readsInPlace(self) { return unsafe (place, step) }
            unsafe ck_copy_byte_rows(place, step, k, count, flip, block, groups)
        case .windows(let pictures, var windows, let zero):
            unsafe ck_copy_windows(pictures, &windows, first, count, zero, flip, block, 4 * groups)
        }
        return unsafe (UnsafePointer(block), 4 * groups)
    }

    private func finish(
        _ terms: TileTerms, _ memory: TileTerms.Memory, row: Int, of rowInBlock: Int, rowCount: Int, column: Int,
        columnCount: Int
    ) {
        let width = BytePanels.width
        unsafe terms.withZeros(row: row, column: column, rowSums: memory.rowSums + rowInBlock) { zeros in
            let target =
                unsafe planes == nil
                ? result.from(row: row, column: column) : result.tile(at: memory.tile, width: width, column: column)
            defer { if let planes { unsafe turn(memory.tile, planes, row: row, rowCount, column: column, columnCount) } }
            unsafe scales.withUnsafeBufferPointer { scales in
                unsafe rowScales.withUnsafeBufferPointer { rowScales in
                    let scaling = unsafe ck_sum_scales(
                        rows: rowScales.isEmpty ? nil : rowScales.baseAddress.map { unsafe $0 + row },
                        columns: scales.isEmpty ? nil : scales.baseAddress.map { unsafe $0 + column },
                        bias: nil, addend: nil, finish: activation)
                    unsafe target.write(
                        memory.sums, step: width, zeros, rows: rowCount, columns: columnCount, scaling, table: table)
                }
            }
        }
    }

    /// Rows of a tile into their places in planes.
    private func turn(
        _ tile: UnsafeMutableRawPointer, _ planes: Planes, row: Int, _ rowCount: Int, column: Int, _ columnCount: Int
    ) {
        let width = BytePanels.width
        var done = 0
        while done < rowCount {
            let (picture, pixel) = ((row + done) / planes.size, (row + done) % planes.size)
            let count = min(rowCount - done, planes.size - pixel)
            let place = (picture * planes.channels + column) * planes.size + pixel
            if case .bytes(let y, _, _) = unsafe result {
                let source = unsafe tile.assumingMemoryBound(to: UInt8.self) + done * width
                unsafe ck_transpose_bytes(source, width, count, columnCount, y + place, planes.size)
            } else {
                let source = unsafe tile.assumingMemoryBound(to: UInt32.self) + done * width
                unsafe ck_transpose_words(source, width, count, columnCount, words(of: result) + place, planes.size)
            }
            done += count
        }
    }

    private func words(of result: Result) -> UnsafeMutablePointer<UInt32> {
        switch unsafe result {
        case .integers(let y, _): return unsafe UnsafeMutableRawPointer(y).assumingMemoryBound(to: UInt32.self)
        case .floats(let y, _, _, _): return unsafe UnsafeMutableRawPointer(y).assumingMemoryBound(to: UInt32.self)
        case .bytes(let y, _, _): return unsafe UnsafeMutableRawPointer(y).assumingMemoryBound(to: UInt32.self)
        }
    }
}

/// The numbers that a type of bytes has, and which of them stands for zero.
struct ByteRange: Sendable {
    var zero: Int32
    var least: Int32
    var largest: Int32

    /// - Throws: ``TensorError`` for types that aren't bytes.
    init(_ dtype: DType, zero: Int32) throws(TensorError) {
        guard dtype == .uint8 || dtype == .int8 else { throw TensorError("expected int8 or uint8, found \(dtype)") }
        self.zero = zero
        (least, largest) = dtype == .uint8 ? (0, 255) : (-128, 127)
    }
}

/// What of a product is the same for all of its tiles: what zero points add to the sums, and the memory that a thread works in.
@safe
private struct TileTerms: @unchecked Sendable {
    let blockRows: Int
    let needsRowSums: Bool
    private let offsets: [Int32]
    private let rowZeros: [Int32]
    private let columnTerms: [Int32]
    private let columnZeros: [Int32]
    private let blockBytes: Int

    /// Bytes of A that stay in the second-level cache while panels of B pass by.
    private static let blockSize = 384 << 10

    /// Whether the kernel reads A's rows as they lie: they mustn't end within a group, nor all begin in the same few lines of the
    /// first-level cache.
    static func readsInPlace(_ product: ByteProduct) -> Bool {
        guard case .matrix(_, let step) = unsafe product.left else { return false }
        return !product.leftIsSigned && product.k % 4 == 0 && step % 4096 != 0
    }

    init(_ product: ByteProduct) {
        let n = product.n
        // A's numbers as the kernel has them are 128 higher where they have signs.
        let leftZeros = product.leftIsSigned ? product.leftZeros.map { $0 &+ 128 } : product.leftZeros
        let rightZeros = product.rightZeros
        columnZeros = rightZeros.count == 1 ? [Int32](repeating: rightZeros[0], count: n) : rightZeros
        needsRowSums = rightZeros.contains { $0 != 0 }
        let depth = Int32(truncatingIfNeeded: product.k)
        var terms = [Int32](repeating: 0, count: n)
        for column in 0..<n { terms[column] = unsafe product.columnSums[column] &- depth &* columnZeros[column] }
        var offsets = product.offsets.isEmpty ? [Int32](repeating: 0, count: n) : product.offsets
        if leftZeros.count == 1 {
            let zero = leftZeros[0]
            for column in 0..<n { offsets[column] &-= zero &* terms[column] }
        }
        self.offsets = offsets
        rowZeros = leftZeros.count == 1 ? [] : leftZeros
        columnTerms = terms
        let rowBytes = max((product.k + 3) / 4 * 4, 1)
        blockRows = max(Self.blockSize / rowBytes / BytePanels.tileRows, 1) * BytePanels.tileRows
        // Whole lines of the cache.
        blockBytes = Self.readsInPlace(product) ? 0 : (min(blockRows, product.m) * rowBytes + 63) / 64 * 64
    }

    @unsafe
    struct Memory {
        let sums: UnsafeMutablePointer<Int32>
        let rowSums: UnsafeMutablePointer<Int32>
        let block: UnsafeMutablePointer<UInt8>
        /// As large as the sums.
        let tile: UnsafeMutableRawPointer
    }

    /// Tiles below each other whose sums are finished at a time: where few numbers are multiplied, calls take as long as a tile.
    static let tiles = 4

    private static let sumsBytes = tiles * BytePanels.tileRows * BytePanels.width * MemoryLayout<Int32>.stride

    var scratchSize: Int { blockBytes + 2 * Self.sumsBytes + blockRows * MemoryLayout<Int32>.stride }

    func memory(_ scratch: UnsafeMutableRawPointer) -> Memory {
        let sums = unsafe scratch + blockBytes
        return unsafe Memory(
            sums: sums.assumingMemoryBound(to: Int32.self),
            rowSums: (sums + 2 * Self.sumsBytes).assumingMemoryBound(to: Int32.self),
            block: scratch.assumingMemoryBound(to: UInt8.self), tile: sums + Self.sumsBytes)
    }

    /// Calls `body` with the terms of a tile.
    func withZeros(row: Int, column: Int, rowSums: UnsafePointer<Int32>, _ body: (ck_zero_terms) -> Void) {
        unsafe offsets.withUnsafeBufferPointer { offsets in
            unsafe columnTerms.withUnsafeBufferPointer { columnTerms in
                unsafe columnZeros.withUnsafeBufferPointer { columnZeros in
                    unsafe rowZeros.withUnsafeBufferPointer { rowZeros in
                        let hasRowZeros = rowZeros.count > 0
                        unsafe body(
                            ck_zero_terms(
                                offsets: offsets.baseAddress.map { unsafe $0 + column },
                                row_zeros: hasRowZeros ? rowZeros.baseAddress.map { unsafe $0 + row } : nil,
                                column_terms: columnTerms.baseAddress.map { unsafe $0 + column },
                                row_sums: needsRowSums ? rowSums : nil,
                                column_zeros: columnZeros.baseAddress.map { unsafe $0 + column }))
                    }
                }
            }
        }
    }
}
