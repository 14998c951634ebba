import GraphRuntime

/// y = table[x], element by element: what operators between DequantizeLinear and QuantizeLinear make of each of the 256 bytes.
struct ByteTable: Operator {
    /// By the bits of a byte of either sign.
    let table: [UInt8]
    /// int8 or uint8.
    let dtype: DType

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var kernelName: String? { "table" }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: dtype, shape: try inputs[0].shape)] }

    func run(_ context: inout RunContext) throws {
        try ByteQuantization.map(context.input(0), by: table, into: context.output(0), threads: context.threads)
    }
}
