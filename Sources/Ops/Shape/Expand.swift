import GraphRuntime

/// y = x, broadcast to y's shape. Elements are moved as bits: every type but strings and 4-bit ones.
///
/// - Throws: ``TensorError`` for those types, or that differ.
func expand(_ x: Tensor, into y: MutableTensor, threads: ThreadPool) throws {
    guard x.dtype == y.dtype else { throw TensorError("can't expand \(x.dtype) to \(y.dtype)") }
    switch x.dtype.bitWidth {
    case 8: try expandBits(UInt8.self, x, y, threads)
    case 16: try expandBits(UInt16.self, x, y, threads)
    case 32: try expandBits(UInt32.self, x, y, threads)
    case 64: try expandBits(UInt64.self, x, y, threads)
    case 128: try expandBits(SixteenBytes.self, x, y, threads)
    default: throw TensorError("can't expand elements of type \(x.dtype)")
    }
}

/// Expand-8 and Expand-13: the input broadcast with a shape, in both directions.
struct Expand: Operator {
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape, let extents = try inputs.integers(1) else { return [Fact(dtype: data.dtype)] }
        return [Fact(dtype: data.dtype, shape: try shape.broadcast(with: Shape(extents)))]
    }

    func forwardedInput(inputs: [Fact?], outputs: [Fact?]) -> Int? { Self.isUnchanged(0, inputs, outputs) ? 0 : nil }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        if let strings = x.strings {
            let shape = try x.shape.broadcast(with: Shape(context.input(1).integers()))
            let plan = BroadcastPlan(output: shape, x.shape)
            var result = [String](repeating: "", count: shape.count)
            plan.forEachRow(in: 0..<shape.count) { row in
                for index in 0..<row.count { result[row.output + index] = strings[row.offsets.0 + index * plan.steps.0] }
            }
            return context.setOutput(0, .tensor(try Tensor(strings: result, shape: shape)))
        }
        try expand(x, into: context.output(0), threads: context.threads)
    }

    static let definition = OperatorDefinition("Expand", since: 8) { decoder in
        try decoder.requireInputs(2...2)
        return Expand()
    }
}
