import GraphRuntime

/// MatMulNBits (com.microsoft, 1): A [.., K] times a matrix whose columns are quantised in blocks. Numbers stay in their own bits in
/// memory; each is (number - zero point) · scale in float32 where it is multiplied. The fused form also adds a tensor of the product's
/// shape.
///
/// Inputs A; B [N, blocks, bytes of a block], uint8, the numbers of low bits first; scales [N, blocks]; zero points, packed as B is
/// [N, bytes], or unpacked in the scales' type; the block of each of K's indices; bias [N]; in the fused form the addend.
struct BlockQuantizedMatMul: SummingProduct {
    let rows: Int
    let columns: Int
    let bits: Int
    let blockSize: Int
    /// Whether factors may be rounded to bfloat16, 8 significant bits.
    private var allowsPairs: Bool
    /// Whether the left factor may be rounded to bytes, block by block.
    private var allowsBytes: Bool
    var hasBias: Bool
    var hasResidual = false
    /// Input 1 in panels, where it, its scales and its zero points are constant.
    private var panels: PackedConstant?
    /// The zero point of all blocks, where it is known and one.
    private var commonZero: Int?
    /// The same in the panels that other weights of 4 bits have, where it fits them.
    private var factor: PackedFactor?

    var floatingPointTypes: Set<DType>? { [.float32] }
    var kernelName: String? {
        let numbers = multipliesBytes ? " int8" : multipliesPairs ? " bf16" : ""
        return "\(bits)-bit \(panels == nil && factor == nil ? "packed" : "pre-packed")\(numbers) GEMM"
    }
    private var multipliesBytes: Bool { allowsBytes && BitRows.multipliesBytes(bits: bits, blockSize: blockSize) }
    private var multipliesPairs: Bool { allowsPairs && ProductPrecision.multipliesPairs }
    var mergeKey: String? {
        "\(allowsPairs) \(allowsBytes) \(rows) \(columns) \(bits) \(blockSize) bias=\(hasBias) residual=\(hasResidual)"
    }

    /// Of any extent: with it no product of two overflows.
    private static let largest = 1 << 28

    private init(
        rows: Int, columns: Int, bits: Int, blockSize: Int, accuracyLevel: Int, hasBias: Bool
    ) throws(TensorError) {
        // 0 where it isn't stated; what follows 1, single precision: float16, bfloat16 and int8.
        allowsPairs = accuracyLevel >= 3
        allowsBytes = accuracyLevel >= 4
        (self.rows, self.columns, self.bits, self.blockSize) = (rows, columns, bits, blockSize)
        self.hasBias = hasBias
        guard (1...Self.largest).contains(rows), (1...Self.largest).contains(columns) else {
            throw TensorError("attributes N and K should be 1 to \(Self.largest), found \(rows) and \(columns)")
        }
        guard [2, 4, 8].contains(bits) else { throw TensorError("attribute bits should be 2, 4 or 8, found \(bits)") }
        guard (16...Self.largest).contains(blockSize), blockSize & (blockSize - 1) == 0 else {
            throw TensorError("attribute block_size should be a power of two of 16 or more, found \(blockSize)")
        }
    }

    private var layout: BitPanels { BitPanels(columns: rows, depth: columns, bits: bits, blockSize: blockSize) }
    private var blocks: Int { layout.blocks }
    private var bytesOfBlock: Int { blockSize * bits / 8 }
    private var bytesOfZeros: Int { (blocks * bits + 7) / 8 }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let (a, scales) = (try inputs[0], try inputs[2])
        if let shape = try inputs[1].shape, shape.count != rows * blocks * bytesOfBlock {
            throw TensorError("B of shape \(shape) should have \(rows) × \(blocks) × \(bytesOfBlock) bytes")
        }
        if let shape = scales.shape, shape.count != rows * blocks {
            throw TensorError("scales of shape \(shape) should have \(rows) × \(blocks) elements")
        }
        if let zeros = inputs.optional(3), let shape = zeros.shape {
            let expected = rows * (zeros.dtype == .uint8 ? bytesOfZeros : blocks)
            guard shape.count == expected else {
                throw TensorError("zero_points of shape \(shape) should have \(expected) elements")
            }
        }
        // Some exporters fill the last block.
        if let shape = inputs.optional(4)?.shape, shape.count != columns, shape.count != blocks * blockSize {
            throw TensorError("g_idx of shape \(shape) should have \(columns) elements")
        }
        if let shape = inputs.optional(5)?.shape, shape.count != rows {
            throw TensorError("the bias of shape \(shape) should have \(rows) elements")
        }
        guard let shape = a.shape else { return [Fact(dtype: a.dtype)] }
        guard shape.dimensions.last == columns else { throw TensorError("A of shape \(shape) should end in \(columns)") }
        return [Fact(dtype: a.dtype, shape: try Shape(shape.dimensions.dropLast() + [rows]))]
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        let count = outputs.first??.shape?.count ?? 0
        return Cost(flops: 2 * Double(count) * Double(columns), bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        if plan.precision.withoutBytes == .bfloat16 { result.allowsPairs = true }
        guard inputs.count > 2, let numbers = inputs[1]?.tensor, numbers.dtype == .uint8, let scales = inputs[2]?.tensor
        else { return result }
        let zeros = inputs.count > 3 ? inputs[3] : nil
        guard zeros == nil || zeros?.tensor != nil else { return result }
        result.commonZero = try zeros?.tensor.map(commonZeroPoint) ?? 1 << (bits - 1)
        if bits == 4, !result.multipliesPairs, !result.multipliesBytes, inputs.count < 5 || inputs[4] == nil,
            let a = inputs[0]?.shape,
            result.commonZero == 8
        {
            result.factor = PanelProduct.packedBlocks(
                numbers, scales: scales, blockSize: blockSize, m: a.count / max(columns, 1), n: rows, k: columns,
                constants: plan.constants)
            if result.factor != nil { return result }
        }
        let form = "\(bits) bits, blocks of \(blockSize), \(rows)×\(columns) in panels of \(BitPanels.width)"
        let others = [scales, zeros?.tensor].compactMap { $0 }
        result.panels = plan.constants?.constant(numbers, form: form, others: others) {
            [self] numbers, threads throws(TensorError) in try pack(numbers, scales, zeros?.tensor, threads)
        }
        return result
    }

    func run(_ context: inout RunContext) throws {
        let threads = context.threads
        if let factor, let made = try? factor.panels(threads: threads) {
            let a = try context.input(0)
            return try matMul(
                a, panels: made, MatMulExtents(a.shape, Shape([columns, rows])), bias: hasBias ? context.optionalInput(5) : nil,
                residual: hasResidual ? context.input(6) : nil, into: context.output(0), threads: threads)
        }
        let packed: Tensor
        if let panels, let made = try? panels.tensor(threads: threads) {
            packed = made
        } else {
            packed = try pack(context.input(1), context.input(2), context.optionalInput(3), threads)
        }
        let groups = try context.optionalInput(4)?.integers()
        if let groups, let wrong = groups.first(where: { !(0..<self.blocks).contains($0) }) {
            throw TensorError("g_idx should be in 0..<\(self.blocks), found \(wrong)")
        }
        let product = BitPanels.Product(
            panels: layout, groups: groups,
            bias: hasBias ? try context.optionalInput(5) : nil, residual: hasResidual ? try context.input(6) : nil,
            inPairs: multipliesPairs, inBytes: multipliesBytes, zero: commonZero)
        try product.run(context.input(0), packed, into: context.output(0), threads: threads)
    }

    private func pack(
        _ numbers: Tensor, _ scales: Tensor, _ zeros: Tensor?, _ threads: ThreadPool
    ) throws(TensorError) -> Tensor {
        guard numbers.dtype == .uint8 else { throw TensorError("B should be of uint8, found \(numbers.dtype)") }
        let scales = try HalfPrecision.widen(scales).array(of: Float.self)
        return try layout.pack(numbers, scales: scales, zeros: try zeroPoints(zeros), threads: threads)
    }

    /// The zero point of all blocks; nil where they differ, and for what is no number of 8 bits.
    private func commonZeroPoint(_ tensor: Tensor) throws(TensorError) -> Int? {
        let points = try zeroPoints(tensor)
        guard let point = points.first, point == point.rounded(), abs(point) < 256, points.allSatisfy({ $0 == point }) else {
            return nil
        }
        return Int(point)
    }

    /// The zero point of each block; by default the middle of the numbers.
    private func zeroPoints(_ tensor: Tensor?) throws(TensorError) -> [Float] {
        guard let tensor else { return [Float](repeating: Float(1 << (bits - 1)), count: rows * blocks) }
        guard tensor.dtype == .uint8 else { return try HalfPrecision.widen(tensor).array(of: Float.self) }
        guard tensor.count == rows * bytesOfZeros else {
            throw TensorError("zero_points of shape \(tensor.shape) should have \(rows * bytesOfZeros) elements")
        }
        let bytes = tensor.bytes
        let perByte = 8 / bits
        return (0..<rows * blocks).map { index in
            let (row, block) = (index / blocks, index % blocks)
            let byte = bytes[row * bytesOfZeros + block / perByte]
            return Float(Int(byte) >> (block % perByte * bits) & ((1 << bits) - 1))
        }
    }

    static let definition = OperatorDefinition("MatMulNBits", domain: "com.microsoft", since: 1) { decoder in
        try decoder.requireInputs(3...6)
        if try decoder.int("weight_prepacked", default: 0) != 0 {
            throw TensorError("attribute weight_prepacked isn't supported: the weights are in the order of one processor")
        }
        return try BlockQuantizedMatMul(
            rows: try decoder.requiredInt("N"), columns: try decoder.requiredInt("K"),
            bits: try decoder.int("bits", default: 4), blockSize: try decoder.requiredInt("block_size"),
            accuracyLevel: try decoder.int("accuracy_level", default: 0), hasBias: decoder.inputCount > 5)
    }
}
