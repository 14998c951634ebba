import GraphRuntime

/// y = x where condition holds, else other; all three broadcast. Elements are moved as bits: every type but strings and 4-bit ones.
///
/// - Throws: ``TensorError`` where the types differ.
private func preparedSelection(
    _ condition: Tensor, _ x: Tensor, _ other: Tensor, into y: MutableTensor
) throws -> PreparedRun {
    switch y.dtype.bitWidth {
    case 8: try preparedSelection(ofBits: UInt8.self, condition, x, other, into: y)
    case 16: try preparedSelection(ofBits: UInt16.self, condition, x, other, into: y)
    case 32: try preparedSelection(ofBits: UInt32.self, condition, x, other, into: y)
    case 64: try preparedSelection(ofBits: UInt64.self, condition, x, other, into: y)
    case 128: try preparedSelection(ofBits: SixteenBytes.self, condition, x, other, into: y)
    default: throw TensorError("can't choose among elements of type \(y.dtype)")
    }
}

private func selectStrings(_ condition: Tensor, _ x: Tensor, _ other: Tensor) throws -> Tensor {
    let flags = try condition.view(of: Bool.self)
    let (first, second) = (x.strings ?? [], other.strings ?? [])
    let shape = try condition.shape.broadcast(with: x.shape).broadcast(with: other.shape)
    let plan = BroadcastPlan(output: shape, condition.shape, x.shape, other.shape)
    var result = [String](repeating: "", count: shape.count)
    plan.forEachRow(in: 0..<shape.count) { row in
        for index in 0..<row.count {
            let isFirst = flags[row.offsets.0 + index * plan.steps.0]
            result[row.output + index] =
                isFirst ? first[row.offsets.1 + index * plan.steps.1] : second[row.offsets.2 + index * plan.steps.2]
        }
    }
    return try Tensor(strings: result, shape: shape)
}

/// Where-9 and Where-16.
struct Where: Operator {
    var outputStorage: OutputStorage { .mayReplace(inputs: [1, 2]) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        if let dtype = try inputs[0].dtype, dtype != .bool { throw TensorError("the condition should be bool, found \(dtype)") }
        return [Fact(dtype: try commonType(inputs, 1..<3), shape: try commonShape(inputs, 0..<3))]
    }

    func run(_ context: inout RunContext) throws {
        let condition = try context.input(0)
        let x = try context.input(1)
        let other = try context.input(2)
        if x.strings != nil, other.strings != nil {
            return context.setOutput(0, .tensor(try selectStrings(condition, x, other)))
        }
        try preparedSelection(condition, x, other, into: context.output(0))(context.threads)
    }

    func prepared(for operands: Operands) throws -> PreparedRun? {
        try preparedSelection(operands.input(0), operands.input(1), operands.input(2), into: operands.output(0))
    }

    static let definition = OperatorDefinition("Where", since: 9) { decoder in
        try decoder.requireInputs(3...3)
        return Where()
    }
}
