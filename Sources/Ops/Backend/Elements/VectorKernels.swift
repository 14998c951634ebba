import CKernels
import GraphRuntime

/// Arithmetic of float32 by the C kernels, which use the widest vectors that the CPU has.
enum FloatSum: BinaryKernel {
    static func apply(_ a: Float, _ b: Float) -> Float { a + b }
    static func row(
        _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int, _ y: UnsafeMutablePointer<Float>,
        _ count: Int
    ) { unsafe ck_add(a, aStep, b, bStep, y, count) }
}

enum FloatDifference: BinaryKernel {
    static func apply(_ a: Float, _ b: Float) -> Float { a - b }
    static func row(
        _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int, _ y: UnsafeMutablePointer<Float>,
        _ count: Int
    ) { unsafe ck_sub(a, aStep, b, bStep, y, count) }
}

enum FloatProduct: BinaryKernel {
    static func apply(_ a: Float, _ b: Float) -> Float { a * b }
    static func row(
        _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int, _ y: UnsafeMutablePointer<Float>,
        _ count: Int
    ) { unsafe ck_mul(a, aStep, b, bStep, y, count) }
}

enum FloatQuotient: BinaryKernel {
    static func apply(_ a: Float, _ b: Float) -> Float { a / b }
    static func row(
        _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int, _ y: UnsafeMutablePointer<Float>,
        _ count: Int
    ) { unsafe ck_div(a, aStep, b, bStep, y, count) }
}

enum FloatMinimum: BinaryKernel {
    static func apply(_ a: Float, _ b: Float) -> Float { .lesser(a, b) }
    static func row(
        _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int, _ y: UnsafeMutablePointer<Float>,
        _ count: Int
    ) { unsafe ck_min(a, aStep, b, bStep, y, count) }
}

enum FloatMaximum: BinaryKernel {
    static func apply(_ a: Float, _ b: Float) -> Float { .greater(a, b) }
    static func row(
        _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int, _ y: UnsafeMutablePointer<Float>,
        _ count: Int
    ) { unsafe ck_max(a, aStep, b, bStep, y, count) }
}

/// The remainder with the dividend's sign (C's `fmod`).
enum FloatTruncatedRemainder: BinaryKernel {
    static func apply(_ a: Float, _ b: Float) -> Float { a.truncatingRemainder(dividingBy: b) }
    static func row(
        _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int, _ y: UnsafeMutablePointer<Float>,
        _ count: Int
    ) { unsafe ck_truncated_remainder(a, aStep, b, bStep, y, count) }
}

/// The remainder with the divisor's sign, zeros included; NaN where the dividend is infinite or the divisor 0 (ONNX Mod-28).
@inline(__always)
func flooredRemainder<Element: BinaryFloatingPoint>(_ a: Element, _ b: Element) -> Element {
    let rest = a.truncatingRemainder(dividingBy: b)
    if rest == 0 { return Element(signOf: b, magnitudeOf: 0) }
    return (rest < 0) != (b < 0) ? rest + b : rest
}

/// ``flooredRemainder(_:_:)`` of floats.
enum FloatFlooredRemainder: BinaryKernel {
    static func apply(_ a: Float, _ b: Float) -> Float { flooredRemainder(a, b) }
    static func row(
        _ a: UnsafePointer<Float>, _ aStep: Int, _ b: UnsafePointer<Float>, _ bStep: Int, _ y: UnsafeMutablePointer<Float>,
        _ count: Int
    ) { unsafe ck_floored_remainder(a, aStep, b, bStep, y, count) }
}

/// x where it isn't negative, slope * x elsewhere.
enum FloatSlope: BinaryKernel {
    static func apply(_ x: Float, _ slope: Float) -> Float { x < 0 ? x * slope : x }
    static func row(
        _ x: UnsafePointer<Float>, _ xStep: Int, _ slope: UnsafePointer<Float>, _ slopeStep: Int,
        _ y: UnsafeMutablePointer<Float>, _ count: Int
    ) { unsafe ck_prelu(x, xStep, slope, slopeStep, y, count) }
}

/// A loop over contiguous elements; the output may be the input.
@safe
struct ElementLoop<Element: TensorElement>: Sendable {
    fileprivate let function: @Sendable (UnsafePointer<Element>, UnsafeMutablePointer<Element>, Int) -> Void
    /// Elements below which a second thread costs more than it brings.
    fileprivate let grain: Int

    /// A loop in C.
    fileprivate init(_ function: @escaping @Sendable (UnsafePointer<Element>, UnsafeMutablePointer<Element>, Int) -> Void) {
        unsafe self.function = unsafe function
        grain = BroadcastPlan.grain
    }

    /// A loop that calls a function for each element.
    init(each function: @escaping @Sendable (Element) -> Element) {
        unsafe self.function = { x, y, count in
            for index in 0..<count { unsafe y[index] = unsafe function(x[index]) }
        }
        grain = BroadcastPlan.grain / 8
    }

    /// y = loop(x) for `count` elements.
    func callAsFunction(_ x: UnsafePointer<Element>, _ y: UnsafeMutablePointer<Element>, _ count: Int) {
        unsafe function(x, y, count)
    }
}

typealias FloatLoop = ElementLoop<Float>
typealias DoubleLoop = ElementLoop<Double>

/// As ``FloatLoop``, with two parameters.
@safe
struct ParametricFloatLoop: Sendable {
    fileprivate let function:
        @Sendable @convention(c) (UnsafePointer<Float>?, UnsafeMutablePointer<Float>?, Int, Float, Float) -> Void

    fileprivate init(
        _ function:
            @escaping @Sendable @convention(c) (UnsafePointer<Float>?, UnsafeMutablePointer<Float>?, Int, Float, Float) ->
            Void
    ) {
        unsafe self.function = unsafe function
    }

    /// y = loop(x; a, b) for `count` elements.
    func callAsFunction(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int, _ a: Float, _ b: Float) {
        unsafe function(x, y, count, a, b)
    }
}

/// The vector kernels of one operand in double precision.
enum DoubleKernels {
    static let exp = unsafe DoubleLoop(ck_wide_exp)
    static let log = unsafe DoubleLoop(ck_wide_log)
    static let tanh = unsafe DoubleLoop(ck_wide_tanh)
    static let sigmoid = unsafe DoubleLoop(ck_wide_sigmoid)
    static let sqrt = unsafe DoubleLoop(ck_wide_sqrt)
    static let reciprocal = unsafe DoubleLoop(ck_wide_reciprocal)
    static let abs = unsafe DoubleLoop(ck_wide_abs)
    static let neg = unsafe DoubleLoop(ck_wide_neg)
    static let floor = unsafe DoubleLoop(ck_wide_floor)
    static let ceil = unsafe DoubleLoop(ck_wide_ceil)
    static let roundEven = unsafe DoubleLoop(ck_wide_round_even)
    static let relu = unsafe DoubleLoop(ck_wide_relu)
}

/// The vector kernels of one operand.
enum VectorKernels {
    static let exp = unsafe FloatLoop(ck_exp)
    static let log = unsafe FloatLoop(ck_log)
    static let erf = unsafe FloatLoop(ck_erf)
    static let tanh = unsafe FloatLoop(ck_tanh)
    static let sigmoid = unsafe FloatLoop(ck_sigmoid)
    static let atan = unsafe FloatLoop(ck_atan)
    static let sin = unsafe FloatLoop(ck_sin)
    static let cos = unsafe FloatLoop(ck_cos)
    static let tan = unsafe FloatLoop(ck_tan)
    static let asin = unsafe FloatLoop(ck_asin)
    static let acos = unsafe FloatLoop(ck_acos)
    static let sinh = unsafe FloatLoop(ck_sinh)
    static let cosh = unsafe FloatLoop(ck_cosh)
    static let asinh = unsafe FloatLoop(ck_asinh)
    static let acosh = unsafe FloatLoop(ck_acosh)
    static let atanh = unsafe FloatLoop(ck_atanh)
    static let sqrt = unsafe FloatLoop(ck_sqrt)
    static let reciprocal = unsafe FloatLoop(ck_reciprocal)
    static let abs = unsafe FloatLoop(ck_abs)
    static let neg = unsafe FloatLoop(ck_neg)
    static let sign = unsafe FloatLoop(ck_sign)
    static let floor = unsafe FloatLoop(ck_floor)
    static let ceil = unsafe FloatLoop(ck_ceil)
    static let roundEven = unsafe FloatLoop(ck_round_even)
    static let relu = unsafe FloatLoop(ck_relu)
    static let softplus = unsafe FloatLoop(ck_softplus)
    static let softsign = unsafe FloatLoop(ck_softsign)
    static let mish = unsafe FloatLoop(ck_mish)
    static let hardSwish = unsafe FloatLoop(ck_hard_swish)
    static let hardSwishDividedLast = unsafe FloatLoop(ck_hard_swish_divided_last)
    static let silu = unsafe FloatLoop(ck_silu)
    static let geluErf = unsafe FloatLoop(ck_gelu_erf)
    static let geluErfHalvedLast = unsafe FloatLoop(ck_gelu_erf_halved_last)
    static let geluTanh = unsafe FloatLoop(ck_gelu_tanh)

    static let leakyRelu = unsafe ParametricFloatLoop(ck_leaky_relu)
    static let elu = unsafe ParametricFloatLoop(ck_elu)
    static let celu = unsafe ParametricFloatLoop(ck_celu)
    static let hardSigmoid = unsafe ParametricFloatLoop(ck_hard_sigmoid)
    static let thresholdedRelu = unsafe ParametricFloatLoop(ck_thresholded_relu)
    static let swish = unsafe ParametricFloatLoop(ck_swish)
    static let clip = unsafe ParametricFloatLoop(ck_clip)

    /// y = loop(x) on all threads.
    ///
    /// - Throws: ``TensorError`` where a tensor has other elements or the counts differ.
    static func apply<Element>(_ loop: ElementLoop<Element>, _ x: Tensor, into y: MutableTensor, threads: ThreadPool) throws {
        try prepared(loop, x, into: y)(threads)
    }

    /// As ``apply(_:_:into:threads:)``, of tensors that outlive what is returned.
    static func prepared<Element>(_ loop: ElementLoop<Element>, _ x: Tensor, into y: MutableTensor) throws -> PreparedRun {
        unsafe try prepared(x, into: y, grain: loop.grain, loop.function)
    }

    /// y = loop(x; a, b) on all threads.
    ///
    /// - Throws: ``TensorError`` where a tensor isn't float32 or the counts differ.
    static func apply(
        _ loop: ParametricFloatLoop, _ a: Float, _ b: Float = 0, _ x: Tensor, into y: MutableTensor, threads: ThreadPool
    ) throws {
        try prepared(loop, a, b, x, into: y)(threads)
    }

    /// As ``apply(_:_:_:_:into:threads:)``, of tensors that outlive what is returned.
    static func prepared(
        _ loop: ParametricFloatLoop, _ a: Float, _ b: Float, _ x: Tensor, into y: MutableTensor
    ) throws -> PreparedRun {
        unsafe try prepared(x, into: y, grain: BroadcastPlan.grain) { unsafe loop.function($0, $1, $2, a, b) }
    }

    private static func prepared<Element: TensorElement>(
        _ x: Tensor, into y: MutableTensor, grain: Int,
        _ body: @escaping @Sendable (UnsafePointer<Element>, UnsafeMutablePointer<Element>, Int) -> Void
    ) throws -> PreparedRun {
        nonisolated(unsafe) let source = unsafe try x.pointer(to: Element.self)
        nonisolated(unsafe) let target = unsafe try y.pointer(to: Element.self)
        guard x.count == y.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
        let count = x.count
        return { threads in
            threads.forEachRange(count, grain: grain) { range in
                unsafe body(source + range.lowerBound, target + range.lowerBound, range.count)
            }
        }
    }
}
