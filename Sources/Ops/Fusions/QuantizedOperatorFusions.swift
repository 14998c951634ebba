import GraphRuntime

// Operators between DequantizeLinear and QuantizeLinear, as quantisers write them ("QDQ"): they run on the bytes, as the operators that
// ONNX Runtime makes of them do. The DequantizeLinear vanish where nobody else reads them.

/// DequantizeLinear → Conv (→ Relu) → QuantizeLinear.
struct QuantizedConvFusion: Fusion {
    let name = "QLinearConv"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let result = editor.quantized(node), let conv = editor.operation(result.producer, as: Conv.self) else {
            return nil
        }
        let inputs = editor.nodes[result.producer].inputs
        guard let (x, w) = editor.quantizedPicture(result.producer),
            let bias = try editor.integerBias(inputs.count > 2 ? inputs[2] : nil, x, w)
        else { return nil }
        var operation = QLinearConv(attributes: conv.attributes)
        operation.isRectified = result.isRectified
        return FusionMatch(
            nodes: result.nodes, type: "QLinearConv", operation: operation,
            inputs: x.inputs + w.inputs + [result.scale, result.zero] + bias, outputs: [result.output])
    }
}

/// DequantizeLinear → Conv, whose result stays float32.
struct DequantizedConvFusion: Fusion {
    let name = "ConvInteger+scale of QDQ"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let conv = editor.operation(node, as: Conv.self), let output = editor.output(node),
            let (x, w) = editor.quantizedPicture(node)
        else { return nil }
        let inputs = editor.nodes[node].inputs
        var operation = ConvInteger(attributes: conv.attributes, isScaled: true)
        let scale = editor.addConstant(
            try Tensor(w.scales.map { x.scales[0] * $0 }), name: editor.nodes[node].name + "/scale")
        var operands = [x.source, w.source, x.zero, w.zero, scale]
        if inputs.count > 2, let bias = inputs[2] {
            operation.hasBias = true
            operands.append(bias)
        }
        return FusionMatch(nodes: [node], type: "ConvInteger", operation: operation, inputs: operands, outputs: [output])
    }
}

/// DequantizeLinear → Gemm (→ Relu) → QuantizeLinear.
struct QuantizedGemmFusion: Fusion {
    let name = "QGemm"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let result = editor.quantized(node), let gemm = editor.operation(result.producer, as: Gemm.self),
            !gemm.transposeA, gemm.alpha == 1, gemm.beta == 1
        else { return nil }
        let inputs = editor.nodes[result.producer].inputs
        guard let a = editor.dequantized(inputs[0]), let b = editor.dequantized(inputs[1]), a.scales.count == 1,
            let right = editor.shape(inputs[1]), right.rank == 2, editor.shape(inputs[0])?.rank == 2
        else { return nil }
        let axis = gemm.transposeB ? 0 : 1
        let addend = inputs.count > 2 ? inputs[2] : nil
        guard b.scales.count == 1 || b.isAlong(axis: axis, count: right[axis]),
            right[1 - axis] <= DequantizedValue.mostTerms,
            addend == nil || editor.shape(addend)?.count == right[axis] && editor.shape(addend)?.dimensions.last == right[axis],
            let bias = try editor.integerBias(addend, a, b)
        else { return nil }
        var operation = QuantizedGemm(alpha: 1, transposeB: gemm.transposeB)
        operation.isRectified = result.isRectified
        return FusionMatch(
            nodes: result.nodes, type: name, operation: operation,
            inputs: a.inputs + b.inputs + (bias.isEmpty ? [nil] : bias) + [result.scale, result.zero], outputs: [result.output])
    }
}

/// DequantizeLinear → MatMul → QuantizeLinear.
struct QuantizedMatMulFusion: Fusion {
    let name = "QLinearMatMul"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let result = editor.quantized(node), !result.isRectified, let zero = result.zero,
            let factors = editor.quantizedFactors(result.producer)
        else { return nil }
        return FusionMatch(
            nodes: result.nodes, type: name, operation: QLinearMatMul(),
            inputs: try editor.inputsWithZero(factors.a) + editor.inputsWithZero(factors.b) + [result.scale, zero],
            outputs: [result.output])
    }
}

/// DequantizeLinear → MatMul, whose result stays float32.
struct DequantizedMatMulFusion: Fusion {
    let name = "MatMulInteger+scale of QDQ"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let (a, b) = editor.quantizedFactors(node), let output = editor.output(node) else { return nil }
        let scale = editor.addConstant(
            try Tensor(b.scales.map { a.scales[0] * $0 }), name: editor.nodes[node].name + "/scale")
        return FusionMatch(
            nodes: [node], type: "MatMulInteger", operation: IntegerMatMul(isScaled: true),
            inputs: [a.source, b.source, a.zero, b.zero, scale], outputs: [output])
    }
}

/// DequantizeLinear of a constant matrix → MatMul or Gemm, of which no operator of integers could be made.
struct WeightQuantizedMatMulFusion: Fusion {
    let name = "MatMul of quantised weights"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        let inputs = editor.nodes[node].inputs
        guard inputs.count > 1, let isTransposed = isTransposed(node, editor), editor.isFloat(inputs[0]),
            let a = editor.shape(inputs[0]), a.rank > 1, let output = editor.output(node),
            let producer = editor.producer(of: inputs[1]), let own = editor.operation(producer, as: DequantizeLinear.self),
            // Of a constant alone, a graph of halves has these where it computes in float32.
            editor.isFloat(inputs[1]) || editor.fact(inputs[1]).dtype?.isHalf == true,
            let numbers = editor.constant(editor.nodes[producer].inputs[0]), numbers.shape.rank == 2,
            let scales = editor.widenedConstant(editor.nodes[producer].inputs[1]),
            // What doesn't fit is that node's error.
            (try? QuantizationLayout(numbers.shape, scale: scales.shape, axis: own.axis, blockSize: own.blockSize)) != nil,
            a.dimensions.last == numbers.shape[isTransposed ? 1 : 0],
            var operation = WeightQuantizedMatMul(
                own, numbers: numbers, scales: scales, isTransposed: isTransposed, rows: a.dimensions.dropLast().reduce(1, *))
        else { return nil }
        var operands: [ValueID?] = [inputs[0]] + editor.nodes[producer].inputs
        while operands.count < 5 { operands.append(nil) }
        // Of halves, what widens them isn't needed any more.
        if editor.constant(operands[2])?.dtype != .float32 {
            operands[2] = editor.addConstant(scales, name: editor.nodes[node].name + "/scale")
        }
        if operands[3] != nil {
            guard let zeros = editor.constant(operands[3]), zeros.dtype == numbers.dtype, zeros.shape == scales.shape else {
                return nil
            }
        }
        if inputs.count > 2, let bias = inputs[2] {
            guard editor.shape(bias)?.dimensions == [operation.columns], editor.isFloat(bias) else { return nil }
            operation.hasBias = true
            operands.append(bias)
        }
        return FusionMatch(nodes: [node], type: "MatMul", operation: operation, inputs: operands, outputs: [output])
    }

    /// Whether the right factor is transposed; nil for other operators.
    private func isTransposed(_ node: Int, _ editor: GraphEditor) -> Bool? {
        if let matMul = editor.operation(node, as: MatMul.self) {
            return matMul.hasBias || matMul.hasResidual ? nil : false
        }
        guard let gemm = editor.operation(node, as: Gemm.self), gemm.alpha == 1, gemm.beta == 1, !gemm.transposeA else {
            return nil
        }
        return gemm.transposeB
    }
}

/// DequantizeLinear → Add (→ Relu) → QuantizeLinear of values of one shape, or of one and a number for each index of its last axis.
struct QuantizedSumFusion: Fusion {
    let name = "QLinearAdd"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let result = editor.quantized(node),
            let (first, second) = editor.orders(result.producer, .add).first(where: { isAddend($0.1, to: $0.0, editor) }),
            let a = editor.dequantized(first), let b = editor.dequantized(second), a.scales.count == 1, b.scales.count == 1
        else { return nil }
        return FusionMatch(
            nodes: result.nodes, type: name, operation: QuantizedSum(isRectified: result.isRectified),
            inputs: a.inputs + b.inputs + [result.scale, result.zero], outputs: [result.output])
    }

    private func isAddend(_ id: ValueID, to value: ValueID, _ editor: GraphEditor) -> Bool {
        guard let shape = editor.shape(value), let addend = editor.shape(id) else { return false }
        return shape == addend || QuantizedSum.isForLastAxis(addend, of: shape)
    }
}

/// DequantizeLinear → MaxPool → QuantizeLinear by one scale and zero point.
struct QuantizedMaxPoolFusion: Fusion {
    let name = "MaxPool of bytes"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let result = editor.quantized(node), !result.isRectified,
            let pool = editor.operation(result.producer, as: MaxPool.self), editor.nodes[result.producer].outputs.count == 1,
            let x = editor.dequantized(editor.nodes[result.producer].inputs[0]), x.scales.count == 1,
            editor.floats(result.scale) == x.scales, let shape = editor.shape(x.source), shape.rank <= 5,
            editor.fact(x.source).dtype == editor.fact(result.output).dtype, editor.isSameByte(x.zero, result.zero)
        else { return nil }
        return FusionMatch(
            nodes: result.nodes, type: "MaxPool", operation: QuantizedMaxPool(attributes: pool.attributes), inputs: [x.source],
            outputs: [result.output])
    }
}

/// DequantizeLinear → Mul → QuantizeLinear of a picture and a number for each of its channels (squeeze and excite), or of one shape.
struct QuantizedProductFusion: Fusion {
    let name = "QLinearMul"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let result = editor.quantized(node), !result.isRectified,
            let (a, b) = editor.orders(result.producer, .multiply).first(where: { isFactor($0.1, of: $0.0, editor) }),
            let picture = editor.dequantized(a), let factor = editor.dequantized(b), picture.scales.count == 1,
            factor.scales.count == 1
        else { return nil }
        return FusionMatch(
            nodes: result.nodes, type: name, operation: QuantizedProduct(),
            inputs: picture.inputs + factor.inputs + [result.scale, result.zero], outputs: [result.output])
    }

    private func isFactor(_ id: ValueID, of picture: ValueID, _ editor: GraphEditor) -> Bool {
        guard let shape = editor.shape(picture), let factor = editor.shape(id) else { return false }
        return shape == factor || QuantizedProduct.isForChannels(factor, of: shape)
    }
}

/// DequantizeLinear → GlobalAveragePool → QuantizeLinear.
struct QuantizedGlobalAverageFusion: Fusion {
    let name = "QLinearGlobalAveragePool"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let result = editor.quantized(node), !result.isRectified,
            let pool = editor.operation(result.producer, as: GlobalPool.self), case .average = pool.kind,
            let x = editor.dequantized(editor.nodes[result.producer].inputs[0]), x.scales.count == 1,
            let shape = editor.shape(x.source), shape.rank >= 3, shape.count > 0,
            shape.count(2..<shape.rank) <= QuantizedGlobalAverage.mostPixels
        else { return nil }
        return FusionMatch(
            nodes: result.nodes, type: name, operation: QuantizedGlobalAverage(),
            inputs: x.inputs + [result.scale, result.zero],
            outputs: [result.output])
    }
}

/// DequantizeLinear → Softmax along the last axis → QuantizeLinear.
struct QuantizedSoftmaxFusion: Fusion {
    let name = "QLinearSoftmax"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let result = editor.quantized(node), !result.isRectified,
            let softmax = editor.operation(result.producer, as: Softmax.self), !softmax.isLogarithm,
            let x = editor.dequantized(editor.nodes[result.producer].inputs[0]), x.scales.count == 1, x.scales[0] > 0,
            x.scales[0].isFinite, let scale = editor.floats(result.scale)?.first, scale > 0, scale.isFinite,
            let shape = editor.shape(x.source), shape.count > 0, let extents = try? softmax.axis.extents(shape),
            extents.inner == 1
        else { return nil }
        return FusionMatch(
            nodes: result.nodes, type: name, operation: QuantizedSoftmax(axis: softmax.axis),
            inputs: x.inputs + [result.scale, result.zero], outputs: [result.output])
    }
}
