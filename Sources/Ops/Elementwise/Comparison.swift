import GraphRuntime

/// ONNX Equal-19, Less-13, Greater-13, LessOrEqual-16, GreaterOrEqual-16.
enum ComparisonFunction: String, Sendable {
    case equal = "Equal"
    case less = "Less"
    case greater = "Greater"
    case lessOrEqual = "LessOrEqual"
    case greaterOrEqual = "GreaterOrEqual"
}

private enum Equal<Element: TensorElement & Equatable>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Bool { a == b }
}

private enum BothOrNeither: BinaryKernel {
    @inline(__always) static func apply(_ a: TruthByte, _ b: TruthByte) -> TruthByte { TruthByte(byte: a.byte ^ b.byte ^ 1) }
}

private enum Less<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Bool { a < b }
}

private enum LessOrEqual<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Bool { a <= b }
}

/// y = whether a and b compare so, broadcast.
///
/// - Throws: ``TensorError`` for types without an order (all but Equal on bool tensors), or that differ.
func preparedComparison(_ function: ComparisonFunction, _ a: Tensor, _ b: Tensor, into y: MutableTensor) throws -> PreparedRun {
    if function == .equal, a.dtype == .bool { return try preparedBroadcast(BothOrNeither.self, a, b, into: y) }
    struct Visitor: NumericVisitor {
        let function: ComparisonFunction
        let a: Tensor
        let b: Tensor
        let y: MutableTensor

        func visit<Element: NumericElement>(_: Element.Type) throws -> PreparedRun {
            switch function {
            case .equal: try preparedBroadcast(Equal<Element>.self, a, b, into: y)
            case .less: try preparedBroadcast(Less<Element>.self, a, b, into: y)
            case .lessOrEqual: try preparedBroadcast(LessOrEqual<Element>.self, a, b, into: y)
            case .greater: try preparedBroadcast(Less<Element>.self, b, a, into: y)
            case .greaterOrEqual: try preparedBroadcast(LessOrEqual<Element>.self, b, a, into: y)
            }
        }
    }
    return try a.dtype.dispatch(Visitor(function: function, a: a, b: b, y: y))
}

private func compareStrings(_ a: Tensor, _ b: Tensor, into y: MutableTensor) throws {
    guard let left = a.strings, let right = b.strings else { throw TensorError("can't compare \(a.dtype) and \(b.dtype)") }
    let plan = BroadcastPlan(output: y.shape, a.shape, b.shape)
    try y.withMutableSpan(of: Bool.self) { output in
        plan.forEachRow(in: 0..<output.count) { row in
            for index in 0..<row.count {
                output[row.output + index] =
                    left[row.offsets.0 + index * plan.steps.0] == right[row.offsets.1 + index * plan.steps.1]
            }
        }
    }
}

struct Comparison: PreparedOperator {
    let function: ComparisonFunction

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        _ = try commonType(inputs, 0..<2)
        return [Fact(dtype: .bool, shape: try commonShape(inputs, 0..<2))]
    }

    func run(_ context: inout RunContext) throws {
        if function == .equal, try context.input(0).strings != nil {
            return try compareStrings(context.input(0), context.input(1), into: context.output(0))
        }
        try prepare(context.operands)(context.threads)
    }

    func prepare(_ operands: Operands) throws -> PreparedRun {
        try preparedComparison(function, operands.input(0), operands.input(1), into: operands.output(0))
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost { .perElement(1, inputs: inputs, outputs: outputs) }

    static func definition(_ function: ComparisonFunction, since version: Int) -> OperatorDefinition {
        OperatorDefinition(function.rawValue, since: version) { decoder in
            try decoder.requireInputs(2...2)
            return Comparison(function: function)
        }
    }
}
