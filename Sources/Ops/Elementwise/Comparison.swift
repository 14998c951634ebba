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

private enum Less<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Bool { a < b }
}

private enum LessOrEqual<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Bool { a <= b }
}

/// y = whether a and b compare so, broadcast.
///
/// - Throws: ``TensorError`` for types without an order (all but Equal on bool and string tensors), or that differ.
func compare(_ function: ComparisonFunction, _ a: Tensor, _ b: Tensor, into y: MutableTensor, threads: ThreadPool) throws {
    if function == .equal, let left = a.strings, let right = b.strings {
        let plan = BroadcastPlan(output: y.shape, a.shape, b.shape)
        return try y.withMutableSpan(of: Bool.self) { output in
            plan.forEachRow(in: 0..<output.count) { row in
                for index in 0..<row.count {
                    output[row.output + index] =
                        left[row.offsets.0 + index * plan.steps.0] == right[row.offsets.1 + index * plan.steps.1]
                }
            }
        }
    }
    if function == .equal, a.dtype == .bool { return try broadcast(Equal<Bool>.self, a, b, into: y, threads: threads) }
    struct Visitor: NumericVisitor {
        let function: ComparisonFunction
        let a: Tensor
        let b: Tensor
        let y: MutableTensor
        let threads: ThreadPool

        func visit<Element: NumericElement>(_: Element.Type) throws {
            switch function {
            case .equal: try broadcast(Equal<Element>.self, a, b, into: y, threads: threads)
            case .less: try broadcast(Less<Element>.self, a, b, into: y, threads: threads)
            case .lessOrEqual: try broadcast(LessOrEqual<Element>.self, a, b, into: y, threads: threads)
            case .greater: try broadcast(Less<Element>.self, b, a, into: y, threads: threads)
            case .greaterOrEqual: try broadcast(LessOrEqual<Element>.self, b, a, into: y, threads: threads)
            }
        }
    }
    try a.dtype.dispatch(Visitor(function: function, a: a, b: b, y: y, threads: threads))
}

struct Comparison: Operator {
    let function: ComparisonFunction

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        _ = try commonType(inputs, 0..<2)
        return [Fact(dtype: .bool, shape: try commonShape(inputs, 0..<2))]
    }

    func run(_ context: inout RunContext) throws {
        try compare(function, context.input(0), context.input(1), into: context.output(0), threads: context.threads)
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost { .perElement(1, inputs: inputs, outputs: outputs) }

    static func definition(_ function: ComparisonFunction, since version: Int) -> OperatorDefinition {
        OperatorDefinition(function.rawValue, since: version) { decoder in
            try decoder.requireInputs(2...2)
            return Comparison(function: function)
        }
    }
}
