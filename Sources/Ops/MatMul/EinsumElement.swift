import GraphRuntime

/// The element types that Einsum sums and multiplies; integers wrap around.
protocol EinsumElement: NumericElement {
    /// C = A·B for each of `batch` matrices of m×k and k×n.
    static func multiply(
        _ a: Tensor, _ b: Tensor, into c: MutableTensor, batch: Int, m: Int, n: Int, k: Int, threads: ThreadPool
    ) throws
}

extension EinsumElement where Self: FixedWidthInteger {
    static func multiply(
        _ a: Tensor, _ b: Tensor, into c: MutableTensor, batch: Int, m: Int, n: Int, k: Int, threads: ThreadPool
    ) throws {
        let (a, b) = (try a.view(of: Self.self), try b.view(of: Self.self))
        let grain = Swift.max(4096 / Swift.max(n * k, 1), 1)
        try c.forEachSlice(of: Self.self, unit: n, grain: grain, threads: threads) { rows, c in
            for (place, row) in rows.enumerated() {
                let first = row / m * k * n
                for column in 0..<n {
                    var total: Self = 0
                    for index in 0..<k { total = total &+ a[row * k + index] &* b[first + index * n + column] }
                    c[place * n + column] = total
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
