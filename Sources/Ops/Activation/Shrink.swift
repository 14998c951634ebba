import GraphRuntime

/// y = x + bias below -lambda, x - bias above lambda, 0 between (ONNX Shrink-9).
///
/// - Throws: ``TensorError`` for types that aren't numbers.
func shrink(_ x: Tensor, bias: Float, lambda: Float, into y: MutableTensor, threads: ThreadPool) throws {
    struct Visitor: NumericVisitor {
        let x: Tensor
        let bias: Double
        let lambda: Double
        let y: MutableTensor
        let threads: ThreadPool

        func visit<Element: NumericElement>(_: Element.Type) throws {
            try map(x, into: y, threads: threads) { [lambda, bias] (value: Element) -> Element in
                let x = value.double
                return x < -lambda ? .converting(x + bias) : (x > lambda ? .converting(x - bias) : .zero)
            }
        }
    }
    try x.dtype.dispatch(Visitor(x: x, bias: Double(bias), lambda: Double(lambda), y: y, threads: threads))
}

/// Shrink-9.
struct Shrink: Operator {
    let bias: Float
    let lambda: Float

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[0].dtype, shape: try inputs[0].shape)]
    }

    func run(_ context: inout RunContext) throws {
        try shrink(context.input(0), bias: bias, lambda: lambda, into: context.output(0), threads: context.threads)
    }

    static let definition = OperatorDefinition("Shrink", since: 9) { decoder in
        try decoder.requireInputs(1...1)
        return Shrink(bias: try decoder.float("bias", default: 0), lambda: try decoder.float("lambd", default: 0.5))
    }
}
