import GraphRuntime

/// The operands of an attention.
package struct AttentionOperands {
    package var query: Tensor
    package var key: Tensor
    package var value: Tensor
    /// Of bool (true attends) or of the queries' type (added to the scores); broadcasts to [batch, heads, queries, keys].
    package var mask: Tensor?

    package init(query: Tensor, key: Tensor, value: Tensor, mask: Tensor? = nil) {
        self.query = query
        self.key = key
        self.value = value
        self.mask = mask
    }
}

/// What profiles call the kernel that ``scaledDotProductAttention(_:_:into:scores:threads:)`` takes for a problem: `panels` (`bf16 panels`) or
/// `tiles`.
func attentionKernelName(_ problem: AttentionProblem, _ dtype: DType?, wantsScores: Bool = false) -> String {
    guard dtype == .float32, PanelAttention.suits(problem, wantsScores: wantsScores) else {
        return "tiles"
    }
    return PanelAttention.isPaired(problem) ? "bf16 panels" : "panels"
}

/// Attention as fusions build it: inputs query, key, value and optionally a mask, as ``AttentionOperands`` says. NaN and infinities come
/// out as the written-out products and softmax have them: a query whose scores are all -∞ gets NaN, or zeros where such weights become 0.
///
/// Each operand has three axes [B, L, heads·E], or four: [B, heads, L, E] or [B, L, heads, E].
package struct ScaledDotProductAttention: Operator {
    /// The order of the axes of an operand.
    package enum Order: Sendable { case headsFirst, rowsFirst }

    /// Heads of queries, for operands of three axes; those of four axes state theirs.
    package var heads: Int
    /// What queries are multiplied with before their products with keys.
    package var scale: Double
    /// What those products are multiplied with.
    package var scoreScale = 1.0
    package var queryOrder: Order
    package var keyOrder: Order
    package var valueOrder: Order
    /// The output has as many axes as the query, in this order.
    package var outputOrder: Order
    /// Whether weights that are NaN become 0, as PyTorch exports attention with masks.
    package var zeroesNaN = false
    private var precision = Precision.single

    package init(
        heads: Int, scale: Double, queryOrder: Order = .rowsFirst, keyOrder: Order = .rowsFirst, valueOrder: Order = .rowsFirst,
        outputOrder: Order = .rowsFirst
    ) {
        self.heads = heads
        self.scale = scale
        self.queryOrder = queryOrder
        self.keyOrder = keyOrder
        self.valueOrder = valueOrder
        self.outputOrder = outputOrder
    }

    package var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    package var mergeKey: String? {
        "ScaledDotProductAttention \(heads) \(scale) \(scoreScale) \(queryOrder) \(keyOrder) \(valueOrder) \(outputOrder) \(zeroesNaN)"
    }

    package func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        result.precision = plan.precision.withoutBytes
        return result
    }

    package func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let query = try inputs[0]
        guard let q = query.shape, let k = try inputs[1].shape, let v = try inputs[2].shape else {
            return [Fact(dtype: query.dtype)]
        }
        let problem = try problem(q, k, v)
        return [Fact(dtype: query.dtype, shape: try outputShape(problem.extents, rank: q.rank))]
    }

    package func kernelName(inputs: [Fact?], outputs: [Fact?]) -> String? {
        guard inputs.count >= 3, let q = inputs[0]?.shape, let k = inputs[1]?.shape, let v = inputs[2]?.shape,
            let problem = try? problem(q, k, v)
        else { return nil }
        return attentionKernelName(problem, inputs[0]?.dtype)
    }

    package func run(_ context: inout RunContext) throws {
        let query = try context.input(0)
        let key = try context.input(1)
        let value = try context.input(2)
        var problem = try problem(query.shape, key.shape, value.shape)
        var mask = try context.optionalInput(3)
        // Broadcast along the keys, the mask is the same for all of them and so has no effect but where it shuts a query out.
        if let given = mask, given.shape.dimensions.last == 1, problem.extents.keys != 1 {
            mask = try AttentionMasks.expandLastAxis(given, to: problem.extents.keys)
        }
        problem.scoresStage = .products
        try scaledDotProductAttention(
            problem, AttentionOperands(query: query, key: key, value: value, mask: mask), into: context.output(0),
            threads: context.threads)
    }

    package func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        let bytes = Self.bytesMoved(inputs: inputs, outputs: outputs)
        guard inputs.count >= 3, let q = inputs[0]?.shape, let k = inputs[1]?.shape, let v = inputs[2]?.shape,
            let extents = try? problem(q, k, v).extents
        else { return Cost(bytes: bytes) }
        return Cost(flops: extents.flops, bytes: bytes)
    }

    private func problem(_ q: Shape, _ k: Shape, _ v: Shape) throws(TensorError) -> AttentionProblem {
        let query = try AttentionOperandShape(q, heads: heads, isHeadsFirst: queryOrder == .headsFirst, "query")
        let key = try AttentionOperandShape(k, heads: heads, isHeadsFirst: keyOrder == .headsFirst, "key")
        let value = try AttentionOperandShape(v, heads: heads, isHeadsFirst: valueOrder == .headsFirst, "value")
        let extents = try AttentionOperandShape.extents(query, key, value)
        let isHeadsFirst = q.rank == 4 && outputOrder == .headsFirst
        var problem = AttentionProblem(
            extents: extents, query: query.layout, key: key.layout, value: value.layout,
            output: isHeadsFirst
                ? .headsFirst(heads: extents.heads, rows: extents.queries, width: extents.valueWidth)
                : .rowsFirst(heads: extents.heads, rows: extents.queries, width: extents.valueWidth), scale: scale)
        problem.scoreScale = scoreScale
        problem.isWrittenOut = true
        problem.zeroesNaN = zeroesNaN
        problem.precision = precision
        return problem
    }

    private func outputShape(_ extents: AttentionExtents, rank: Int) throws(TensorError) -> Shape {
        if rank == 3 { return try Shape([extents.batch, extents.queries, extents.heads * extents.valueWidth]) }
        return switch outputOrder {
        case .headsFirst: try Shape([extents.batch, extents.heads, extents.queries, extents.valueWidth])
        case .rowsFirst: try Shape([extents.batch, extents.queries, extents.heads, extents.valueWidth])
        }
    }
}

extension AttentionExtents {
    /// Operations of both products; a multiply-add counts as two.
    var flops: Double {
        2 * Double(batch) * Double(heads) * Double(queries) * Double(keys) * Double(width + valueWidth)
    }
}
