import Foundation
import GraphRuntime

/// LinearAttention-27: attention whose keys and values are summed into a state S of [key size, value size] for each head.
///
/// Query [batch, length, query heads · key size], key [batch, length, heads · key size], value [batch, length, heads · value size],
/// past state [batch, heads, key size, value size], decay [batch, length, heads · key size] or [batch, length, heads], beta [batch,
/// length, heads] or [batch, length, 1]; gives [batch, length, query heads · value size] and the new state.
struct LinearAttention: Operator {
    enum Rule: String {
        /// S = S + k ⊗ v
        case linear
        /// S = exp(g) S + k ⊗ v
        case gated
        /// S = S + β k ⊗ (v - Sᵀ k)
        case delta
        /// Both.
        case gatedDelta = "gated_delta"

        var isGated: Bool { self == .gated || self == .gatedDelta }
        var isDelta: Bool { self == .delta || self == .gatedDelta }
    }

    let rule: Rule
    let queryHeads: Int
    let heads: Int
    /// Nil for 1/√(key size).
    let scale: Float?

    var floatingPointTypes: Set<DType>? { [.float32] }

    struct Sizes {
        let batch: Int
        let length: Int
        let key: Int
        let value: Int
        let state: Shape
        let output: Shape
    }

    private func sizes(_ q: Shape, _ k: Shape, _ v: Shape) throws -> Sizes {
        guard q.rank == 3, k.rank == 3, v.rank == 3, q[2] % queryHeads == 0, v[2] % heads == 0,
            k.dimensions == [q[0], q[1], try checkedProduct(q[2] / queryHeads, heads)], v[0] == q[0], v[1] == q[1]
        else {
            throw TensorError(
                "query \(q), key \(k) and value \(v) don't fit \(queryHeads) query heads and \(heads) key and value heads")
        }
        let (key, value) = (q[2] / queryHeads, v[2] / heads)
        return Sizes(
            batch: q[0], length: q[1], key: key, value: value, state: try Shape([q[0], heads, key, value]),
            output: try Shape([q[0], q[1], checkedProduct(queryHeads, value)]))
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try commonType(inputs, 0..<3)
        guard [nil, .float32, .float16, .bfloat16].contains(dtype) else {
            throw TensorError("expected float32, float16 or bfloat16, found inputs of another type")
        }
        for (index, name, isNeeded) in [(4, "decay", rule.isGated), (5, "beta", rule.isDelta)] where isNeeded {
            guard inputs.optional(index) != nil else { throw TensorError("the rule \(rule.rawValue) needs \(name)") }
        }
        let stateType = inputs.optional(3)?.dtype ?? dtype
        guard let q = try inputs[0].shape, let k = try inputs[1].shape, let v = try inputs[2].shape else {
            return [Fact(dtype: dtype), Fact(dtype: stateType)]
        }
        let sizes = try sizes(q, k, v)
        if let past = inputs.optional(3)?.shape, past != sizes.state {
            throw TensorError("the past state should have shape \(sizes.state), found \(past)")
        }
        let widths = [(4, [heads, try checkedProduct(heads, sizes.key)]), (5, [heads, 1])]
        for (index, widths) in widths {
            guard let shape = inputs.optional(index)?.shape else { continue }
            guard shape.rank == 3, shape[0] == q[0], shape[1] == q[1], widths.contains(shape[2]) else {
                throw TensorError(
                    "input \(index) should have shape [\(q[0]), \(q[1]), \(widths[0]) or \(widths[1])], found \(shape)")
            }
        }
        return [Fact(dtype: dtype, shape: sizes.output), Fact(dtype: stateType, shape: sizes.state)]
    }

    func run(_ context: inout RunContext) throws {
        let tensors = try (0..<6).map { try context.optionalInput($0)?.aligned() }
        guard let q = tensors[0], let k = tensors[1], let v = tensors[2] else { throw TensorError("an input is missing") }
        let sizes = try sizes(q.shape, k.shape, v.shape)
        let present = try context.optionalOutput(1) ?? MutableTensor(dtype: .float32, shape: sizes.state)
        if let past = tensors[3] {
            try present.copy(from: past)
        } else {
            try present.fill(with: 0 as Float)
        }
        let output = try context.output(0)
        guard sizes.state.count > 0 else { return try output.fill(with: 0 as Float) }
        try attend(
            tensors, sizes, states: present, results: output, scale: scale ?? 1 / Float(max(sizes.key, 1)).squareRoot(),
            threads: context.threads)
    }

    static let definition = OperatorDefinition("LinearAttention", since: 27) { decoder in
        try decoder.requireInputs(3...6)
        // A hint for the order of the computation.
        decoder.ignore("chunk_size")
        let text = try decoder.string("update_rule", default: "gated_delta")
        guard let rule = Rule(rawValue: text) else {
            throw TensorError("attribute update_rule should be linear, gated, delta or gated_delta, found \"\(text)\"")
        }
        let (queryHeads, heads) = (try decoder.requiredInt("q_num_heads"), try decoder.requiredInt("kv_num_heads"))
        guard heads > 0, queryHeads > 0, queryHeads % heads == 0 else {
            throw TensorError("q_num_heads should be a multiple of kv_num_heads, found \(queryHeads) and \(heads)")
        }
        let scale = try decoder.float("scale", default: 0)
        return LinearAttention(rule: rule, queryHeads: queryHeads, heads: heads, scale: scale == 0 ? nil : scale)
    }
}
