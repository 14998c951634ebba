import GraphRuntime

/// ONNX Flatten (1 to 25): the axes before `axis` and those from it on, each merged into one.
struct Flatten: ViewOperator {
    /// -rank...rank.
    var axis: Int

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape else { return [Fact(dtype: data.dtype)] }
        guard axis >= -shape.rank, axis <= shape.rank else {
            throw TensorError("axis \(axis) is outside of the \(shape.rank) axes of \(shape)")
        }
        let split = axis < 0 ? axis + shape.rank : axis
        return [Fact(dtype: data.dtype, shape: try Shape([shape.count(0..<split), shape.count(split..<shape.rank)]))]
    }
}

extension Flatten {
    static let definitions = OperatorDefinition.all("Flatten", since: [1, 9, 11, 13, 21, 23, 24, 25]) { decoder in
        try decoder.requireInputs(1...1)
        return Flatten(axis: try decoder.int("axis", default: 1))
    }
}
