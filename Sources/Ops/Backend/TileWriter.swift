import CKernels

/// Multiplies panels into the tiles of a row of C.
struct TileWriter {
    /// Some rows of A: a packed panel, or as they lie in the matrix.
    enum Left {
        case packed(UnsafePointer<Float>)
        case rows(UnsafePointer<Float>, step: Int)
    }

    /// What is read from memory while packed panels are multiplied: a row of a panel of B for each of theirs.
    struct Ahead {
        fileprivate let first: UnsafePointer<Float>
        fileprivate let step: Int

        /// What follows a panel that is read from memory itself, 4 KB ahead.
        static func stream(_ panel: UnsafePointer<Float>) -> Ahead { Ahead(first: panel + 1024, step: columns) }

        /// The part of the next panel's `rows` rows that falls to one of `count` products of `depth` steps.
        static func part(_ index: Int, of count: Int, _ panel: UnsafePointer<Float>, rows: Int, depth: Int) -> Ahead {
            let step = (rows * columns + count * depth - 1) / (count * depth)
            return Ahead(first: panel + index * step * depth, step: step)
        }
    }

    private static let rows = PackedProduct.rows
    private static let columns = PackedProduct.columns

    private let start: ProductStart<Float>
    private let isGated: Bool
    private let c: UnsafeMutablePointer<Float>
    private let ldc: Int
    /// A tile that isn't written to C as it is: at the edge of C, where the kernel writes whole rows of columns.
    private let edge: UnsafeMutablePointer<Float>
    /// Tiles of gates.
    private let gates: UnsafeMutablePointer<Float>
    /// A tile of the numbers that are added to the rows.
    private let offsets: UnsafeMutablePointer<Float>
    /// Whether both factors are panels of pairs of bfloat16.
    private let isPaired: Bool
    private var gate: UnsafeMutablePointer<Float>
    private var row = 0
    private var rowCount = 0
    private var addsToTarget = false
    private var isLast = false

    /// Floats that a writer needs, where so many gated tiles are begun before the first of them is finished.
    static func scratchSize(gatedTiles: Int = 1) -> Int { (2 + gatedTiles) * rows * columns }

    /// - Parameter scratch: room for ``scratchSize(gatedTiles:)`` floats.
    init(_ product: PackedProduct, scratch: UnsafeMutablePointer<Float>) {
        (start, isGated, isPaired) = (product.start, product.isGated, product.precision.pairsLeft)
        (c, ldc) = (product.c, product.ldc)
        edge = scratch
        offsets = edge + Self.rows * Self.columns
        gates = offsets + Self.rows * Self.columns
        gate = gates
    }

    /// - Parameters:
    ///   - addsToTarget: whether part of the product stands in C.
    ///   - isLast: whether this is the rest of it.
    ///   - index: of a gated tile among those that are begun together.
    mutating func begin(row: Int, rowCount: Int, addsToTarget: Bool, isLast: Bool, index: Int = 0) {
        gate = gates + (isGated ? index * Self.rows * Self.columns : 0)
        (self.row, self.rowCount, self.addsToTarget, self.isLast) = (row, rowCount, addsToTarget, isLast)
        if !addsToTarget, case .rows(let values) = start {
            for index in 0..<rowCount {
                (offsets + index * Self.columns).update(repeating: values[row + index], count: Self.columns)
            }
        }
    }

    func multiply(
        _ a: Left, _ b: UnsafePointer<Float>, depth: Int, column: Int, columnCount: Int, ahead: Ahead?
    ) {
        let target = c + row * ldc + column
        var first: UnsafePointer<Float>?
        var step = 0
        if addsToTarget {
            (first, step) = isGated ? (UnsafePointer(gate), Self.columns) : (UnsafePointer(target), ldc)
        } else {
            switch start {
            case .zero: break
            case .target: (first, step) = (UnsafePointer(target), ldc)
            case .columns(let values): first = values + column
            case .rows: (first, step) = (UnsafePointer(offsets), Self.columns)
            case .matrix(_, let numbers): first = numbers.map { $0 + column }
            }
        }
        if isGated {
            multiply(a, b, depth: depth, start: first, step, into: gate, Self.columns, ahead)
            guard isLast else { return }
            let half = Self.columns / 2
            ck_gated_gelu(gate, Self.columns, half, c + row * ldc + column / 2, ldc, Int(rowCount), half)
        } else if columnCount == Self.columns {
            multiply(a, b, depth: depth, start: first, step, into: target, ldc, ahead)
        } else {
            multiply(a, b, depth: depth, start: nil, 0, into: edge, Self.columns, ahead)
            for row in 0..<rowCount {
                for index in 0..<columnCount {
                    target[row * ldc + index] = edge[row * Self.columns + index] + (first.map { $0[row * step + index] } ?? 0)
                }
            }
        }
        if isLast, case .matrix(let values, _) = start {
            ck_add_rows(values + row * ldc + column, ldc, target, ldc, rowCount, columnCount)
        }
    }

    private func multiply(
        _ a: Left, _ b: UnsafePointer<Float>, depth: Int, start: UnsafePointer<Float>?, _ startStep: Int,
        into target: UnsafeMutablePointer<Float>, _ step: Int, _ ahead: Ahead?
    ) {
        let (level, rowCount) = (PackedProduct.level, Int32(rowCount))
        switch a {
        case .packed(let panel):
            let multiply = isPaired ? ck_gemm_pairs_kernel : ck_gemm_kernel
            multiply(
                level, rowCount, depth, panel, Self.rows, b, start, startStep, target, step, ahead?.first, ahead?.step ?? 0)
        case .rows(let first, let rowStep):
            ck_gemm_unpacked_kernel(level, rowCount, depth, first, rowStep, b, start, startStep, target, step)
        }
    }
}
