import CKernels
import GraphRuntime

/// y = a · GELU(b) for rows [a, b] of x, of `width` elements each.
///
/// - Parameter halvesLast: whether the GELU is ``ActivationFunction/geluHalvedLast``.
/// - Throws: ``TensorError`` where a tensor isn't float32, or x doesn't have two elements for each of y.
func gateByGELU(
    _ x: Tensor, into y: MutableTensor, width: Int, halvesLast: Bool, threads: ThreadPool
) throws(TensorError) {
    nonisolated(unsafe) let source = unsafe try x.pointer(to: Float.self)
    nonisolated(unsafe) let target = unsafe try y.pointer(to: Float.self)
    guard x.count == 2 * y.count, width == 0 ? y.count == 0 : y.count % width == 0 else {
        throw TensorError("\(x.shape) has no gates for rows of \(width) of \(y.shape)")
    }
    guard y.count > 0 else { return }
    threads.forEachRange(y.count / width, grain: max(BroadcastPlan.grain / width, 1)) { rows in
        unsafe ck_gated_gelu(
            source + 2 * rows.lowerBound * width, 2 * width, width, target + rows.lowerBound * width, width, rows.count,
            width, halvesLast ? 1 : 0)
    }
}
