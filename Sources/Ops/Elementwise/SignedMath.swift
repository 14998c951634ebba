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

/// y = function(x), element by element; y may be x.
///
/// - Throws: ``TensorError`` for types that aren't numbers.
func preparedMath(_ function: SignFunction, _ x: Tensor, into y: MutableTensor) throws -> PreparedRun {
    struct Visitor: NumericVisitor {
        let function: SignFunction
        let x: Tensor
        let y: MutableTensor

        func visit<Element: NumericElement>(_: Element.Type) throws -> PreparedRun {
            switch function {
            case .magnitude: try preparedMap(Magnitude<Element>.self, x, into: y)
            case .negation: try preparedMap(Negation<Element>.self, x, into: y)
            case .sign: try preparedMap(Sign<Element>.self, x, into: y)
            }
        }
    }
    // Floating-point zeros have signs of their own.
    switch (function, x.dtype) {
    case (.magnitude, .float32): return try VectorKernels.prepared(VectorKernels.abs, x, into: y)
    case (.negation, .float32): return try VectorKernels.prepared(VectorKernels.neg, x, into: y)
    case (.sign, .float32): return try VectorKernels.prepared(VectorKernels.sign, x, into: y)
    case (.magnitude, .float64): return try VectorKernels.prepared(DoubleKernels.abs, x, into: y)
    case (.negation, .float64): return try VectorKernels.prepared(DoubleKernels.neg, x, into: y)
    default: return try x.dtype.dispatch(Visitor(function: function, x: x, y: y))
    }
}

struct SignedMath: PreparedOperator {
    let function: SignFunction

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[0].dtype, shape: try inputs[0].shape)]
    }

    func prepare(_ operands: Operands) throws -> PreparedRun {
        try preparedMath(function, operands.input(0), into: operands.output(0))
    }

    static let definitions = SignFunction.allCases.map { function in
        OperatorDefinition(function.rawValue, since: function.since) { decoder in
            try decoder.requireInputs(1...1)
            return SignedMath(function: function)
        }
    }
}
