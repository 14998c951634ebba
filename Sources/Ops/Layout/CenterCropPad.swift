import GraphRuntime

/// ONNX CenterCropPad (18): crops or pads with zeros around the middle.
struct CenterCropPad: Operator {
    var axes: [Int]?

    /// Pads before and after each axis, negative where it is cropped.
    private func pads(_ shape: Shape, target: [Int]) throws -> [(before: Int, after: Int)] {
        let axes = try shape.distinctAxes(axes ?? Array(0..<shape.rank))
        guard target.count == axes.count, target.allSatisfy({ $0 >= 0 && $0 <= 1 << 48 }) else {
            throw TensorError("the target \(target) doesn't fit \(axes.count) axes of \(shape)")
        }
        var pads = [(before: Int, after: Int)](repeating: (0, 0), count: shape.rank)
        for (extent, axis) in zip(target, axes) {
            let missing = extent - shape[axis]
            // The odd element goes, or comes, at the end.
            let before = missing / 2
            pads[axis] = (before, missing - before)
        }
        return pads
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape, let target = try inputs.integers(1) else { return [Fact(dtype: data.dtype)] }
        let extents = zip(shape.dimensions, try pads(shape, target: target)).map { $0 + $1.before + $1.after }
        return [Fact(dtype: data.dtype, shape: try Shape(extents))]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let pads = try pads(data.shape, target: context.integers(1))
        let shape = try Shape(zip(data.shape.dimensions, pads).map { $0 + $1.before + $1.after })
        try context.pad(data, by: pads, mode: .constant, fill: Tensor.zero(data.dtype), shape: shape)
    }
}

extension CenterCropPad {
    static let definitions = OperatorDefinition.all("CenterCropPad", since: [18]) { decoder in
        try decoder.requireInputs(2...2)
        return CenterCropPad(axes: try decoder.optionalInts("axes"))
    }
}
