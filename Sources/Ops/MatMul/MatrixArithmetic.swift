import GraphRuntime

/// Matrix products outside of graphs.
package enum MatrixArithmetic {
    /// A · B for float32 matrices [m, k] and [k, n].
    ///
    /// - Throws: ``TensorError`` for other types, shapes that don't multiply, and where there is no memory.
    package static func product(_ a: Tensor, _ b: Tensor, threads: ThreadPool) throws -> Tensor {
        let result = try MutableTensor(dtype: .float32, shape: MatMulExtents(a.shape, b.shape).output)
        try matMul(Float.self, a, b, into: result, threads: threads)
        return try result.finish()
    }
}
