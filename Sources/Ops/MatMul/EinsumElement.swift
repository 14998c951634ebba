import GraphRuntime

/// The element types that Einsum sums and multiplies; integers wrap around.
protocol EinsumElement: NumericElement {
    /// C = A·B for each of `batch` matrices of m×k and k×n.
    static func multiply(
        _ a: Tensor, _ b: Tensor, into c: MutableTensor, batch: Int, m: Int, n: Int, k: Int, threads: ThreadPool
    ) throws
}

extension EinsumElement where Self: BLASElement {
    static func multiply(
        _ a: Tensor, _ b: Tensor, into c: MutableTensor, batch: Int, m: Int, n: Int, k: Int, threads: ThreadPool
    ) throws {
        guard k > 0 else { return unsafe try c.buffer(of: Self.self).update(repeating: 0) }
        nonisolated(unsafe) let a = unsafe try a.pointer(to: Self.self)
        nonisolated(unsafe) let b = unsafe try b.pointer(to: Self.self)
        nonisolated(unsafe) let c = unsafe try c.pointer(to: Self.self)
        unsafe MatrixProduct<Self>(m: m, n: n, k: k).run(batch: batch, threads: threads) { index in
            unsafe (a + index * m * k, b + index * k * n, c + index * m * n)
        }
    }
}

extension EinsumElement where Self: FixedWidthInteger {
    static func multiply(
        _ a: Tensor, _ b: Tensor, into c: MutableTensor, batch: Int, m: Int, n: Int, k: Int, threads: ThreadPool
    ) throws {
        nonisolated(unsafe) let a = unsafe try a.buffer(of: Self.self)
        nonisolated(unsafe) let b = unsafe try b.buffer(of: Self.self)
        nonisolated(unsafe) let c = unsafe try c.buffer(of: Self.self)
        threads.forEachRange(batch * m, grain: Swift.max(4096 / Swift.max(n * k, 1), 1)) { rows in
            for row in rows {
                let first = row / m * k * n
                for column in 0..<n {
                    var total: Self = 0
                    for index in 0..<k { total = unsafe total &+ a[row * k + index] &* b[first + index * n + column] }
                    unsafe c[row * n + column] = total
                }
            }
        }
    }
}

extension Float: EinsumElement {}
extension Double: EinsumElement {}
extension Int8: EinsumElement {}
extension Int16: EinsumElement {}
extension Int32: EinsumElement {}
extension Int64: EinsumElement {}
extension UInt8: EinsumElement {}
extension UInt16: EinsumElement {}
extension UInt32: EinsumElement {}
extension UInt64: EinsumElement {}
