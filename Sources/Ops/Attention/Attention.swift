import GraphRuntime

/// Attention (23, 24, 25).
///
/// Inputs: Q, K, V of [B, heads, L, E] or [B, L, heads·E]; optionally attn_mask, past_key, past_value, nonpad_kv_seqlen. Outputs:
/// Y like Q; optionally present_key and present_value [B, kv heads, past + L, E], and the scores [B, heads, L, past + L].
struct Attention: Operator {
    /// What products of queries and keys are multiplied with; nil for 1 / √E.
    let scale: Double?
    let isCausal: Bool
    /// Needed for inputs of three axes.
    let queryHeads: Int?
    let keyHeads: Int?
    /// 0 for none.
    let softcap: Double
    let scoresStage: AttentionProblem.Stage
    /// Keys that a query attends to before and behind its position; nil for all.
    let leftWindow: Int?
    let rightWindow: Int?
    var precision = Precision.single

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    /// The shapes of a node, taken apart.
    private struct Shapes {
        let query: AttentionOperandShape
        let key: AttentionOperandShape
        let value: AttentionOperandShape
        /// Rows of the caches.
        let past: Int
        var extents: AttentionExtents
        let rank: Int
    }

    private func shapes(_ shape: (Int) throws -> Shape?) throws -> Shapes? {
        guard let q = try shape(0), let k = try shape(1), let v = try shape(2) else { return nil }
        guard q.rank == k.rank, k.rank == v.rank else {
            throw TensorError("Q \(q), K \(k) and V \(v) should all have 3 or all have 4 axes")
        }
        let query = try AttentionOperandShape(q, heads: queryHeads, isHeadsFirst: true, "Q")
        let key = try AttentionOperandShape(k, heads: keyHeads, isHeadsFirst: true, "K")
        let value = try AttentionOperandShape(v, heads: keyHeads, isHeadsFirst: true, "V")
        guard query.heads == queryHeads ?? query.heads, key.heads == keyHeads ?? key.heads else {
            throw TensorError("Q \(q) and K \(k) don't have q_num_heads and kv_num_heads heads")
        }
        var extents = try AttentionOperandShape.extents(query, key, value)
        var past = 0
        if let pastKey = try shape(4), let pastValue = try shape(5) {
            guard pastKey.rank == 4, pastValue.rank == 4 else {
                throw TensorError("past_key \(pastKey) and past_value \(pastValue) should have 4 axes")
            }
            past = pastKey[2]
            guard pastKey.dimensions == [key.batch, key.heads, past, key.width],
                pastValue.dimensions == [value.batch, value.heads, past, value.width]
            else {
                throw TensorError("past_key \(pastKey) and past_value \(pastValue) don't continue in K \(k) and V \(v)")
            }
            extents.keys += past
        }
        return Shapes(query: query, key: key, value: value, past: past, extents: extents, rank: q.rank)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        for index in 0..<3 { try NormalizationArguments.requireFloatingPoint(inputs[index], ["Q", "K", "V"][index]) }
        guard (inputs.optional(4) == nil) == (inputs.optional(5) == nil) else {
            throw TensorError("past_key and past_value are only given together")
        }
        if inputs.optional(6) != nil, inputs.optional(4) != nil {
            throw TensorError("nonpad_kv_seqlen isn't given together with past_key")
        }
        let types = [try inputs[0].dtype, try inputs[1].dtype, try inputs[2].dtype, try inputs[0].dtype]
        var facts = types.map { Fact(dtype: $0) }
        let hasPast = inputs.optional(4) != nil
        let isPastKnown = !hasPast || (inputs.optional(4)?.shape != nil && inputs.optional(5)?.shape != nil)
        if let shapes = try shapes({ inputs.optional($0)?.shape }), isPastKnown {
            let extents = shapes.extents
            facts[0].shape = try Shape(
                shapes.rank == 3
                    ? [extents.batch, extents.queries, extents.heads * extents.valueWidth]
                    : [extents.batch, extents.heads, extents.queries, extents.valueWidth])
            facts[1].shape = try Shape([extents.batch, extents.keyHeads, extents.keys, extents.width])
            facts[2].shape = try Shape([extents.batch, extents.keyHeads, extents.keys, extents.valueWidth])
            facts[3].shape = try Shape([extents.batch, extents.heads, extents.queries, extents.keys])
        }
        return Array(facts.prefix(max(inputs.outputCount, 1)))
    }

    /// The problem without what the values of inputs say, operands as they lie without a cache.
    private func problem(_ shapes: Shapes) -> AttentionProblem {
        let extents = shapes.extents
        var problem = AttentionProblem(
            extents: extents, query: shapes.query.layout, key: shapes.key.layout, value: shapes.value.layout,
            output: shapes.rank == 4
                ? .headsFirst(heads: extents.heads, rows: extents.queries, width: extents.valueWidth)
                : .rowsFirst(heads: extents.heads, rows: extents.queries, width: extents.valueWidth),
            scale: scale ?? 1 / Double(max(extents.width, 1)).squareRoot())
        problem.softcap = softcap
        problem.scoresStage = scoresStage
        problem.keysBefore = leftWindow
        problem.keysBehind = isCausal ? 0 : rightWindow
        problem.precision = precision
        return problem
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        result.precision = plan.precision.withoutBytes
        return result
    }

    func kernelName(inputs: [Fact?], outputs: [Fact?]) -> String? {
        func given(_ index: Int) -> Fact? { index < inputs.count ? inputs[index] : nil }
        guard let shapes = try? shapes({ given($0)?.shape }) else { return nil }
        return attentionKernelName(problem(shapes), given(0)?.dtype, wantsScores: outputs.count > 3 && outputs[3] != nil)
    }

    func run(_ context: inout RunContext) throws {
        let inputs = try (0..<7).map { index throws(TensorError) in try context.optionalInput(index) }
        guard let shapes = try shapes({ inputs[$0]?.shape }), let query = inputs[0], var key = inputs[1], var value = inputs[2]
        else {
            throw TensorError("Q, K and V are needed")
        }
        guard key.dtype == query.dtype, value.dtype == query.dtype else {
            throw TensorError("Q, K and V should be of one type, found \(query.dtype), \(key.dtype) and \(value.dtype)")
        }
        let extents = shapes.extents
        var problem = problem(shapes)
        if let present = try present(inputs[4], key, shapes.key, past: shapes.past, output: context.optionalOutput(1)) {
            key = present
            problem.key = .headsFirst(heads: extents.keyHeads, rows: extents.keys, width: extents.width)
        }
        if let present = try present(inputs[5], value, shapes.value, past: shapes.past, output: context.optionalOutput(2)) {
            value = present
            problem.value = .headsFirst(heads: extents.keyHeads, rows: extents.keys, width: extents.valueWidth)
        }
        try setPositions(&problem, past: inputs[4] == nil ? nil : shapes.past, validKeys: inputs[6])
        let mask = try inputs[3].map { try AttentionMasks.converted($0, to: query.dtype) }
        try scaledDotProductAttention(
            problem, AttentionOperands(query: query, key: key, value: value, mask: mask), into: context.output(0),
            scores: context.optionalOutput(3), threads: context.threads)
    }

    /// Where the queries stand among the keys: behind the past, or at the end of what is valid of an outer cache.
    private func setPositions(_ problem: inout AttentionProblem, past: Int?, validKeys: Tensor?) throws(TensorError) {
        let extents = problem.extents
        if let past { problem.positions = [past] }
        if let validKeys {
            let counts = try validKeys.integers()
            guard counts.count == extents.batch, counts.allSatisfy({ $0 >= 0 && $0 <= extents.keys }) else {
                throw TensorError(
                    "nonpad_kv_seqlen should be \(extents.batch) numbers of 0 to \(extents.keys), found \(counts)")
            }
            problem.validKeys = counts
            problem.positions = counts.map { $0 - extents.queries }
        }
    }

    /// The cache followed by the new rows, as [B, heads, rows, width]; nil where there is no cache and nobody asks for it.
    private func present(
        _ cache: Tensor?, _ new: Tensor, _ shape: AttentionOperandShape, past: Int, output: MutableTensor?
    ) throws -> Tensor? {
        guard cache != nil || output != nil else { return nil }
        let rows = past + shape.rows
        let target = try output ?? MutableTensor(dtype: new.dtype, shape: Shape([shape.batch, shape.heads, rows, shape.width]))
        guard target.count > 0 else { return target.tensor }
        let units = try ElementUnits(sources: [new] + (cache.map { [$0] } ?? []), target: target)
        for head in 0..<shape.batch * shape.heads {
            let start = head * rows * shape.width
            if cache != nil {
                let count = past * shape.width
                try units.copy(from: 1, at: head * count, to: start, count: count)
            }
            for index in 0..<shape.rows {
                try units.copy(
                    at: shape.layout.offset(batch: head / shape.heads, head: head % shape.heads, row: index),
                    to: start + (past + index) * shape.width, count: shape.width)
            }
        }
        return target.tensor
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        let bytes = Self.bytesMoved(inputs: inputs, outputs: outputs)
        let shapes = try? shapes { $0 < inputs.count ? inputs[$0]?.shape : nil }
        return Cost(flops: shapes?.extents.flops ?? 0, bytes: bytes)
    }
}

extension Attention {
    private static func decode(_ decoder: inout NodeDecoder) throws -> any Operator {
        try decoder.requireInputs(3...(decoder.version < 24 ? 6 : 7))
        for (name, index) in [("q_num_heads", 0), ("kv_num_heads", 1)] {
            guard let heads = try decoder.optionalInt(name), heads < 1 else { continue }
            throw TensorError("attribute \(name) should be 1 or more, found \(heads) (input \(index))")
        }
        // Softmax is always computed in single precision at least, whatever it may be rounded to.
        if let precision = try decoder.optionalDType("softmax_precision"),
            ![.float32, .float64, .float16, .bfloat16].contains(precision)
        {
            throw TensorError("attribute softmax_precision should name a floating-point type, found \(precision)")
        }
        let mode = try decoder.int("qk_matmul_output_mode", default: 0)
        guard let stage = AttentionProblem.Stage(rawValue: mode) else {
            throw TensorError("attribute qk_matmul_output_mode should be 0 to 3, found \(mode)")
        }
        let scale = try decoder.optionalFloat("scale")
        let softcap = try decoder.float("softcap", default: 0)
        guard scale?.isFinite ?? true, softcap.isFinite else {
            throw TensorError("attributes scale and softcap should be finite, found \(scale ?? 1) and \(softcap)")
        }
        return Attention(
            scale: scale.map { Double($0) }, isCausal: try decoder.bool("is_causal", default: false),
            queryHeads: try decoder.optionalInt("q_num_heads"), keyHeads: try decoder.optionalInt("kv_num_heads"),
            softcap: Double(softcap), scoresStage: stage, leftWindow: try window(&decoder, "left_window_size"),
            rightWindow: try window(&decoder, "right_window_size"))
    }

    private static func window(_ decoder: inout NodeDecoder, _ name: String) throws(TensorError) -> Int? {
        guard decoder.version >= 25 else { return nil }
        let size = try decoder.int(name, default: -1)
        guard size >= -1, size <= 1 << 48 else { throw TensorError("attribute \(name) should be -1 or more, found \(size)") }
        return size < 0 ? nil : size
    }

    static let definitions = [23, 24, 25].map { version in
        OperatorDefinition("Attention", since: version) { try decode(&$0) }
    }
}
