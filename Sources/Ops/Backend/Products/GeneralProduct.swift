import GraphRuntime

/// alpha · op(A) · op(B) + beta · C for matrices op(A) m×k and op(B) k×n of `Element`.
///
/// - Parameter addend: C, which broadcasts to the output; nil for none.
/// - Throws: ``TensorError`` where types don't fit.
func generalProduct<Element: BLASElement>(
    _: Element.Type, _ a: Tensor, _ b: Tensor, m: Int, n: Int, k: Int, transposeA: Bool, transposeB: Bool, alpha: Element,
    addend: Tensor?, beta: Element, _ precision: Precision, into output: MutableTensor, threads: ThreadPool
) throws {
    nonisolated(unsafe) let target = unsafe try output.pointer(to: Element.self)
    let addend = try Addend<Element>(addend, output: output.shape, beta: beta)
    nonisolated(unsafe) let left = unsafe try a.pointer(to: Element.self)
    nonisolated(unsafe) let right = unsafe try b.pointer(to: Element.self)
    guard k > 0 else { return unsafe addend.fill(target, rows: 0..<m, columns: 0..<n, width: n) }
    let product = unsafe MatrixProduct<Element>(
        m: m, n: n, k: k, transposeA: transposeA, transposeB: transposeB, alpha: alpha,
        start: addend.isZero ? .zero : .target, precision: precision)
    unsafe product.run(batch: 1, threads: threads) { _ in
        unsafe (left, right, target)
    } prepare: { _, rows, columns in
        if !addend.isZero { unsafe addend.fill(target, rows: rows, columns: columns, width: n) }
    }
}

/// The same in float32 with B packed, see ``PanelProduct/layout(n:k:isTransposed:isGated:precision:)``.
///
/// - Throws: ``TensorError`` where types don't fit or there is no memory.
func generalProduct(
    _ a: Tensor, panels: PackedPanels, m: Int, n: Int, k: Int, transposeA: Bool, alpha: Float, addend: Tensor?, beta: Float,
    into output: MutableTensor, threads: ThreadPool
) throws {
    let left = unsafe try a.pointer(to: Float.self)
    nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
    let addend = try Addend<Float>(addend, output: output.shape, beta: beta)
    let product = unsafe PanelProduct(
        m: m, n: n, k: k, transposeA: transposeA, alpha: alpha, start: addend.isZero ? .zero : .target)
    unsafe try product.run(left, panels: panels, target, threads: threads) { rows, columns in
        if !addend.isZero { unsafe addend.fill(target, rows: rows, columns: columns, width: n) }
    }
}

/// beta · C, broadcast over the output.
private struct Addend<Element: BLASElement> {
    let values: [Element]
    let strides: [Int]
    var isZero: Bool { values.isEmpty }

    init(_ c: Tensor?, output: Shape, beta: Element) throws {
        guard let c, beta != 0 else {
            values = []
            strides = [0, 0]
            return
        }
        values = try c.array(of: Element.self).map { $0 * beta }
        strides = c.shape.broadcastStrides(to: output)
    }

    func fill(_ target: UnsafeMutablePointer<Element>, rows: Range<Int>, columns: Range<Int>, width: Int) {
        for row in rows {
            for column in columns {
                unsafe target[row * width + column] = isZero ? 0 : values[row * strides[0] + column * strides[1]]
            }
        }
    }
}
