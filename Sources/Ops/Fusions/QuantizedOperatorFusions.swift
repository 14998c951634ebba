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
        guard let x = editor.dequantized(inputs[0]), let w = editor.dequantized(inputs[1]), x.scales.count == 1,
            let shape = editor.shape(inputs[0]), shape.rank >= 3, shape.rank <= 5, let weights = editor.shape(inputs[1]),
            w.scales.count == 1 || w.isAlong(axis: 0, count: weights[0]),
            let bias = editor.integerBias(inputs.count > 2 ? inputs[2] : nil, x, w)
        else { return nil }
        var operation = QLinearConv(attributes: conv.attributes)
        operation.isRectified = result.isRectified
        return FusionMatch(
            nodes: result.nodes, type: "QLinearConv", operation: operation,
            inputs: x.inputs + w.inputs + [result.scale, result.zero] + bias, outputs: [result.output])
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
            addend == nil || editor.shape(addend)?.count == right[axis], let bias = editor.integerBias(addend, a, b)
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
            inputs: factors.a.inputs + factors.b.inputs + [result.scale, zero], outputs: [result.output])
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

/// DequantizeLinear → Add (→ Relu) → QuantizeLinear of values of one shape.
struct QuantizedSumFusion: Fusion {
    let name = "QLinearAdd"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let result = editor.quantized(node), let (first, second) = editor.operands(result.producer, .add),
            let a = editor.dequantized(first), let b = editor.dequantized(second), a.scales.count == 1, b.scales.count == 1,
            editor.isSameShape(first, second)
        else { return nil }
        return FusionMatch(
            nodes: result.nodes, type: name, operation: QuantizedSum(isRectified: result.isRectified),
            inputs: a.inputs + b.inputs + [result.scale, result.zero], outputs: [result.output])
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

/// What a DequantizeLinear reads.
private struct DequantizedValue {
    let source: ValueID
    let scale: ValueID
    let zero: ValueID?
    let scales: [Float]
    let axis: Int
    let rank: Int

    var inputs: [ValueID?] { [source, scale, zero] }

    /// Whether there is a scale for each of `count` indices along an axis.
    func isAlong(axis: Int, count: Int) -> Bool { scales.count == count && (self.axis + rank) % rank == axis }
}

/// What a QuantizeLinear with constant parameters of one number ends.
private struct QuantizedResult {
    /// The node whose result is quantized, or rectified before.
    let producer: Int
    let isRectified: Bool
    let nodes: [Int]
    let scale: ValueID
    let zero: ValueID?
    let output: ValueID
}

extension GraphEditor {
    /// What is dequantized to a value, by constant scales; nil where it isn't bytes.
    fileprivate func dequantized(_ id: ValueID?) -> DequantizedValue? {
        guard let producer = producer(of: id), let operation = operation(producer, as: DequantizeLinear.self),
            operation.blockSize == 0, isFloat(id), let source = nodes[producer].inputs[0], let shape = shape(source),
            let scale = nodes[producer].inputs[1], constant(scale)?.dtype == .float32, let scales = floats(scale),
            let dtype = fact(source).dtype, dtype == .int8 || dtype == .uint8
        else { return nil }
        let zero = nodes[producer].inputs.count > 2 ? nodes[producer].inputs[2] : nil
        guard zero == nil || constant(zero) != nil else { return nil }
        return DequantizedValue(
            source: source, scale: scale, zero: zero, scales: scales, axis: operation.axis, rank: max(shape.rank, 1))
    }

    fileprivate func quantized(_ node: Int) -> QuantizedResult? {
        guard let operation = operation(node, as: QuantizeLinear.self), operation.blockSize == 0, let output = output(node),
            let dtype = fact(output).dtype, dtype == .int8 || dtype == .uint8, let x = nodes[node].inputs[0], isFloat(x),
            let scale = nodes[node].inputs[1], constant(scale)?.dtype == .float32, constant(scale)?.count == 1,
            nodes[node].inputs.count > 2, let zero = nodes[node].inputs[2], constant(zero)?.count == 1,
            let producer = producer(of: x)
        else { return nil }
        if self.operation(producer, as: Activation.self)?.function == .relu, let before = nodes[producer].inputs[0],
            let inner = self.producer(of: before)
        {
            return QuantizedResult(
                producer: inner, isRectified: true, nodes: [inner, producer, node], scale: scale, zero: zero, output: output)
        }
        return QuantizedResult(
            producer: producer, isRectified: false, nodes: [producer, node], scale: scale, zero: zero, output: output)
    }

    /// The factors of a MatMul of dequantized values: one scale for the left one, one for all columns or for each of the right one.
    fileprivate func quantizedFactors(_ node: Int) -> (a: DequantizedValue, b: DequantizedValue)? {
        guard let matMul = operation(node, as: MatMul.self), !matMul.hasBias, !matMul.hasResidual,
            let a = dequantized(nodes[node].inputs[0]), let b = dequantized(nodes[node].inputs[1]), a.scales.count == 1,
            let shape = shape(b.source), shape.rank >= 2,
            b.scales.count == 1 || b.isAlong(axis: shape.rank - 1, count: shape[shape.rank - 1])
        else { return nil }
        return (a, b)
    }

    /// The int32 numbers of a bias that is dequantized by the product of two values' scales; empty without one, nil for any other.
    fileprivate func integerBias(_ id: ValueID?, _ x: DequantizedValue, _ w: DequantizedValue) -> [ValueID?]? {
        guard let id else { return [] }
        guard let producer = producer(of: id), let operation = operation(producer, as: DequantizeLinear.self),
            operation.blockSize == 0, let source = nodes[producer].inputs[0], fact(source).dtype == .int32,
            let scales = floats(nodes[producer].inputs[1]), let count = shape(source)?.count,
            scales.count == 1 || scales.count == count
        else { return nil }
        if nodes[producer].inputs.count > 2, let zero = nodes[producer].inputs[2] {
            guard let zeros = try? constant(zero)?.array(of: Int32.self), zeros.allSatisfy({ $0 == 0 }) else { return nil }
        }
        let most = max(scales.count, w.scales.count)
        let isProduct = (0..<most).allSatisfy { index in
            let expected = x.scales[0] * w.scales[w.scales.count == 1 ? 0 : index]
            return abs(scales[scales.count == 1 ? 0 : index] - expected) <= 1e-5 * abs(expected)
        }
        return isProduct ? [source] : nil
    }

    /// Whether two constants of one byte, nil for 0, are the same number.
    fileprivate func isSameByte(_ a: ValueID?, _ b: ValueID?) -> Bool {
        let (first, second) = (try? ByteMatMul.integers(constant(a)), try? ByteMatMul.integers(constant(b)))
        return first != nil && first == second && first?.count == 1
    }
}
