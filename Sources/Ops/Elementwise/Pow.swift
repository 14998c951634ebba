import Foundation
import GraphRuntime

private enum FloatPower: BinaryKernel {
    @inline(__always) static func apply(_ a: Float, _ b: Float) -> Float { powf(a, b) }
}

private enum DoublePower: BinaryKernel {
    @inline(__always) static func apply(_ a: Double, _ b: Double) -> Double { pow(a, b) }
}

/// Wraps around; a negative power is the quotient 1 / a^-b, 0 but for a of 1 and -1.
private enum IntegerPower<Element: NumericElement & FixedWidthInteger>: BinaryKernel {
    static func apply(_ a: Element, _ b: Int64) -> Element {
        if b < 0 {
            if a == 1 { return 1 }
            guard Element.isSigned, a == 0 &- 1 else { return 0 }
            return b & 1 == 0 ? 1 : a
        }
        var result: Element = 1
        var square = a
        var rest = b
        while rest > 0 {
            if rest & 1 == 1 { result = result &* square }
            square = square &* square
            rest >>= 1
        }
        return result
    }
}

private enum RealPower<Element: NumericElement & FixedWidthInteger>: BinaryKernel {
    static func apply(_ a: Element, _ b: Double) -> Element { .converting(pow(a.double, b)) }
}

/// y = a to the power of b, broadcast, of a's type; the exponent may have another type (ONNX Pow-15).
///
/// - Throws: ``TensorError`` for types that aren't numbers.
func power(_ a: Tensor, _ b: Tensor, into y: MutableTensor, threads: ThreadPool) throws {
    struct Integers: IntegerVisitor {
        let a: Tensor
        let b: Tensor
        let y: MutableTensor
        let threads: ThreadPool

        func visit<Element: NumericElement & FixedWidthInteger>(_: Element.Type) throws {
            if b.dtype.isInteger {
                let exponent = try cast(b, to: .int64, threads: threads)
                try broadcast(IntegerPower<Element>.self, a, exponent, into: y, threads: threads)
            } else {
                let exponent = try cast(b, to: .float64, threads: threads)
                try broadcast(RealPower<Element>.self, a, exponent, into: y, threads: threads)
            }
        }
    }
    switch a.dtype {
    case .float32:
        let exponent = try cast(b, to: .float32, threads: threads)
        if exponent.count == 1, a.shape == y.shape, try smallPower(a, exponent.array(of: Float.self)[0], y, threads) { return }
        try broadcast(FloatPower.self, a, exponent, into: y, threads: threads)
    case .float64: try broadcast(DoublePower.self, a, cast(b, to: .float64, threads: threads), into: y, threads: threads)
    default: try a.dtype.dispatchInteger(Integers(a: a, b: b, y: y, threads: threads))
    }
}

/// The powers that exporters write for squares, cubes (the tanh form of Gelu) and reciprocals, by multiplication.
///
/// - Returns: whether `exponent` is one of them.
private func smallPower(_ a: Tensor, _ exponent: Float, _ y: MutableTensor, _ threads: ThreadPool) throws -> Bool {
    switch exponent {
    case 2: try arithmetic(.multiply, a, a, into: y, threads: threads)
    case 3:
        // Element i of `a` is read before element i of `y`, which may be the same memory, is written.
        try map(Cube.self, a, into: y, threads: threads)
    case 1: try y.copy(from: a)
    case -1: try VectorKernels.apply(VectorKernels.reciprocal, a, into: y, threads: threads)
    default: return false
    }
    return true
}

private enum Cube: UnaryKernel {
    @inline(__always) static func apply(_ x: Float) -> Float { x * x * x }
}

/// Pow-7 to Pow-15.
struct Pow: Operator {
    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[0].dtype, shape: try commonShape(inputs, 0..<2))]
    }

    func run(_ context: inout RunContext) throws {
        try power(context.input(0), context.input(1), into: context.output(0), threads: context.threads)
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost { .perElement(1, inputs: inputs, outputs: outputs) }

    static let definition = OperatorDefinition("Pow", since: 7) { decoder in
        try decoder.requireInputs(2...2)
        return Pow()
    }
}
