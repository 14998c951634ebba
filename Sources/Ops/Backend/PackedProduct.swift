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
    /// Blocks of B, packed one after the other where they aren't yet, meet all of A, which is packed when the first of them does.
    ///
    /// - Returns: false, with nothing done, where there is no memory to pack into.
    static func run(
        transposeA: Bool, m: Int, n: Int, k: Int, alpha: Float, a: UnsafePointer<Float>, lda: Int, b: Right, start: Start,
        c: UnsafeMutablePointer<Float>, ldc: Int
    ) -> Bool {
        let blocks = RightBlocks(b, m: m, n: n, k: k)
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
        var tile = TileWriter(start: start, c: c, ldc: ldc, scratch: packedA + sizeOfA)
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
                        let left = packsA ? Left.packed(UnsafePointer(panel)) : .rows(source, step: lda)
                        for part in stride(from: 0, to: columnCount, by: columns) {
                            tile.multiply(
                                left, panels.first + part * panels.depth, depth: innerCount, column: column + part,
                                columnCount: min(columns, columnCount - part))
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

    /// Multiplies panels into the tiles of a row of C.
    private struct TileWriter {
        private let start: Start
        private let c: UnsafeMutablePointer<Float>
        private let ldc: Int
        /// A tile at the edge of C, whose kernel writes whole rows of columns.
        private let edge: UnsafeMutablePointer<Float>
        /// A tile of the numbers that are added to the rows.
        private let offsets: UnsafeMutablePointer<Float>
        private var row = 0
        private var rowCount = 0
        private var addsToTarget = false
        private var isLast = false

        /// - Parameter scratch: room for two tiles.
        init(start: Start, c: UnsafeMutablePointer<Float>, ldc: Int, scratch: UnsafeMutablePointer<Float>) {
            (self.start, self.c, self.ldc) = (start, c, ldc)
            edge = scratch
            offsets = scratch + rows * columns
        }

        /// - Parameters:
        ///   - addsToTarget: whether part of the product stands in C.
        ///   - isLast: whether this is the rest of it.
        mutating func begin(row: Int, rowCount: Int, addsToTarget: Bool, isLast: Bool) {
            (self.row, self.rowCount, self.addsToTarget, self.isLast) = (row, rowCount, addsToTarget, isLast)
            if !addsToTarget, case .rows(let values) = start {
                for index in 0..<rowCount {
                    (offsets + index * columns).update(repeating: values[row + index], count: columns)
                }
            }
        }

        func multiply(_ a: Left, _ b: UnsafePointer<Float>, depth: Int, column: Int, columnCount: Int) {
            let target = c + row * ldc + column
            var first: UnsafePointer<Float>?
            var step = 0
            if addsToTarget {
                (first, step) = (UnsafePointer(target), ldc)
            } else {
                switch start {
                case .zero: break
                case .target: (first, step) = (UnsafePointer(target), ldc)
                case .columns(let values): first = values + column
                case .rows: (first, step) = (UnsafePointer(offsets), columns)
                case .matrix(_, let numbers): first = numbers.map { $0 + column }
                }
            }
            if columnCount == columns {
                multiply(a, b, depth: depth, start: first, step, into: target, ldc)
            } else {
                multiply(a, b, depth: depth, start: nil, 0, into: edge, columns)
                for row in 0..<rowCount {
                    for index in 0..<columnCount {
                        target[row * ldc + index] = edge[row * columns + index] + (first.map { $0[row * step + index] } ?? 0)
                    }
                }
            }
            if isLast, case .matrix(let values, _) = start {
                ck_add_rows(values + row * ldc + column, ldc, target, ldc, rowCount, columnCount)
            }
        }

        private func multiply(
            _ a: Left, _ b: UnsafePointer<Float>, depth: Int, start: UnsafePointer<Float>?, _ startStep: Int,
            into target: UnsafeMutablePointer<Float>, _ step: Int
        ) {
            switch a {
            case .packed(let panel):
                ck_gemm_kernel(level, Int32(rowCount), depth, panel, rows, b, start, startStep, target, step)
            case .rows(let first, let rowStep):
                ck_gemm_unpacked_kernel(level, Int32(rowCount), depth, first, rowStep, b, start, startStep, target, step)
            }
        }
    }

    /// Some rows of A: a packed panel, or as they lie in the matrix.
    private enum Left {
        case packed(UnsafePointer<Float>)
        case rows(UnsafePointer<Float>, step: Int)
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
