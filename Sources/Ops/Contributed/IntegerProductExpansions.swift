import GraphRuntime

/// Products of quantised matrices with what ONNX Runtime fuses around them.
enum IntegerProductExpansions {
    static let expansions = [
        // DynamicQuantizeMatMul-1: inputs A (float), B, B's scale and zero point, bias
        OperatorExpansion(microsoft: "DynamicQuantizeMatMul") { node in
            try node.decoder.requireInputs(3...5)
            let a = node.add("DynamicQuantizeLinear", [try node.required(0)], NodeAttributes(), outputs: 3)
            let product = node.add("MatMulInteger", [a[0], try node.required(1), a[2], node.input(3)])
            node.setOutput(0, node.sum(try scaled(product, a[1], node.required(2), &node), node.input(4)))
        },
        // MatMulIntegerToFloat-1: inputs A, B, their scales, their zero points, bias
        OperatorExpansion(microsoft: "MatMulIntegerToFloat") { node in
            try node.decoder.requireInputs(4...7)
            let product = node.add("MatMulInteger", [node.input(0), node.input(1), node.input(4), node.input(5)])
            node.setOutput(
                0, node.sum(try scaled(product, node.required(2), node.required(3), &node), node.input(6)))
        },
        // QGemm-1: inputs A, its scale and zero point, B, its scale and zero point, C (int32 of the scale alpha · a · b), and
        // the result's scale and zero point, without which it is float32
        OperatorExpansion(microsoft: "QGemm") { node in
            try node.decoder.requireInputs(6...9)
            var a = try node.required(0)
            if try node.decoder.bool("transA", default: false) { a = node.add("Transpose", [a], ["perm": .ints([1, 0])]) }
            let product = QuantizedGemm(
                alpha: try node.decoder.float("alpha", default: 1),
                transposeB: try node.decoder.bool("transB", default: false))
            node.setOutput(0, node.add("QGemm", [a] + (1...8).map { node.input($0) }, operation: product))
        },
    ]

    /// Integers times both scales, of which the second may be one for each column.
    static func scaled(
        _ product: ValueID, _ first: ValueID, _ second: ValueID, _ node: inout NodeExpansion
    ) throws -> ValueID {
        let numbers = node.add("Cast", [product], ["to": .int(Int64(DType.float32.rawValue))])
        return node.add("Mul", [numbers, node.add("Mul", [first, second])])
    }
}
