import CKernels
import GraphRuntime

/// Rows of the product, for each thread, that are there at a time where the weights aren't packed.
private let rowsOfThread = 1024

/// X · W (+ bias), and of its halves a and b along the last axis a · GELU(b); extents that share W, the output's half the product's.
///
/// - Parameter panels: W in gated panels; nil where it wasn't packed, and then is float32.
/// - Parameter halvesLast: whether the GELU is ``ActivationFunction/geluHalvedLast``.
/// - Throws: ``TensorError`` where a tensor isn't float32 or there is no memory.
func gatedMatMul(
    _ x: Tensor, _ weights: Tensor, panels: PackedPanels?, bias: Tensor?, _ extents: MatMulExtents, halvesLast: Bool,
    _ precision: Precision,
    into output: MutableTensor, threads: ThreadPool
) throws {
    let source = unsafe try x.pointer(to: Float.self)
    let target = unsafe try output.pointer(to: Float.self)
    guard output.count > 0 else { return }
    let offsets = unsafe try bias?.pointer(to: Float.self)
    if let panels {
        unsafe try multiply(source, panels: panels, bias: offsets, target, extents, halvesLast: halvesLast, threads: threads)
    } else {
        let right = unsafe try weights.pointer(to: Float.self)
        unsafe try multiply(source, right, bias: offsets, target, extents, halvesLast: halvesLast, precision, threads: threads)
    }
}

private func multiply(
    _ x: UnsafePointer<Float>, panels: PackedPanels, bias: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>,
    _ extents: MatMulExtents, halvesLast: Bool, threads: ThreadPool
) throws(TensorError) {
    let n = extents.n
    unsafe try threads.withWorkspace(byteCount: n * MemoryLayout<Float>.stride) { memory throws(TensorError) in
        var product = unsafe PanelProduct(
            m: extents.products.rows, n: n, k: extents.k, isGated: true, halvesLast: halvesLast)
        if let bias = unsafe bias {
            let ordered = unsafe memory.assumingMemoryBound(to: Float.self)
            unsafe PanelProduct.layout(n: n, k: 1, isGated: true).pack(bias, step: n, into: ordered)
            unsafe product.start = unsafe .columns(ordered)
        }
        unsafe try product.run(x, panels: panels, y, threads: threads)
    }
}

private func multiply(
    _ x: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
    _ y: UnsafeMutablePointer<Float>,
    _ extents: MatMulExtents, halvesLast: Bool, _ precision: Precision, threads: ThreadPool
) throws(TensorError) {
    let (rows, n, k) = (extents.products.rows, extents.n, extents.k)
    let step = min(rowsOfThread * threads.threadCount, rows)
    unsafe try threads.withWorkspace(byteCount: step * n * MemoryLayout<Float>.stride) { memory throws(TensorError) in
        nonisolated(unsafe) let halves = unsafe memory.assumingMemoryBound(to: Float.self)
        for first in stride(from: 0, to: rows, by: step) {
            let count = min(step, rows - first)
            nonisolated(unsafe) let weights = unsafe weights
            nonisolated(unsafe) let x = unsafe x
            unsafe MatrixProduct<Float>(m: count, n: n, k: k, start: ProductStart(columns: bias), precision: precision).run(
                batch: 1, threads: threads
            ) { _ in
                unsafe (x + first * k, weights, halves)
            }
            nonisolated(unsafe) let y = unsafe y
            threads.forEachRange(count, grain: max(BroadcastPlan.grain / n, 1)) { part in
                unsafe ck_gated_gelu(
                    halves + part.lowerBound * n, n, n / 2, y + (first + part.lowerBound) * n / 2, n / 2, part.count, n / 2,
                    halvesLast ? 1 : 0)
            }
        }
    }
}
