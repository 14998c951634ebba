import GraphRuntime

/// ONNX Gather (1 to 13).
struct Gather: Operator {
    var axis: Int

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape else { return [Fact(dtype: data.dtype)] }
        let axis = try shape.axis(axis)
        guard let indices = try inputs[1].shape else { return [Fact(dtype: data.dtype)] }
        return [Fact(dtype: data.dtype, shape: try Self.shape(shape, axis: axis, indices: indices))]
    }

    private static func shape(_ shape: Shape, axis: Int, indices: Shape) throws(TensorError) -> Shape {
        try Shape(shape.dimensions[..<axis] + indices.dimensions + shape.dimensions[(axis + 1)...])
    }

    func run(_ context: inout RunContext) throws {
        let (data, given) = (try context.input(0), try context.input(1))
        let axis = try data.shape.axis(axis)
        let (outer, extent, inner) = data.shape.split(at: axis)
        let indices = try given.integers().map { try checkedIndex($0, extent: extent) }
        let threads = context.threads
        try context.moveElements(of: [data], into: 0, shape: Self.shape(data.shape, axis: axis, indices: given.shape)) {
            units in
            try units.gather(outer: outer, extent: extent, inner: inner, indices: indices, threads: threads)
        }
    }

    func prepared(for operands: Operands) throws -> PreparedRun? {
        let (data, given) = (try operands.input(0), try operands.input(1))
        let units = try ElementUnits(sources: [data], target: operands.output(0))
        let (outer, extent, inner) = try data.shape.split(at: data.shape.axis(axis))
        return { threads in
            let indices = try given.integers().map { try checkedIndex($0, extent: extent) }
            try units.gather(outer: outer, extent: extent, inner: inner, indices: indices, threads: threads)
        }
    }
}

extension Gather {
    static let definitions = OperatorDefinition.all("Gather", since: [1, 11, 13]) { decoder in
        try decoder.requireInputs(2...2)
        return Gather(axis: try decoder.int("axis", default: 0))
    }
}
