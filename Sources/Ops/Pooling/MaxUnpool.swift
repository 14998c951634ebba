import GraphRuntime

/// ONNX MaxUnpool (9 to 22): puts elements back to where a MaxPool took them from, zero elsewhere.
struct MaxUnpool: Operator {
    var kernel: [Int]
    var strides: [Int]?
    var pads: [Int]?

    /// The shape that a MaxPool without rounding would have had as its input.
    private func implied(_ shape: Shape) throws -> Shape {
        let rank = kernel.count
        let (strides, pads) = (strides ?? Array(repeating: 1, count: rank), pads ?? Array(repeating: 0, count: 2 * rank))
        guard shape.rank == rank + 2, strides.count == rank, pads.count == 2 * rank,
            (kernel + strides + pads).allSatisfy({ $0 >= 0 && $0 < 1 << 31 })
        else { throw TensorError("a window of \(kernel) doesn't fit \(shape)") }
        let extents = try (0..<rank).map { axis in
            saturatingAdd(
                try checkedProduct(shape[axis + 2] - 1, strides[axis]), kernel[axis] - pads[axis] - pads[axis + rank])
        }
        return try Shape(shape.dimensions[..<2] + extents)
    }

    private func output(_ shape: Shape, given: [Int]?) throws -> Shape {
        guard let given else { return try implied(shape) }
        guard given.count == shape.rank, given.prefix(2) == shape.dimensions.prefix(2) else {
            throw TensorError("the output shape \(given) doesn't fit \(shape)")
        }
        return try Shape(given)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape, let given = try inputs.optionalIntegers(2) else { return [Fact(dtype: data.dtype)] }
        return [Fact(dtype: data.dtype, shape: try output(shape, given: given))]
    }

    func run(_ context: inout RunContext) throws {
        let (data, given) = (try context.input(0), try context.input(1))
        let shape = try output(data.shape, given: context.optionalIntegers(2))
        guard given.shape == data.shape else { throw TensorError("indices of \(given.shape) don't fit \(data.shape)") }
        let places = try places(given.integers(), data.shape, output: shape)
        let zero = try Tensor.zero(data.dtype)
        try context.moveElements(of: [data, zero], into: 0, shape: shape) { units in
            try units.fill(0..<shape.count, from: 1)
            for (index, place) in places.enumerated() {
                try units.copy(at: index, to: place)
            }
        }
    }

    /// Indices count in the implied shape; where another is asked for, the same places in it.
    private func places(_ indices: [Int], _ shape: Shape, output: Shape) throws -> [Int] {
        let inner = try implied(shape)
        return try indices.map { index in
            let index = try checkedIndex(index, extent: inner.count)
            guard inner != output else { return index }
            var (rest, place) = (index, 0)
            let strides = output.strides
            for axis in inner.dimensions.indices.reversed() {
                place += try checkedIndex(rest % inner[axis], extent: output[axis]) * strides[axis]
                rest /= inner[axis]
            }
            return place
        }
    }
}

extension MaxUnpool {
    static let definitions = OperatorDefinition.all("MaxUnpool", since: [9, 11, 22]) { decoder in
        try decoder.requireInputs(2...3)
        guard let kernel = try decoder.optionalInts("kernel_shape") else {
            throw TensorError("attribute kernel_shape is missing")
        }
        return MaxUnpool(
            kernel: kernel, strides: try decoder.optionalInts("strides"), pads: try decoder.optionalInts("pads"))
    }
}
