import GraphRuntime

/// A · B (+ bias) (+ residual) for tensors of `Element`; shapes as ``MatMulExtents`` states.
func matMul<Element: BLASElement>(
    _: Element.Type, _ a: Tensor, _ b: Tensor, bias: Tensor? = nil, residual: Tensor? = nil, into output: MutableTensor,
    _ precision: Precision = .single, threads: ThreadPool
) throws {
    let extents = try MatMulExtents(a.shape, b.shape)
    guard output.count == extents.output.count else { throw TensorError("the product doesn't have shape \(output.shape)") }
    nonisolated(unsafe) let left = unsafe try a.pointer(to: Element.self)
    nonisolated(unsafe) let right = unsafe try b.pointer(to: Element.self)
    nonisolated(unsafe) let target = unsafe try output.pointer(to: Element.self)
    guard extents.k > 0 || bias != nil || residual != nil else {
        return unsafe try output.buffer(of: Element.self).update(repeating: 0)
    }
    let added = unsafe try Added<Element>(bias: bias, residual: residual, extents)
    let products = extents.products
    let (m, n, k) = (extents.m, extents.n, extents.k)
    let product = unsafe MatrixProduct<Element>(m: products.rows, n: n, k: k, start: added.start, precision: precision)
    unsafe product.run(batch: products.count, threads: threads) { index in
        let matrices = extents.sharesB ? (a: 0, b: 0) : extents.matrices(index)
        return unsafe (left + matrices.a * m * k, right + matrices.b * k * n, target + index * m * n)
    }
}

/// The same with B packed, see ``PanelProduct/layout(n:k:isTransposed:isGated:precision:)``.
func matMul(
    _ a: Tensor, panels: PackedPanels, _ extents: MatMulExtents, bias: Tensor?, residual: Tensor?, into output: MutableTensor,
    threads: ThreadPool
) throws {
    let product = try panelProduct(extents, bias: bias, residual: residual, into: output)
    unsafe try product.run(a.pointer(to: Float.self), panels: panels, output.pointer(to: Float.self), threads: threads)
}

private func panelProduct(
    _ extents: MatMulExtents, bias: Tensor?, residual: Tensor?, into output: MutableTensor
) throws(TensorError) -> PanelProduct {
    guard output.count == extents.output.count else { throw TensorError("the product doesn't have shape \(output.shape)") }
    let added = unsafe try Added<Float>(bias: bias, residual: residual, extents)
    return unsafe PanelProduct(m: extents.products.rows, n: extents.n, k: extents.k, start: added.start)
}

/// The same of tensors that outlive what is returned, with a factor that is packed by the first run.
func preparedMatMul(
    _ a: Tensor, _ b: Tensor, panels: PackedFactor, bias: Tensor?, residual: Tensor?, into output: MutableTensor,
    _ precision: Precision
) throws -> PreparedRun {
    let product = try panelProduct(MatMulExtents(a.shape, b.shape), bias: bias, residual: residual, into: output)
    nonisolated(unsafe) let left = unsafe try a.pointer(to: Float.self)
    nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
    // Written by the run alone that it belongs to.
    nonisolated(unsafe) let output = output
    return { threads in
        if let panels = try? panels.panels(threads: threads) {
            return unsafe try product.run(left, panels: panels, target, threads: threads)
        }
        // Without memory for the panels the product packs block by block.
        unsafe try matMul(Float.self, a, b, bias: bias, residual: residual, into: output, precision, threads: threads)
    }
}

/// alpha · op(A) · op(B) for `count` matrices op(A) m×k and op(B) k×n.
///
/// - Parameter matrices: which matrix of A and of B each product takes.
/// - Throws: ``TensorError`` where tensors aren't of `Element`, or don't have the matrices.
func batchedProduct<Element: BLASElement>(
    _: Element.Type, _ a: Tensor, _ b: Tensor, count: Int, m: Int, n: Int, k: Int, transposeA: Bool, transposeB: Bool,
    alpha: Element, _ precision: Precision, into output: MutableTensor, threads: ThreadPool,
    matrices: @Sendable (Int) -> (a: Int, b: Int)
) throws {
    guard output.count == count * m * n,
        (0..<count).allSatisfy({ index in
            let matrices = matrices(index)
            return (matrices.a + 1) * m * k <= a.count && (matrices.b + 1) * k * n <= b.count
        })
    else { throw TensorError("\(count) products of \(m)×\(k) and \(k)×\(n) don't fit \(a.shape) and \(b.shape)") }
    nonisolated(unsafe) let first = unsafe try a.pointer(to: Element.self)
    nonisolated(unsafe) let second = unsafe try b.pointer(to: Element.self)
    nonisolated(unsafe) let target = unsafe try output.pointer(to: Element.self)
    let product = unsafe MatrixProduct<Element>(
        m: m, n: n, k: k, transposeA: transposeA, transposeB: transposeB, alpha: alpha, precision: precision)
    unsafe product.run(batch: count, threads: threads) { index in
        let matrices = matrices(index)
        return unsafe (first + matrices.a * m * k, second + matrices.b * k * n, target + index * m * n)
    }
}

/// What is added to a product.
@unsafe
private struct Added<Element: BLASElement> {
    let start: ProductStart<Element>

    init(bias: Tensor?, residual: Tensor?, _ extents: MatMulExtents) throws(TensorError) {
        if let residual, residual.count != extents.output.count {
            throw TensorError("what is added to the product doesn't have its \(extents.output.count) elements")
        }
        if let bias, bias.count != extents.n { throw TensorError("the bias doesn't have \(extents.n) elements") }
        unsafe start = unsafe ProductStart(
            columns: try bias?.pointer(to: Element.self), matrix: try residual?.pointer(to: Element.self))
    }
}
