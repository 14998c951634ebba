import GraphRuntime

/// Y = alpha · op(A) · op(B) + beta · C, with op(A) [M, K], op(B) [K, N] and C broadcast to [M, N].
///
/// ONNX Gemm-6 (its `broadcast` attribute is implied), -7, -9, -11, -13.
struct Gemm: Operator {
    var alpha: Float = 1
    var beta: Float = 1
    var transposeA = false
    var transposeB = false
    /// B in panels, where it is a constant that is worth packing once.
    private var panels: PackedFactor?
    /// In which numbers a product of float32 is computed.
    private var precision = Precision.single

    init(alpha: Float = 1, beta: Float = 1, transposeA: Bool = false, transposeB: Bool = false) {
        (self.alpha, self.beta, self.transposeA, self.transposeB) = (alpha, beta, transposeA, transposeB)
    }

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }
    func takesHalves(input index: Int) -> Bool { index == 1 }
    var kernelName: String? { "gemm" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let (a, b) = (try inputs[0], try inputs[1])
        guard let left = a.shape, let right = b.shape else { return [Fact(dtype: a.dtype)] }
        let (m, n, _) = try extents(left, right)
        let output = try Shape([m, n])
        if let c = inputs.optional(2)?.shape, try c.broadcast(with: output) != output {
            throw TensorError("C of shape \(c) doesn't broadcast to \(output)")
        }
        return [Fact(dtype: a.dtype, shape: output)]
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        var cost = Cost(bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
        if let a = inputs.first??.shape, let output = outputs.first??.shape, a.rank == 2 {
            cost.flops = 2 * Double(a[transposeA ? 0 : 1]) * Double(output.count)
        }
        return cost
    }

    func kernelName(inputs: [Fact?], outputs: [Fact?]) -> String? {
        guard inputs.count > 1, let a = inputs[0]?.shape, let b = inputs[1]?.shape, let (m, n, k) = try? extents(a, b) else {
            return kernelName
        }
        if let panels { return ProductKernel.prePackedName(panels.precision) }
        return ProductKernel.name(
            inputs[0]?.dtype, precision, transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k)
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        result.precision = plan.precision.withoutBytes
        guard let (left, right) = PanelProduct.constantFactor(inputs) else { return result }
        let (m, n, k) = try extents(left, right.shape)
        result.panels = PanelProduct.packed(right, m: m, n: n, k: k, isTransposed: transposeB, plan: plan)
        return result
    }

    func run(_ context: inout RunContext) throws {
        let a = try context.input(0)
        switch a.dtype {
        case .float32:
            // Without memory for the panels the product packs block by block.
            guard let panels = try? panels?.panels(threads: context.threads) else { return try run(Float.self, &context) }
            try run(panels: panels, &context)
        case .float64: try run(Double.self, &context)
        case .int32: try runIntegers(Int32.self, &context)
        case .uint32: try runIntegers(UInt32.self, &context)
        case .int64: try runIntegers(Int64.self, &context)
        case .uint64: try runIntegers(UInt64.self, &context)
        default: throw TensorError("matrices of \(a.dtype) aren't supported")
        }
    }

    private func extents(_ a: Shape, _ b: Shape) throws(TensorError) -> (m: Int, n: Int, k: Int) {
        guard a.rank == 2, b.rank == 2 else { throw TensorError("expected two matrices, found shapes \(a) and \(b)") }
        let (m, k) = transposeA ? (a[1], a[0]) : (a[0], a[1])
        let (rows, n) = transposeB ? (b[1], b[0]) : (b[0], b[1])
        guard rows == k else { throw TensorError("shapes \(a) and \(b) don't multiply") }
        try BLASLimits.check(m, n, k)
        return (m, n, k)
    }

    private func run<Element: BLASElement>(_ type: Element.Type, _ context: inout RunContext) throws {
        let (a, b) = (try context.input(0), try context.weights(isPacked: false))
        let (m, n, k) = try extents(a.shape, b.shape)
        try generalProduct(
            type, a, b, m: m, n: n, k: k, transposeA: transposeA, transposeB: transposeB, alpha: Element(alpha),
            addend: context.optionalInput(2), beta: Element(beta), precision, into: context.output(0),
            threads: context.threads)
    }

    private func run(panels: PackedPanels, _ context: inout RunContext) throws {
        let a = try context.input(0)
        let (m, n, k) = try extents(a.shape, context.input(1).shape)
        try generalProduct(
            a, panels: panels, m: m, n: n, k: k, transposeA: transposeA, alpha: alpha, addend: context.optionalInput(2),
            beta: beta, into: context.output(0), threads: context.threads)
    }

    private func runIntegers<Element: TensorElement & FixedWidthInteger>(_: Element.Type, _ context: inout RunContext) throws {
        let (a, b, output) = (try context.input(0), try context.input(1), try context.output(0))
        let (m, n, k) = try extents(a.shape, b.shape)
        guard let alpha = Element(exactly: alpha), let beta = Element(exactly: beta) else {
            throw TensorError("alpha \(alpha) and beta \(beta) aren't integers as the matrices are")
        }
        let c = try context.optionalInput(2)
        let strides = c?.shape.broadcastStrides(to: output.shape) ?? [0, 0]
        let addends = try c?.array(of: Element.self) ?? [0]
        try a.withSpan(of: Element.self) { a in
            try b.withSpan(of: Element.self) { b in
                try output.withMutableSpan(of: Element.self) { y in
                    for row in 0..<m {
                        for column in 0..<n {
                            var sum: Element = 0
                            for inner in 0..<k {
                                sum &+=
                                    a[transposeA ? inner * m + row : row * k + inner]
                                    &* b[transposeB ? column * k + inner : inner * n + column]
                            }
                            y[row * n + column] = alpha &* sum &+ beta &* addends[row * strides[0] + column * strides[1]]
                        }
                    }
                }
            }
        }
    }
}

extension Gemm {
    static let definitions = [
        OperatorDefinition("Gemm", since: 6) { node in
            try node.requireInputs(2...3)
            node.ignore("broadcast")
            return Gemm(
                alpha: try node.float("alpha", default: 1), beta: try node.float("beta", default: 1),
                transposeA: try node.bool("transA", default: false), transposeB: try node.bool("transB", default: false))
        }
    ]
}
