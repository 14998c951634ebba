import CKernels

/// A right factor in panels that were packed before, of numbers or of pairs of bfloat16.
struct StoredPanels {
    private let first: UnsafePointer<Float>
    /// Rows of a panel.
    private let panelRows: Int
    /// Whether the kernel takes the panels' numbers one by one, but they lie in pairs.
    let widens: Bool

    private static let columns = PackedProduct.columns

    /// - Parameter k: rows of the factor.
    init(_ first: UnsafePointer<Float>, k: Int, precision: ProductPrecision) {
        self.first = first
        panelRows = PanelLayout.rows(depth: k, isPaired: precision.pairsRight)
        widens = precision == .bfloat16Weights
    }

    /// Steps of the kernel that a row of a panel is enough for.
    var stepsPerRow: Int { widens ? 2 : 1 }

    /// Rows for a number of steps.
    func rows(of steps: Int) -> Int { (steps + stepsPerRow - 1) / stepsPerRow }

    /// The first number of the panel that begins at a column, at a step of the kernel that begins a row.
    func place(column: Int, inner: Int) -> UnsafePointer<Float> {
        first + column * panelRows + inner / stepsPerRow * Self.columns
    }

    /// The floats that ``widen(_:depth:into:)`` writes; 0 where the kernel takes the panels as they are.
    func widenedSize(depth: Int) -> Int { widens ? rows(of: depth) * stepsPerRow * Self.columns : 0 }

    /// The numbers of a panel for `depth` steps, one by one.
    func widen(_ panel: UnsafePointer<Float>, depth: Int, into memory: UnsafeMutablePointer<Float>) -> UnsafePointer<Float> {
        ck_widen_pairs(panel, rows(of: depth), Int32(Self.columns), memory)
        return UnsafePointer(memory)
    }
}
