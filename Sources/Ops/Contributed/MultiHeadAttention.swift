import GraphRuntime

/// MultiHeadAttention (com.microsoft, 1): softmax(scale · Q · Kᵀ + masks) · V for each head.
///
/// Inputs: query [B, L, heads·E], or with keys and values in it [B, L, heads, 3, E]; key [B, M, heads·E], or with values in it
/// [B, M, heads, 2, E], or [B, heads, M, E]; value [B, M, heads·F], or [B, heads, M, F]; bias [heads·(2E + F)] for all three; the padding
/// mask (``PaddingMask``); numbers to add to the scores, which broadcast to [B, heads, L, past + M]; past keys and values
/// [B, heads, past, E]. Outputs: [B, L, heads·F], and keys and values with the past before them.
struct MultiHeadAttention: Operator {
    let heads: Int
    /// Added to the score of a masked key.
    let maskFilter: Float
    private var attention: Attention

    init(heads: Int, scale: Float?, isCausal: Bool, maskFilter: Float) {
        self.heads = heads
        self.maskFilter = maskFilter
        attention = Attention(
            scale: scale.map { Double($0) }, isCausal: isCausal, queryHeads: heads, keyHeads: heads, softcap: 0,
            scoresStage: .products, leftWindow: nil, rightWindow: nil)
    }

    var floatingPointTypes: Set<DType>? { [.float32] }

    /// The shapes of query, key and value as ONNX's own operator takes them: three axes.
    private func plainShapes(_ query: Shape, _ key: Shape?, _ value: Shape?) throws -> [Shape] {
        guard let key else {
            guard query.rank == 5, query[2] == heads, query[3] == 3 else {
                throw TensorError("query of shape \(query) should be [B, L, \(heads), 3, E], as key and value aren't given")
            }
            let plain = try Shape([query[0], query[1], heads * query[4]])
            return [plain, plain, plain]
        }
        guard query.rank == 3 else { throw TensorError("query should have 3 axes, found shape \(query)") }
        guard let value else {
            guard key.rank == 5, key[2] == heads, key[3] == 2 else {
                throw TensorError("key of shape \(key) should be [B, M, \(heads), 2, E], as value isn't given")
            }
            let plain = try Shape([key[0], key[1], heads * key[4]])
            return [query, plain, plain]
        }
        return [query, try rowsFirst(key, "key"), try rowsFirst(value, "value")]
    }

    private func rowsFirst(_ shape: Shape, _ name: String) throws -> Shape {
        switch shape.rank {
        case 3: return shape
        case 4 where shape[1] == heads: return try Shape([shape[0], shape[2], heads * shape[3]])
        default: throw TensorError("\(name) of shape \(shape) should be [B, M, E] or [B, \(heads), M, E]")
        }
    }

    /// The facts of the inputs of ``attention``; nil where shapes aren't known yet.
    private func inner(_ fact: (Int) -> Fact?, outputCount: Int) throws -> InferenceInputs? {
        guard let query = fact(0), let q = query.shape else { return nil }
        for index in [1, 2, 6, 7] where fact(index) != nil && fact(index)?.shape == nil { return nil }
        let plain = try plainShapes(q, fact(1)?.shape, fact(2)?.shape).map { Fact(dtype: query.dtype, shape: $0) }
        return InferenceInputs(
            plain + [nil] + [6, 7].map { index in fact(index).map { Fact(dtype: $0.dtype, shape: $0.shape) } },
            outputCount: outputCount)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try inputs[0].dtype
        if let inner = try inner({ inputs.optional($0) }, outputCount: inputs.outputCount) {
            return try attention.inferOutputs(inner)
        }
        return [Fact](repeating: Fact(dtype: dtype), count: max(inputs.outputCount, 1))
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        result.attention.precision = plan.precision.withoutBytes
        return result
    }

    private func innerFacts(_ inputs: [Fact?]) -> [Fact?]? {
        guard var facts = try? inner({ $0 < inputs.count ? inputs[$0] : nil }, outputCount: 1)?.facts else { return nil }
        // The forms of the masks don't matter here, only whether there is one.
        facts[3] = [4, 5].lazy.compactMap { $0 < inputs.count ? inputs[$0] : nil }.first
        return facts
    }

    func kernelName(inputs: [Fact?], outputs: [Fact?]) -> String? {
        innerFacts(inputs).flatMap { attention.kernelName(inputs: $0, outputs: outputs) }
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        let bytes = Self.bytesMoved(inputs: inputs, outputs: outputs)
        return Cost(
            flops: innerFacts(inputs).map { attention.cost(inputs: $0, outputs: outputs).flops } ?? 0, bytes: bytes)
    }

    func run(_ context: inout RunContext) throws {
        let inputs = try (0..<8).map { index throws(TensorError) in try context.optionalInput(index) }
        guard let query = inputs[0] else { throw TensorError("input 0 is missing") }
        var operands = try operands(query, inputs[1], inputs[2], context.threads)
        if let bias = inputs[3] { operands = try biased(operands, bias, context.threads) }
        let past = inputs[6].map { $0.shape.rank == 4 ? $0.shape[2] : 0 } ?? 0
        let mask = try mask(
            inputs[4], inputs[5],
            PaddingMask(
                filter: maskFilter, batch: query.shape[0], queries: operands[0].shape[1], keys: past + operands[1].shape[1],
                past: past), context.threads)
        let given: [Tensor?] = operands + [mask, inputs[6], inputs[7]]
        var inner = RunContext(
            inputs: given.map { $0.map { .tensor($0) } }, outputs: context.outputs, threads: context.threads)
        try attention.run(&inner)
    }

    /// Query, key and value with three axes each.
    private func operands(
        _ query: Tensor, _ key: Tensor?, _ value: Tensor?, _ threads: ThreadPool
    ) throws -> [Tensor] {
        let shapes = try plainShapes(query.shape, key?.shape, value?.shape)
        guard let key else { return try unpacked(query, shapes[0], threads) }
        guard let value else { return [query] + (try unpacked(key, shapes[1], threads)) }
        return [
            query, try moved(key, [0, 2, 1, 3], threads).reshaped(to: shapes[1]),
            try moved(value, [0, 2, 1, 3], threads).reshaped(to: shapes[2]),
        ]
    }

    /// The parts of [B, L, heads, parts, E].
    private func unpacked(_ packed: Tensor, _ shape: Shape, _ threads: ThreadPool) throws -> [Tensor] {
        let parts = try moved(packed, [3, 0, 1, 2, 4], threads)
        return try (0..<parts.shape[0]).map { part in
            try Tensor(
                dtype: parts.dtype, shape: shape, storage: parts.storage,
                byteOffset: parts.byteOffset + part * shape.count * parts.dtype.bitWidth / 8)
        }
    }

    /// The tensor with its axes in another order, where it has as many.
    private func moved(_ x: Tensor, _ axes: [Int], _ threads: ThreadPool) throws -> Tensor {
        guard x.shape.rank == axes.count else { return x }
        return try RunContext.newTensor(of: [x], shape: Shape(axes.map { x.shape[$0] })) { units in
            try units.transpose(x.shape, permutation: axes, threads: threads)
        }
    }

    private func biased(_ operands: [Tensor], _ bias: Tensor, _ threads: ThreadPool) throws -> [Tensor] {
        let widths = operands.map { $0.shape[2] }
        guard bias.dtype == operands[0].dtype, bias.shape.dimensions == [widths.reduce(0, +)] else {
            throw TensorError("the bias of shape \(bias.shape) should have \(widths.reduce(0, +)) elements")
        }
        var start = bias.byteOffset
        return try zip(operands, widths).map { operand, width in
            let part = try Tensor(dtype: bias.dtype, shape: Shape([width]), storage: bias.storage, byteOffset: start)
            start += part.byteCount
            let sum = try MutableTensor(dtype: operand.dtype, shape: operand.shape)
            try arithmetic(.add, operand, part.aligned(), into: sum, threads: threads)
            return try sum.finish()
        }
    }

    /// What is added to the scores; nil for nothing.
    private func mask(_ padding: Tensor?, _ addend: Tensor?, _ form: PaddingMask, _ threads: ThreadPool) throws -> Tensor? {
        guard let padding else { return addend }
        let mask = try form.tensor(padding)
        guard let addend else { return mask }
        let sum = try MutableTensor(dtype: .float32, shape: mask.shape.broadcast(with: addend.shape))
        try arithmetic(.add, mask, addend, into: sum, threads: threads)
        return try sum.finish()
    }

    static let definition = OperatorDefinition("MultiHeadAttention", domain: ContributedFamily.domain, since: 1) { decoder in
        try decoder.requireInputs(1...8)
        guard decoder.outputCount <= 3 else { throw TensorError("the scores as an output aren't supported") }
        return MultiHeadAttention(
            heads: try heads(&decoder), scale: try scale(&decoder),
            isCausal: try decoder.bool("unidirectional", default: false),
            maskFilter: try decoder.float("mask_filter_value", default: -10000))
    }

    static func heads(_ decoder: inout NodeDecoder) throws(TensorError) -> Int {
        let heads = try decoder.requiredInt("num_heads")
        guard heads > 0 else { throw TensorError("attribute num_heads should be 1 or more, found \(heads)") }
        return heads
    }

    /// Nil, as 0, for 1 / √E.
    static func scale(_ decoder: inout NodeDecoder) throws(TensorError) -> Float? {
        let scale = try decoder.float("scale", default: 0)
        guard scale.isFinite else { throw TensorError("attribute scale should be finite, found \(scale)") }
        return scale == 0 ? nil : scale
    }
}
