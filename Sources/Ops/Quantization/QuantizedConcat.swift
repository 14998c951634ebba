import GraphRuntime

/// Concat of bytes, each input of which may be mapped by a table: what QuantizeLinear makes of a Concat of DequantizeLinear.
struct QuantizedConcat: Operator {
    /// 0 or more.
    let axis: Int
    /// One for each input: what its bytes become, by their bits; nil where they stay.
    let tables: [[UInt8]?]
    /// Of the result, int8 or uint8.
    let dtype: DType
    /// Whether the elements of inputs and output lie channels last.
    var isLast = false

    var kernelName: String? { isLast ? "bytes, channels last" : "bytes" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let shapes = try (0..<inputs.count).compactMap { try inputs[$0].shape }
        guard shapes.count == inputs.count else { return [Fact(dtype: dtype)] }
        return [Fact(dtype: dtype, shape: try Concat.shape(shapes, axis: axis))]
    }

    func run(_ context: inout RunContext) throws {
        let output = try context.output(0)
        let sources = try context.inputs.indices.map { try context.input($0) }
        let split = AxisSplit(output.shape, axis: axis)
        // Channels last, a pixel is a run of its channels.
        let pixels = isLast ? output.shape.count(2..<output.shape.rank) : 1
        let (rows, inner) = (split.outer * pixels, split.inner / max(pixels, 1))
        var first = 0
        for (source, table) in zip(sources, tables) {
            let columns = source.shape[axis] * inner
            try ByteQuantization.map(
                source, by: table, rows: rows, columns: columns, into: output, first: first, step: split.count * inner,
                threads: context.threads)
            first += columns
        }
    }
}
