import CKernels
import GraphRuntime

/// Matrix products of float32 by this project's own kernels, on the calling thread: operands are packed block by block into panels that
/// stay in cache (Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008).
@unsafe
struct PackedProduct {
    /// The instruction set that the kernels use on this machine.
    static let level = ck_level()
    static let tile = ck_gemm_tile(level)
    static let rows = Int(tile.rows)
    static let columns = Int(tile.columns)

    /// Whether the kernels beat OpenBLAS: not the plain ones, and not where a matrix is little more than a vector.
    static func isPreferred(m: Int, n: Int, k: Int) -> Bool {
        unsafe m >= ProductKernel.leastRows && isPreferredForPanels(n: n, k: k)
    }

    /// The same with a right factor that was packed before, which is read in one piece also for a single row.
    static func isPreferredForPanels(n: Int, k: Int) -> Bool { unsafe level != 0 && n >= 8 && k > 0 }

    /// The right factor op(B), k×n.
    @unsafe
    enum Right {
        /// `step` numbers from one row to the next, of the factor or of its transpose.
        case matrix(UnsafePointer<Float>, step: Int, isTransposed: Bool)
        /// Panels of ``columns`` columns, as ``PanelLayout`` has them; of pairs where ``ProductPrecision/pairsRight`` says so.
        case panels(UnsafePointer<Float>)
    }

    var transposeA = false
    var m: Int
    var n: Int
    var k: Int
    var alpha: Float = 1
    var a: UnsafePointer<Float>
    var lda: Int
    var b: Right
    var start = unsafe ProductStart<Float>.zero
    /// Whether C is a · GELU(b) of the halves a and b of each panel of B, which then has whole panels.
    var isGated = false
    /// Whether that GELU is ``ActivationFunction/geluHalvedLast``.
    var halvesLast = false
    var c: UnsafeMutablePointer<Float>
    var ldc: Int
    var precision = ProductPrecision.single

    /// Elements of A that are kept packed from one block of columns to the next.
    private static let keptElements = 4 << 20
    /// With fewer rows than this, of which B's blocks take more than A's rows, packing A costs little.
    private static let leastRowsUnpacked = 128

    private var left: LeftPanels { unsafe LeftPanels(isPaired: precision.pairsLeft) }
    private var columns: Int { unsafe Self.columns }
    /// Steps of the kernel: rows of the panels that it multiplies.
    private var steps: Int { unsafe (k + precision.numbersPerStep - 1) / precision.numbersPerStep }

    /// Computes C = alpha · op(A) · op(B) + start; row-major, with op(A) m×k, op(B) k×n and C m×n.
    ///
    /// Blocks of B, packed one after the other where they aren't yet, meet all of A, which is packed when the first of them does. Panels
    /// of B that meet few rows of A are what takes the time to read, see ``runPanelByPanel(_:)``.
    ///
    /// - Returns: false, with nothing done, where there is no memory to pack into.
    func run() -> Bool { unsafe left.withRegisters { unsafe runOnRegisters() } }

    private func runOnRegisters() -> Bool {
        if case .panels(let first) = unsafe b {
            if unsafe isRow { return unsafe runRow(first) }
            if unsafe m <= min(Self.mostRowsKept, n) { return unsafe runPanelByPanel(first) }
        }
        let blocks = unsafe RightBlocks(b, m: m, n: n, k: k, splitsDepth: !isGated, precision: precision)
        let (width, depth, steps) = unsafe (blocks.width, blocks.depth, steps)
        let left = unsafe left
        let rows = left.rows
        let packsA =
            unsafe transposeA || alpha != 1 || precision.pairsLeft || !Self.isReadableByRows(stride: lda)
            || m < Self.leastRowsUnpacked || n > 2 * width
        // One block of columns needs each panel of A once.
        let keepsA = unsafe packsA && n > width
        let blockRows =
            unsafe keepsA ? min(Self.balanced(m, limit: max(Self.keptElements / steps, rows), multiple: rows), m) : m
        let rowPanels = keepsA ? (blockRows + rows - 1) / rows : 1
        let panelStep = left.size(steps: keepsA ? steps : depth)
        let sizeOfA = rowPanels * panelStep
        let scratchSize = unsafe blocks.packedSize + sizeOfA + TileWriter.scratchSize(rows: rows) + 64
        guard let memory = unsafe ThreadScratch.floats(scratchSize) else { return false }
        let packedA = unsafe memory + blocks.packedSize
        var tile = unsafe TileWriter(self, scratch: packedA + sizeOfA)
        for firstRow in unsafe stride(from: 0, to: m, by: blockRows) {
            let lastRow = unsafe min(firstRow + blockRows, m)
            for column in unsafe stride(from: 0, to: n, by: width) {
                let columnCount = unsafe min(width, n - column)
                for inner in stride(from: 0, to: steps, by: depth) {
                    let innerCount = min(depth, steps - inner)
                    let panels = unsafe blocks.panels(column: column, inner: inner, memory: memory)
                    let calls = unsafe (lastRow - firstRow + rows - 1) / rows * ((columnCount + columns - 1) / columns)
                    var ahead = unsafe blocks.readAhead(after: column, inner, calls: calls)
                    for row in stride(from: firstRow, to: lastRow, by: rows) {
                        let rowCount = min(rows, lastRow - row)
                        let panel = unsafe packedA + (keepsA ? (row - firstRow) / rows * panelStep + inner * rows : 0)
                        if packsA, !keepsA || column == 0 {
                            unsafe packA(row: row, rowCount: rowCount, inner: inner, innerCount: innerCount, into: panel)
                        }
                        unsafe tile.begin(row: row, rowCount: rowCount, addsToTarget: inner > 0, isLast: inner + depth >= steps)
                        let factor =
                            unsafe packsA
                            ? TileWriter.Left.packed(UnsafePointer(panel)) : .rows(a + row * lda + inner, step: lda)
                        for part in unsafe stride(from: 0, to: columnCount, by: columns) {
                            let right = unsafe panels.first + part * panels.depth
                            unsafe tile.multiply(
                                factor, right, depth: innerCount, column: column + part,
                                columnCount: min(columns, columnCount - part),
                                ahead: panels.isInMemory && row == firstRow ? .stream(right) : nil)
                            unsafe ahead.advance()
                        }
                    }
                }
            }
        }
        return true
    }

    /// Whether as many rows of A as a tile has find room in the first-level cache side by side: of those a multiple of 4 KB apart, the
    /// cache keeps a few only.
    private static func isReadableByRows(stride: Int) -> Bool { stride * MemoryLayout<Float>.stride % 4096 != 0 }

    /// Whether A is a single row that is read as it lies, by kernels that know panels of vectors and none of the plain ones.
    private var isRow: Bool {
        switch unsafe start {
        case .target, .rows: return false
        case .zero, .columns, .matrix: break
        }
        return unsafe m == 1 && Self.level != 0 && precision == .single && !isGated && alpha == 1 && (!transposeA || lda == 1)
    }

    /// The product of a single row with panels of B: several panels are read at once, whose sums don't wait for each other. Each sum is
    /// the same as if the row were one of several.
    private func runRow(_ panels: UnsafePointer<Float>) -> Bool {
        let (whole, rest) = unsafe (n / columns, n % columns)
        let offsets: UnsafePointer<Float>? =
            switch unsafe start {
            case .columns(let values): unsafe values
            case .matrix(_, let values): unsafe values
            case .zero, .target, .rows: nil
            }
        unsafe ck_row_product(a, k, panels, Int32(columns), whole, offsets, c)
        if rest > 0 {
            let done = unsafe n - rest
            let start = unsafe offsets.map { unsafe $0 + done }
            unsafe ck_gemm_edge_kernel(Self.level, 1, Int32(rest), 0, k, a, k, panels + done * k, start, 0, c + done, 0)
        }
        if case .matrix(let values, _) = unsafe start { unsafe ck_add(c, 1, values, 1, c, n) }
        return true
    }

    /// Rows of A that stay in the second-level cache while panels of B pass by.
    private static let mostRowsKept = 512
    /// Elements of A that do.
    private static let keptSlice = 256 << 10
    private static let largestDepth = 640
    private static let widenedDepth = 160

    /// The product with panels of B that come from memory: a slice of A is packed, and each panel meets all of its rows while the next
    /// panel is read.
    private func runPanelByPanel(_ panels: UnsafePointer<Float>) -> Bool {
        let steps = unsafe steps
        let left = unsafe left
        let rows = left.rows
        let stored = unsafe StoredPanels(panels, k: k, precision: precision)
        let depth =
            unsafe isGated
            ? steps
            : Self.balanced(steps, limit: min(Self.largestDepth, Self.keptSlice / m), multiple: stored.groupSteps)
        // Tiles of as equal a height as possible: each reads the panel once.
        let tileRows = unsafe Self.balanced(m, limit: rows, multiple: left.rowMultiple)
        let tiles = unsafe (m + tileRows - 1) / tileRows
        let sliceStep = left.size(steps: depth)
        // As much as the first-level cache holds is widened at a time.
        let partDepth = unsafe stored.widens ? min(Self.widenedDepth, depth) : depth
        let widenedSize = unsafe stored.widenedSize(depth: partDepth)
        let writerSize = unsafe TileWriter.scratchSize(rows: rows, gatedTiles: isGated ? tiles : 0)
        let scratchSize = tiles * sliceStep + widenedSize + writerSize
        guard let memory = unsafe ThreadScratch.floats(scratchSize) else { return false }
        let widened = unsafe memory + tiles * sliceStep
        var tile = unsafe TileWriter(self, scratch: widened + widenedSize)
        for inner in stride(from: 0, to: steps, by: depth) {
            let innerCount = min(depth, steps - inner)
            for index in 0..<tiles {
                let row = index * tileRows
                unsafe packA(
                    row: row, rowCount: min(tileRows, m - row), inner: inner, innerCount: innerCount,
                    into: memory + index * sliceStep)
            }
            let slice = unsafe stored.rows(of: innerCount)
            for column in unsafe stride(from: 0, to: n, by: columns) {
                let panel = unsafe stored.place(column: column, inner: inner)
                let next =
                    unsafe column + columns < n ? stored.place(column: column + columns, inner: inner) : panel + slice * columns
                for part in stride(from: 0, to: innerCount, by: partDepth) {
                    let partCount = min(partDepth, innerCount - part)
                    let right = unsafe stored.numbers(
                        column: column, inner: inner + part, depth: partCount, memory: widened)
                    let partNext = unsafe next + stored.rows(of: part) * columns
                    for index in 0..<tiles {
                        let row = index * tileRows
                        unsafe tile.begin(
                            row: row, rowCount: min(tileRows, m - row), addsToTarget: inner + part > 0,
                            isLast: inner + part + partCount >= steps, index: index)
                        unsafe tile.multiply(
                            .packed(UnsafePointer(memory + index * sliceStep + part * rows)), right, depth: partCount,
                            column: column, columnCount: min(columns, n - column),
                            ahead: tiles == 1 && !stored.widens
                                ? .stream(panel)
                                : .part(index, of: tiles, partNext, rows: stored.rows(of: partCount), depth: partCount))
                    }
                }
            }
        }
        return true
    }

    /// Packs rows of A for `innerCount` steps of the kernel.
    private func packA(row: Int, rowCount: Int, inner: Int, innerCount: Int, into panel: UnsafeMutablePointer<Float>) {
        let first = unsafe inner * precision.numbersPerStep
        let count = unsafe min(innerCount * precision.numbersPerStep, k - first)
        let source = unsafe transposeA ? a + first * lda + row : a + row * lda + first
        if unsafe transposeA {
            unsafe left.packColumns(source, step: lda, k: count, count: rowCount, factor: alpha, into: panel)
        } else {
            unsafe left.packRows(source, step: lda, k: count, count: rowCount, factor: alpha, into: panel)
        }
    }

    /// The size of equal parts of `count` that are no longer than `limit`.
    static func balanced(_ count: Int, limit: Int, multiple: Int) -> Int {
        let parts = (count + limit - 1) / limit
        let size = (count + parts - 1) / parts
        return (size + multiple - 1) / multiple * multiple
    }
}

extension PackedProduct {
    init(_ product: GEMM<Float>) {
        unsafe self.init(
            transposeA: product.transposeA, m: product.m, n: product.n, k: product.k, alpha: product.alpha, a: product.a,
            lda: product.lda, b: .matrix(product.b, step: product.ldb, isTransposed: product.transposeB), start: product.start,
            c: product.c, ldc: product.ldc, precision: ProductPrecision(product.precision, isPacked: false))
    }
}
