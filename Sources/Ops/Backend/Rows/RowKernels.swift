import CKernels
import GraphRuntime

/// One number for each row of a matrix of float32.
enum RowKernels {
    /// Numbers that are worth a thread.
    private static let grain = 1 << 16

    /// Means, summed in double precision.
    ///
    /// - Throws: ``TensorError`` where a tensor isn't float32 or the counts don't fit.
    static func means(_ x: Tensor, of size: Int, into y: MutableTensor, threads: ThreadPool) throws(TensorError) {
        unsafe try forEachRow(x, of: size, into: y, threads: threads) { row in
            unsafe Float(ck_row_sum_wide(row, size) / Double(size))
        }
    }

    /// The largest numbers; NaN where any is, and negative infinity for empty rows.
    ///
    /// - Throws: as ``means(_:of:into:threads:)``.
    static func maxima(_ x: Tensor, of size: Int, into y: MutableTensor, threads: ThreadPool) throws(TensorError) {
        unsafe try forEachRow(x, of: size, into: y, threads: threads) { row in unsafe ck_row_max(row, size) }
    }

    private static func forEachRow(
        _ x: Tensor, of size: Int, into y: MutableTensor, threads: ThreadPool,
        _ body: @Sendable (UnsafePointer<Float>) -> Float
    ) throws(TensorError) {
        nonisolated(unsafe) let source = unsafe try x.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try y.pointer(to: Float.self)
        guard x.count == y.count * size else { throw TensorError("\(x.shape) doesn't have \(y.count) rows of \(size)") }
        threads.forEachRange(y.count, grain: max(grain / max(size, 1), 1)) { rows in
            for row in rows { unsafe target[row] = unsafe body(source + row * size) }
        }
    }
}
