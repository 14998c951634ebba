import GraphRuntime

/// Operators on quantised numbers that dequantise, compute and quantise: QLinear forms beyond ONNX's own.
enum QuantizedExpansions {
    static let expansions =
        [
            elementwise("QLinearAdd", "Add"), elementwise("QLinearMul", "Mul"), unary("QLinearSigmoid", "Sigmoid", []),
            unary("QLinearLeakyRelu", "LeakyRelu", ["alpha"]),
        ] + [softmax, concatenation, selection, averagePool, globalAveragePool]

    /// Inputs A, its scale and zero point, B, its scale and zero point, the result's scale and zero point.
    private static func elementwise(_ type: String, _ operation: String) -> OperatorExpansion {
        OperatorExpansion(microsoft: type) { node in
            try node.decoder.requireInputs(7...8)
            let (a, b) = (try dequantized(0, &node), try dequantized(3, &node))
            node.setOutput(0, try quantized(node.add(operation, [a, b]), 6, &node))
        }
    }

    /// Inputs X, its scale and zero point, the result's scale and zero point.
    private static func unary(_ type: String, _ operation: String, _ names: [String]) -> OperatorExpansion {
        OperatorExpansion(microsoft: type) { node in
            try node.decoder.requireInputs(4...5)
            let attributes = node.attributes(names)
            node.setOutput(0, try quantized(node.add(operation, [try dequantized(0, &node)], attributes), 3, &node))
        }
    }

    /// Softmax as ONNX has it in the opset that an attribute names.
    private static let softmax = OperatorExpansion(microsoft: "QLinearSoftmax") { node in
        try node.decoder.requireInputs(5...5)
        let opset = try node.decoder.requiredInt("opset")
        guard (1...node.version).contains(opset) else {
            throw TensorError("attribute opset should be 1 to \(node.version), found \(opset)")
        }
        let axis = try node.decoder.int("axis", default: -1)
        let result = node.add(
            "Softmax", [try dequantized(0, &node)], ["axis": .int(Int64(axis))], version: opset)
        node.setOutput(0, try quantized(result, 3, &node))
    }

    /// Inputs the result's scale and zero point, then for each part the part, its scale and zero point.
    private static let concatenation = OperatorExpansion(microsoft: "QLinearConcat") { node in
        let count = node.decoder.inputCount
        guard count >= 5, (count - 2) % 3 == 0 else {
            throw TensorError("expected 2 inputs and 3 for each part, found \(count)")
        }
        let axis = try node.decoder.requiredInt("axis")
        let parts = try stride(from: 2, to: count, by: 3).map { try dequantized($0, &node) }
        let joined = node.add("Concat", parts, ["axis": .int(Int64(axis))])
        node.setOutput(0, node.add("QuantizeLinear", [joined, try node.required(0), try node.required(1)]))
    }

    /// Inputs the condition, X, its scale and zero point, Y, its scale and zero point, the result's scale and zero point.
    private static let selection = OperatorExpansion(microsoft: "QLinearWhere") { node in
        try node.decoder.requireInputs(9...9)
        let (x, y) = (try dequantized(1, &node), try dequantized(4, &node))
        let chosen = node.add("Where", [try node.required(0), x, y])
        node.setOutput(0, node.add("QuantizeLinear", [chosen, try node.required(7), try node.required(8)]))
    }

    private static let averagePool = OperatorExpansion(microsoft: "QLinearAveragePool") { node in
        try node.decoder.requireInputs(4...5)
        let attributes = node.attributes(["auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides"])
        try pool("AveragePool", attributes, &node)
    }

    private static let globalAveragePool = OperatorExpansion(microsoft: "QLinearGlobalAveragePool") { node in
        try node.decoder.requireInputs(4...5)
        try pool("GlobalAveragePool", NodeAttributes(), &node)
    }

    private static func pool(_ type: String, _ attributes: NodeAttributes, _ node: inout NodeExpansion) throws {
        let isLast = try node.decoder.bool("channels_last", default: false)
        var x = try dequantized(0, &node)
        if isLast { x = node.add("Transpose", [x], ["perm": .ints([0, 3, 1, 2])]) }
        var y = node.add(type, [x], attributes)
        if isLast { y = node.add("Transpose", [y], ["perm": .ints([0, 2, 3, 1])]) }
        node.setOutput(0, try quantized(y, 3, &node))
    }

    /// Input `index` by the scale and zero point behind it.
    private static func dequantized(_ index: Int, _ node: inout NodeExpansion) throws -> ValueID {
        node.add(
            "DequantizeLinear", [try node.required(index), try node.required(index + 1), node.input(index + 2)])
    }

    /// A value by the scale at input `scale` and the zero point behind it; without one, in the type that input 0 has.
    private static func quantized(_ x: ValueID, _ scale: Int, _ node: inout NodeExpansion) throws -> ValueID {
        let zero = try node.input(scale + 1) ?? node.number(0, like: node.required(0))
        return node.add("QuantizeLinear", [x, try node.required(scale), zero])
    }
}
