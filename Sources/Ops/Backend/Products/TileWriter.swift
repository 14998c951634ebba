import CKernels

/// Multiplies panels into the tiles of a row of C.
@unsafe
struct TileWriter {
    /// Some rows of A: a packed panel, or as they lie in the matrix.
    @unsafe
    enum Left {
        case packed(UnsafePointer<Float>)
        case rows(UnsafePointer<Float>, step: Int)
    }

    /// What is read from memory while packed panels are multiplied: a row of a panel of B for each of theirs.
    @unsafe
    struct Ahead {
        fileprivate let first: UnsafePointer<Float>
        fileprivate let step: Int

        /// What follows a panel that is read from memory itself, 4 KB ahead.
        static func stream(_ panel: UnsafePointer<Float>) -> Ahead { unsafe Ahead(first: panel + 1024, step: columns) }

        /// The part of the next panel's `rows` rows that falls to one of `count` products of `depth` steps.
        static func part(_ index: Int, of count: Int, _ panel: UnsafePointer<Float>, rows: Int, depth: Int) -> Ahead {
            let step = (rows * columns + count * depth - 1) / (count * depth)
            return unsafe Ahead(first: panel + index * step * depth, step: step)
        }
    }

    private static let columns = unsafe PackedProduct.columns

    private let start: ProductStart<Float>
    private let isGated: Bool
    /// Whether the gate's half is taken last.
    private let halvesLast: Bool
    private let c: UnsafeMutablePointer<Float>
    private let ldc: Int
    /// A tile that isn't written to C as it is: at the edge of C, where a kernel writes whole rows of columns.
    private let edge: UnsafeMutablePointer<Float>
    /// Tiles of gates.
    private let gates: UnsafeMutablePointer<Float>
    /// A tile of the numbers that are added to the rows.
    private let offsets: UnsafeMutablePointer<Float>
    private let left: LeftPanels
    private var gate: UnsafeMutablePointer<Float>
    private var row = 0
    private var rowCount = 0
    private var addsToTarget = false
    private var isLast = false

    /// Floats that a writer needs for panels of so many rows, where so many gated tiles are begun before the first of them is finished.
    static func scratchSize(rows: Int, gatedTiles: Int = 1) -> Int { unsafe (2 + gatedTiles) * rows * columns }

    /// - Parameter scratch: room for ``scratchSize(rows:gatedTiles:)`` floats.
    init(_ product: PackedProduct, scratch: UnsafeMutablePointer<Float>) {
        unsafe (start, isGated) = unsafe (product.start, product.isGated)
        unsafe left = unsafe LeftPanels(isPaired: product.precision.pairsLeft)
        unsafe halvesLast = unsafe product.halvesLast
        unsafe (c, ldc) = unsafe (product.c, product.ldc)
        unsafe edge = unsafe scratch
        unsafe offsets = unsafe edge + left.rows * Self.columns
        unsafe gates = unsafe offsets + left.rows * Self.columns
        unsafe gate = unsafe gates
    }

    /// - Parameters:
    ///   - addsToTarget: whether part of the product is in C already.
    ///   - isLast: whether this is the rest of it.
    ///   - index: of a gated tile among those that are begun together.
    mutating func begin(row: Int, rowCount: Int, addsToTarget: Bool, isLast: Bool, index: Int = 0) {
        unsafe gate = unsafe gates + (isGated ? index * left.rows * Self.columns : 0)
        unsafe (self.row, self.rowCount, self.addsToTarget, self.isLast) = (row, rowCount, addsToTarget, isLast)
        if !addsToTarget, case .rows(let values) = unsafe start {
            for index in 0..<rowCount {
                unsafe (offsets + index * Self.columns).update(repeating: values[row + index], count: Self.columns)
            }
        }
    }

    func multiply(
        _ a: Left, _ b: UnsafePointer<Float>, depth: Int, column: Int, columnCount: Int, ahead: Ahead?
    ) {
        let target = unsafe c + row * ldc + column
        var first: UnsafePointer<Float>?
        var step = 0
        if unsafe addsToTarget {
            unsafe (first, step) = unsafe isGated ? (UnsafePointer(gate), Self.columns) : (UnsafePointer(target), ldc)
        } else {
            switch unsafe start {
            case .zero: break
            case .target: unsafe (first, step) = unsafe (UnsafePointer(target), ldc)
            case .columns(let values): unsafe first = unsafe values + column
            case .rows: unsafe (first, step) = unsafe (UnsafePointer(offsets), Self.columns)
            case .matrix(_, let numbers): unsafe first = unsafe numbers.map { unsafe $0 + column }
            }
        }
        if unsafe isGated {
            unsafe multiply(a, b, depth: depth, start: first, step, into: gate, Self.columns, ahead)
            guard unsafe isLast else { return }
            let half = unsafe Self.columns / 2
            unsafe ck_gated_gelu(
                gate, Self.columns, half, c + row * ldc + column / 2, ldc, Int(rowCount), half, halvesLast ? 1 : 0)
        } else if unsafe columnCount == Self.columns || left.writesParts {
            unsafe multiply(a, b, depth: depth, start: first, step, into: target, ldc, columns: columnCount, ahead)
        } else {
            unsafe multiply(a, b, depth: depth, start: nil, 0, into: edge, Self.columns, ahead)
            for row in unsafe 0..<rowCount {
                for index in 0..<columnCount {
                    unsafe target[row * ldc + index] =
                        unsafe edge[row * Self.columns + index] + (first.map { unsafe $0[row * step + index] } ?? 0)
                }
            }
        }
        if unsafe isLast, case .matrix(let values, _) = unsafe start {
            unsafe ck_add_rows(values + row * ldc + column, ldc, target, ldc, rowCount, columnCount)
        }
    }

    private func multiply(
        _ a: Left, _ b: UnsafePointer<Float>, depth: Int, start: UnsafePointer<Float>?, _ startStep: Int,
        into target: UnsafeMutablePointer<Float>, _ step: Int, columns: Int = columns, _ ahead: Ahead?
    ) {
        switch unsafe a {
        case .packed(let panel):
            unsafe left.multiply(
                rows: rowCount, steps: depth, panel, b, start: start, startStep: startStep, into: target, step: step,
                columns: columns, ahead: ahead?.first, aheadStep: ahead?.step ?? 0)
        case .rows(let first, let rowStep) where unsafe columns < Self.columns:
            unsafe ck_gemm_edge_kernel(
                PackedProduct.level, Int32(rowCount), Int32(columns), 0, depth, first, rowStep, b, start, startStep, target,
                step)
        case .rows(let first, let rowStep):
            unsafe ck_gemm_unpacked_kernel(
                PackedProduct.level, Int32(rowCount), depth, first, rowStep, b, start, startStep, target, step)
        }
    }
}
