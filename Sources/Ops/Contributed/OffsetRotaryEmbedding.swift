import GraphRuntime

/// RotaryEmbedding (com.microsoft, 1): inputs x [B, L, heads·E] or [B, heads, L, E]; the positions, [B, L], or one, at which the first row
/// stands; cos_cache and sin_cache [positions, D / 2].
struct OffsetRotaryEmbedding: Operator {
    /// 0 for as many as heads of the caches' width, or of 2 · theirs, make.
    let heads: Int
    /// D, how many elements of each head are rotated; 0 for all.
    let width: Int
    let isInterleaved: Bool

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }
    func takesHalves(input index: Int) -> Bool { index == 2 || index == 3 }

    /// ONNX's own form for an input and caches of these shapes.
    private func rotation(_ x: Shape, _ cache: Shape) throws(TensorError) -> RotaryEmbedding {
        guard cache.rank == 2, cache[1] > 0 else {
            throw TensorError("cos_cache and sin_cache should have 2 axes, found shape \(cache)")
        }
        // Of three axes without a number of heads, a head is what the caches rotate.
        let count = heads > 0 ? heads : x.rank == 3 ? x[2] / (2 * cache[1]) : nil
        return RotaryEmbedding(heads: count, width: width, isInterleaved: isInterleaved)
    }

    private func rows(_ x: Shape) throws(TensorError) -> Shape {
        guard x.rank == 3 || x.rank == 4 else { throw TensorError("input should have 3 or 4 axes, found shape \(x)") }
        return try Shape([x[0], x[x.rank - 2]])
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        if let shape = x.shape, let cache = try inputs[2].shape {
            var facts = [x, try inputs[2], try inputs[3]]
            if let positions = try inputs[1].shape {
                let rows = try rows(shape)
                guard positions == rows || positions.count == 1 else {
                    throw TensorError("position_ids should have the shape \(rows) or one element, found \(positions)")
                }
                facts.append(Fact(dtype: .int64, shape: rows))
            }
            _ = try rotation(shape, cache).inferOutputs(InferenceInputs(facts))
        }
        return [x.withoutValue]
    }

    func run(_ context: inout RunContext) throws {
        let (x, cosines, sines) = (try context.input(0), try context.input(2), try context.input(3))
        let rows = try rows(x.shape)
        var positions = try context.input(1)
        if positions.shape != rows {
            guard let first = try positions.integers().first, positions.count == 1, first.magnitude < 1 << 48 else {
                throw TensorError("position_ids should have the shape \(rows) or one element, found \(positions.shape)")
            }
            positions = try Tensor((0..<rows.count).map { Int64(first + $0 % max(rows[1], 1)) }, shape: rows)
        }
        var inner = RunContext(
            inputs: [x, cosines, sines, positions].map { .tensor($0) }, outputs: context.outputs, threads: context.threads)
        try rotation(x.shape, cosines.shape).run(&inner)
    }

    static let definition = OperatorDefinition("RotaryEmbedding", domain: ContributedFamily.domain, since: 1) { decoder in
        try decoder.requireInputs(4...4)
        if try decoder.bool("is_packed_batching", default: false) {
            throw TensorError("attribute is_packed_batching isn't supported")
        }
        // ONNX Runtime 1.32 declares it and ignores it.
        decoder.ignore("scale")
        let (width, heads) = (
            try decoder.int("rotary_embedding_dim", default: 0), try decoder.int("num_heads", default: 0)
        )
        guard width >= 0, heads >= 0 else {
            throw TensorError("attributes rotary_embedding_dim and num_heads should be 0 or more, found \(width) and \(heads)")
        }
        return OffsetRotaryEmbedding(
            heads: heads, width: width, isInterleaved: try decoder.bool("interleaved", default: false))
    }
}
