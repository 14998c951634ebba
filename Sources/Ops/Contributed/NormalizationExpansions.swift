import GraphRuntime

/// Layer normalisation of sums.
enum NormalizationExpansions {
    static let expansions = [
        // SkipLayerNormalization-1: LayerNormalization of input + skip + bias, mean and 1 / standard deviation of each row, and the sum; as
        // a sum of its own it takes part in the product before it
        OperatorExpansion(microsoft: "SkipLayerNormalization") { node in
            try node.decoder.requireInputs(3...5)
            let sum = node.sum(try node.required(0), try node.required(1), node.input(4))
            let epsilon = try node.decoder.float("epsilon", default: 1e-12)
            let results = node.add(
                "LayerNormalization", [sum, try node.required(2), node.input(3)],
                ["axis": .int(-1), "epsilon": .float(epsilon)],
                outputs: node.hasOutput(2) ? 3 : node.hasOutput(1) ? 2 : 1)
            for (index, result) in results.enumerated() { node.setOutput(index, result) }
            node.setOutput(3, sum)
        }
    ]
}
