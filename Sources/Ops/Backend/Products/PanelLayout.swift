import CKernels
import GraphRuntime

/// A matrix in panels of columns that a kernel reads one after the other: [panel][row][column of the panel], with zeros for the columns
/// that the last panel lacks.
struct PanelLayout {
    /// Columns of a panel, a multiple of 16: of others, packing writes behind the panel.
    var width: Int
    var columns: Int
    /// Rows.
    var depth: Int
    /// Whether the matrix is given as its transpose, row by row.
    var isTransposed: Bool
    /// Whether a panel holds columns of the matrix's first half beside those of its second half, so that a product's tile has both
    /// numbers of a gate. Not of a transpose, and where half the columns are a multiple of half the width.
    var isGated = false
    /// Says which numbers the panels hold.
    var precision = ProductPrecision.single

    /// Panels of ``width`` columns.
    var panelCount: Int { (columns + width - 1) / width }

    /// Rows of a panel.
    var panelRows: Int { precision.panelRows(depth: depth) }

    /// Rows of a panel for as many of the matrix, two of which are one where numbers of 16 bits take half the place.
    static func rows(depth: Int, isPaired: Bool) -> Int { isPaired ? (depth + 1) / 2 : depth }

    /// Floats of all panels.
    var floatCount: Int { panelCount * width * panelRows }

    /// Packs all panels of a matrix of float32.
    ///
    /// - Parameter step: from one row of what is given to the next.
    func pack(_ source: UnsafePointer<Float>, step: Int, into target: UnsafeMutablePointer<Float>) {
        for panel in 0..<panelCount { unsafe pack(panel: panel, source, step: step, at: target + panel * width * panelRows) }
    }

    /// Packs a panel of a matrix of float32.
    func pack(panel: Int, _ source: UnsafePointer<Float>, step: Int, at place: UnsafeMutablePointer<Float>) {
        let first = panel * width
        let count = min(width, columns - first)
        if isGated {
            let half = width / 2
            unsafe packColumns(source + first / 2, step, count: half, of: half, into: place)
            unsafe packColumns(source + columns / 2 + first / 2, step, count: half, of: half, into: place + half)
        } else if !isTransposed {
            unsafe packColumns(source + first, step, count: count, of: width, into: place)
        } else if precision.pairsRight {
            unsafe ck_pack_row_pairs(source + first * step, step, depth, Int32(count), Int32(width), 1, place)
        } else {
            unsafe ck_pack_rows(source + first * step, step, depth, Int32(count), Int32(width), place)
        }
    }

    /// Packs columns into those of a panel, or into a part of these.
    private func packColumns(
        _ source: UnsafePointer<Float>, _ step: Int, count: Int, of columns: Int, into place: UnsafeMutablePointer<Float>
    ) {
        if precision.pairsRight {
            unsafe ck_pack_column_pairs(source, step, depth, Int32(count), Int32(columns), 1, place, width)
        } else {
            unsafe ck_pack_columns(source, step, depth, Int32(count), Int32(columns), place, width)
        }
    }

    /// A constant matrix, packed when a run first needs it.
    ///
    /// - Returns: nil where it would be in memory twice, see ``PackedConstants/constant(_:form:others:pack:)``.
    func packed(_ matrix: Tensor, constants: PackedConstants) -> PackedFactor? {
        guard matrix.dtype == .float32 || matrix.dtype.isHalf, matrix.count == columns * depth, matrix.count > 0 else {
            return nil
        }
        let form =
            "panels of \(width) of \(depth)×\(columns)\(isTransposed ? " transposed" : "")\(isGated ? " gated" : "")"
            + " for \(precision)"
        let constant = constants.constant(matrix, form: form) { matrix, threads throws(TensorError) in
            let result = try MutableTensor(dtype: .float32, shape: Shape([floatCount]))
            nonisolated(unsafe) let target = unsafe try result.pointer(to: Float.self)
            let step = isTransposed ? depth : columns
            if precision.isQuantized {
                unsafe try quantize(matrix, into: target, threads: threads)
            } else if matrix.dtype.isHalf {
                unsafe try pack(HalfMatrix(matrix, step: step), into: target, threads: threads)
            } else {
                nonisolated(unsafe) let source = unsafe try matrix.pointer(to: Float.self)
                threads.forEach(panelCount) {
                    unsafe pack(panel: $0, source, step: step, at: target + $0 * width * panelRows)
                }
            }
            return result.tensor
        }
        return constant.map { PackedFactor(constant: $0, precision: precision) }
    }
}

/// A constant right factor that is in panels from the first run on that needs it.
struct PackedFactor: Sendable {
    let constant: PackedConstant
    /// Says which numbers the panels hold.
    let precision: ProductPrecision

    /// - Throws: ``TensorError`` where there is no memory for them.
    func panels(threads: ThreadPool) throws(TensorError) -> PackedPanels {
        PackedPanels(tensor: try constant.tensor(threads: threads), precision: precision)
    }
}

/// A right factor in panels, see ``PanelLayout``.
struct PackedPanels {
    fileprivate let tensor: Tensor
    /// Says which numbers they hold.
    let precision: ProductPrecision

    func pointer() throws(TensorError) -> UnsafePointer<Float> { unsafe try tensor.pointer(to: Float.self) }
}
