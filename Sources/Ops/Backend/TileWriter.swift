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

        /// The part of the next panel, `depth` rows, that falls to one of `count` products.
        static func part(_ index: Int, of count: Int, _ panel: UnsafePointer<Float>, depth: Int) -> Ahead {
            let step = (columns + count - 1) / count
            return Ahead(first: panel + index * step * depth, step: step)
        }
    }

    private static let rows = PackedProduct.rows
    private static let columns = PackedProduct.columns

    private let start: PackedProduct.Start
    private let isGated: Bool
    private let c: UnsafeMutablePointer<Float>
    private let ldc: Int
    /// A tile that isn't written to C as it is: at the edge of C, where the kernel writes whole rows of columns, or one of gates.
    private let edge: UnsafeMutablePointer<Float>
    /// A tile of the numbers that are added to the rows.
    private let offsets: UnsafeMutablePointer<Float>
    private var row = 0
    private var rowCount = 0
    private var addsToTarget = false
    private var isLast = false

    /// - Parameters:
    ///   - isGated: whether C is a · GELU(b) of the halves a and b of each tile, which are whole and not added to C.
    ///   - scratch: room for two tiles.
    init(
        start: PackedProduct.Start, isGated: Bool, c: UnsafeMutablePointer<Float>, ldc: Int,
        scratch: UnsafeMutablePointer<Float>
    ) {
        self.isGated = isGated
        (self.start, self.c, self.ldc) = (start, c, ldc)
        edge = scratch
        offsets = scratch + Self.rows * Self.columns
    }

    /// - Parameters:
    ///   - addsToTarget: whether part of the product stands in C.
    ///   - isLast: whether this is the rest of it.
    mutating func begin(row: Int, rowCount: Int, addsToTarget: Bool, isLast: Bool) {
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
            (first, step) = (UnsafePointer(target), ldc)
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
            multiply(a, b, depth: depth, start: first, step, into: edge, Self.columns, ahead)
            let half = Self.columns / 2
            ck_gated_gelu(edge, Self.columns, half, c + row * ldc + column / 2, ldc, Int(rowCount), half)
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
            ck_gemm_kernel(
                level, rowCount, depth, panel, Self.rows, b, start, startStep, target, step, ahead?.first, ahead?.step ?? 0)
        case .rows(let first, let rowStep):
            ck_gemm_unpacked_kernel(level, rowCount, depth, first, rowStep, b, start, startStep, target, step)
        }
    }
}
