import GraphRuntime

/// ONNX Reshape (1 to 25): the same elements under another shape.
struct Reshape: ViewOperator {
    /// The target as an attribute (opset 1 only); nil where it is input 1.
    var target: [Int]?
    /// Whether an extent of 0 means 0, rather than the extent that the input has there (opset 14).
    var allowZero = false

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let target = try target ?? inputs.integers(1) else { return [Fact(dtype: data.dtype)] }
        return [Fact(dtype: data.dtype, shape: try Self.shape(target, of: data.shape, allowZero: allowZero))]
    }

    /// The shape that `target` asks for: at most one -1 stands for what is left, 0 for the input's own extent.
    ///
    /// - Returns: nil where that depends on an input shape that isn't known.
    static func shape(_ target: [Int], of input: Shape?, allowZero: Bool) throws(TensorError) -> Shape? {
        var extents = target
        var free: Int?
        for (axis, extent) in target.enumerated() {
            if extent == -1 {
                guard free == nil else { throw TensorError("the target shape \(target) has more than one -1") }
                free = axis
            } else if extent < -1 {
                throw TensorError("the target shape \(target) has the extent \(extent)")
            } else if extent == 0 && !allowZero {
                guard let input else { return nil }
                guard axis < input.rank else {
                    throw TensorError(
                        "the target shape \(target) copies axis \(axis) of \(input), which has only \(input.rank)")
                }
                extents[axis] = input[axis]
            }
        }
        if let free {
            guard let input else { return nil }
            extents[free] = 1
            let known = try Shape(extents).count
            guard known != 0 || !allowZero || !target.contains(0) else {
                throw TensorError("the target shape \(target) has a 0 beside a -1")
            }
            guard known == 0 ? input.count == 0 : input.count % known == 0 else {
                throw TensorError("\(input) has \(input.count) elements, which the target shape \(target) doesn't divide")
            }
            extents[free] = known == 0 ? 0 : input.count / known
        }
        let shape = try Shape(extents)
        if let input, input.count != shape.count {
            throw TensorError("\(input) has \(input.count) elements and can't become \(shape)")
        }
        return shape
    }
}

extension Reshape {
    static let definitions =
        OperatorDefinition.all("Reshape", since: [1]) { decoder in
            try decoder.requireInputs(1...1)
            decoder.ignore("consumed_inputs")
            guard let shape = try decoder.optionalInts("shape") else { throw TensorError("attribute shape is missing") }
            return Reshape(target: shape)
        }
        + OperatorDefinition.all("Reshape", since: [5, 13]) { decoder in
            try decoder.requireInputs(2...2)
            return Reshape()
        }
        + OperatorDefinition.all("Reshape", since: [14, 19, 21, 23, 24, 25]) { decoder in
            try decoder.requireInputs(2...2)
            return Reshape(allowZero: try decoder.bool("allowzero", default: false))
        }
}
