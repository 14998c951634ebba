import CKernels

/// The right factor of a product, cut into blocks that the second-level cache holds.
@unsafe
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

    private static let columns = unsafe PackedProduct.columns
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
        unsafe self.factor = unsafe factor
        unsafe self.precision = precision
        unsafe (self.n, self.k) = (n, k)
        let steps = (k + precision.numbersPerStep - 1) / precision.numbersPerStep
        let fitting = unsafe splitsDepth ? Self.largestWidth : min(Self.largestWidth, Self.elements / steps)
        unsafe width = unsafe PackedProduct.balanced(n, limit: max(fitting, Self.columns), multiple: Self.columns)
        unsafe depth =
            unsafe splitsDepth
            ? PackedProduct.balanced(
                steps, limit: min(Self.elements / width, Self.largestDepth), multiple: max(2, precision.groupSteps))
            : steps
        switch unsafe factor {
        case .panels(let first):
            let stored = unsafe StoredPanels(first, k: k, precision: precision)
            unsafe packedSize = unsafe width / Self.columns * stored.widenedSize(depth: depth)
            // The kernel's own reading ahead suffices.
            unsafe readsAhead = false
        case .matrix(_, _, let isTransposed):
            unsafe packedSize = unsafe width * depth
            unsafe readsAhead = unsafe m <= Self.mostRowsReadAhead && !isTransposed
        }
    }

    /// The block that begins at a column and a step of the kernel: its first panel, from one column to the next as many numbers as
    /// `depth`, and whether it may lie in memory, not in cache.
    ///
    /// - Parameter memory: room for ``packedSize`` floats.
    func panels(column: Int, inner: Int, memory: UnsafeMutablePointer<Float>) -> (
        first: UnsafePointer<Float>, depth: Int, isInMemory: Bool
    ) {
        switch unsafe factor {
        case .panels(let first):
            let stored = unsafe StoredPanels(first, k: k, precision: precision)
            guard unsafe stored.widens else {
                return unsafe (stored.place(column: column, inner: inner), precision.panelRows(depth: k), true)
            }
            let count = unsafe min(depth, k - inner)
            let size = unsafe stored.widenedSize(depth: count)
            for (index, part) in unsafe stride(from: column, to: min(column + width, n), by: Self.columns).enumerated() {
                _ = unsafe stored.widen(column: part, inner: inner, depth: count, into: memory + index * size)
            }
            return unsafe (UnsafePointer(memory), size / Self.columns, false)
        case .matrix(let first, let step, let isTransposed):
            let row = unsafe inner * precision.numbersPerStep
            let layout = unsafe PanelLayout(
                width: Self.columns, columns: min(width, n - column), depth: min(depth * precision.numbersPerStep, k - row),
                isTransposed: isTransposed, precision: precision.pairsLeft ? .bfloat16 : .single)
            unsafe layout.pack(
                isTransposed ? first + column * step + row : first + row * step + column, step: step, into: memory)
            return unsafe (UnsafePointer(memory), layout.panelRows, false)
        }
    }

    /// Reads the block after that of a column and a step.
    ///
    /// - Parameter calls: of ``ReadAhead/advance()``, after which all is read.
    func readAhead(after column: Int, _ inner: Int, calls: Int) -> ReadAhead {
        let (row, rows) = unsafe ((inner + depth) * precision.numbersPerStep, depth * precision.numbersPerStep)
        let (nextColumn, nextRow) = unsafe row < k ? (column, row) : (column + width, 0)
        guard unsafe readsAhead, unsafe nextColumn < n, case .matrix(let first, let step, _) = unsafe factor else {
            return unsafe ReadAhead()
        }
        return unsafe ReadAhead(
            first + nextRow * step + nextColumn, step, rows: min(rows, k - nextRow), columns: min(width, n - nextColumn),
            calls: calls)
    }
}

/// Reads rows of a matrix into the second-level cache before they are needed, a few with each call.
@unsafe
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
        unsafe place = unsafe first
        unsafe self.step = step
        unsafe columnCount = columns
        unsafe rowsLeft = rows
        unsafe rowsPerCall = (rows + calls - 1) / calls
    }

    mutating func advance() {
        guard unsafe rowsLeft > 0, let first = unsafe place else { return }
        let count = unsafe min(rowsPerCall, rowsLeft)
        unsafe ck_prefetch_rows(first, step, count, columnCount)
        unsafe place = unsafe first + count * step
        unsafe rowsLeft -= count
    }
}
