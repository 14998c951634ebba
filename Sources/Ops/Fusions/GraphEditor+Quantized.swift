import GraphRuntime

/// What a DequantizeLinear reads.
struct DequantizedValue {
    let source: ValueID
    let scale: ValueID
    let zero: ValueID?
    let scales: [Float]
    /// Along which there is a scale for each index, from 0 on; 0 where there is one scale.
    let axis: Int

    var inputs: [ValueID?] { [source, scale, zero] }

    /// Whether there is a scale for each of `count` indices along an axis.
    func isAlong(axis: Int, count: Int) -> Bool { scales.count == count && self.axis == axis }

    /// Terms of sums of products of bytes, any of which could be the largest, that 32 bits hold.
    static let mostTerms = Int(Int32.max) / (255 * 255)
}

/// What a QuantizeLinear with constant parameters of one number ends.
struct QuantizedResult {
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
    func dequantized(_ id: ValueID?) -> DequantizedValue? {
        guard let producer = producer(of: id), let operation = operation(producer, as: DequantizeLinear.self),
            operation.blockSize == 0, isFloat(id), let source = nodes[producer].inputs[0], let shape = shape(source),
            let scale = nodes[producer].inputs[1], constant(scale)?.dtype == .float32, let scales = floats(scale),
            let dtype = fact(source).dtype, dtype == .int8 || dtype == .uint8
        else { return nil }
        let zero = nodes[producer].inputs.count > 2 ? nodes[producer].inputs[2] : nil
        guard zero == nil || constant(zero)?.dtype == dtype else { return nil }
        var axis = 0
        if scales.count != 1 {
            guard let own = try? shape.axis(operation.axis), shape[own] == scales.count else { return nil }
            axis = own
        }
        return DequantizedValue(source: source, scale: scale, zero: zero, scales: scales, axis: axis)
    }

    /// The value's inputs with its zero point, for operators that need one: 0 where it isn't stated.
    mutating func inputsWithZero(_ value: DequantizedValue) throws -> [ValueID?] {
        if value.zero != nil { return value.inputs }
        let zero = fact(value.source).dtype == .int8 ? try Tensor(scalar: Int8(0)) : try Tensor(scalar: UInt8(0))
        return [value.source, value.scale, addConstant(zero, name: graph.values[value.source].name + "/zero_point")]
    }

    func quantized(_ node: Int) -> QuantizedResult? {
        guard let operation = operation(node, as: QuantizeLinear.self), operation.blockSize == 0,
            operation.precision == nil || operation.precision == .float32, let output = output(node),
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
    func quantizedFactors(_ node: Int) -> (a: DequantizedValue, b: DequantizedValue)? {
        guard let matMul = operation(node, as: MatMul.self), !matMul.hasBias, !matMul.hasResidual,
            let a = dequantized(nodes[node].inputs[0]), let b = dequantized(nodes[node].inputs[1]), a.scales.count == 1,
            let shape = shape(b.source), shape.rank >= 2, shape[shape.rank - 2] <= DequantizedValue.mostTerms,
            b.scales.count == 1 || b.isAlong(axis: shape.rank - 1, count: shape[shape.rank - 1])
        else { return nil }
        return (a, b)
    }

    /// The picture and the weights of a Conv of dequantized values: one scale for the picture, one for all output channels or for each.
    func quantizedPicture(_ node: Int) -> (x: DequantizedValue, w: DequantizedValue)? {
        let inputs = nodes[node].inputs
        guard let x = dequantized(inputs[0]), let w = dequantized(inputs[1]), x.scales.count == 1,
            let shape = shape(inputs[0]), shape.rank >= 3, shape.rank <= 5, let weights = self.shape(inputs[1]),
            weights.count(1..<weights.rank) <= DequantizedValue.mostTerms,
            w.scales.count == 1 || w.isAlong(axis: 0, count: weights[0])
        else { return nil }
        return (x, w)
    }

    /// The int32 numbers of a bias for sums of products: those that are dequantized by the product of the factors' scales, or a constant
    /// of float32 rounded to multiples of that, as ONNX Runtime does it.
    ///
    /// - Returns: what to read; empty without a bias, nil for any other.
    mutating func integerBias(_ id: ValueID?, _ x: DequantizedValue, _ w: DequantizedValue) throws -> [ValueID?]? {
        guard let id else { return [] }
        guard let producer = producer(of: id) else { return try roundedBias(id, x, w) }
        guard let operation = operation(producer, as: DequantizeLinear.self),
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

    private mutating func roundedBias(_ id: ValueID, _ x: DequantizedValue, _ w: DequantizedValue) throws -> [ValueID?]? {
        guard isFloat(id), let values = floats(id), w.scales.count == 1 || w.scales.count == values.count else { return nil }
        var numbers: [Int32] = []
        for (index, value) in values.enumerated() {
            let number = Double(value) / (Double(x.scales[0]) * Double(w.scales[w.scales.count == 1 ? 0 : index]))
            // Sums of products need the rest of the range. Without a number, not even 0 is one.
            guard abs(number) < 0x1p30 else { return nil }
            numbers.append(Int32(number.rounded(.toNearestOrEven)))
        }
        return [addConstant(try Tensor(numbers), name: graph.values[id].name + "/rounded")]
    }

    /// Whether two constants of one byte, nil for 0, are the same number.
    func isSameByte(_ a: ValueID?, _ b: ValueID?) -> Bool {
        let (first, second) = (try? ByteMatMul.integers(constant(a)), try? ByteMatMul.integers(constant(b)))
        return first != nil && first == second && first?.count == 1
    }
}
