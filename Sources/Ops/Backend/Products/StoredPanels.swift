import CKernels

/// A right factor in panels that were packed before, of numbers or of pairs of bfloat16.
@unsafe
struct StoredPanels {
    private let first: UnsafePointer<Float>
    /// Rows of a panel.
    private let panelRows: Int
    /// Whether the kernel takes the panels' numbers one by one, but they lie in pairs.
    let widens: Bool

    private static let columns = unsafe PackedProduct.columns

    /// - Parameter k: rows of the factor.
    init(_ first: UnsafePointer<Float>, k: Int, precision: ProductPrecision) {
        unsafe self.first = unsafe first
        unsafe panelRows = PanelLayout.rows(depth: k, isPaired: precision.pairsRight)
        unsafe widens = precision == .bfloat16Weights
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

    /// The numbers of a panel for `depth` steps, one by one.
    func widen(_ panel: UnsafePointer<Float>, depth: Int, into memory: UnsafeMutablePointer<Float>) -> UnsafePointer<Float> {
        unsafe ck_widen_pairs(panel, rows(of: depth), Int32(Self.columns), memory)
        return unsafe UnsafePointer(memory)
    }
}
