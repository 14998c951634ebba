import CKernels

/// Conversions of whole tensors between single precision and the two 16-bit formats.
public enum HalfPrecision {
    /// Numbers that are worth a thread.
    private static let grain = 1 << 16

    /// A float32 tensor with the values of a float16 or bfloat16 one; every other tensor as it is.
    ///
    /// - Parameters:
    ///   - tensor: of any type and shape.
    ///   - threads: those that share the work; nil for this thread alone.
    /// - Throws: ``TensorError`` where there isn't memory for the result.
    public static func widen(_ tensor: Tensor, threads: ThreadPool? = nil) throws(TensorError) -> Tensor {
        guard tensor.dtype == .float16 || tensor.dtype == .bfloat16 else { return tensor }
        let result = try MutableTensor(dtype: .float32, shape: tensor.shape)
        try widen(tensor, into: result, threads: threads)
        return try result.finish()
    }

    /// Writes a 16-bit tensor's values in float32.
    ///
    /// - Parameters:
    ///   - source: float16 or bfloat16, of any shape.
    ///   - target: float32 with as many elements.
    ///   - threads: those that share the work; nil for this thread alone.
    /// - Throws: ``TensorError`` where `source` isn't of a 16-bit float type or `target` isn't float32 of the same size.
    public static func widen(_ source: Tensor, into target: MutableTensor, threads: ThreadPool? = nil) throws(TensorError) {
        guard source.count == target.count else { throw TensorError("can't widen \(source.shape) into \(target.shape)") }
        guard source.dtype == .float16 || source.dtype == .bfloat16 else {
            throw TensorError("expected float16 or bfloat16, found \(source.dtype)")
        }
        try target.lend()
        defer { target.takeBack() }
        // At any address: weights in a file may be misaligned.
        nonisolated(unsafe) let halves = unsafe source.start
        nonisolated(unsafe) let numbers = unsafe try target.pointer(to: Float.self)
        let kernel = unsafe source.dtype == .float16 ? ck_widen_float16 : ck_widen_bfloat16
        forEachRange(source.count, threads) { range in
            unsafe kernel(halves + 2 * range.lowerBound, range.count, numbers + range.lowerBound)
        }
        withExtendedLifetime(source) {}
    }

    /// Rounds to nearest, ties to even.
    ///
    /// - Parameters:
    ///   - source: float32, of any shape.
    ///   - target: float16 or bfloat16 with as many elements.
    ///   - threads: those that share the work; nil for this thread alone.
    /// - Throws: ``TensorError`` where `source` isn't float32 or `target` isn't of a 16-bit float type of the same size.
    public static func narrow(_ source: Tensor, into target: MutableTensor, threads: ThreadPool? = nil) throws(TensorError) {
        guard source.count == target.count else { throw TensorError("can't narrow \(source.shape) into \(target.shape)") }
        guard target.dtype == .float16 || target.dtype == .bfloat16 else {
            throw TensorError("expected float16 or bfloat16, found \(target.dtype)")
        }
        let source = try source.aligned()
        try target.lend()
        defer { target.takeBack() }
        nonisolated(unsafe) let numbers = unsafe try source.pointer(to: Float.self)
        nonisolated(unsafe) let halves = unsafe target.start.assumingMemoryBound(to: UInt16.self)
        let kernel = unsafe target.dtype == .float16 ? ck_narrow_float16 : ck_narrow_bfloat16
        forEachRange(source.count, threads) { range in
            unsafe kernel(numbers + range.lowerBound, range.count, halves + range.lowerBound)
        }
        withExtendedLifetime(source) {}
    }

    private static func forEachRange(_ count: Int, _ threads: ThreadPool?, _ body: @Sendable (Range<Int>) -> Void) {
        guard let threads else { return body(0..<count) }
        threads.forEachRange(count, grain: grain, body)
    }
}
