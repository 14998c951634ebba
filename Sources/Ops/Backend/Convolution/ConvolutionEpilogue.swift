import CKernels
import GraphRuntime

/// What becomes of a convolution's sums while they are in cache: a residual is added, then a function applied, then a scale and a shift.
@safe struct ConvolutionEpilogue: @unchecked Sendable {
    private let function: FusedActivation?
    private let scale: Float
    private let shift: Float
    /// Of the output's shape.
    private let residual: UnsafePointer<Float>?
    /// Never read: it keeps the memory, since of an operand that isn't aligned the caller gives a copy that nobody else has.
    private let residualTensor: Tensor?

    /// - Parameters:
    ///   - scale: nil for 1.
    ///   - shift: nil for 0.
    /// - Throws: ``TensorError`` where the residual isn't float32 of as many numbers as the output.
    init(_ function: FusedActivation?, scale: Float?, shift: Float?, residual: Tensor?, output: MutableTensor)
        throws(TensorError)
    {
        if let residual, residual.count != output.count {
            throw TensorError("a residual of shape \(residual.shape) doesn't fit the output's \(output.shape)")
        }
        self.function = function
        (self.scale, self.shift) = (scale ?? 1, shift ?? 0)
        residualTensor = residual
        unsafe self.residual = unsafe try residual?.pointer(to: Float.self)
    }

    private var isScaled: Bool { scale != 1 || shift != 0 }
    private var isNothing: Bool { unsafe function == nil && residual == nil && !isScaled }

    /// What kernels do to sums in registers, and what of the output's shape they add before; nil where they can't.
    var inRegisters: (finish: ck_finish, residual: UnsafePointer<Float>?)? {
        guard !isScaled else { return nil }
        guard let function else { return unsafe (.nothing, residual) }
        return unsafe function.finish.map { unsafe ($0, residual) }
    }

    /// - Parameters:
    ///   - values: neighbouring sums.
    ///   - place: where in the output they begin.
    func apply(_ values: UnsafeMutablePointer<Float>, count: Int, place: Int) {
        if let residual = unsafe residual { unsafe ck_add(values, 1, residual + place, 1, values, count) }
        if let function { unsafe function.apply(values, values, count: count) }
        if isScaled { unsafe ck_scale_shift(values, values, count, scale, shift) }
    }

    /// Of sums that are all in the output already.
    func apply(to output: MutableTensor, threads: ThreadPool) throws(TensorError) {
        guard !isNothing else { return }
        nonisolated(unsafe) let values = unsafe try output.pointer(to: Float.self)
        threads.forEachRange(output.count, grain: BroadcastPlan.grain) { range in
            unsafe apply(values + range.lowerBound, count: range.count, place: range.lowerBound)
        }
    }
}

extension ck_finish {
    /// Leaves sums as they are.
    static let nothing = ck_finish(activation: Int32(CK_FINISH_SUM), a: 0, b: 0)
}
