import GraphRuntime

/// ONNX OneHot (9 to 11).
struct OneHot: Operator {
    /// Where the new axis is in the output.
    var axis: Int

    private func shape(_ indices: Shape, depth: Int) throws -> (shape: Shape, axis: Int) {
        guard axis >= -indices.rank - 1, axis <= indices.rank else {
            throw TensorError("axis \(axis) is outside of the \(indices.rank + 1) axes of the output")
        }
        let position = axis < 0 ? axis + indices.rank + 1 : axis
        var extents = indices.dimensions
        extents.insert(depth, at: position)
        return (try Shape(extents), position)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try inputs[2].dtype
        guard let indices = try inputs[0].shape, let depth = try inputs[1].tensor else { return [Fact(dtype: dtype)] }
        return [Fact(dtype: dtype, shape: try shape(indices, depth: depth.integer("depth")).shape)]
    }

    func run(_ context: inout RunContext) throws {
        let (given, values) = (try context.input(0), try context.input(2))
        let depth = try context.input(1).integer("depth")
        let (shape, axis) = try shape(given.shape, depth: depth)
        guard values.count == 2 else { throw TensorError("expected the values off and on, found \(values.shape)") }
        let indices = try given.wholeNumbers()
        let inner = given.shape.count(axis..<given.shape.rank)
        try context.moveElements(of: [values], into: 0, shape: shape) { units in
            try units.fill(0..<shape.count, from: 0)
            for (position, index) in indices.enumerated() {
                // Indices outside of the depth leave all off.
                guard let index = try? checkedIndex(index, extent: depth) else { continue }
                let place = (position / inner * depth + index) * inner + position % inner
                try units.copy(at: 1, to: place)
            }
        }
    }
}

extension OneHot {
    static let definitions = OperatorDefinition.all("OneHot", since: [9, 11]) { decoder in
        try decoder.requireInputs(3...3)
        return OneHot(axis: try decoder.int("axis", default: -1))
    }
}
