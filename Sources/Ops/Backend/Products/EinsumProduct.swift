import GraphRuntime

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
