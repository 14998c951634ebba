import GraphRuntime

/// X · W (+ bias), and of its halves a and b along the last axis a · GELU(b) (GELU by erf): [..., K] with one [K, 2 N] and a bias
/// [2 N] to [..., N]. The first layer of a feed-forward block (GEGLU of diffusers), of which only the result is written to memory.
struct GatedMatMul: Operator {
    /// Whether input 2 is a bias [2 N].
    var hasBias: Bool
    /// Whether the GELU is ``ActivationFunction/geluHalvedLast``.
    var halvesLast: Bool
    /// Input 1 in gated panels, where it is a constant that is worth packing once.
    private var panels: PackedFactor?
    /// In which numbers a product of float32 is computed.
    private var precision = Precision.single

    init(hasBias: Bool, halvesLast: Bool = false) {
        self.hasBias = hasBias
        self.halvesLast = halvesLast
    }

    var floatingPointTypes: Set<DType>? { [.float32] }
    func takesHalves(input index: Int) -> Bool { index == 1 }
    var mergeKey: String? { "bias=\(hasBias) halvesLast=\(halvesLast)" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let product = try MatMul(hasBias: hasBias).inferOutputs(inputs)[0]
        return [Fact(dtype: product.dtype, shape: try product.shape.map(GEGLU.outputShape))]
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        var cost = Cost.perElement(16, inputs: inputs, outputs: outputs)
        if let extent = inputs.first??.shape?.dimensions.last, let output = outputs.first??.shape {
            cost.flops += 4 * Double(extent) * Double(output.count)
        }
        return cost
    }

    func kernelName(inputs: [Fact?], outputs: [Fact?]) -> String? {
        if let panels { return ProductKernel.prePackedName(panels.precision) }
        return MatMul(hasBias: hasBias, precision: precision).kernelName(inputs: inputs, outputs: outputs)
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        result.precision = plan.precision.withoutBytes
        guard let (left, right) = PanelProduct.constantFactor(inputs) else { return result }
        let extents = try MatMulExtents(left, right.shape)
        guard extents.sharesB, extents.n % PanelProduct.columns == 0 else { return result }
        result.panels = PanelProduct.packed(
            right, m: extents.products.rows, n: extents.n, k: extents.k, isGated: true, plan: plan)
        return result
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let bias = hasBias ? try context.input(2) : nil
        let output = try context.output(0)
        let threads = context.threads
        // Without memory for the panels the product packs block by block.
        let panels = try? panels?.panels(threads: threads)
        let weights = try context.weights(isPacked: panels != nil)
        let extents = try MatMulExtents(x.shape, weights.shape)
        guard extents.sharesB, try GEGLU.outputShape(extents.output).count == output.count else {
            throw TensorError("the gated product of \(x.shape) and \(weights.shape) doesn't have shape \(output.shape)")
        }
        if let bias, bias.count != extents.n { throw TensorError("the bias doesn't have \(extents.n) elements") }
        try gatedMatMul(
            x, weights, panels: panels, bias: bias, extents, halvesLast: halvesLast, precision, into: output, threads: threads)
    }
}
