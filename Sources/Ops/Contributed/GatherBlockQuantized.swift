import GraphRuntime

/// GatherBlockQuantized (com.microsoft, 1): slices of a table that is quantised in blocks, dequantised as they are taken, so that a table of
/// embeddings stays in its own bits.
///
/// Inputs: data of int4, uint4 or a float of 8 or 4 bits, or of uint8, each byte of which holds 8 / `bits` numbers along the last axis, the
/// first in the lowest bits; indices, of which those beyond the axis give zeros; scales, of data's shape but for blocks along the axis that
/// is quantised; zero points, as data has its numbers. Output: the slices in the scales' type, as Gather orders them.
struct GatherBlockQuantized: Operator {
    let gatherAxis: Int
    let quantizeAxis: Int
    /// 0 for the whole axis.
    let blockSize: Int
    /// Of each number where data is of uint8.
    let bits: Int

    var floatingPointTypes: Set<DType>? { [.float32] }

    /// Data with its numbers counted one by one.
    private struct Table {
        let shape: Shape
        let gatherAxis: Int
        let quantizeAxis: Int
        let blockSize: Int
        /// Numbers of a byte.
        let bits: Int
        /// What each pattern of bits stands for.
        let values: [Float]

        var blocks: Int { (shape[quantizeAxis] + blockSize - 1) / blockSize }
        var scales: [Int] {
            shape.dimensions.indices.map { $0 == quantizeAxis ? blocks : shape[$0] }
        }

        /// The shape of zero points as they are stored: bytes that hold several numbers end with each row.
        func zeros(_ dtype: DType) -> [Int] {
            guard dtype == .uint8, let last = scales.last else { return scales }
            return scales.dropLast() + [(last * bits + 7) / 8]
        }
    }

    private func table(_ dtype: DType, _ shape: Shape) throws -> Table {
        let width = dtype == .uint8 ? bits : dtype.bitWidth
        let values: [Float]
        switch dtype {
        case .uint8, .uint4: values = (0..<1 << width).map { Float($0) }
        case .int4: values = (0..<16).map { Float($0 < 8 ? $0 : $0 - 16) }
        default:
            guard let format = MiniFloat.format(of: dtype) else {
                throw TensorError("data should be of int4, uint4, uint8 or a float of 8 or 4 bits, found \(dtype)")
            }
            values = format.values
        }
        guard shape.rank > 0 else { throw TensorError("data needs an axis to gather along") }
        let logical = try shape.replacing(
            shape.rank - 1, with: dtype == .uint8 ? shape[shape.rank - 1] * 8 / bits : shape[shape.rank - 1])
        let (gather, quantize) = (try shape.axis(gatherAxis), try shape.axis(quantizeAxis))
        guard dtype != .uint8 || bits == 8 || gather != shape.rank - 1 else {
            throw TensorError("numbers of \(bits) bits can't be gathered along the axis \(gather) that they are packed along")
        }
        let size = blockSize == 0 ? max(logical[quantize], 1) : blockSize
        return Table(shape: logical, gatherAxis: gather, quantizeAxis: quantize, blockSize: size, bits: width, values: values)
    }

    private func shape(_ table: Table, _ indices: Shape) throws -> Shape {
        let dimensions = table.shape.dimensions
        return try Shape(dimensions[..<table.gatherAxis] + indices.dimensions + dimensions[(table.gatherAxis + 1)...])
    }

    private func check(_ table: Table, _ type: DType, scales: Shape?, zeros: Fact?) throws {
        if let scales, scales.dimensions != table.scales {
            throw TensorError("scales of shape \(scales) should have the shape \(try Shape(table.scales))")
        }
        guard let zeros, let dtype = zeros.dtype else { return }
        guard dtype == type else { throw TensorError("zero_points of \(dtype) don't fit data of \(type)") }
        guard let found = zeros.shape else { return }
        let expected = table.zeros(dtype)
        guard found.dimensions == expected else {
            throw TensorError("zero_points of shape \(found) should have the shape \(try Shape(expected))")
        }
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let (data, scales) = (try inputs[0], try inputs[2])
        guard let dtype = data.dtype, let shape = data.shape else { return [Fact(dtype: scales.dtype)] }
        let table = try table(dtype, shape)
        try check(table, dtype, scales: scales.shape, zeros: inputs.optional(3))
        guard let indices = try inputs[1].shape else { return [Fact(dtype: scales.dtype)] }
        return [Fact(dtype: scales.dtype, shape: try self.shape(table, indices))]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let table = try table(data.dtype, data.shape)
        let zeros = try context.optionalInput(3)
        try check(table, data.dtype, scales: context.input(2).shape, zeros: zeros.map { Fact(.tensor($0)) })
        let indices = try context.input(1).integers()
        let scales = try context.input(2).view(of: Float.self)
        let numbers = PackedNumbers(data, bits: table.bits, values: table.values)
        let zeroNumbers = zeros.map { PackedNumbers($0, bits: table.bits, values: table.values) }
        let (outer, extent, inner) = table.shape.split(at: table.gatherAxis)
        let (_, along, behind) = table.shape.split(at: table.quantizeAxis)
        let (blocks, size, bits) = (table.blocks, table.blockSize, table.bits)
        // Numbers of a row of zero points, those that fill up the last byte counted.
        let rowBlocks = table.quantizeAxis == table.shape.rank - 1 ? blocks : table.shape.dimensions.last ?? 1
        let paddedBlocks = data.dtype == .uint8 ? (rowBlocks * bits + 7) / 8 * 8 / bits : rowBlocks
        let usual: Float = data.dtype == .uint8 ? Float(1 << (bits - 1)) : 0
        @Sendable func zero(_ block: Int) -> Float {
            zeroNumbers.map { $0[block / rowBlocks * paddedBlocks + block % rowBlocks] } ?? usual
        }
        let output = try context.output(0)
        guard output.count > 0 else { return }
        guard outer * indices.count * inner == output.count else {
            throw TensorError("\(indices.count) indices don't give an output of \(output.shape)")
        }
        try output.forEachSlice(
            of: Float.self, unit: inner, grain: max(BroadcastPlan.grain / inner, 1), threads: context.threads
        ) { slices, y in
            for slice in slices {
                let target = (slice - slices.lowerBound) * inner
                let given = indices[slice % indices.count]
                let index = given < 0 ? given + extent : given
                guard (0..<extent).contains(index) else {
                    for place in 0..<inner { y[target + place] = 0 }
                    continue
                }
                let first = (slice / indices.count * extent + index) * inner
                var place = first
                while place < first + inner {
                    let (line, rest) = place.quotientAndRemainder(dividingBy: along * behind)
                    let (position, column) = rest.quotientAndRemainder(dividingBy: behind)
                    let block = (line * blocks + position / size) * behind + column
                    // Numbers side by side share a block, or each has one of its own.
                    let isShared = behind == 1
                    let length = isShared ? min(size - position % size, along - position) : behind - column
                    let count = min(length, first + inner - place)
                    let to = target + place - first
                    if isShared {
                        numbers.write(place..<place + count, zero: zero(block), scale: scales[block], to: &y, at: to)
                    } else {
                        for index in 0..<count {
                            y[to + index] = (numbers[place + index] - zero(block + index)) * scales[block + index]
                        }
                    }
                    place += count
                }
            }
        }
    }

    static let definition = OperatorDefinition("GatherBlockQuantized", domain: ContributedFamily.domain, since: 1) { decoder in
        try decoder.requireInputs(3...4)
        let bits = try decoder.int("bits", default: 4)
        guard [2, 4, 8].contains(bits) else { throw TensorError("attribute bits should be 2, 4 or 8, found \(bits)") }
        let size = try decoder.int("block_size", default: 128)
        guard size == 0 || size >= 16 && size <= 1 << 28 && size & (size - 1) == 0 else {
            throw TensorError("attribute block_size should be 0 or a power of two of 16 or more, found \(size)")
        }
        return GatherBlockQuantized(
            gatherAxis: try decoder.int("gather_axis", default: 0), quantizeAxis: try decoder.int("quantize_axis", default: 1),
            blockSize: size, bits: bits)
    }
}
