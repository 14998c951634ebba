import GraphRuntime

/// QGemm of com.microsoft: (A - its zero point) op(B - its zero point) + C, quantized, or float32 without a scale of the result.
///
/// Inputs A [M, K], its scale and zero point, B [K, N] or its transpose, its scale and zero point (one, or one for each column), C of
/// int32 [N] or of N elements for each row alike, and the result's scale and zero point.
struct QuantizedGemm: Operator {
    let alpha: Float
    let transposeB: Bool
    /// Whether nothing below the result's zero point is written: the Relu before it was quantized.
    var isRectified = false
    /// What bytes of the result become, by their bits; empty where they stay.
    var table: [UInt8] = []
    /// Input 3 in panels, where it is constant.
    private var panels: PackedConstant?

    init(alpha: Float, transposeB: Bool) { (self.alpha, self.transposeB) = (alpha, transposeB) }

    var kernelName: String? { panels == nil ? "integer GEMM" : "pre-packed integer GEMM" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try inputs.optional(7) == nil ? .float32 : inputs.optional(8)?.dtype ?? inputs[0].dtype
        guard let a = try inputs[0].shape, let b = try inputs[3].shape else { return [Fact(dtype: dtype)] }
        return [Fact(dtype: dtype, shape: try Shape([a.rank == 2 ? a[0] : 0, try layout(a, b).columns]))]
    }

    private func layout(_ a: Shape, _ b: Shape) throws(TensorError) -> BytePanels {
        guard a.rank == 2, b.rank == 2, b[transposeB ? 1 : 0] == a[1] else {
            throw TensorError("matrices of shapes \(a) and \(b) don't multiply")
        }
        return BytePanels(depth: a[1], columns: b[transposeB ? 0 : 1], isTransposed: transposeB)
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        let (depth, count) = (inputs.first??.shape?.dimensions.last ?? 0, outputs.first??.shape?.count ?? 0)
        return Cost(flops: 2 * Double(depth) * Double(count), bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        guard inputs.count > 3, let a = inputs[0]?.shape, let b = inputs[3]?.tensor else { return self }
        var result = self
        result.panels = try layout(a, b.shape).packed(b, constants: plan.constants)
        return result
    }

    func run(_ context: inout RunContext) throws {
        let threads = context.threads
        let (a, b, output) = (try context.input(0), try context.input(3), try context.output(0))
        let layout = try layout(a.shape, b.shape)
        let packed = try (try? panels?.tensor(threads: threads)) ?? layout.pack(b, threads: threads)
        func floats(_ tensor: Tensor) throws -> [Float] {
            try cast(tensor, to: .float32, threads: threads).array(of: Float.self)
        }
        let (scale, scales) = (try floats(context.input(1)), try floats(context.input(4)))
        let result = try context.optionalInput(7).map { try floats($0) }
        guard scale.count == 1, result?.count ?? 1 == 1 else {
            throw TensorError("the scales of A and the result should be one number each")
        }
        let factors = scales.map { alpha * scale[0] * $0 / (result?[0] ?? 1) }
        var form = ByteGemm.Form.float32
        if result != nil {
            let zero = try ByteMatMul.integers(context.optionalInput(8))
            guard zero.count == 1 else { throw TensorError("the zero point of the result should be one number") }
            var range = try ByteRange(output.dtype, zero: zero[0])
            if isRectified { range.least = max(range.least, range.zero) }
            form = .bytes(range)
        }
        try ByteGemm(
            layout: layout, leftZero: ByteMatMul.integers(context.optionalInput(2)),
            rightZeros: ByteMatMul.integers(context.optionalInput(5)), scales: factors, addend: context.optionalInput(6),
            form: form, table: table
        ).run(a, b.dtype, packed, into: output, threads: threads)
    }
}
