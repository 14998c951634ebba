import GraphRuntime

/// ONNX Squeeze (1 to 25): drops axes of extent 1.
struct Squeeze: ViewOperator {
    /// The axes as an attribute (before opset 13); nil where they are input 1, which may be missing.
    var axes: [Int]?

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape, let given = try axes.map({ .some($0) }) ?? inputs.optionalIntegers(1) else {
            return [Fact(dtype: data.dtype)]
        }
        guard let axes = given else {
            return [Fact(dtype: data.dtype, shape: try Shape(shape.dimensions.filter { $0 != 1 }))]
        }
        let dropped = Set(
            try axes.map { axis in
                let axis = try shape.axis(axis)
                guard shape[axis] == 1 else {
                    throw TensorError("axis \(axis) of \(shape) has the extent \(shape[axis]), not 1")
                }
                return axis
            })
        let kept = (0..<shape.rank).filter { !dropped.contains($0) }
        return [Fact(dtype: data.dtype, shape: try Shape(kept.map { shape[$0] }))]
    }
}

/// ONNX Unsqueeze (1 to 25): puts in axes of extent 1, counted in the output.
struct Unsqueeze: ViewOperator {
    /// The axes as an attribute (before opset 13); nil where they are input 1.
    var axes: [Int]?

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let axes = try axes ?? inputs.integers(1), let shape = data.shape else { return [Fact(dtype: data.dtype)] }
        let rank = shape.rank + axes.count
        var added = [Bool](repeating: false, count: rank)
        for axis in axes {
            guard axis >= -rank, axis < rank else {
                throw TensorError("axis \(axis) is outside of the \(rank) axes that \(shape) has with \(axes.count) more")
            }
            let position = axis < 0 ? axis + rank : axis
            guard !added[position] else { throw TensorError("axis \(axis) is named twice in \(axes)") }
            added[position] = true
        }
        var rest = shape.dimensions[...]
        return [Fact(dtype: data.dtype, shape: try Shape(added.map { $0 ? 1 : rest.popFirst() ?? 1 }))]
    }
}

extension Squeeze {
    static let definitions =
        OperatorDefinition.all("Squeeze", since: [1, 11]) { decoder in
            try decoder.requireInputs(1...1)
            // Without axes all those of extent 1 go, as without input 1 in later versions.
            return Squeeze(axes: try decoder.optionalInts("axes"))
        }
        + OperatorDefinition.all("Squeeze", since: [13, 21, 23, 24, 25]) { decoder in
            try decoder.requireInputs(1...2)
            return Squeeze()
        }
}

extension Unsqueeze {
    static let definitions =
        OperatorDefinition.all("Unsqueeze", since: [1, 11]) { decoder in
            try decoder.requireInputs(1...1)
            guard let axes = try decoder.optionalInts("axes") else { throw TensorError("attribute axes is missing") }
            return Unsqueeze(axes: axes)
        }
        + OperatorDefinition.all("Unsqueeze", since: [13, 21, 23, 24, 25]) { decoder in
            try decoder.requireInputs(2...2)
            return Unsqueeze()
        }
}
