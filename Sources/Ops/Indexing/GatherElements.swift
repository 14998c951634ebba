import GraphRuntime

/// ONNX GatherElements (11 to 13).
struct GatherElements: Operator {
    var axis: Int

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let (data, indices) = (try inputs[0], try inputs[1])
        if let shape = data.shape, let other = indices.shape {
            _ = try ElementIndexing(other, in: shape, axis: axis)
        }
        return [Fact(dtype: data.dtype, shape: indices.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let (data, indices) = (try context.input(0), try context.input(1))
        let indexing = try ElementIndexing(indices.shape, in: data.shape, axis: axis)
        let threads = context.threads
        try context.moveElements(of: [data], into: 0, shape: indices.shape) { units in
            try units.gather(indexing, indices, threads: threads)
        }
    }
}

extension GatherElements {
    static let definitions = OperatorDefinition.all("GatherElements", since: [11, 13]) { decoder in
        try decoder.requireInputs(2...2)
        return GatherElements(axis: try decoder.int("axis", default: 0))
    }
}
