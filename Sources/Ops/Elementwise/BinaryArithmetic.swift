import GraphRuntime

/// The arithmetic of two operands (ONNX Add-14, Sub-14, Mul-14, Div-14, Min-13, Max-13).
enum ArithmeticFunction: String, Sendable {
    case add = "Add"
    case subtract = "Sub"
    case multiply = "Mul"
    case divide = "Div"
    case minimum = "Min"
    case maximum = "Max"
}

private enum Sum<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { .sum(a, b) }
}

private enum Difference<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { .difference(a, b) }
}

private enum Product<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { .product(a, b) }
}

private enum Quotient<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { .quotient(a, b) }
}

private enum Minimum<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { .lesser(a, b) }
}

private enum Maximum<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { .greater(a, b) }
}

/// y = function(a, b), broadcast; y may be an operand that has its shape.
///
/// - Throws: ``TensorError`` for types that aren't numbers, or differ.
func arithmetic(_ function: ArithmeticFunction, _ a: Tensor, _ b: Tensor, into y: MutableTensor, threads: ThreadPool) throws {
    try preparedArithmetic(function, a, b, into: y)(threads)
}

/// As ``arithmetic(_:_:_:into:threads:)``, of tensors that outlive what is returned.
func preparedArithmetic(_ function: ArithmeticFunction, _ a: Tensor, _ b: Tensor, into y: MutableTensor) throws -> PreparedRun {
    if a.dtype == .float32 {
        switch function {
        case .add: return try preparedBroadcast(FloatSum.self, a, b, into: y)
        case .subtract: return try preparedBroadcast(FloatDifference.self, a, b, into: y)
        case .multiply: return try preparedBroadcast(FloatProduct.self, a, b, into: y)
        case .divide: return try preparedBroadcast(FloatQuotient.self, a, b, into: y)
        case .minimum: return try preparedBroadcast(FloatMinimum.self, a, b, into: y)
        case .maximum: return try preparedBroadcast(FloatMaximum.self, a, b, into: y)
        }
    }
    struct Visitor: NumericVisitor {
        let function: ArithmeticFunction
        let a: Tensor
        let b: Tensor
        let y: MutableTensor

        func visit<Element: NumericElement>(_: Element.Type) throws -> PreparedRun {
            switch function {
            case .add: try preparedBroadcast(Sum<Element>.self, a, b, into: y)
            case .subtract: try preparedBroadcast(Difference<Element>.self, a, b, into: y)
            case .multiply: try preparedBroadcast(Product<Element>.self, a, b, into: y)
            case .divide: try preparedBroadcast(Quotient<Element>.self, a, b, into: y)
            case .minimum: try preparedBroadcast(Minimum<Element>.self, a, b, into: y)
            case .maximum: try preparedBroadcast(Maximum<Element>.self, a, b, into: y)
            }
        }
    }
    return try a.dtype.dispatch(Visitor(function: function, a: a, b: b, y: y))
}

/// Add, Sub, Mul and Div, from opset 7 on.
struct BinaryArithmetic: PreparedOperator {
    let function: ArithmeticFunction

    var outputStorage: OutputStorage { .mayReplace(inputs: [0, 1]) }
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try commonType(inputs, 0..<2), shape: try commonShape(inputs, 0..<2))]
    }

    func prepare(_ operands: Operands) throws -> PreparedRun {
        try preparedArithmetic(function, operands.input(0), operands.input(1), into: operands.output(0))
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost { .perElement(1, inputs: inputs, outputs: outputs) }

    /// x · 1, 1 · x, x / 1, x + 0, 0 + x and x - 0, with the one as a constant of one element. The zero that leaves every
    /// floating-point number as it is is the negative one in sums: -0 + 0 is 0.
    func forwardedInput(inputs: [Fact?], outputs: [Fact?]) -> Int? {
        let neutral: Float
        switch function {
        case .add: neutral = -0.0
        case .subtract: neutral = 0
        case .multiply, .divide: neutral = 1
        case .minimum, .maximum: return nil
        }
        let isCommutative = function == .add || function == .multiply
        return (isCommutative ? [0, 1] : [0]).first { kept in
            guard inputs.count == 2, let constant = inputs[1 - kept]?.tensor, constant.count == 1 else { return false }
            let number = try? cast(constant, to: .float64, threads: Self.oneThread).array(of: Double.self).first
            let isNeutral = number == Double(neutral) && (!constant.dtype.isFloat || number?.sign == neutral.sign)
            return isNeutral && Self.isUnchanged(kept, inputs, outputs)
        }
    }

    private static let oneThread = ThreadPool(threadCount: 1)

    static func definition(_ function: ArithmeticFunction) -> OperatorDefinition {
        OperatorDefinition(function.rawValue, since: 7) { decoder in
            try decoder.requireInputs(2...2)
            return BinaryArithmetic(function: function)
        }
    }
}

extension Cost {
    /// `flops` operations for each element of the first output, and the bytes of all inputs and outputs.
    static func perElement(_ flops: Double, inputs: [Fact?], outputs: [Fact?]) -> Cost {
        let count = outputs.first??.shape?.count ?? 0
        return Cost(flops: flops * Double(count), bytes: BinaryArithmetic.bytesMoved(inputs: inputs, outputs: outputs))
    }
}
