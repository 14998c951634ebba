import CKernels

/// How the left factor of a product is packed into panels of rows, and which kernel multiplies them with a right factor's.
enum LeftPanels {
    /// Numbers of single precision, one column of a panel after the other.
    case numbers
    /// Pairs of bfloat16 in their place, see `bfloat16.h`.
    case pairs
    /// Rows of pairs for AMX, see `amx.h`.
    case tiles

    /// How pairs of bfloat16 are multiplied on this machine.
    static let ofPairs = ck_has_amx() != 0 ? LeftPanels.tiles : .pairs

    /// - Parameter isPaired: whether both factors are rounded to pairs of bfloat16.
    init(isPaired: Bool) { self = isPaired ? Self.ofPairs : .numbers }

    /// Rows of a panel.
    var rows: Int { self == .tiles ? Int(CK_AMX_PANEL) : unsafe PackedProduct.rows }

    /// Rows that the kernel computes together: with fewer it is no faster.
    var rowMultiple: Int { self == .tiles ? Int(CK_AMX_TILE) : 1 }

    /// Steps of the kernel after which a panel may be cut.
    var stepMultiple: Int { self == .tiles ? Int(CK_AMX_TILE) : 1 }

    /// Steps of the kernel for `k` numbers of a row.
    func steps(_ k: Int) -> Int { PanelLayout.rows(depth: k, isPaired: self != .numbers) }

    /// Steps that the kernel takes fastest, of which those behind `steps` have zeros in the left panel.
    func wholeSteps(_ steps: Int) -> Int { (steps + stepMultiple - 1) / stepMultiple * stepMultiple }

    /// Floats of a panel, with what packing may write behind it.
    func size(steps: Int) -> Int {
        self == .tiles ? ck_amx_left_size(2 * steps) : rows * steps + 16
    }

    /// Packs `count` rows of `k` numbers times a factor.
    func packRows(
        _ source: UnsafePointer<Float>, step: Int, k: Int, count: Int, factor: Float = 1,
        into panel: UnsafeMutablePointer<Float>
    ) {
        switch self {
        case .numbers:
            unsafe ck_pack_rows(source, step, k, Int32(count), Int32(rows), panel)
            if factor != 1 { for index in 0..<k * rows { unsafe panel[index] *= factor } }
        case .pairs: unsafe ck_pack_row_pairs(source, step, k, Int32(count), Int32(rows), factor, panel)
        case .tiles: unsafe ck_amx_pack_rows(source, step, k, Int32(count), factor, panel)
        }
    }

    /// Packs `count` rows of a factor that is given as its transpose, `k` rows.
    func packColumns(
        _ source: UnsafePointer<Float>, step: Int, k: Int, count: Int, factor: Float = 1,
        into panel: UnsafeMutablePointer<Float>
    ) {
        switch self {
        case .numbers:
            unsafe ck_pack_columns(source, step, k, Int32(count), Int32(rows), panel, rows)
            if factor != 1 { for index in 0..<k * rows { unsafe panel[index] *= factor } }
        case .pairs: unsafe ck_pack_column_pairs(source, step, k, Int32(count), Int32(rows), factor, panel, rows)
        case .tiles: unsafe ck_amx_pack_columns(source, step, k, Int32(count), factor, panel)
        }
    }

    /// Calls `body` on a thread whose registers are ready for ``multiply(rows:steps:_:_:start:startStep:into:step:columns:ahead:aheadStep:)``.
    func withRegisters<Result>(_ body: () -> Result) -> Result {
        guard self == .tiles else { return body() }
        ck_amx_begin()
        defer { ck_amx_end() }
        return body()
    }

    /// Whether the kernel can compute the first columns of a tile alone.
    var writesParts: Bool { self != .tiles }

    /// Multiplies a panel's first rows with a right panel; see `ck_gemm_kernel` for the parameters.
    ///
    /// - Parameter columns: how many of the first are wanted; where ``writesParts`` says so only these are read of `start`, and written.
    func multiply(
        rows: Int, steps: Int, _ left: UnsafePointer<Float>, _ right: UnsafePointer<Float>,
        start: UnsafePointer<Float>? = nil, startStep: Int = 0, into target: UnsafeMutablePointer<Float>, step: Int,
        columns: Int = unsafe PackedProduct.columns, ahead: UnsafePointer<Float>? = nil, aheadStep: Int = 0
    ) {
        let (count, level) = unsafe (Int32(rows), PackedProduct.level)
        let isWhole = unsafe columns == PackedProduct.columns
        switch self {
        case .numbers where !isWhole:
            unsafe ck_gemm_edge_kernel(
                level, count, Int32(columns), 1, steps, left, self.rows, right, start, startStep, target, step)
        case .pairs where !isWhole:
            unsafe ck_gemm_pairs_edge_kernel(
                count, Int32(columns), steps, left, self.rows, right, start, startStep, target, step)
        case .numbers:
            unsafe ck_gemm_kernel(
                level, count, steps, left, self.rows, right, start, startStep, target, step, ahead, aheadStep)
        case .pairs:
            unsafe ck_gemm_pairs_kernel(
                level, count, steps, left, self.rows, right, start, startStep, target, step, ahead, aheadStep)
        case .tiles:
            unsafe ck_amx_multiply_pairs(count, steps, left, right, start, startStep, target, step, ahead, aheadStep)
        }
    }

    /// Multiplies the first rows of consecutive panels with a right panel that the first-level cache holds; sums follow each other,
    /// a right panel's columns a row, with room for whole panels.
    ///
    /// - Parameters:
    ///   - panelSize: floats from one left panel to the next.
    ///   - adds: whether sums are added to what is there.
    ///   - columns: how many of the first are wanted.
    func multiplyPanels(
        rows: Int, steps: Int, _ left: UnsafePointer<Float>, panelSize: Int, _ right: UnsafePointer<Float>, adds: Bool = false,
        into target: UnsafeMutablePointer<Float>, columns: Int = unsafe PackedProduct.columns
    ) {
        guard rows > 0 else { return }
        guard self != .tiles else {
            return unsafe ck_amx_multiply_panels(rows, steps, left, panelSize, right, adds ? 1 : 0, target)
        }
        let lanes = unsafe PackedProduct.columns
        for first in stride(from: 0, to: rows, by: self.rows) {
            let sums = unsafe target + first * lanes
            unsafe multiply(
                rows: min(self.rows, rows - first), steps: steps, left + first / self.rows * panelSize, right,
                start: adds ? UnsafePointer(sums) : nil, startStep: lanes, into: sums, step: lanes, columns: columns)
        }
    }
}
