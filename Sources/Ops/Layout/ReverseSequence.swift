import GraphRuntime

/// ONNX ReverseSequence (10): for each item of a batch, its first elements along the time axis in reverse.
struct ReverseSequence: Operator {
    var batchAxis: Int
    var timeAxis: Int

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        if let shape = data.shape, shape.rank < 2 { throw TensorError("expected two axes at least, found \(shape)") }
        return [Fact(dtype: data.dtype, shape: data.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let shape = data.shape
        let lengths = try context.integers(1)
        guard shape.rank >= 2, lengths.count == shape[batchAxis] else {
            throw TensorError("\(lengths.count) lengths don't fit \(shape) along axis \(batchAxis)")
        }
        let time = shape[timeAxis]
        if let length = lengths.first(where: { $0 < 0 || $0 > time }) {
            throw TensorError("the length \(length) is outside of an axis of extent \(time)")
        }
        // The two axes are the first two.
        let inner = shape.count(2..<shape.rank)
        try context.moveElements(of: [data], into: 0, shape: shape) { units in
            for row in 0..<shape[0] {
                for column in 0..<shape[1] {
                    let (item, place) = batchAxis == 0 ? (row, column) : (column, row)
                    let source = place < lengths[item] ? lengths[item] - 1 - place : place
                    let from = batchAxis == 0 ? row * shape[1] + source : source * shape[1] + column
                    try units.copy(at: from * inner, to: (row * shape[1] + column) * inner, count: inner)
                }
            }
        }
    }
}

extension ReverseSequence {
    static let definitions = OperatorDefinition.all("ReverseSequence", since: [10]) { decoder in
        try decoder.requireInputs(2...2)
        let (batch, time) = (try decoder.int("batch_axis", default: 1), try decoder.int("time_axis", default: 0))
        guard (batch == 0 && time == 1) || (batch == 1 && time == 0) else {
            throw TensorError("batch_axis \(batch) and time_axis \(time) should be 0 and 1 or 1 and 0")
        }
        return ReverseSequence(batchAxis: batch, timeAxis: time)
    }
}
