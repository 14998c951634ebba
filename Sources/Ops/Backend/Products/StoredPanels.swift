import CKernels

/// A right factor in panels that were packed before, of numbers or of two 16-bit ones in the place of each.
@unsafe
struct StoredPanels {
    private let first: UnsafePointer<Float>
    /// Rows of a panel.
    private let panelRows: Int
    /// Whether the kernel takes the panels' numbers one by one, but they are of 16 bits.
    let widens: Bool
    private let precision: ProductPrecision

    private static let columns = unsafe PackedProduct.columns

    /// - Parameter k: rows of the factor.
    init(_ first: UnsafePointer<Float>, k: Int, precision: ProductPrecision) {
        unsafe self.first = unsafe first
        unsafe panelRows = PanelLayout.rows(depth: k, isPaired: precision.pairsRight)
        unsafe widens = precision.widensRight
        unsafe self.precision = precision
    }

    /// Steps of the kernel that a row of a panel is enough for.
    var stepsPerRow: Int { unsafe widens ? 2 : 1 }

    /// Rows for a number of steps.
    func rows(of steps: Int) -> Int { unsafe (steps + stepsPerRow - 1) / stepsPerRow }

    /// The first number of the panel that begins at a column, at a step of the kernel that begins a row.
    func place(column: Int, inner: Int) -> UnsafePointer<Float> {
        unsafe first + column * panelRows + inner / stepsPerRow * Self.columns
    }

    /// The floats that ``widen(_:depth:into:)`` writes; 0 where the kernel takes the panels as they are.
    func widenedSize(depth: Int) -> Int { unsafe widens ? rows(of: depth) * stepsPerRow * Self.columns : 0 }

    /// The numbers of the panel that begins at a column, from a step on that begins a row, for `depth` steps: where they lie, or widened
    /// into `memory`, room for ``widenedSize(depth:)`` floats.
    func numbers(
        column: Int, inner: Int, depth: Int, memory: UnsafeMutablePointer<Float>
    ) -> UnsafePointer<Float> {
        let place = unsafe place(column: column, inner: inner)
        return unsafe widens ? widen(place, depth: depth, into: memory) : place
    }

    /// The numbers of a panel for `depth` steps, one by one.
    func widen(_ panel: UnsafePointer<Float>, depth: Int, into memory: UnsafeMutablePointer<Float>) -> UnsafePointer<Float> {
        if unsafe precision == .float16Weights {
            unsafe ck_widen_float16(panel, 2 * rows(of: depth) * Self.columns, memory)
        } else {
            unsafe ck_widen_pairs(panel, rows(of: depth), Int32(Self.columns), memory)
        }
        return unsafe UnsafePointer(memory)
    }
}
