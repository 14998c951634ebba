import CKernels
import GraphRuntime

/// Rotates the first pairs of elements of rows in float32, see `ck_rotate`, and copies what is behind them.
///
/// - Parameters:
///   - x: rows of `width` elements; `y` may be its memory.
///   - cosines: rows of `half` angles' cosines; likewise `sines`.
///   - angleRow: the row of the angles for a row of x.
/// - Throws: ``TensorError`` where a tensor isn't float32.
func rotateRows(
    _ x: Tensor, width: Int, cosines: Tensor, sines: Tensor, half: Int, isInterleaved: Bool, into y: MutableTensor,
    threads: ThreadPool, angleRow: @Sendable (Int) -> Int
) throws {
    nonisolated(unsafe) let source = unsafe try x.pointer(to: Float.self)
    nonisolated(unsafe) let target = unsafe try y.pointer(to: Float.self)
    nonisolated(unsafe) let (first, second) = unsafe (
        try cosines.pointer(to: Float.self), try sines.pointer(to: Float.self)
    )
    guard width > 0, half > 0, 2 * half <= width, x.count == y.count else {
        throw TensorError("\(half) pairs of rows of \(width) can't be rotated from \(x.shape) to \(y.shape)")
    }
    let angles = min(cosines.count, sines.count) / half
    threads.forEachRange(x.count / width, grain: max(4096 / width, 1)) { rows in
        for row in rows {
            let angle = angleRow(row)
            precondition(angle >= 0 && angle < angles, "there are no such angles")
            let (from, to) = unsafe (source + row * width, target + row * width)
            unsafe ck_rotate(from, first + angle * half, second + angle * half, half, isInterleaved ? 1 : 0, to)
            if 2 * half < width, unsafe from != UnsafePointer(to) {
                unsafe (to + 2 * half).update(from: from + 2 * half, count: width - 2 * half)
            }
        }
    }
}
