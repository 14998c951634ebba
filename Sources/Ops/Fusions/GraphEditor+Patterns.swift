import GraphRuntime

/// What fusions ask a graph while they look for their patterns.
extension GraphEditor {
    /// The inputs of an arithmetic node with two operands.
    func operands(_ node: Int?, _ function: ArithmeticFunction) -> (ValueID, ValueID)? {
        guard let node, operation(node, as: BinaryArithmetic.self)?.function == function, nodes[node].inputs.count == 2,
            let a = nodes[node].inputs[0], let b = nodes[node].inputs[1]
        else { return nil }
        return (a, b)
    }

    /// The operands of an addition or product in both orders.
    func orders(_ node: Int?, _ function: ArithmeticFunction) -> [(ValueID, ValueID)] {
        operands(node, function).map { [($0.0, $0.1), ($0.1, $0.0)] } ?? []
    }

    /// The one input of a node, if its operation is of the given type.
    func input<Wanted: Operator>(_ node: Int?, as type: Wanted.Type) -> ValueID? {
        guard let node, operation(node, as: type) != nil else { return nil }
        return nodes[node].inputs.first ?? nil
    }

    /// The input of a node that applies the function of the given name.
    func input(_ node: Int?, function name: String) -> ValueID? {
        guard let node, operation(node, as: UnaryMath.self)?.function.type == name else { return nil }
        return nodes[node].inputs.first ?? nil
    }

    /// The operand of a sum or product whose other operand is the constant `value`, within single precision.
    func operand(_ node: Int?, _ function: ArithmeticFunction, beside value: Float) -> ValueID? {
        orders(node, function).first { isScalar($0.1, value) }?.0
    }

    func isScalar(_ id: ValueID, _ value: Float) -> Bool {
        guard let found = floats(id), found.count == 1 else { return false }
        // Constants are printed and rounded on their way through exporters.
        return abs(found[0] - value) <= 2e-3 * abs(value) * (fact(id).dtype == .float32 ? 0.01 : 1)
    }

    /// Whether two values have one shape that is known: constants of one element may still add axes.
    func isSameShape(_ a: ValueID, _ b: ValueID) -> Bool {
        guard let shape = shape(a) else { return false }
        return shape == self.shape(b)
    }

    /// The elements of a constant of a floating-point type, as float32.
    func floats(_ id: ValueID?) -> [Float]? {
        guard let tensor = constant(id) else { return nil }
        if tensor.dtype == .float64 { return try? tensor.array(of: Double.self).map { Float($0) } }
        guard let wide = try? HalfPrecision.widen(tensor) else { return nil }
        return try? wide.array(of: Float.self)
    }

    /// Whether a node computes each element of its first output from one element of each input, which may broadcast.
    func isElementwise(_ node: Int) -> Bool {
        switch nodes[node].operation {
        case let operation as QuantizeLinear: operation.blockSize == 0
        case let operation as DequantizeLinear: operation.blockSize == 0
        case is ByteTable, is Activation, is ParametricActivation, is UnaryMath, is SignedMath, is Clip, is BinaryArithmetic,
            is VariadicArithmetic, is Pow, is PRelu, is Shrink:
            true
        default: false
        }
    }

    /// The first output of a node.
    func output(_ node: Int) -> ValueID? { nodes[node].outputs.first ?? nil }

    /// Whether a value is of the type that the fused kernels compute in. Between nodes that are rounded to 16 bits nothing is fused:
    /// what a fused operator keeps to itself isn't rounded.
    func isFloat(_ id: ValueID?) -> Bool { fact(id).dtype == .float32 }

    /// A constant of one number per channel, where broadcasting gives it to axis 1 of a tensor [N, C, …] of `rank` axes.
    func channelConstant(_ id: ValueID, channels: Int, rank: Int) -> [Float]? {
        guard let shape = constant(id)?.shape, let values = floats(id) else { return nil }
        if values.count == 1, shape.rank <= rank { return Array(repeating: values[0], count: channels) }
        let padded = Array(repeating: 1, count: max(rank - shape.rank, 0)) + shape.dimensions
        let expected = (0..<rank).map { $0 == 1 ? channels : 1 }
        return padded == expected ? values : nil
    }
}
