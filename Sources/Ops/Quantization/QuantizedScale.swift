import GraphRuntime

/// A scale of one number and its zero point.
struct QuantizedScale {
    let scale: Float
    let zero: Int32

    /// - Parameters:
    ///   - scale: the index of the input that has the scale.
    ///   - zero: that of the zero point, 0 where it isn't given.
    /// - Throws: ``TensorError`` where there are several numbers.
    init(_ context: RunContext, _ scale: Int, _ zero: Int) throws(TensorError) {
        let scales = try context.input(scale).array(of: Float.self)
        guard scales.count == 1 else { throw TensorError("expected a scale of one number, found \(scales.count)") }
        let zeros = try ByteMatMul.integers(context.optionalInput(zero))
        guard zeros.count == 1 else { throw TensorError("expected a zero point of one number, found \(zeros.count)") }
        (self.scale, self.zero) = (scales[0], zeros[0])
    }
}
