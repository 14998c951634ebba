import GraphRuntime

/// Operators on weights of few bits that become numbers before they are used.
enum DequantizedExpansions {
    static let expansions = [
        // MatMulBnb4-1: inputs A [..., K], the codes and magnitudes of B [N, K]
        OperatorExpansion(microsoft: "MatMulBnb4") { node in
            try node.decoder.requireInputs(3...3)
            let (k, n) = (try node.decoder.requiredInt("K"), try node.decoder.requiredInt("N"))
            let block = try node.decoder.requiredInt("block_size")
            guard (1...1 << 24).contains(k), (1...1 << 24).contains(n), (1...1 << 20).contains(block) else {
                throw TensorError("attributes K \(k), N \(n) and block_size \(block) don't describe a matrix")
            }
            let kind = try node.decoder.requiredInt("quant_type")
            guard kind == 0 || kind == 1 else { throw TensorError("attribute quant_type should be 0 or 1, found \(kind)") }
            for name in ["training_mode"] where try node.decoder.bool(name, default: false) {
                throw TensorError("attribute \(name) isn't supported")
            }
            guard try node.decoder.bool("transB", default: true) else { throw TensorError("attribute transB should be 1") }
            let weights = FourBitFloats(
                rows: n, columns: k, block: block, table: kind == 0 ? FourBitFloats.float : FourBitFloats.normal)
            let numbers = node.add("MatMulBnb4Weights", [try node.required(1), try node.required(2)], operation: weights)
            let typed = node.add("CastLike", [numbers, try node.required(0)])
            node.setOutput(0, node.add("MatMul", [try node.required(0), typed]))
        },
        // DynamicQuantizeLSTM-1: inputs x, W [directions, input, 4·hidden] and R [directions, hidden, 4·hidden] as integers, then those of
        // LSTM from the bias on, and the scales and zero points of W and of R. The products are of floats here: ONNX Runtime quantizes
        // x and the hidden state too, which is less exact
        OperatorExpansion(microsoft: "DynamicQuantizeLSTM") { node in
            try node.decoder.requireInputs(12...12)
            let names = [
                "activation_alpha", "activation_beta", "activations", "clip", "direction", "hidden_size", "input_forget",
            ]
            let attributes = node.attributes(names)
            let w = try weights(node.required(1), node.required(8), node.input(9), &node)
            let r = try weights(node.required(2), node.required(10), node.input(11), &node)
            let results = node.add(
                "LSTM", [try node.required(0), w, r] + (3...7).map { node.input($0) }, attributes, outputs: 3, version: 14)
            for (index, result) in results.enumerated() where node.hasOutput(index) { node.setOutput(index, result) }
        },
    ]

    /// (integers - zero point) · scale, with the last two axes exchanged; scale and zero point are one for each direction, or for each of
    /// its columns.
    private static func weights(
        _ integers: ValueID, _ scale: ValueID, _ zero: ValueID?, _ node: inout NodeExpansion
    ) throws -> ValueID {
        let columns = try node.integers([0, 1, -1])
        let float = NodeAttributes(["to": .int(Int64(DType.float32.rawValue))])
        var numbers = node.add("Cast", [integers], float)
        if let zero { numbers = node.add("Sub", [numbers, node.add("Reshape", [node.add("Cast", [zero], float), columns])]) }
        let scaled = node.add("Mul", [numbers, node.add("Reshape", [scale, columns])])
        return node.add("Transpose", [scaled], ["perm": .ints([0, 2, 1])])
    }
}
