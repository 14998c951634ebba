import CKernels

/// The right factor of a product, cut into blocks that the second-level cache holds.
struct RightBlocks {
    /// Columns of a block.
    let width: Int
    /// Rows of a block: columns of the panels of the left factor, which stay in the first-level cache.
    let depth: Int
    /// Floats that a block is packed into; 0 where the factor is packed already.
    let packedSize: Int
    private let factor: PackedProduct.Right
    private let n: Int
    private let k: Int
    private let readsAhead: Bool

    private static let columns = PackedProduct.columns
    private static let largestWidth = 512
    private static let largestDepth = 640
    /// Elements of a block.
    private static let elements = 200 << 10
    /// With more rows of the left factor than this, reading the right one takes so little of the time that reading ahead doesn't show.
    private static let mostRowsReadAhead = 256

    /// - Parameters:
    ///   - m: rows of the left factor.
    ///   - n: columns of the right factor.
    ///   - k: its rows.
    ///   - splitsDepth: whether a block may have fewer rows than the factor.
    init(_ factor: PackedProduct.Right, m: Int, n: Int, k: Int, splitsDepth: Bool) {
        self.factor = factor
        (self.n, self.k) = (n, k)
        let fitting = splitsDepth ? Self.largestWidth : min(Self.largestWidth, Self.elements / k)
        width = PackedProduct.balanced(n, limit: max(fitting, Self.columns), multiple: Self.columns)
        depth =
            splitsDepth ? PackedProduct.balanced(k, limit: min(Self.elements / width, Self.largestDepth), multiple: 1) : k
        switch factor {
        case .panels:
            packedSize = 0
            // The kernel's own reading ahead suffices.
            readsAhead = false
        case .matrix(_, _, let isTransposed):
            packedSize = width * depth
            readsAhead = m <= Self.mostRowsReadAhead && !isTransposed
        }
    }

    /// The block that begins at a column and a row: its first panel, from one column to the next as many numbers as `depth`, and whether
    /// it may lie in memory, not in cache.
    ///
    /// - Parameter memory: room for ``packedSize`` floats.
    func panels(column: Int, inner: Int, memory: UnsafeMutablePointer<Float>) -> (
        first: UnsafePointer<Float>, depth: Int, isInMemory: Bool
    ) {
        switch factor {
        case .panels(let first): return (first + column * k + inner * Self.columns, k, true)
        case .matrix(let first, let step, let isTransposed):
            let depth = min(depth, k - inner)
            PanelLayout(width: Self.columns, columns: min(width, n - column), depth: depth, isTransposed: isTransposed).pack(
                isTransposed ? first + column * step + inner : first + inner * step + column, step: step, into: memory)
            return (UnsafePointer(memory), depth, false)
        }
    }

    /// Reads the block after that of a column and a row.
    ///
    /// - Parameter calls: of ``ReadAhead/advance()``, after which all is read.
    func readAhead(after column: Int, _ inner: Int, calls: Int) -> ReadAhead {
        let (nextColumn, nextInner) = inner + depth < k ? (column, inner + depth) : (column + width, 0)
        guard readsAhead, nextColumn < n, case .matrix(let first, let step, _) = factor else { return ReadAhead() }
        return ReadAhead(
            first + nextInner * step + nextColumn, step, rows: min(depth, k - nextInner), columns: min(width, n - nextColumn),
            calls: calls)
    }
}

/// Reads rows of a matrix into the second-level cache before they are needed, a few with each call.
struct ReadAhead {
    private var place: UnsafePointer<Float>?
    private var step = 0
    private var columnCount = 0
    private var rowsLeft = 0
    private var rowsPerCall = 0

    /// Nothing to read.
    init() {}

    /// - Parameter calls: of ``advance()``, after which all is read.
    init(_ first: UnsafePointer<Float>, _ step: Int, rows: Int, columns: Int, calls: Int) {
        place = first
        self.step = step
        columnCount = columns
        rowsLeft = rows
        rowsPerCall = (rows + calls - 1) / calls
    }

    mutating func advance() {
        guard rowsLeft > 0, let first = place else { return }
        let count = min(rowsPerCall, rowsLeft)
        ck_prefetch_rows(first, step, count, columnCount)
        place = first + count * step
        rowsLeft -= count
    }
}
