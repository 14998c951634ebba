import GraphRuntime

/// DequantizeLinear of a constant matrix of whole numbers of 2, 4 or 8 bits → MatMul, or Gemm: the numbers stay in their own bits in memory,
/// and each is (number - zero point) · scale in float32 where it is multiplied.
///
/// Inputs A [.., K]; the numbers, [K, N] or transposed; scales and zero points as DequantizeLinear has them; nothing; bias [N]; the addend, of the
/// product's shape.
struct WeightQuantizedMatMul: SummingProduct {
    let dequantization: DequantizeLinear
    /// Whether the numbers are [N, K].
    let isTransposed: Bool
    /// Whether scales are those of blocks of a column, else of whole columns.
    let hasBlocks: Bool
    var hasBias = false
    var hasResidual = false
    private let layout: BitPanels
    /// Whether factors may be rounded to bfloat16, and the left one to bytes.
    private var (allowsPairs, allowsBytes) = (false, false)
    /// The numbers in panels, where they, their scales and their zero points are constant.
    private var panels: PackedConstant?
    /// The zero point of all numbers, in the order of the panels, where it is known and one.
    private var commonZero: Int?

    /// Numbers that share a scale in the panels where those of a whole column do, as far as a column has them.
    private static let blocks = [64, 32, 16]
    /// With more rows of the left factor than this, panels of floats take less time than to widen those of 8 bits in each run.
    private static let mostRowsOfBytes = 8

    /// - Parameters:
    ///   - dequantization: of the numbers, with scales that fit them.
    ///   - numbers: [K, N], or transposed.
    ///   - rows: of the left factor.
    /// - Returns: nil for other types, for blocks that panels don't have, and where floats are faster.
    init?(_ dequantization: DequantizeLinear, numbers: Tensor, scales: Tensor, isTransposed: Bool, rows: Int) {
        let (dtype, shape) = (numbers.dtype, numbers.shape)
        guard [.int8, .uint8, .int4, .uint4, .int2, .uint2].contains(dtype), shape.rank == 2,
            dtype.bitWidth < 8 || rows <= Self.mostRowsOfBytes,
            let own = try? shape.axis(scales.count == 1 ? 0 : dequantization.axis)
        else { return nil }
        let (depth, columns) = isTransposed ? (shape[1], shape[0]) : (shape[0], shape[1])
        hasBlocks = dequantization.blockSize > 0
        let isAlongDepth = own == (isTransposed ? 1 : 0)
        guard scales.count == 1 || isAlongDepth == hasBlocks,
            let block = hasBlocks ? dequantization.blockSize : Self.blocks.first(where: { $0 <= depth }),
            columns > 0, depth >= 16, block >= 16, block <= 2 * depth, block & (block - 1) == 0
        else { return nil }
        layout = BitPanels(columns: columns, depth: depth, bits: dtype.bitWidth, blockSize: block)
        (self.dequantization, self.isTransposed) = (dequantization, isTransposed)
    }

    var columns: Int { layout.columns }
    var floatingPointTypes: Set<DType>? { [.float32] }
    private var multipliesBytes: Bool { allowsBytes && BitRows.multipliesBytes(bits: layout.bits, blockSize: layout.blockSize) }
    private var multipliesPairs: Bool { allowsPairs && ProductPrecision.multipliesPairs }
    var kernelName: String? {
        let numbers = multipliesBytes ? " int8" : multipliesPairs ? " bf16" : ""
        return "\(layout.bits)-bit \(panels == nil ? "packed" : "pre-packed")\(numbers) GEMM"
    }
    var mergeKey: String? {
        "\(layout) \(dequantization.axis) \(isTransposed) \(hasBlocks) \(allowsPairs) \(allowsBytes) bias=\(hasBias) residual=\(hasResidual)"
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let a = try inputs[0]
        guard let shape = a.shape else { return [Fact(dtype: a.dtype)] }
        guard shape.dimensions.last == layout.depth else {
            throw TensorError("A of shape \(shape) should end in \(layout.depth)")
        }
        return [Fact(dtype: a.dtype, shape: try Shape(shape.dimensions.dropLast() + [layout.columns]))]
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        let count = outputs.first??.shape?.count ?? 0
        return Cost(
            flops: 2 * Double(count) * Double(layout.depth), bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        (result.allowsPairs, result.allowsBytes) = (plan.precision.withoutBytes == .bfloat16, plan.precision == .int8)
        guard inputs.count > 3, let numbers = inputs[1]?.tensor, let scales = inputs[2]?.tensor,
            inputs[3] == nil || inputs[3]?.tensor != nil
        else { return result }
        let zeros = inputs[3]?.tensor
        let points = self.zeros(zeros, like: numbers.dtype)
        result.commonZero = points.allSatisfy { $0 == points[0] } ? Int(points[0]) : nil
        let matrix = "\(isTransposed ? "transposed " : "")\(layout.depth)×\(layout.columns)"
        let scaled = hasBlocks ? "blocks" : "columns, in blocks"
        result.panels = plan.constants?.constant(
            numbers,
            form: "\(matrix) of \(numbers.dtype), scaled \(scaled) of \(layout.blockSize), in panels of \(BitPanels.width)",
            others: [scales, zeros].compactMap { $0 }
        ) { [self] numbers, threads throws(TensorError) in try pack(numbers, scales, zeros, threads) }
        return result
    }

    func run(_ context: inout RunContext) throws {
        let threads = context.threads
        guard let packed = try? panels?.tensor(threads: threads) else { return try runOnFloats(&context) }
        let product = BitPanels.Product(
            panels: layout, bias: hasBias ? try context.optionalInput(5) : nil,
            residual: hasResidual ? try context.input(6) : nil,
            inPairs: multipliesPairs, inBytes: multipliesBytes, zero: commonZero)
        try product.run(context.input(0), packed, into: context.output(0), threads: threads)
    }

    /// Without panels: where memory is spared, or there is none for them.
    private func runOnFloats(_ context: inout RunContext) throws {
        let (threads, numbers, output) = (context.threads, try context.input(1), try context.output(0))
        let weights = try MutableTensor(dtype: .float32, shape: numbers.shape)
        try dequantize(
            numbers, scale: context.input(2), zero: context.optionalInput(3), axis: dequantization.axis,
            blockSize: dequantization.blockSize, into: weights, threads: threads)
        try generalProduct(
            Float.self, context.input(0), weights.finish(), m: output.count / layout.columns, n: layout.columns,
            k: layout.depth,
            transposeA: false, transposeB: isTransposed, alpha: 1, addend: hasBias ? context.optionalInput(5) : nil, beta: 1,
            .single, into: output, threads: threads)
        if hasResidual { try arithmetic(.add, output.tensor, context.input(6), into: output, threads: threads) }
    }

    private func pack(
        _ numbers: Tensor, _ scales: Tensor, _ zeros: Tensor?, _ threads: ThreadPool
    ) throws(TensorError) -> Tensor {
        let rows = try layout.rows(of: numbers, isTransposed: isTransposed, threads: threads)
        return try layout.pack(
            rows, scales: spread(scales.array(of: Float.self)), zeros: spread(self.zeros(zeros, like: numbers.dtype)),
            threads: threads)
    }

    /// The zero points of the numbers as the panels have them, of which the least is 0.
    private func zeros(_ tensor: Tensor?, like dtype: DType) -> [Float] {
        let sign = BitPanels.sign(of: dtype)
        guard let tensor else { return [Float(sign)] }
        let codes = layout.bits == 8 ? (0..<tensor.count).map { tensor.bytes[$0] } : BitFields.unpack(tensor)
        return codes.map { Float($0 ^ sign) }
    }

    /// For each block of each column its number, of those that are one for all, for each column, or for each block.
    private func spread(_ values: [Float]) throws(TensorError) -> [Float] {
        let (columns, blocks) = (layout.columns, layout.blocks)
        let isOne = values.count == 1
        guard isOne || values.count == (hasBlocks ? columns * blocks : columns) else {
            throw TensorError("\(values.count) scales or zero points don't fit \(columns) columns of \(blocks) blocks")
        }
        return (0..<columns * blocks).map { index in
            if isOne { return values[0] }
            let (column, block) = (index / blocks, index % blocks)
            return values[!hasBlocks ? column : isTransposed ? index : block * columns + column]
        }
    }
}
