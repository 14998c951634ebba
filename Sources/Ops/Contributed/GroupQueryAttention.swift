import Foundation
import GraphRuntime

/// GroupQueryAttention (com.microsoft, 1): causal attention whose heads share keys and values in groups, with a cache of those.
///
/// Inputs: query [B, L, heads·E], or with keys and values in it [B, L, (heads + 2·groups)·E]; key and value [B, L, groups·E]; past keys
/// and values [B, groups, P, E]; for each row the number of its keys, less one, and the largest of these numbers; caches of cosines
/// and sines [positions, D / 2]; positions [B, L]; numbers to add to the scores [B or 1, heads or 1, L, at least all keys]; for each head a
/// score that takes part in the softmax without a value. Outputs: [B, L, heads·E], and the cache with the new keys and values,
/// [B, groups, max(P, keys), E].
struct GroupQueryAttention: Operator {
    let heads: Int
    let groups: Int
    /// Nil for 1 / √E.
    let scale: Double?
    /// 0 for none.
    let softcap: Double
    /// Keys before a query that it sees, itself included; nil for all.
    let window: Int?
    let isRotated: Bool
    let isInterleaved: Bool
    /// Whether a score of 0 takes part in the softmax without a value (Miller 2023, "Attention Is Off By One").
    let isSmooth: Bool
    /// Whether queries see no key behind their own position.
    let isCausal: Bool

    var floatingPointTypes: Set<DType>? { [.float32] }
    /// Of the caches of cosines and sines, the rotation widens what it reads.
    func takesHalves(input index: Int) -> Bool { index == 7 || index == 8 }

    private struct Extents {
        let batch: Int
        let length: Int
        let head: Int
        let past: Int
        let present: Int
        /// Keys that queries of each row may see.
        var ends: [Int] = []
    }

    private func extents(_ query: Shape, packed: Bool, past: Shape?, total: Int) throws -> Extents {
        let parts = packed ? heads + 2 * groups : heads
        guard query.rank == 3, query[2] % parts == 0, query[2] > 0 else {
            throw TensorError("query of shape \(query) doesn't hold \(parts) heads")
        }
        let head = query[2] / parts
        if let past {
            guard past.rank == 4, past[0] == query[0], past[1] == groups, past[3] == head else {
                throw TensorError("past keys of shape \(past) don't fit \(groups) groups of \(head) elements")
            }
        }
        guard total >= query[1], total <= 1 << 32 else {
            throw TensorError("\(total) keys in all are fewer than the \(query[1]) of the queries")
        }
        return Extents(
            batch: query[0], length: query[1], head: head, past: past?[2] ?? 0, present: max(past?[2] ?? 0, total))
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let query = try inputs[0]
        let isPacked = inputs.optional(1) == nil
        var facts = [Fact](repeating: Fact(dtype: query.dtype), count: max(inputs.outputCount, 1))
        if let shape = query.shape, shape.rank == 3 {
            let parts = isPacked ? heads + 2 * groups : heads
            facts[0].shape = try Shape([shape[0], shape[1], shape[2] / parts * heads])
            if inputs.optional(3) == nil || inputs.optional(3)?.shape != nil, let total = try inputs.integers(6)?.first {
                let sizes = try extents(shape, packed: isPacked, past: inputs.optional(3)?.shape, total: total)
                let cache = try Shape([sizes.batch, groups, sizes.present, sizes.head])
                for index in facts.indices.dropFirst() { facts[index].shape = cache }
            }
        }
        return facts
    }

    func run(_ context: inout RunContext) throws {
        let query = try context.input(0)
        let isPacked = try context.optionalInput(1) == nil
        let past = (try context.optionalInput(3), try context.optionalInput(4))
        let lengths = try context.input(5).integers()
        guard let total = try context.input(6).integers().first else { throw TensorError("total_sequence_length is empty") }
        var sizes = try extents(query.shape, packed: isPacked, past: past.0?.shape, total: total)
        guard past.0?.shape == past.1?.shape else { throw TensorError("past keys and values differ in their shapes") }
        guard lengths.count == sizes.batch, lengths.allSatisfy({ $0 >= 0 && $0 < sizes.present }) else {
            throw TensorError("seqlens_k should be \(sizes.batch) numbers below \(sizes.present), found \(lengths)")
        }
        // Of the first queries, whose rows may be filled up behind their ends, there is no past.
        let isFirst = sizes.length == total
        let starts = lengths.map { isFirst ? 0 : $0 + 1 - sizes.length }
        guard starts.allSatisfy({ $0 >= 0 && $0 <= sizes.past || $0 == 0 }) else {
            throw TensorError("seqlens_k \(lengths) don't fit \(sizes.length) queries over \(sizes.past) past keys")
        }
        // Without a causal mask, what fills up a first prompt would be seen.
        sizes.ends = zip(starts, lengths).map { start, length in
            min(isCausal ? start + sizes.length : length + 1, sizes.present)
        }
        let parts = try split(query, isPacked, sizes, context)
        let positions = try context.optionalInput(9)
        let turned =
            isRotated
            ? try parts[..<2].map { try rotated($0, starts, positions, context) } + [parts[2]] : parts
        let keys = try joined(turned[1], past.0, sizes, starts, into: context.optionalOutput(1), threads: context.threads)
        let values = try joined(turned[2], past.1, sizes, starts, into: context.optionalOutput(2), threads: context.threads)
        if try isSmooth || context.optionalInput(11) != nil {
            try attendWithSinks(turned[0], keys, values, sizes, starts, context)
        } else {
            try attend(turned[0], keys, values, sizes, starts, context)
        }
        for (index, cache) in [(1, keys), (2, values)]
        where context.optionalOutput(index) == nil && index < context.outputs.count {
            context.setOutput(index, .tensor(cache))
        }
    }

    /// Queries, keys and values, [B, L, heads or groups, E].
    private func split(_ query: Tensor, _ isPacked: Bool, _ sizes: Extents, _ context: RunContext) throws -> [Tensor] {
        let counts = [heads, groups, groups]
        guard isPacked else {
            return try (0..<3).map { index in
                let part = try context.input(index)
                return try part.reshaped(to: Shape([sizes.batch, sizes.length, counts[index], sizes.head]))
            }
        }
        var first = 0
        return try counts.map { count in
            let part = try MutableTensor(dtype: .float32, shape: Shape([sizes.batch, sizes.length, count, sizes.head]))
            let width = count * sizes.head
            try ElementUnits(sources: [query], target: part).copyRows(
                sizes.batch * sizes.length, of: width, at: first, step: query.shape[2], targetStep: width,
                threads: context.threads)
            first += width
            return try part.finish()
        }
    }

    private func rotated(_ x: Tensor, _ starts: [Int], _ positions: Tensor?, _ context: RunContext) throws -> Tensor {
        let (batch, length) = (x.shape[0], x.shape[1])
        let rows =
            try positions
            ?? Tensor((0..<batch * length).map { Int64(starts[$0 / length] + $0 % length) }, shape: Shape([batch, length]))
        let output = try MutableTensor(dtype: .float32, shape: Shape([batch, length, x.shape[2] * x.shape[3]]))
        let flat = try x.reshaped(to: output.shape)
        let (cosines, sines) = (try context.input(7), try context.input(8))
        // What the caches have no angles for stays.
        guard cosines.shape.rank == 2, sines.shape == cosines.shape, (1...max(x.shape[3] / 2, 1)).contains(cosines.shape[1])
        else {
            throw TensorError(
                "cos_cache \(cosines.shape) and sin_cache \(sines.shape) should have a row of at most \(x.shape[3] / 2) numbers for each position"
            )
        }
        var inner = RunContext(
            inputs: [flat, cosines, sines, rows].map { .tensor($0) }, outputs: [output], threads: context.threads)
        try RotaryEmbedding(heads: x.shape[2], width: 2 * cosines.shape[1], isInterleaved: isInterleaved).run(&inner)
        return try output.finish().reshaped(to: x.shape)
    }

    /// The cache with new rows [B, L, groups, E] from each row's start on; 0 where there is nothing.
    private func joined(
        _ new: Tensor, _ past: Tensor?, _ sizes: Extents, _ starts: [Int], into output: MutableTensor?, threads: ThreadPool
    ) throws -> Tensor {
        let result =
            try output ?? MutableTensor(dtype: .float32, shape: Shape([sizes.batch, groups, sizes.present, sizes.head]))
        let units = try ElementUnits(sources: [new, Tensor([Float(0)])] + (past.map { [$0] } ?? []), target: result)
        let (head, row) = (sizes.head, groups * sizes.head)
        for line in 0..<sizes.batch * groups {
            let (start, first) = (starts[line / groups], line * sizes.present)
            let old = past == nil ? 0 : min(start, sizes.past)
            if old > 0 { try units.copy(from: 2, at: line * sizes.past * head, to: first * head, count: old * head) }
            try units.fill((first + old) * head..<(first + start) * head, from: 1)
            let count = min(sizes.length, sizes.present - start)
            let place = line / groups * sizes.length * row + line % groups * head
            try units.copyRows(
                count, of: head, at: place, step: row, to: (first + start) * head, targetStep: head, threads: threads)
            try units.fill((first + start + count) * head..<(first + sizes.present) * head, from: 1)
        }
        return try result.finish()
    }

    /// The numbers to add to the scores, if there are any.
    private func bias(_ sizes: Extents, _ starts: [Int], _ context: RunContext) throws -> Tensor? {
        guard let bias = try context.optionalInput(10) else { return nil }
        guard bias.shape.rank == 4, [1, sizes.batch].contains(bias.shape[0]), [1, heads].contains(bias.shape[1]),
            bias.dtype == .float32, bias.shape[2] == sizes.length, bias.shape[3] >= (starts.max() ?? 0) + sizes.length
        else { throw TensorError("attention_bias \(bias.dtype)\(bias.shape) doesn't fit the scores") }
        return bias
    }

    private func attend(
        _ queries: Tensor, _ keys: Tensor, _ values: Tensor, _ sizes: Extents, _ starts: [Int], _ context: RunContext
    ) throws {
        let extents = AttentionExtents(
            batch: sizes.batch, heads: heads, keyHeads: groups, queries: sizes.length, keys: sizes.present, width: sizes.head,
            valueWidth: sizes.head)
        let cache = AttentionLayout.headsFirst(heads: groups, rows: sizes.present, width: sizes.head)
        let rows = AttentionLayout.rowsFirst(heads: heads, rows: sizes.length, width: sizes.head)
        var problem = AttentionProblem(
            extents: extents, query: rows, key: cache, value: cache, output: rows,
            scale: scale ?? 1 / Double(sizes.head).squareRoot())
        problem.softcap = softcap
        problem.positions = starts
        problem.validKeys = sizes.ends
        problem.keysBefore = window.map { $0 - 1 }
        problem.keysBehind = isCausal ? 0 : nil
        var mask = try bias(sizes, starts, context)
        if let whole = mask, whole.shape[3] > sizes.present {
            let part = try MutableTensor(dtype: .float32, shape: whole.shape.replacing(3, with: sizes.present))
            try ElementUnits(sources: [whole], target: part).copyRows(
                whole.shape.count(0..<3), of: sizes.present, step: whole.shape[3], targetStep: sizes.present,
                threads: context.threads)
            mask = try part.finish()
        }
        try scaledDotProductAttention(
            problem, AttentionOperands(query: queries, key: keys, value: values, mask: mask), into: context.output(0),
            threads: context.threads)
    }

    /// As ``attend(_:_:_:_:_:_:)``, with a score for each head that has no value, or 0.
    private func attendWithSinks(
        _ queries: Tensor, _ keys: Tensor, _ values: Tensor, _ sizes: Extents, _ starts: [Int], _ context: RunContext
    ) throws {
        let bias = try bias(sizes, starts, context)
        let sinks = try context.optionalInput(11)?.array(of: Float.self)
        if let sinks, sinks.count != heads { throw TensorError("head_sink should have \(heads) numbers, found \(sinks.count)") }
        let (q, k, v) = (try queries.view(of: Float.self), try keys.view(of: Float.self), try values.view(of: Float.self))
        let sums = try bias?.view(of: Float.self)
        let factor = scale ?? 1 / Double(sizes.head).squareRoot()
        let head = sizes.head
        let output = try context.output(0)
        let shape = bias?.shape.dimensions ?? []
        // One head of one query: the units of the output.
        try output.forEachSlice(of: Float.self, unit: head, grain: 1, threads: context.threads) { units, y in
            for unit in units {
                let (line, index) = (unit / heads, unit % heads)
                let (row, place) = (line / sizes.length, line % sizes.length)
                let position = min(starts[row] + place + 1, sizes.present)
                let end = isCausal ? position : sizes.ends[row]
                let first = window.map { min(max(0, position - $0), end) } ?? 0
                let cache = (row * groups + index / (heads / groups)) * sizes.present * head
                var scores = (first..<end).map { key -> Double in
                    var sum: Float = 0
                    for element in 0..<head { sum += q[unit * head + element] * k[cache + key * head + element] }
                    var score = Double(sum) * factor
                    if softcap > 0 { score = softcap * tanh(score / softcap) }
                    guard let sums else { return score }
                    let (a, b) = (shape[0] == 1 ? 0 : row, shape[1] == 1 ? 0 : index)
                    return score + Double(sums[((a * shape[1] + b) * shape[2] + place) * shape[3] + key])
                }
                let sink = Double(sinks?[index] ?? 0)
                let largest = scores.reduce(sink) { max($0, $1) }
                for index in scores.indices { scores[index] = exp(scores[index] - largest) }
                let total = scores.reduce(exp(sink - largest), +)
                let target = (unit - units.lowerBound) * head
                for element in 0..<head {
                    var sum = 0.0
                    for (offset, score) in scores.enumerated() {
                        sum += score * Double(v[cache + (first + offset) * head + element])
                    }
                    y[target + element] = Float(sum / total)
                }
            }
        }
    }

    static let definition = OperatorDefinition("GroupQueryAttention", domain: ContributedFamily.domain, since: 1) { decoder in
        try decoder.requireInputs(7...17)
        let heads = try MultiHeadAttention.heads(&decoder)
        let groups = try decoder.requiredInt("kv_num_heads")
        guard groups > 0, heads % groups == 0, heads <= 1 << 16 else {
            throw TensorError("\(heads) heads can't share \(groups) groups of keys")
        }
        guard decoder.outputCount <= 3, try decoder.int("qk_output", default: 0) == 0 else {
            throw TensorError("the scores as an output aren't supported")
        }
        let unsupported = [
            12: "a quantised cache (k_scale)", 13: "a quantised cache (v_scale)", 14: "normalised queries (q_norm_weight)",
            15: "normalised keys (k_norm_weight)", 16: "chunks of a prompt (query_seqlens)",
        ]
        if let index = unsupported.keys.sorted().first(where: decoder.hasInput), let name = unsupported[index] {
            throw TensorError("\(name) isn't supported")
        }
        guard try decoder.int("sliding_window_cache", default: 0) == 0 else {
            throw TensorError("a cache of the window alone (sliding_window_cache) isn't supported")
        }
        // What says how caches are quantised, and of norms, means nothing without their inputs.
        for name in ["k_quant_type", "v_quant_type"] { _ = try decoder.optionalString(name) }
        _ = try decoder.optionalInt("kv_cache_bit_width")
        for name in ["q_norm_epsilon", "k_norm_epsilon", "qk_norm_epsilon"] { _ = try decoder.optionalFloat(name) }
        let isCausal = try decoder.bool("causal", default: true)
        let softcap = try decoder.float("softcap", default: 0)
        let window = try decoder.int("local_window_size", default: -1)
        guard softcap.isFinite, softcap >= 0, window == -1 || window > 0 else {
            throw TensorError("attributes softcap \(softcap) and local_window_size \(window) aren't possible")
        }
        let isRotated = try decoder.bool("do_rotary", default: false)
        guard !isRotated || decoder.hasInput(7) && decoder.hasInput(8) else {
            throw TensorError("attribute do_rotary needs the inputs cos_cache and sin_cache")
        }
        guard decoder.hasInput(1) == decoder.hasInput(2), decoder.hasInput(3) == decoder.hasInput(4) else {
            throw TensorError("keys and values should be given together")
        }
        return GroupQueryAttention(
            heads: heads, groups: groups, scale: try MultiHeadAttention.scale(&decoder).map { Double($0) },
            softcap: Double(softcap), window: window == -1 ? nil : window, isRotated: isRotated,
            isInterleaved: try decoder.bool("rotary_interleaved", default: false),
            isSmooth: try decoder.bool("smooth_softmax", default: false), isCausal: isCausal)
    }
}
