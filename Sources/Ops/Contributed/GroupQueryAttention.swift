import Foundation
import GraphRuntime

/// GroupQueryAttention (com.microsoft, 1): causal attention whose heads share keys and values in groups, with a cache of those.
///
/// Inputs: query [B, L, heads·E], or with keys and values in it [B, L, (heads + 2·groups)·E]; key and value [B, L, groups·E]; past keys
/// and values [B, groups, P, E]; for each row the number of its keys, less one, and the largest of these numbers; caches of cosines
/// and sines [positions, D / 2]; positions [B, L]; numbers to add to the scores [B or 1, heads or 1, L, at least all keys]. Outputs:
/// [B, L, heads·E], and the cache with the new keys and values, [B, groups, max(P, keys), E].
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

    var floatingPointTypes: Set<DType>? { [.float32] }

    private struct Extents {
        let batch: Int
        let length: Int
        let head: Int
        let past: Int
        let present: Int
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
        let sizes = try extents(query.shape, packed: isPacked, past: past.0?.shape, total: total)
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
        let parts = try split(query, isPacked, sizes, context)
        let positions = try context.optionalInput(9)
        let turned =
            isRotated
            ? try parts[..<2].map { try rotated($0, starts, positions, context) } + [parts[2]] : parts
        let keys = try joined(turned[1], past.0, sizes, starts)
        let values = try joined(turned[2], past.1, sizes, starts)
        try attend(turned[0], keys, values, sizes, starts, context)
        for (index, cache) in [(1, keys), (2, values)] {
            if let output = context.optionalOutput(index) {
                try output.copy(from: cache)
            } else if index < context.outputs.count {
                context.setOutput(index, .tensor(cache))
            }
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
        let source = try query.view(of: Float.self)
        var first = 0
        return try counts.map { count in
            let part = try MutableTensor(dtype: .float32, shape: Shape([sizes.batch, sizes.length, count, sizes.head]))
            let (width, row) = (count * sizes.head, query.shape[2])
            try part.withMutableSpan(of: Float.self) { y in
                for line in 0..<sizes.batch * sizes.length {
                    for index in 0..<width { y[line * width + index] = source[line * row + first + index] }
                }
            }
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
        var inner = RunContext(
            inputs: [flat, try context.input(7), try context.input(8), rows].map { .tensor($0) }, outputs: [output],
            threads: context.threads)
        try RotaryEmbedding(heads: x.shape[2], width: 0, isInterleaved: isInterleaved).run(&inner)
        return try output.finish().reshaped(to: x.shape)
    }

    /// The cache with new rows [B, L, groups, E] from each row's start on; 0 where there is nothing.
    private func joined(_ new: Tensor, _ past: Tensor?, _ sizes: Extents, _ starts: [Int]) throws -> Tensor {
        let result = try MutableTensor(
            dtype: .float32, shape: Shape([sizes.batch, groups, sizes.present, sizes.head]))
        let source = try new.view(of: Float.self)
        let old = try past?.view(of: Float.self)
        let head = sizes.head
        try result.withMutableSpan(of: Float.self) { y in
            for index in 0..<y.count { y[index] = 0 }
            for line in 0..<sizes.batch * groups {
                let (row, group) = (line / groups, line % groups)
                let start = starts[row]
                if let old {
                    for index in 0..<min(start, sizes.past) * head {
                        y[line * sizes.present * head + index] = old[line * sizes.past * head + index]
                    }
                }
                for place in 0..<min(sizes.length, sizes.present - start) {
                    let from = ((row * sizes.length + place) * groups + group) * head
                    let to = (line * sizes.present + start + place) * head
                    for index in 0..<head { y[to + index] = source[from + index] }
                }
            }
        }
        return try result.finish()
    }

    private func attend(
        _ queries: Tensor, _ keys: Tensor, _ values: Tensor, _ sizes: Extents, _ starts: [Int], _ context: RunContext
    ) throws {
        let bias = try context.optionalInput(10)
        if let bias {
            guard bias.shape.rank == 4, [1, sizes.batch].contains(bias.shape[0]), [1, heads].contains(bias.shape[1]),
                bias.shape[2] == sizes.length, bias.shape[3] >= (starts.max() ?? 0) + sizes.length
            else { throw TensorError("attention_bias of shape \(bias.shape) doesn't fit the scores") }
        }
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
                let end = min(starts[row] + place + 1, sizes.present)
                let first = window.map { max(0, end - $0) } ?? 0
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
                let largest = scores.reduce(isSmooth ? 0 : -Double.infinity) { max($0, $1) }
                for index in scores.indices { scores[index] = exp(scores[index] - largest) }
                let total = scores.reduce(isSmooth ? exp(-largest) : 0, +)
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
        try decoder.requireInputs(7...11)
        let heads = try MultiHeadAttention.heads(&decoder)
        let groups = try decoder.requiredInt("kv_num_heads")
        guard groups > 0, heads % groups == 0, heads <= 1 << 16 else {
            throw TensorError("\(heads) heads can't share \(groups) groups of keys")
        }
        guard decoder.outputCount <= 3 else { throw TensorError("the scores as an output aren't supported") }
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
            isSmooth: try decoder.bool("smooth_softmax", default: false))
    }
}
