import CKernels
import GraphRuntime

/// Arithmetic of float32 by the C kernels, which use the widest vectors that the CPU has.
enum FloatSum: BinaryKernel {
    static func apply(_ a: Float, _ b: Float) -> Float { a + b }
    static func row(
        _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int, _ y: UnsafeMutablePointer<Float>,
        _ count: Int
    ) { ck_add(a, aStep, b, bStep, y, count) }
}

enum FloatDifference: BinaryKernel {
    static func apply(_ a: Float, _ b: Float) -> Float { a - b }
    static func row(
        _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int, _ y: UnsafeMutablePointer<Float>,
        _ count: Int
    ) { ck_sub(a, aStep, b, bStep, y, count) }
}

enum FloatProduct: BinaryKernel {
    static func apply(_ a: Float, _ b: Float) -> Float { a * b }
    static func row(
        _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int, _ y: UnsafeMutablePointer<Float>,
        _ count: Int
    ) { ck_mul(a, aStep, b, bStep, y, count) }
}

enum FloatQuotient: BinaryKernel {
    static func apply(_ a: Float, _ b: Float) -> Float { a / b }
    static func row(
        _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int, _ y: UnsafeMutablePointer<Float>,
        _ count: Int
    ) { ck_div(a, aStep, b, bStep, y, count) }
}

enum FloatMinimum: BinaryKernel {
    static func apply(_ a: Float, _ b: Float) -> Float { .lesser(a, b) }
    static func row(
        _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int, _ y: UnsafeMutablePointer<Float>,
        _ count: Int
    ) { ck_min(a, aStep, b, bStep, y, count) }
}

enum FloatMaximum: BinaryKernel {
    static func apply(_ a: Float, _ b: Float) -> Float { .greater(a, b) }
    static func row(
        _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int, _ y: UnsafeMutablePointer<Float>,
        _ count: Int
    ) { ck_max(a, aStep, b, bStep, y, count) }
}

/// A loop over contiguous float32 elements in C; the output may be the input.
typealias FloatLoop = @Sendable @convention(c) (UnsafePointer<Float>?, UnsafeMutablePointer<Float>?, Int) -> Void

/// As ``FloatLoop``, with two parameters.
typealias ParametricFloatLoop =
    @Sendable @convention(c) (UnsafePointer<Float>?, UnsafeMutablePointer<Float>?, Int, Float, Float) -> Void

/// The vector kernels of one operand.
enum VectorKernels {
    static let exp: FloatLoop = ck_exp
    static let log: FloatLoop = ck_log
    static let erf: FloatLoop = ck_erf
    static let tanh: FloatLoop = ck_tanh
    static let sigmoid: FloatLoop = ck_sigmoid
    static let sin: FloatLoop = ck_sin
    static let cos: FloatLoop = ck_cos
    static let sqrt: FloatLoop = ck_sqrt
    static let reciprocal: FloatLoop = ck_reciprocal
    static let abs: FloatLoop = ck_abs
    static let neg: FloatLoop = ck_neg
    static let floor: FloatLoop = ck_floor
    static let ceil: FloatLoop = ck_ceil
    static let roundEven: FloatLoop = ck_round_even
    static let relu: FloatLoop = ck_relu
    static let softplus: FloatLoop = ck_softplus
    static let softsign: FloatLoop = ck_softsign
    static let mish: FloatLoop = ck_mish
    static let hardSwish: FloatLoop = ck_hard_swish
    static let silu: FloatLoop = ck_silu
    static let geluErf: FloatLoop = ck_gelu_erf
    static let geluTanh: FloatLoop = ck_gelu_tanh

    static let leakyRelu: ParametricFloatLoop = ck_leaky_relu
    static let elu: ParametricFloatLoop = ck_elu
    static let celu: ParametricFloatLoop = ck_celu
    static let hardSigmoid: ParametricFloatLoop = ck_hard_sigmoid
    static let thresholdedRelu: ParametricFloatLoop = ck_thresholded_relu
    static let swish: ParametricFloatLoop = ck_swish
    static let clip: ParametricFloatLoop = ck_clip

    /// y = loop(x) on all threads.
    ///
    /// - Throws: ``TensorError`` where a tensor isn't float32 or the counts differ.
    static func apply(_ loop: FloatLoop, _ x: Tensor, into y: MutableTensor, threads: ThreadPool) throws {
        try apply(x, into: y, threads: threads) { loop($0, $1, $2) }
    }

    /// y = loop(x; a, b) on all threads.
    ///
    /// - Throws: ``TensorError`` where a tensor isn't float32 or the counts differ.
    static func apply(
        _ loop: ParametricFloatLoop, _ a: Float, _ b: Float = 0, _ x: Tensor, into y: MutableTensor, threads: ThreadPool
    ) throws {
        try apply(x, into: y, threads: threads) { loop($0, $1, $2, a, b) }
    }

    private static func apply(
        _ x: Tensor, into y: MutableTensor, threads: ThreadPool,
        _ body: (UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int) -> Void
    ) throws {
        let source = try x.pointer(to: Float.self)
        let target = try y.pointer(to: Float.self)
        guard x.count == y.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
        threads.forEachRange(x.count, grain: BroadcastPlan.grain) { range in
            body(source + range.lowerBound, target + range.lowerBound, range.count)
        }
    }
}
