import GraphRuntime

/// MatMulNBits (com.microsoft, 1): A [.., K] times a matrix whose columns are quantised in blocks.
enum BlockQuantizedProduct {
    /// Inputs A; B [N, blocks, bytes of a block], uint8, the numbers of low bits first; scales [N, blocks]; zero points, packed as B is
    /// [N, bytes], or unpacked in the scales' type; the block of each of K's indices; bias [N].
    static let expansion = OperatorExpansion(microsoft: "MatMulNBits") { node in
        try node.decoder.requireInputs(3...6)
        let weights = BlockQuantizedWeights(
            rows: try node.decoder.requiredInt("N"), columns: try node.decoder.requiredInt("K"),
            bits: try node.decoder.int("bits", default: 4), blockSize: try node.decoder.requiredInt("block_size"))
        try weights.check()
        // How exactly products may be computed, at least.
        node.decoder.ignore("accuracy_level")
        if try node.decoder.int("weight_prepacked", default: 0) != 0 {
            throw TensorError("attribute weight_prepacked isn't supported: the weights are in the order of one processor")
        }
        let matrix = node.add(
            "BlockQuantizedWeights", [node.input(1), node.input(2), node.input(3), node.input(4)], operation: weights)
        let product = node.add(
            "FusedMatMul", [node.input(0), matrix],
            operation: FusedMatMul(alpha: 1, left: .init(), right: .init(isTransposed: true)))
        node.setOutput(0, node.sum(product, node.input(5)))
    }
}

/// The matrix [rows, columns] that blocks of quantised numbers stand for: (number - zero point) · scale.
struct BlockQuantizedWeights: Operator {
    let rows: Int
    let columns: Int
    let bits: Int
    let blockSize: Int

    var floatingPointTypes: Set<DType>? { [.float32] }

    /// Of any extent: with it no product of two overflows.
    private static let largest = 1 << 28

    func check() throws(TensorError) {
        guard (1...Self.largest).contains(rows), (1...Self.largest).contains(columns) else {
            throw TensorError("attributes N and K should be 1 to \(Self.largest), found \(rows) and \(columns)")
        }
        guard [2, 4, 8].contains(bits) else { throw TensorError("attribute bits should be 2, 4 or 8, found \(bits)") }
        guard (16...Self.largest).contains(blockSize), blockSize & (blockSize - 1) == 0 else {
            throw TensorError("attribute block_size should be a power of two of 16 or more, found \(blockSize)")
        }
    }

    private var blocks: Int { (columns + blockSize - 1) / blockSize }
    private var bytesOfBlock: Int { blockSize * bits / 8 }
    private var bytesOfZeros: Int { (blocks * bits + 7) / 8 }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let scales = try inputs[1]
        if let shape = try inputs[0].shape, shape.count != rows * blocks * bytesOfBlock {
            throw TensorError("B of shape \(shape) should have \(rows) × \(blocks) × \(bytesOfBlock) bytes")
        }
        if let shape = scales.shape, shape.count != rows * blocks {
            throw TensorError("scales of shape \(shape) should have \(rows) × \(blocks) elements")
        }
        if let zeros = inputs.optional(2), let shape = zeros.shape {
            let expected = rows * (zeros.dtype == .uint8 ? bytesOfZeros : blocks)
            guard shape.count == expected else {
                throw TensorError("zero_points of shape \(shape) should have \(expected) elements")
            }
        }
        // Some exporters fill the last block.
        if let shape = inputs.optional(3)?.shape, shape.count != columns, shape.count != blocks * blockSize {
            throw TensorError("g_idx of shape \(shape) should have \(columns) elements")
        }
        return [Fact(dtype: scales.dtype, shape: try Shape([rows, columns]))]
    }

    func run(_ context: inout RunContext) throws {
        let packed = try context.input(0)
        guard packed.dtype == .uint8 else { throw TensorError("B should be of uint8, found \(packed.dtype)") }
        let numbers = packed.bytes
        let scales = try context.input(1).aligned().view(of: Float.self)
        let zeros = try zeros(context.optionalInput(2))
        let groups = try context.optionalInput(3)?.integers()
        if let groups, let wrong = groups.first(where: { !(0..<self.blocks).contains($0) }) {
            throw TensorError("g_idx should be in 0..<\(self.blocks), found \(wrong)")
        }
        let (blocks, columns, bits, blockSize) = (blocks, columns, bits, blockSize)
        let stride = blocks * bytesOfBlock
        let perByte = 8 / bits
        let mask = UInt8(truncatingIfNeeded: (1 << bits) - 1)
        try context.output(0).forEachSlice(
            of: Float.self, unit: columns, grain: max(1 << 15 / columns, 1), threads: context.threads
        ) { range, target in
            for (place, row) in range.enumerated() {
                for column in 0..<columns {
                    let byte = numbers[row * stride + column / perByte]
                    let number = (byte >> UInt8(column % perByte * bits)) & mask
                    let block = row * blocks + (groups?[column] ?? column / blockSize)
                    target[place * columns + column] = (Float(number) - zeros[block]) * scales[block]
                }
            }
        }
    }

    /// The zero point of each block; by default the middle of the numbers.
    private func zeros(_ tensor: Tensor?) throws -> [Float] {
        guard let tensor else { return [Float](repeating: Float(1 << (bits - 1)), count: rows * blocks) }
        guard tensor.dtype == .uint8 else {
            return try cast(tensor, to: .float32, threads: ThreadPool(threadCount: 1)).array(of: Float.self)
        }
        let bytes = tensor.bytes
        let perByte = 8 / bits
        return (0..<rows * blocks).map { index in
            let (row, block) = (index / blocks, index % blocks)
            let byte = bytes[row * bytesOfZeros + block / perByte]
            return Float(Int(byte) >> (block % perByte * bits) & ((1 << bits) - 1))
        }
    }
}
