import GraphRuntime

/// Abs-13, Neg-13 and Sign-13: functions of one number of any type.
enum SignFunction: String, Sendable, CaseIterable {
    case magnitude = "Abs"
    case negation = "Neg"
    case sign = "Sign"

    var since: Int { self == .sign ? 9 : 6 }
}

private enum Magnitude<Element: NumericElement>: UnaryKernel {
    // The least signed integer has no positive counterpart and stays itself.
    @inline(__always) static func apply(_ x: Element) -> Element { x < .zero ? .difference(.zero, x) : x }
}

private enum Negation<Element: NumericElement>: UnaryKernel {
    @inline(__always) static func apply(_ x: Element) -> Element { .difference(.zero, x) }
}

private enum Sign<Element: NumericElement>: UnaryKernel {
    @inline(__always) static func apply(_ x: Element) -> Element {
        x > .zero ? .one : (x < .zero ? .difference(.zero, .one) : x)
    }
}

private enum DoubleMagnitude: UnaryKernel {
    @inline(__always) static func apply(_ x: Double) -> Double { abs(x) }
}

private enum DoubleNegation: UnaryKernel {
    @inline(__always) static func apply(_ x: Double) -> Double { -x }
}

/// y = function(x), element by element; y may be x.
///
/// - Throws: ``TensorError`` for types that aren't numbers.
func evaluate(_ function: SignFunction, _ x: Tensor, into y: MutableTensor, threads: ThreadPool) throws {
    struct Visitor: NumericVisitor {
        let function: SignFunction
        let x: Tensor
        let y: MutableTensor
        let threads: ThreadPool

        func visit<Element: NumericElement>(_: Element.Type) throws {
            switch function {
            case .magnitude: try map(Magnitude<Element>.self, x, into: y, threads: threads)
            case .negation: try map(Negation<Element>.self, x, into: y, threads: threads)
            case .sign: try map(Sign<Element>.self, x, into: y, threads: threads)
            }
        }
    }
    // Floating-point zeros have signs of their own.
    switch (function, x.dtype) {
    case (.magnitude, .float32): try VectorKernels.apply(VectorKernels.abs, x, into: y, threads: threads)
    case (.negation, .float32): try VectorKernels.apply(VectorKernels.neg, x, into: y, threads: threads)
    case (.magnitude, .float64): try map(DoubleMagnitude.self, x, into: y, threads: threads)
    case (.negation, .float64): try map(DoubleNegation.self, x, into: y, threads: threads)
    default: try x.dtype.dispatch(Visitor(function: function, x: x, y: y, threads: threads))
    }
}

struct SignedMath: Operator {
    let function: SignFunction

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[0].dtype, shape: try inputs[0].shape)]
    }

    func run(_ context: inout RunContext) throws {
        try evaluate(function, context.input(0), into: context.output(0), threads: context.threads)
    }

    static let definitions = SignFunction.allCases.map { function in
        OperatorDefinition(function.rawValue, since: function.since) { decoder in
            try decoder.requireInputs(1...1)
            return SignedMath(function: function)
        }
    }
}
