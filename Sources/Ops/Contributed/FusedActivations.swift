import GraphRuntime

/// Products and convolutions with an activation behind them.
enum FusedActivations {
    static let expansions = [
        // FusedGemm-1: activation(alpha · op(A) · op(B) + beta · C)
        OperatorExpansion(microsoft: "FusedGemm") { node in
            try node.decoder.requireInputs(2...3)
            let attributes = node.attributes(["alpha", "beta", "transA", "transB"])
            let name = try node.decoder.string("activation", default: "")
            let alpha = try node.decoder.optionalFloat("activation_alpha")
            let beta = try node.decoder.optionalFloat("activation_beta")
            let gamma = try node.decoder.optionalFloat("activation_gamma")
            let product = node.add("Gemm", [node.input(0), node.input(1), node.input(2)], attributes)
            node.setOutput(0, try activated(product, by: name, [alpha, name == "Selu" ? gamma : beta], &node))
        },
        // FusedConv-1: activation(Conv(X, W, B) + Z)
        OperatorExpansion(microsoft: "FusedConv") { node in
            try node.decoder.requireInputs(2...4)
            let attributes = node.attributes(ChannelsLast.windowAttributes)
            let name = try node.decoder.string("activation", default: "")
            let parameters = try node.decoder.optionalFloats("activation_params") ?? []
            let convolution = node.add("Conv", [node.input(0), node.input(1), node.input(2)], attributes)
            node.setOutput(0, try activated(node.sum(convolution, node.input(3)), by: name, parameters, &node))
        },
    ]

    /// The names of an activation's parameters in ONNX's own operator, in the order in which a fused one states them.
    private static let parameterNames = [
        "Relu": [], "Tanh": [], "Sigmoid": [], "Softplus": [], "Softsign": [], "LeakyRelu": ["alpha"], "Elu": ["alpha"],
        "ThresholdedRelu": ["alpha"], "HardSigmoid": ["alpha", "beta"], "Selu": ["alpha", "gamma"], "Swish": ["alpha"],
        "HardSwish": [], "Mish": [],
    ]

    /// - Parameter parameters: nil for one that isn't stated.
    /// - Throws: ``TensorError`` for an activation that isn't known.
    private static func activated(
        _ x: ValueID, by name: String, _ parameters: [Float?], _ node: inout NodeExpansion
    ) throws -> ValueID {
        if name.isEmpty { return x }
        if name == "Clip" {
            guard parameters.count >= 2, let least = parameters[0], let most = parameters[1] else {
                throw TensorError("the activation Clip needs two parameters")
            }
            return node.add("Clip", [x, try node.number(least, like: x), try node.number(most, like: x)])
        }
        if name == "Gelu" { return node.add("Gelu", [x]) }
        guard let names = parameterNames[name] else { throw TensorError("the activation \(name) isn't supported") }
        var attributes = NodeAttributes()
        for (name, value) in zip(names, parameters) { attributes[name] = value.map { .float($0) } }
        return node.add(name, [x], attributes)
    }
}
