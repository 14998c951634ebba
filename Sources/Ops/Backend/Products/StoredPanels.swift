import CKernels

/// A right factor in panels that were packed before: of numbers, or of 16-bit, 8-bit or 4-bit ones that take less room.
@unsafe
struct StoredPanels {
    private let first: UnsafePointer<Float>
    /// Rows of floats whose place a panel takes.
    private let panelRows: Int
    /// Whether the panels' numbers aren't what the kernel takes.
    let widens: Bool
    private let precision: ProductPrecision

    private static let columns = unsafe PackedProduct.columns

    /// - Parameter k: rows of the factor.
    init(_ first: UnsafePointer<Float>, k: Int, precision: ProductPrecision) {
        unsafe self.first = unsafe first
        unsafe panelRows = precision.panelRows(depth: k)
        unsafe widens = precision.widensRight
        unsafe self.precision = precision
    }

    /// Steps of the kernel after which a panel may be cut.
    var groupSteps: Int { unsafe precision.groupSteps }

    /// The rows of floats whose place a number of steps takes.
    func rows(of steps: Int) -> Int {
        unsafe precision.pairsLeft ? steps : precision.panelRows(depth: steps)
    }

    /// Where the numbers of the panel that begins at a column lie, from a step of the kernel on where it may be cut; of what is widened,
    /// about there: enough for reading ahead.
    func place(column: Int, inner: Int) -> UnsafePointer<Float> {
        unsafe first + (column * panelRows + (inner == 0 ? 0 : rows(of: inner)) * Self.columns)
    }

    /// The floats that ``widen(column:inner:depth:into:)`` writes; 0 where the kernel takes the panels as they are.
    func widenedSize(depth: Int) -> Int {
        unsafe widens ? (depth + groupSteps - 1) / groupSteps * groupSteps * Self.columns : 0
    }

    /// The numbers of the panel that begins at a column, from a step on where it may be cut, for `depth` steps: where they lie, or widened
    /// into `memory`, room for ``widenedSize(depth:)`` floats.
    func numbers(
        column: Int, inner: Int, depth: Int, memory: UnsafeMutablePointer<Float>
    ) -> UnsafePointer<Float> {
        unsafe widens
            ? widen(column: column, inner: inner, depth: depth, into: memory) : place(column: column, inner: inner)
    }

    /// The numbers of a panel for `depth` steps, one by one.
    func widen(
        column: Int, inner: Int, depth: Int, into memory: UnsafeMutablePointer<Float>
    ) -> UnsafePointer<Float> {
        if let bits = unsafe precision.quantizedBits {
            unsafe ck_widen_quantized_panel(bits, first + column * panelRows, inner, depth, Int32(Self.columns), memory)
        } else if unsafe precision == .float16Weights {
            unsafe ck_widen_float16(
                place(column: column, inner: inner), 2 * rows(of: depth) * Self.columns, memory)
        } else {
            unsafe ck_widen_pairs(
                place(column: column, inner: inner), rows(of: depth), Int32(Self.columns), memory)
        }
        return unsafe UnsafePointer(memory)
    }
}
