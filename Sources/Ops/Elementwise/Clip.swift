import GraphRuntime

/// y = x brought into minimum...maximum; where the minimum is the larger one, y is the maximum.
///
/// - Parameters:
///   - minimum: one element of x's type; nil for none.
///   - maximum: as `minimum`.
/// - Throws: ``TensorError`` for types that aren't numbers, and for bounds that aren't one element of x's type.
func clip(_ x: Tensor, minimum: Tensor?, maximum: Tensor?, into y: MutableTensor, threads: ThreadPool) throws {
    for bound in [minimum, maximum] {
        guard let bound, bound.dtype != x.dtype || bound.count != 1 else { continue }
        throw TensorError("a bound should be one \(x.dtype), found \(bound.dtype)\(bound.shape)")
    }
    struct Visitor: NumericVisitor {
        let x: Tensor
        let minimum: Tensor?
        let maximum: Tensor?
        let y: MutableTensor
        let threads: ThreadPool

        func visit<Element: NumericElement>(_: Element.Type) throws {
            let low = try minimum?.view(of: Element.self)[0] ?? .least
            let high = try maximum?.view(of: Element.self)[0] ?? .largest
            if Element.self == Float.self {
                return try VectorKernels.apply(VectorKernels.clip, low.float, high.float, x, into: y, threads: threads)
            }
            try clamp(x, low, high, into: y, threads: threads)
        }
    }
    try x.dtype.dispatch(Visitor(x: x, minimum: minimum, maximum: maximum, y: y, threads: threads))
}

/// Clip-6 with attributes and Clip-11 to Clip-13 with inputs.
struct Clip: Operator {
    /// The bounds of Clip-6, as float32; nil where they are inputs.
    let bounds: (minimum: Float, maximum: Float)?

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[0].dtype, shape: try inputs[0].shape)]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        var minimum = try context.optionalInput(1)
        var maximum = try context.optionalInput(2)
        if let bounds {
            minimum = try cast(Tensor(scalar: bounds.minimum), to: x.dtype, threads: context.threads)
            maximum = try cast(Tensor(scalar: bounds.maximum), to: x.dtype, threads: context.threads)
        }
        try clip(x, minimum: minimum, maximum: maximum, into: context.output(0), threads: context.threads)
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost { .perElement(2, inputs: inputs, outputs: outputs) }

    static let definitions = [
        OperatorDefinition("Clip", since: 6) { decoder in
            try decoder.requireInputs(1...1)
            let minimum = try decoder.float("min", default: -.greatestFiniteMagnitude)
            let maximum = try decoder.float("max", default: .greatestFiniteMagnitude)
            return Clip(bounds: (minimum, maximum))
        },
        OperatorDefinition("Clip", since: 11) { decoder in
            try decoder.requireInputs(1...3)
            return Clip(bounds: nil)
        },
    ]
}
