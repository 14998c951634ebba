import CKernels
import GraphRuntime

/// Single-precision matrix products by this project's own kernels, on the calling thread: operands are packed block by block into
/// panels that stay in cache (Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008).
enum PackedProduct {
    /// The instruction set that the kernels use on this machine.
    static let level = ck_level()
    static let tile = ck_gemm_tile(level)
    static let rows = Int(tile.rows)
    static let columns = Int(tile.columns)

    /// Whether the kernels beat OpenBLAS: not the plain ones, and not where a matrix is little more than a vector.
    static func isPreferred(m: Int, n: Int, k: Int) -> Bool { level != 0 && m >= 4 && n >= 8 && k >= 4 }

    /// What a product is added to.
    enum Start {
        case zero
        /// What stands in C.
        case target
        /// n numbers, each added to a column of C.
        case columns(UnsafePointer<Float>)
        /// m numbers, each added to a row of C.
        case rows(UnsafePointer<Float>)
        /// A matrix that lies as C does, and n numbers as ``columns(_:)`` has them, if any. The matrix is added last: beside its larger
        /// numbers the products would lose more digits.
        case matrix(UnsafePointer<Float>, columns: UnsafePointer<Float>?)
    }

    /// Elements of A that are kept packed from one block of columns to the next.
    private static let keptElements = 4 << 20
    /// With fewer rows than this, of which B's blocks take more than A's rows, packing A costs little.
    private static let leastRowsUnpacked = 128

    /// The right factor op(B), k×n.
    enum Right {
        /// `step` numbers from one row to the next, of the factor or of its transpose.
        case matrix(UnsafePointer<Float>, step: Int, isTransposed: Bool)
        /// Panels of ``columns`` columns, as ``PanelLayout`` has them.
        case panels(UnsafePointer<Float>)
    }

    /// C = alpha · op(A) · op(B) + start; row-major, with op(A) m×k, op(B) k×n and C m×n.
    ///
    /// Blocks of B, packed one after the other where they aren't yet, meet all of A, which is packed when the first of them does. Panels
    /// of B that meet few rows of A are what takes the time to read, see ``runPanelByPanel(transposeA:m:n:k:alpha:a:lda:panels:start:c:ldc:)``.
    ///
    /// - Parameter isGated: whether C is a · GELU(b) of the halves a and b of each panel of B, which then has whole panels.
    /// - Returns: false, with nothing done, where there is no memory to pack into.
    static func run(
        transposeA: Bool, m: Int, n: Int, k: Int, alpha: Float, a: UnsafePointer<Float>, lda: Int, b: Right, start: Start,
        isGated: Bool = false, c: UnsafeMutablePointer<Float>, ldc: Int
    ) -> Bool {
        if case .panels(let first) = b, m <= min(mostRowsKept, n) {
            return runPanelByPanel(
                transposeA: transposeA, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, panels: first, start: start,
                isGated: isGated, c: c, ldc: ldc)
        }
        let blocks = RightBlocks(b, m: m, n: n, k: k, splitsDepth: !isGated)
        let (width, depth) = (blocks.width, blocks.depth)
        let packsA = transposeA || alpha != 1 || !isReadableByRows(stride: lda) || m < leastRowsUnpacked || n > 2 * width
        // One block of columns needs each panel of A once.
        let keepsA = packsA && n > width
        let blockRows = keepsA ? min(balanced(m, limit: max(keptElements / k, rows), multiple: rows), m) : m
        let rowPanels = keepsA ? (blockRows + rows - 1) / rows : 1
        // Packing may write 16 floats behind a panel.
        let panelStep = rows * (keepsA ? k : depth) + 16
        let sizeOfA = rowPanels * panelStep
        guard let memory = ThreadScratch.floats(blocks.packedSize + sizeOfA + 2 * rows * columns + 64) else { return false }
        let packedA = memory + blocks.packedSize
        var tile = TileWriter(start: start, isGated: isGated, c: c, ldc: ldc, scratch: packedA + sizeOfA)
        for firstRow in stride(from: 0, to: m, by: blockRows) {
            let lastRow = min(firstRow + blockRows, m)
            for column in stride(from: 0, to: n, by: width) {
                let columnCount = min(width, n - column)
                for inner in stride(from: 0, to: k, by: depth) {
                    let innerCount = min(depth, k - inner)
                    let panels = blocks.panels(column: column, inner: inner, memory: memory)
                    let calls = (lastRow - firstRow + rows - 1) / rows * ((columnCount + columns - 1) / columns)
                    var ahead = blocks.readAhead(after: column, inner, calls: calls)
                    for row in stride(from: firstRow, to: lastRow, by: rows) {
                        let rowCount = min(rows, lastRow - row)
                        let source = transposeA ? a + inner * lda + row : a + row * lda + inner
                        let panel = packedA + (keepsA ? (row - firstRow) / rows * panelStep + inner * rows : 0)
                        if packsA, !keepsA || column == 0 {
                            packA(
                                source, lda, transposed: transposeA, rows: rowCount, depth: innerCount, alpha: alpha,
                                into: panel)
                        }
                        tile.begin(row: row, rowCount: rowCount, addsToTarget: inner > 0, isLast: inner + depth >= k)
                        let left = packsA ? TileWriter.Left.packed(UnsafePointer(panel)) : .rows(source, step: lda)
                        for part in stride(from: 0, to: columnCount, by: columns) {
                            let right = panels.first + part * panels.depth
                            tile.multiply(
                                left, right, depth: innerCount, column: column + part,
                                columnCount: min(columns, columnCount - part),
                                ahead: panels.isInMemory && row == firstRow ? .stream(right) : nil)
                            ahead.advance()
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

    /// Rows of A that stay in the second-level cache while panels of B pass by.
    private static let mostRowsKept = 512
    /// Elements of A that do.
    private static let keptSlice = 256 << 10
    private static let largestDepth = 640

    /// The product with panels of B that come from memory: a slice of A is packed, and each panel meets all of its rows while the next
    /// panel is read.
    private static func runPanelByPanel(
        transposeA: Bool, m: Int, n: Int, k: Int, alpha: Float, a: UnsafePointer<Float>, lda: Int, panels: UnsafePointer<Float>,
        start: Start, isGated: Bool, c: UnsafeMutablePointer<Float>, ldc: Int
    ) -> Bool {
        let depth = isGated ? k : balanced(k, limit: min(largestDepth, keptSlice / m), multiple: 1)
        // Tiles of as equal a height as possible: each reads the panel once.
        let tileRows = balanced(m, limit: rows, multiple: 1)
        let tiles = (m + tileRows - 1) / tileRows
        let sliceStep = rows * depth + 16
        guard let memory = ThreadScratch.floats(tiles * sliceStep + 2 * rows * columns) else { return false }
        var tile = TileWriter(start: start, isGated: isGated, c: c, ldc: ldc, scratch: memory + tiles * sliceStep)
        for inner in stride(from: 0, to: k, by: depth) {
            let innerCount = min(depth, k - inner)
            for index in 0..<tiles {
                let row = index * tileRows
                packA(
                    transposeA ? a + inner * lda + row : a + row * lda + inner, lda, transposed: transposeA,
                    rows: min(tileRows, m - row), depth: innerCount, alpha: alpha, into: memory + index * sliceStep)
            }
            for column in stride(from: 0, to: n, by: columns) {
                let panel = panels + column * k + inner * columns
                let next = column + columns < n ? panel + columns * k : panels + (inner + innerCount) * columns
                for index in 0..<tiles {
                    let row = index * tileRows
                    tile.begin(
                        row: row, rowCount: min(tileRows, m - row), addsToTarget: inner > 0, isLast: inner + depth >= k)
                    tile.multiply(
                        .packed(UnsafePointer(memory + index * sliceStep)), panel, depth: innerCount, column: column,
                        columnCount: min(columns, n - column),
                        ahead: tiles == 1 ? .stream(panel) : .part(index, of: tiles, next, depth: innerCount))
                }
            }
        }
        return true
    }

    private static func packA(
        _ a: UnsafePointer<Float>, _ lda: Int, transposed: Bool, rows count: Int, depth: Int, alpha: Float,
        into panel: UnsafeMutablePointer<Float>
    ) {
        if transposed {
            ck_pack_columns(a, lda, depth, Int32(count), Int32(rows), panel)
        } else {
            ck_pack_rows(a, lda, depth, Int32(count), Int32(rows), panel)
        }
        if alpha != 1 { for index in 0..<depth * rows { panel[index] *= alpha } }
    }

    /// The size of equal parts of `count` that are no longer than `limit`.
    static func balanced(_ count: Int, limit: Int, multiple: Int) -> Int {
        let parts = (count + limit - 1) / limit
        let size = (count + parts - 1) / parts
        return (size + multiple - 1) / multiple * multiple
    }
}
