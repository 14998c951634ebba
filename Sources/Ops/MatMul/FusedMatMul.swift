import GraphRuntime

/// alpha · op(A) · op(B), the matrix product of numpy.matmul with transposes (com.microsoft FusedMatMul-1, and its elder form
/// TransposeMatMul-1): what ONNX Runtime's optimiser makes of a product, its transposes and a factor.
struct FusedMatMul: Operator {
    /// What becomes of a factor of two axes and more before the product; vectors stay as they are.
    struct Form: Equatable {
        /// Whether its first axis becomes a matrix's rows: [M, batch…, K] is read as [batch…, M, K].
        var movesBatch = false
        /// Whether its last two axes then change places.
        var isTransposed = false

        /// The axes in the order in which they are read.
        ///
        /// - Throws: ``TensorError`` where there is no batch to move.
        func axes(rank: Int) throws(TensorError) -> [Int] {
            var axes = Array(0..<rank)
            if rank < 2 { return axes }
            if movesBatch {
                guard rank > 2 else { throw TensorError("transBatchA and transBatchB need 3 axes or more, found \(rank)") }
                axes = Array(1..<rank - 1) + [0, rank - 1]
            }
            if isTransposed { axes.swapAt(rank - 2, rank - 1) }
            return axes
        }

        func shape(_ shape: Shape) throws(TensorError) -> Shape { try Shape(axes(rank: shape.rank).map { shape[$0] }) }

        /// What is left to do for a product of the factor as it lies.
        func isReadTransposed(rank: Int) -> Bool { isTransposed && !movesBatch && rank > 1 }
    }

    let alpha: Float
    let left: Form
    let right: Form
    /// Input 1 in panels, where it is one constant matrix that is worth packing once.
    private var panels: PackedFactor?
    /// In which numbers a product of float32 is computed.
    private var precision = Precision.single

    init(alpha: Float, left: Form, right: Form) { (self.alpha, self.left, self.right) = (alpha, left, right) }

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }
    func takesHalves(input index: Int) -> Bool { index == 1 }
    var kernelName: String? { "gemm" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try commonType(inputs, 0..<2)
        try NormalizationArguments.requireFloatingPoint(Fact(dtype: dtype), "A and B")
        guard let a = try inputs[0].shape, let b = try inputs[1].shape else { return [Fact(dtype: dtype)] }
        return [Fact(dtype: dtype, shape: try extents(a, b).output)]
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        var cost = Cost(bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
        if inputs.count > 1, let a = inputs[0]?.shape, let b = inputs[1]?.shape, let extents = try? extents(a, b) {
            cost.flops = 2 * Double(extents.k) * Double(extents.output.count)
        }
        return cost
    }

    func kernelName(inputs: [Fact?], outputs: [Fact?]) -> String? {
        guard inputs.count > 1, let a = inputs[0]?.shape, let b = inputs[1]?.shape, let extents = try? extents(a, b) else {
            return kernelName
        }
        if let panels { return ProductKernel.prePackedName(panels.precision) }
        let products = products(extents, a)
        return ProductKernel.name(
            inputs[0]?.dtype, precision, batch: products.count, transposeA: left.isReadTransposed(rank: a.rank),
            transposeB: right.isReadTransposed(rank: b.rank), m: products.rows, n: extents.n, k: extents.k)
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        result.precision = plan.precision.withoutBytes
        guard let (a, b) = PanelProduct.constantFactor(inputs), b.shape.rank > 1, !right.movesBatch else { return result }
        let extents = try extents(a, b.shape)
        let products = products(extents, a)
        guard products.count == 1 else { return result }
        result.panels = PanelProduct.packed(
            b, m: products.rows, n: extents.n, k: extents.k, isTransposed: right.isTransposed, plan: plan)
        return result
    }

    private func extents(_ a: Shape, _ b: Shape) throws(TensorError) -> MatMulExtents {
        try MatMulExtents(left.shape(a), right.shape(b))
    }

    /// The products to compute, and the rows of each: all of A's matrices count as one where they share B, and lie one below the other.
    private func products(_ extents: MatMulExtents, _ a: Shape) -> (count: Int, rows: Int) {
        left.isReadTransposed(rank: a.rank) && extents.batch.count != 1 ? (extents.batch.count, extents.m) : extents.products
    }

    func run(_ context: inout RunContext) throws {
        let a = try context.input(0)
        let threads = context.threads
        // Without memory for the panels the product packs block by block.
        let panels = try? panels?.panels(threads: threads)
        let b = try context.weights(isPacked: panels != nil)
        let output = try context.output(0)
        let extents = try extents(a.shape, b.shape)
        guard output.count == extents.output.count else { throw TensorError("the product doesn't have shape \(output.shape)") }
        guard extents.k > 0 else {
            return try output.withMutableBytes { bytes in for index in 0..<bytes.count { bytes[index] = 0 } }
        }
        let (first, second) = (
            try left.movesBatch ? reordered(a, left, context.threads) : a,
            try right.movesBatch ? reordered(b, right, context.threads) : b
        )
        switch a.dtype {
        case .float32:
            if let panels {
                return try generalProduct(
                    first, panels: panels, m: products(extents, a.shape).rows, n: extents.n, k: extents.k,
                    transposeA: left.isReadTransposed(rank: a.shape.rank), alpha: alpha, addend: nil, beta: 0,
                    into: output, threads: threads)
            }
            try multiply(Float.self, first, second, extents, into: output, precision, threads: threads)
        default: try multiply(Double.self, first, second, extents, into: output, .single, threads: threads)
        }
    }

    /// A factor in the order in which it is read.
    private func reordered(_ x: Tensor, _ form: Form, _ threads: ThreadPool) throws -> Tensor {
        let axes = try form.axes(rank: x.shape.rank)
        return try RunContext.newTensor(of: [x], shape: form.shape(x.shape)) { units in
            try units.transpose(x.shape, permutation: axes, threads: threads)
        }
    }

    private func multiply<Element: BLASElement>(
        _: Element.Type, _ a: Tensor, _ b: Tensor, _ extents: MatMulExtents, into output: MutableTensor,
        _ precision: Precision, threads: ThreadPool
    ) throws {
        let products = products(extents, a.shape)
        let isOne = products.count == 1
        try batchedProduct(
            Element.self, a, b, count: products.count, m: products.rows, n: extents.n, k: extents.k,
            transposeA: left.isReadTransposed(rank: a.shape.rank), transposeB: right.isReadTransposed(rank: b.shape.rank),
            alpha: Element(alpha), precision, into: output, threads: threads
        ) { index in isOne ? (a: 0, b: 0) : extents.matrices(index) }
    }
}

extension FusedMatMul {
    static let definitions = [
        OperatorDefinition("FusedMatMul", domain: "com.microsoft", since: 1) { node in
            try node.requireInputs(2...2)
            return FusedMatMul(
                alpha: try node.float("alpha", default: 1),
                left: Form(
                    movesBatch: try node.bool("transBatchA", default: false),
                    isTransposed: try node.bool("transA", default: false)),
                right: Form(
                    movesBatch: try node.bool("transBatchB", default: false),
                    isTransposed: try node.bool("transB", default: false)))
        },
        OperatorDefinition("TransposeMatMul", domain: "com.microsoft", since: 1) { node in
            try node.requireInputs(2...2)
            return FusedMatMul(
                alpha: try node.float("alpha", default: 1), left: Form(isTransposed: try node.bool("transA", default: false)),
                right: Form(isTransposed: try node.bool("transB", default: false)))
        },
    ]
}
