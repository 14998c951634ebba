import GraphRuntime

/// MatMulInteger-10: (A - its zero point) (B - its zero point), in int32. The fused form scales the sums, and adds a bias of N elements
/// to each row and a tensor of the product's shape: what dynamic quantization makes of a product of float32.
struct IntegerMatMul: SummingProduct {
    /// Whether the result is float32: the sums times input 4, one number or one for each column.
    var isScaled = false
    /// Whether input 5 is a bias [N].
    var hasBias = false
    /// Whether input 6 is a tensor of the output's shape that is added to it.
    var hasResidual = false
    /// Input 1 in panels, where it is constant.
    private var panels: PackedConstant?

    init(isScaled: Bool = false) { self.isScaled = isScaled }

    var isFloat: Bool { isScaled }

    var floatingPointTypes: Set<DType>? { [.float32] }
    var kernelName: String? { panels == nil ? "integer GEMM" : "pre-packed integer GEMM" }
    var mergeKey: String? { "scaled=\(isScaled) bias=\(hasBias) residual=\(hasResidual)" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = isScaled ? DType.float32 : .int32
        guard let a = try inputs[0].shape, let b = try inputs[1].shape else { return [Fact(dtype: dtype)] }
        return [Fact(dtype: dtype, shape: try MatMulExtents(a, b).output)]
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        Cost(
            flops: productOperations(inputs.first??.shape, outputs.first??.shape),
            bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        result.panels = try packedRightFactor(inputs[0], inputs.count > 1 ? inputs[1] : nil, plan)
        return result
    }

    func run(_ context: inout RunContext) throws {
        var product = ByteMatMul(leftZero: try context.optionalInput(2), rightZero: try context.optionalInput(3))
        product.panels = try? panels?.tensor(threads: context.threads)
        if isScaled {
            product.form = .float32(
                scale: try context.input(4), bias: hasBias ? try context.input(5) : nil,
                residual: hasResidual ? try context.input(6) : nil)
        }
        try product.run(context.input(0), context.input(1), into: context.output(0), threads: context.threads)
    }

    static let definition = OperatorDefinition("MatMulInteger", since: 10) { decoder in
        try decoder.requireInputs(2...4)
        return IntegerMatMul()
    }
}

/// Multiplications and additions of a product, from the shapes of its left factor and its result.
private func productOperations(_ left: Shape?, _ output: Shape?) -> Double {
    guard let extent = left?.dimensions.last, let output else { return 0 }
    return 2 * Double(extent) * Double(output.count)
}

/// B of a product of bytes in panels, where it is constant.
private func packedRightFactor(_ left: Fact?, _ right: Fact?, _ plan: PlanContext) throws -> PackedConstant? {
    guard let a = left?.shape, let b = right?.tensor else { return nil }
    return ByteMatMul.layout(try MatMulExtents(a, b.shape), b.shape).packed(b, constants: plan.constants)
}

/// QLinearMatMul-10 and -21, on int8 and uint8.
struct QLinearMatMul: Operator {
    /// Input 3 in panels, where it is constant.
    private var panels: PackedConstant?

    var kernelName: String? { panels == nil ? "integer GEMM" : "pre-packed integer GEMM" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try inputs[7].dtype
        guard let a = try inputs[0].shape, let b = try inputs[3].shape else { return [Fact(dtype: dtype)] }
        return [Fact(dtype: dtype, shape: try MatMulExtents(a, b).output)]
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        Cost(
            flops: productOperations(inputs.first??.shape, outputs.first??.shape),
            bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        result.panels = try packedRightFactor(inputs[0], inputs.count > 3 ? inputs[3] : nil, plan)
        return result
    }

    func run(_ context: inout RunContext) throws {
        let threads = context.threads
        let scales = try [1, 4, 6].map { try cast(context.input($0), to: .float32, threads: threads).array(of: Float.self) }
        let zero = try ByteMatMul.integers(context.input(7))
        guard scales[2].count == 1, zero.count == 1 else {
            throw TensorError("the result's scale and zero point should be one number each")
        }
        // In the order in which ONNX Runtime rounds: a_scale · b_scale / y_scale.
        let isOne = scales[0].count == 1
        let columns = scales[1].map { (isOne ? scales[0][0] * $0 : $0) / scales[2][0] }
        var product = ByteMatMul(leftZero: try context.input(2), rightZero: try context.input(5))
        product.panels = try? panels?.tensor(threads: threads)
        product.form = .bytes(rowScales: isOne ? [1] : scales[0], scales: columns, zero: zero[0])
        try product.run(context.input(0), context.input(3), into: context.output(0), threads: threads)
    }

    static let definition = OperatorDefinition("QLinearMatMul", since: 10) { decoder in
        try decoder.requireInputs(8...8)
        return QLinearMatMul()
    }
}
