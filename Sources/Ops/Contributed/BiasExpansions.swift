import GraphRuntime

/// Sums with biases that Olive's and ONNX Runtime's optimisers make of Stable Diffusion's U-Net, and a dropout with one.
enum BiasExpansions {
    static let expansions = [
        // BiasAdd-1: X + bias + skip
        OperatorExpansion(microsoft: "BiasAdd") { node in
            try node.decoder.requireInputs(3...3)
            node.setOutput(0, node.sum(try node.required(0), try node.required(1), try node.required(2)))
        },
        // BiasSplitGelu-1: the left half of X + bias, along the last axis, times the Gelu of the right one
        OperatorExpansion(microsoft: "BiasSplitGelu") { node in
            try node.decoder.requireInputs(2...2)
            let sum = node.sum(try node.required(0), try node.required(1))
            let halves = node.add("Split", [sum], ["axis": .int(-1), "num_outputs": .int(2)], outputs: 2)
            node.setOutput(0, node.add("Mul", [halves[0], node.add("Gelu", [halves[1]])]))
        },
        // BiasDropout-1: Dropout(data + bias) + residual
        OperatorExpansion(microsoft: "BiasDropout") { node in
            try node.decoder.requireInputs(2...5)
            let attributes = node.attributes(["seed"])
            let sum = node.sum(try node.required(0), try node.required(1))
            let results = node.add(
                "Dropout", [sum, node.input(3), node.input(4)], attributes, outputs: node.hasOutput(1) ? 2 : 1)
            node.setOutput(0, node.sum(results[0], node.input(2)))
            if results.count > 1 { node.setOutput(1, results[1]) }
        },
    ]
}

extension NodeExpansion {
    /// Adds a node with attributes as literals.
    mutating func add(
        _ type: String, _ inputs: [ValueID?], _ attributes: KeyValuePairs<String, AttributeValue>, version: Int? = nil
    ) -> ValueID {
        add(type, inputs, NodeAttributes(attributes), version: version)
    }

    /// Adds a node with several outputs and attributes as literals.
    mutating func add(
        _ type: String, _ inputs: [ValueID?], _ attributes: KeyValuePairs<String, AttributeValue>, outputs: Int
    ) -> [ValueID] {
        add(type, inputs, NodeAttributes(attributes), outputs: outputs)
    }
}
