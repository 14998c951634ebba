import GraphRuntime

/// [..., 2 N] to [..., N]: the first half of the last axis times the GELU (by erf) of the second (Shazeer, "GLU Variants Improve
/// Transformer", 2020, equation 6; GEGLU of diffusers). What exporters write as two slices, GELU and a product.
struct GEGLU: Operator {
    /// Whether the GELU is ``ActivationFunction/geluHalvedLast``.
    var halvesLast = false

    var mergeKey: String? { "halvesLast=\(halvesLast)" }
    var floatingPointTypes: Set<DType>? { [.float32] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let input = try inputs[0]
        return [Fact(dtype: input.dtype, shape: try input.shape.map(Self.outputShape))]
    }

    static func outputShape(_ shape: Shape) throws(TensorError) -> Shape {
        guard let width = shape.dimensions.last, width % 2 == 0 else {
            throw TensorError("the last axis of \(shape) doesn't split into two equal parts")
        }
        return try shape.replacing(shape.rank - 1, with: width / 2)
    }

    func run(_ context: inout RunContext) throws {
        let (x, y) = (try context.input(0), try context.output(0))
        guard let width = y.shape.dimensions.last, try Self.outputShape(x.shape) == y.shape else {
            throw TensorError("the output of a gated \(x.shape) can't have shape \(y.shape)")
        }
        try gateByGELU(x, into: y, width: width, halvesLast: halvesLast, threads: context.threads)
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost { .perElement(16, inputs: inputs, outputs: outputs) }
}
