import GraphRuntime

/// The weights of MatMulBnb4: codes of 4 bits, the higher half of a byte first, each a number of a table times the largest magnitude of
/// its block (Dettmers et al. 2023, "QLoRA"). Inputs: codes [N·K / 2], magnitudes [N·K / block]. Output: [K, N].
struct FourBitFloats: Operator {
    let rows: Int
    let columns: Int
    let block: Int
    /// Of 16 numbers.
    let table: [Float]

    var floatingPointTypes: Set<DType>? { [.float32] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let shape = try Shape([columns, rows])
        if let codes = try inputs[0].shape, codes.count != (shape.count + 1) / 2 {
            throw TensorError(
                "B has \(codes.count) bytes, expected \((shape.count + 1) / 2) for \(rows) · \(columns) numbers of 4 bits")
        }
        if let scales = try inputs[1].shape, scales.count != (shape.count + block - 1) / block {
            throw TensorError("absmax has \(scales.count) elements, expected \((shape.count + block - 1) / block)")
        }
        return [Fact(dtype: .float32, shape: shape)]
    }

    func run(_ context: inout RunContext) throws {
        let codes = try context.input(0).view(of: UInt8.self)
        let scales = try context.input(1).view(of: Float.self)
        let (rows, columns, block, table) = (rows, columns, block, table)
        try context.output(0).forEachSlice(of: Float.self, unit: max(rows, 1), grain: 16, threads: context.threads) {
            lines, y in
            for line in lines {
                for row in 0..<rows {
                    let index = row * columns + line
                    let byte = codes[index / 2]
                    let code = index % 2 == 0 ? byte >> 4 : byte & 15
                    y[(line - lines.lowerBound) * rows + row] = table[Int(code)] * scales[index / block]
                }
            }
        }
    }

    /// The quantiles of a normal distribution.
    static let normal: [Float] = [
        -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
        -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
    ]
    /// A sign, two bits of exponent and one of fraction, as bitsandbytes orders them.
    static let float: [Float] = [
        0, 0.005208333333, 0.66666667, 1, 0.33333333, 0.5, 0.16666667, 0.25, -0.0, -0.005208333333, -0.66666667, -1,
        -0.33333333,
        -0.5, -0.16666667, -0.25,
    ]
}
