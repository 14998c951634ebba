import CKernels

/// The right factor of a product, cut into blocks that the second-level cache holds.
struct RightBlocks {
    /// Columns of a block.
    let width: Int
    /// Rows of a block, as steps of the kernel: columns of the panels of the left factor, which stay in the first-level cache.
    let depth: Int
    /// Floats that a block is packed into, or widened; 0 where the kernel takes the factor as it is.
    let packedSize: Int
    private let factor: PackedProduct.Right
    private let n: Int
    private let k: Int
    private let precision: ProductPrecision
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
    init(_ factor: PackedProduct.Right, m: Int, n: Int, k: Int, splitsDepth: Bool, precision: ProductPrecision) {
        self.factor = factor
        self.precision = precision
        (self.n, self.k) = (n, k)
        let steps = (k + precision.numbersPerStep - 1) / precision.numbersPerStep
        let fitting = splitsDepth ? Self.largestWidth : min(Self.largestWidth, Self.elements / steps)
        width = PackedProduct.balanced(n, limit: max(fitting, Self.columns), multiple: Self.columns)
        depth =
            splitsDepth
            ? PackedProduct.balanced(steps, limit: min(Self.elements / width, Self.largestDepth), multiple: 2) : steps
        switch factor {
        case .panels(let first):
            let stored = StoredPanels(first, k: k, precision: precision)
            packedSize = width / Self.columns * stored.widenedSize(depth: depth)
            // The kernel's own reading ahead suffices.
            readsAhead = false
        case .matrix(_, _, let isTransposed):
            packedSize = width * depth
            readsAhead = m <= Self.mostRowsReadAhead && !isTransposed
        }
    }

    /// The block that begins at a column and a step of the kernel: its first panel, from one column to the next as many numbers as
    /// `depth`, and whether it may lie in memory, not in cache.
    ///
    /// - Parameter memory: room for ``packedSize`` floats.
    func panels(column: Int, inner: Int, memory: UnsafeMutablePointer<Float>) -> (
        first: UnsafePointer<Float>, depth: Int, isInMemory: Bool
    ) {
        switch factor {
        case .panels(let first):
            let stored = StoredPanels(first, k: k, precision: precision)
            let place = stored.place(column: column, inner: inner)
            guard stored.widens else { return (place, PanelLayout.rows(depth: k, isPaired: precision.pairsRight), true) }
            let count = min(depth, k - inner)
            let size = stored.widenedSize(depth: count)
            for (index, part) in stride(from: column, to: min(column + width, n), by: Self.columns).enumerated() {
                _ = stored.widen(stored.place(column: part, inner: inner), depth: count, into: memory + index * size)
            }
            return (UnsafePointer(memory), size / Self.columns, false)
        case .matrix(let first, let step, let isTransposed):
            let row = inner * precision.numbersPerStep
            let layout = PanelLayout(
                width: Self.columns, columns: min(width, n - column), depth: min(depth * precision.numbersPerStep, k - row),
                isTransposed: isTransposed, isPaired: precision.pairsLeft)
            layout.pack(
                isTransposed ? first + column * step + row : first + row * step + column, step: step, into: memory)
            return (UnsafePointer(memory), layout.panelRows, false)
        }
    }

    /// Reads the block after that of a column and a step.
    ///
    /// - Parameter calls: of ``ReadAhead/advance()``, after which all is read.
    func readAhead(after column: Int, _ inner: Int, calls: Int) -> ReadAhead {
        let (row, rows) = ((inner + depth) * precision.numbersPerStep, depth * precision.numbersPerStep)
        let (nextColumn, nextRow) = row < k ? (column, row) : (column + width, 0)
        guard readsAhead, nextColumn < n, case .matrix(let first, let step, _) = factor else { return ReadAhead() }
        return ReadAhead(
            first + nextRow * step + nextColumn, step, rows: min(rows, k - nextRow), columns: min(width, n - nextColumn),
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
