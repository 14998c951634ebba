import GraphRuntime

/// Attention with the projections of queries, keys and values in it.
enum PackedAttentionExpansions {
    static let expansions = [
        // Attention-1: inputs x [B, L, D], the three projections' weights [D, heads·(2E + F)] and bias, the padding mask, past keys and
        // values [2, B, heads, past, E], and numbers to add to the scores; outputs [B, L, heads·F], and keys and values with the past
        OperatorExpansion(microsoft: "Attention") { node in
            try node.decoder.requireInputs(2...7)
            guard node.input(6) == nil else {
                throw TensorError("past_sequence_length, for caches of a fixed size, isn't supported")
            }
            for name in ["do_rotary", "past_present_share_buffer"] {
                if try node.decoder.bool(name, default: false) { throw TensorError("attribute \(name) isn't supported") }
            }
            node.decoder.ignore("rotary_embedding_dim")
            let sizes = try node.decoder.optionalInts("qkv_hidden_sizes") ?? []
            guard sizes.isEmpty || sizes.count == 3 && sizes.allSatisfy({ $0 > 0 }) else {
                throw TensorError("attribute qkv_hidden_sizes should be three sizes, found \(sizes)")
            }
            let projected = node.sum(node.add("MatMul", [try node.required(0), try node.required(1)]), node.input(2))
            let parts =
                sizes.isEmpty
                ? node.add("Split", [projected], ["axis": .int(-1), "num_outputs": .int(3)], outputs: 3)
                : node.add("Split", [projected, try node.integers(sizes)], ["axis": .int(-1)], outputs: 3)
            try attend(parts, mask: node.input(3), past: node.input(4), addend: node.input(5), &node)
        },
        // QAttention-1: inputs x and the projections' weights as int8 or uint8, their bias, the scales of x and of the weights (one, or
        // one for each column), the padding mask, their zero points, past keys and values; outputs as above
        OperatorExpansion(microsoft: "QAttention") { node in
            try node.decoder.requireInputs(5...9)
            for name in ["do_rotary", "past_present_share_buffer"] {
                if try node.decoder.bool(name, default: false) { throw TensorError("attribute \(name) isn't supported") }
            }
            let sums = node.add(
                "MatMulInteger", [try node.required(0), try node.required(1), node.input(6), node.input(7)])
            let product = try IntegerProductExpansions.scaled(sums, node.required(3), node.required(4), &node)
            let projected = node.sum(product, try node.required(2))
            let parts = node.add("Split", [projected], ["axis": .int(-1), "num_outputs": .int(3)], outputs: 3)
            try attend(parts, mask: node.input(5), past: node.input(8), addend: nil, &node)
        },
    ]

    /// The attention of projected queries, keys and values, and its outputs.
    private static func attend(
        _ parts: [ValueID], mask: ValueID?, past: ValueID?, addend: ValueID?, _ node: inout NodeExpansion
    ) throws {
        let attention = MultiHeadAttention(
            heads: try MultiHeadAttention.heads(&node.decoder), scale: try MultiHeadAttention.scale(&node.decoder),
            isCausal: try node.decoder.bool("unidirectional", default: false),
            maskFilter: try node.decoder.float("mask_filter_value", default: -10000))
        var (pastKey, pastValue): (ValueID?, ValueID?)
        if let past {
            pastKey = node.add("Gather", [past, node.constant(try Tensor(scalar: Int64(0)))])
            pastValue = node.add("Gather", [past, node.constant(try Tensor(scalar: Int64(1)))])
        }
        let results = node.add(
            "MultiHeadAttention", parts + [nil, mask, addend, pastKey, pastValue], NodeAttributes(),
            outputs: node.hasOutput(1) ? 3 : 1, operation: attention)
        node.setOutput(0, results[0])
        if results.count == 3 {
            let axis = try node.integers([0])
            let present = results[1...].map { node.add("Unsqueeze", [$0, axis]) }
            node.setOutput(1, node.add("Concat", present, ["axis": .int(0)]))
        }
    }
}
