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
    nonisolated(unsafe) let left = unsafe try a.pointer(to: Element.self)
    nonisolated(unsafe) let right = unsafe try b.pointer(to: Element.self)
    unsafe try Addend<Element>(addend, beta: beta, m: m, n: n).withStart { start in
        guard k > 0 else {
            let empty = unsafe GEMM<Element>(
                m: m, n: n, k: 0, a: left, lda: 1, b: right, ldb: n, start: start, c: target, ldc: n)
            return unsafe empty.runAsLoops(beta: empty.writeStart())
        }
        unsafe MatrixProduct<Element>(
            m: m, n: n, k: k, transposeA: transposeA, transposeB: transposeB, alpha: alpha, start: start, precision: precision
        ).run(batch: 1, threads: threads) { _ in unsafe (left, right, target) }
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
    let target = unsafe try output.pointer(to: Float.self)
    unsafe try Addend<Float>(addend, beta: beta, m: m, n: n).withStart { start in
        unsafe try PanelProduct(m: m, n: n, k: k, transposeA: transposeA, alpha: alpha, start: start)
            .run(left, panels: panels, target, threads: threads)
    }
}

/// beta · C, broadcast over m×n elements.
private struct Addend<Element: BLASElement> {
    /// Where it is C's own memory.
    private let tensor: Tensor?
    private let values: [Element]
    private let isEachRow: Bool
    private let isEachColumn: Bool

    init(_ c: Tensor?, beta: Element, m: Int, n: Int) throws {
        guard let c, beta != 0, m > 0, n > 0 else {
            (tensor, values, isEachRow, isEachColumn) = (nil, [], false, false)
            return
        }
        let strides = c.shape.broadcastStrides(to: try Shape([m, n]))
        (isEachRow, isEachColumn) = (m == 1 || strides[0] == 0, n == 1 || strides[1] == 0)
        if isEachRow && isEachColumn {
            (tensor, values) = (nil, Array(repeating: try c.view(of: Element.self)[0] * beta, count: n))
        } else if beta == 1 {
            (tensor, values) = (try c.aligned(), [])
        } else {
            (tensor, values) = (nil, try c.view(of: Element.self).map { $0 * beta })
        }
    }

    func withStart<Result>(_ body: (ProductStart<Element>) throws -> Result) throws -> Result {
        func call(_ first: UnsafePointer<Element>) throws -> Result {
            let start: ProductStart<Element> =
                unsafe isEachRow ? .columns(first) : isEachColumn ? .rows(first) : .matrix(first, columns: nil)
            return unsafe try body(start)
        }
        if let tensor { return try withExtendedLifetime(tensor) { unsafe try call(tensor.pointer(to: Element.self)) } }
        return try unsafe values.withUnsafeBufferPointer { values in
            guard let first = values.baseAddress, !values.isEmpty else { return unsafe try body(.zero) }
            return unsafe try call(first)
        }
    }
}
