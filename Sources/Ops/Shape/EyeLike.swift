import GraphRuntime

/// EyeLike-9 and EyeLike-22: ones on the diagonal that is `offset` above the main one, zeros elsewhere.
struct EyeLike: Operator {
    /// Nil for the input's type.
    let dtype: DType?
    let offset: Int

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        if let shape = data.shape, shape.rank != 2 { throw TensorError("expected a matrix, found shape \(shape)") }
        return [Fact(dtype: dtype ?? data.dtype, shape: data.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let output = try context.output(0)
        let rows = output.shape[0]
        let columns = output.shape[1]
        var ones = [UInt8](repeating: 0, count: output.count)
        for row in 0..<rows {
            let (column, overflow) = row.addingReportingOverflow(offset)
            if !overflow, column >= 0, column < columns { ones[row * columns + column] = 1 }
        }
        try cast(Tensor(ones, shape: output.shape), into: output, threads: context.threads)
    }

    static let definition = OperatorDefinition("EyeLike", since: 9) { decoder in
        try decoder.requireInputs(1...1)
        return EyeLike(dtype: try decoder.optionalDType("dtype"), offset: try decoder.int("k", default: 0))
    }
}
