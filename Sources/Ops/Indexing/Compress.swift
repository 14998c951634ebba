import GraphRuntime

/// ONNX Compress (9 to 11): the slices along an axis, or the single elements, for which a condition holds.
struct Compress: Operator {
    /// Nil takes single elements of the flattened tensor.
    var axis: Int?

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        if let axis, let shape = data.shape { _ = try shape.axis(axis) }
        return [Fact(dtype: data.dtype)]
    }

    func run(_ context: inout RunContext) throws {
        let given = try context.input(0)
        let conditions = try context.input(1).array(of: Bool.self)
        let data = axis == nil ? try given.reshaped(to: Shape([given.count])) : given
        let axis = try data.shape.axis(axis ?? 0)
        let (outer, extent, inner) = data.shape.split(at: axis)
        guard conditions.count <= extent else {
            throw TensorError("\(conditions.count) conditions don't fit an axis of extent \(extent)")
        }
        let kept = conditions.indices.filter { conditions[$0] }
        let threads = context.threads
        let result = try RunContext.newTensor(of: [data], shape: data.shape.replacing(axis, with: kept.count)) { units in
            try units.gather(outer: outer, extent: extent, inner: inner, indices: kept, threads: threads)
        }
        context.setOutput(0, .tensor(result))
    }
}

extension Compress {
    static let definitions = OperatorDefinition.all("Compress", since: [9, 11]) { decoder in
        try decoder.requireInputs(2...2)
        return Compress(axis: try decoder.optionalInt("axis"))
    }
}
