import GraphRuntime

/// Operators on pictures whose channels are the last axis, [N, H, W, C].
enum ChannelsLast {
    static let windowAttributes = ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"]

    static let expansions = [
        // NhwcConv-1: X [N, H, W, C], W [M, kH, kW, C / group] (as onnxruntime.transformers writes it), B [M]
        OperatorExpansion(microsoft: "NhwcConv") { node in
            try node.decoder.requireInputs(2...3)
            let attributes = node.attributes(windowAttributes)
            let (x, weights) = (toFirst(try node.required(0), &node), toFirst(try node.required(1), &node))
            node.setOutput(0, toLast(node.add("Conv", [x, weights, node.input(2)], attributes), &node))
        },
        // NhwcMaxPool-1, on int8 and uint8
        OperatorExpansion(microsoft: "NhwcMaxPool") { node in
            try node.decoder.requireInputs(1...1)
            let attributes = node.attributes(["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides"])
            let x = toFirst(try node.required(0), &node)
            node.setOutput(0, toLast(node.add("MaxPool", [x], attributes), &node))
        },
        // GroupNorm-1: activation(GroupNormalization(X))
        OperatorExpansion(microsoft: "GroupNorm") { node in
            try node.decoder.requireInputs(3...3)
            node.setOutput(0, try normalized(node.required(0), &node))
        },
        // SkipGroupNorm-1: the same of X + skip + bias, where skip is [N, H, W, C], [N, 1, 1, C] or [N, C]; and that sum
        OperatorExpansion(microsoft: "SkipGroupNorm") { node in
            try node.decoder.requireInputs(4...5)
            let x = try node.required(0)
            let shape = node.add("Shape", [x])
            let extents = [
                node.add("Shape", [x], ["start": .int(0), "end": .int(1)]), try node.integers([-1]),
                node.add("Shape", [x], ["start": .int(3), "end": .int(4)]),
            ]
            // As [N, positions, C], in which every form of the skip has one shape.
            let rows = node.add("Concat", extents, ["axis": .int(0)])
            let skip = node.add("Reshape", [try node.required(3), rows])
            let sum = node.add("Reshape", [node.sum(node.add("Reshape", [x, rows]), skip, node.input(4)), shape])
            node.setOutput(0, try normalized(sum, &node))
            node.setOutput(1, sum)
        },
    ]

    private static func toFirst(_ x: ValueID, _ node: inout NodeExpansion) -> ValueID {
        node.add("Transpose", [x], ["perm": .ints([0, 3, 1, 2])])
    }

    private static func toLast(_ x: ValueID, _ node: inout NodeExpansion) -> ValueID {
        node.add("Transpose", [x], ["perm": .ints([0, 2, 3, 1])])
    }

    /// Group normalisation by inputs 1 and 2, which may be float32 beside a float16 X, and perhaps x · sigmoid(x) behind it.
    private static func normalized(_ x: ValueID, _ node: inout NodeExpansion) throws -> ValueID {
        let groups = try node.decoder.requiredInt("groups")
        let activation = try node.decoder.requiredInt("activation")
        let epsilon = try node.decoder.float("epsilon", default: 1e-5)
        guard try node.decoder.bool("channels_last", default: true) else {
            throw TensorError("attribute channels_last should be 1, found 0")
        }
        guard (0...1).contains(activation) else {
            throw TensorError("attribute activation should be 0 or 1, found \(activation)")
        }
        let (gamma, beta) = (node.add("CastLike", [try node.required(1), x]), node.add("CastLike", [try node.required(2), x]))
        var result = node.add(
            "GroupNormalization", [toFirst(x, &node), gamma, beta],
            ["num_groups": .int(Int64(groups)), "epsilon": .float(epsilon)])
        if activation == 1 { result = node.add("Mul", [result, node.add("Sigmoid", [result])]) }
        return toLast(result, &node)
    }
}
