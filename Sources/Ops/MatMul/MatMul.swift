import GraphRuntime

/// The matrix product of numpy.matmul: the last two axes multiply, the others broadcast.
///
/// ONNX MatMul-1, -9, -13. The fused forms add a bias of N elements to each row, and a tensor of the product's shape.
struct MatMul: Operator {
    /// Whether input 2 is a bias [N].
    var hasBias = false
    /// Whether input 3 is a tensor of the output's shape that is added to it.
    var hasResidual = false
    /// Input 1 in panels, where it is one constant matrix that is worth packing once.
    private var panels: PackedFactor?
    /// In which numbers a product of float32 is computed.
    private var precision = Precision.single

    init(hasBias: Bool = false, hasResidual: Bool = false, precision: Precision = .single) {
        self.precision = precision
        self.hasBias = hasBias
        self.hasResidual = hasResidual
    }

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }
    func takesHalves(input index: Int) -> Bool { index == 1 }
    var kernelName: String? { "gemm" }
    var mergeKey: String? { "bias=\(hasBias) residual=\(hasResidual)" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let (a, b) = (try inputs[0], try inputs[1])
        guard let left = a.shape, let right = b.shape else { return [Fact(dtype: a.dtype)] }
        if let one = a.dtype, let other = b.dtype, one != other {
            throw TensorError("the factors are of different types, \(one) and \(other)")
        }
        return [Fact(dtype: a.dtype, shape: try MatMulExtents(left, right).output)]
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        var cost = Cost(bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
        if let left = inputs.first??.shape, let extent = left.dimensions.last, let output = outputs.first??.shape {
            cost.flops = 2 * Double(extent) * Double(output.count)
        }
        return cost
    }

    func kernelName(inputs: [Fact?], outputs: [Fact?]) -> String? {
        guard inputs.count > 1, let a = inputs[0]?.shape, let b = inputs[1]?.shape, let extents = try? MatMulExtents(a, b)
        else {
            return kernelName
        }
        if let panels { return ProductKernel.prePackedName(panels.precision) }
        return ProductKernel.name(
            inputs[0]?.dtype, precision, batch: extents.products.count, m: extents.products.rows, n: extents.n, k: extents.k)
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        result.precision = plan.precision.withoutBytes
        guard let (left, right) = PanelProduct.constantFactor(inputs) else { return result }
        let extents = try MatMulExtents(left, right.shape)
        guard extents.sharesB else { return result }
        result.panels = PanelProduct.packed(right, m: extents.products.rows, n: extents.n, k: extents.k, plan: plan)
        return result
    }

    func prepared(for operands: Operands) throws -> PreparedRun? {
        let a = try operands.input(0)
        guard let panels, a.dtype == .float32 else { return nil }
        return try preparedMatMul(
            a, operands.input(1), panels: panels, bias: hasBias ? operands.input(2) : nil,
            residual: hasResidual ? operands.input(3) : nil, into: operands.output(0), precision)
    }

    func run(_ context: inout RunContext) throws {
        let a = try context.input(0)
        let bias = hasBias ? try context.input(2) : nil
        let residual = hasResidual ? try context.input(3) : nil
        let output = try context.output(0)
        // Without memory for the panels the product packs block by block.
        let panels = try? panels?.panels(threads: context.threads)
        let b = try context.weights(isPacked: panels != nil)
        switch a.dtype {
        case .float32:
            if let panels {
                return try matMul(
                    a, panels: panels, MatMulExtents(a.shape, b.shape), bias: bias, residual: residual, into: output,
                    threads: context.threads)
            }
            try matMul(Float.self, a, b, bias: bias, residual: residual, into: output, precision, threads: context.threads)
        case .float64:
            try matMul(Double.self, a, b, bias: bias, residual: residual, into: output, threads: context.threads)
        case .int32: try integerMatMul(Int32.self, a, b, into: output)
        case .uint32: try integerMatMul(UInt32.self, a, b, into: output)
        case .int64: try integerMatMul(Int64.self, a, b, into: output)
        case .uint64: try integerMatMul(UInt64.self, a, b, into: output)
        default: throw TensorError("matrices of \(a.dtype) aren't supported")
        }
    }
}

/// The extents of a product [..., M, K] × [..., K, N] with numpy's rules for vectors and broadcasting.
struct MatMulExtents {
    let m: Int
    let n: Int
    let k: Int
    let batch: Shape
    let output: Shape
    /// For each batch index of the output, which matrix of A and of B to take.
    let aBatchStrides: [Int]
    let bBatchStrides: [Int]
    /// Whether B is one matrix for all of A's, so that A's batch counts as more rows.
    let sharesB: Bool

    init(_ a: Shape, _ b: Shape) throws(TensorError) {
        guard a.rank >= 1, b.rank >= 1 else { throw TensorError("a scalar has no matrix product (shapes \(a) and \(b))") }
        let left = a.rank == 1 ? [1] + a.dimensions : a.dimensions
        let right = b.rank == 1 ? b.dimensions + [1] : b.dimensions
        m = left[left.count - 2]
        k = left[left.count - 1]
        n = right[right.count - 1]
        guard right[right.count - 2] == k else { throw TensorError("shapes \(a) and \(b) don't multiply") }
        let leftBatch = try Shape(Array(left.dropLast(2)))
        let rightBatch = try Shape(Array(right.dropLast(2)))
        batch = try leftBatch.broadcast(with: rightBatch)
        aBatchStrides = leftBatch.broadcastStrides(to: batch)
        bBatchStrides = rightBatch.broadcastStrides(to: batch)
        // As rows of one product they are counted in 32 bits.
        sharesB = rightBatch.count == 1 && leftBatch.count == batch.count && m * leftBatch.count <= Int(Int32.max)
        output = try Shape(batch.dimensions + (a.rank == 1 ? [] : [m]) + (b.rank == 1 ? [] : [n]))
        try BLASLimits.check(m, n, k)
    }

    /// The products to compute, and the rows of each.
    var products: (count: Int, rows: Int) { sharesB ? (1, m * batch.count) : (batch.count, m) }

    /// The indices of the matrices of A and B for batch index `index` of the output.
    func matrices(_ index: Int) -> (a: Int, b: Int) {
        var rest = index
        var (a, b) = (0, 0)
        for axis in stride(from: batch.rank - 1, through: 0, by: -1) {
            let position = rest % batch[axis]
            rest /= batch[axis]
            a += position * aBatchStrides[axis]
            b += position * bBatchStrides[axis]
        }
        return (a, b)
    }
}

/// A · B for integers, which wrap around where they overflow.
private func integerMatMul<Element: TensorElement & FixedWidthInteger>(
    _: Element.Type, _ a: Tensor, _ b: Tensor, into output: MutableTensor
) throws {
    let extents = try MatMulExtents(a.shape, b.shape)
    let (m, n, k) = (extents.m, extents.n, extents.k)
    try a.withSpan(of: Element.self) { a in
        try b.withSpan(of: Element.self) { b in
            try output.withMutableSpan(of: Element.self) { c in
                for index in 0..<extents.batch.count {
                    let matrices = extents.matrices(index)
                    for row in 0..<m {
                        for column in 0..<n {
                            var sum: Element = 0
                            for inner in 0..<k {
                                sum &+= a[matrices.a * m * k + row * k + inner] &* b[matrices.b * k * n + inner * n + column]
                            }
                            c[index * m * n + row * n + column] = sum
                        }
                    }
                }
            }
        }
    }
}

extension MatMul {
    static let definitions = [
        OperatorDefinition("MatMul", since: 1) { node in
            try node.requireInputs(2...2)
            return MatMul()
        }
    ]
}
