import GraphRuntime

/// ONNX ScatterElements (11 to 18) and its old name Scatter (9 to 11): single elements are written over a copy of the data.
struct ScatterElements: Operator {
    var axis: Int
    var reduction: ScatterReduction

    var floatingPointTypes: Set<DType>? { reduction.floatingPointTypes }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        if let shape = data.shape, let indices = try inputs[1].shape {
            _ = try ElementIndexing(indices, in: shape, axis: axis)
            if let updates = try inputs[2].shape, updates != indices {
                throw TensorError("updates of shape \(updates) don't fit indices of shape \(indices)")
            }
        }
        return [Fact(dtype: data.dtype, shape: data.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let (data, indices, updates) = (try context.input(0), try context.input(1), try context.input(2))
        guard updates.shape == indices.shape else {
            throw TensorError("updates of shape \(updates.shape) don't fit indices of shape \(indices.shape)")
        }
        let indexing = try ElementIndexing(indices.shape, in: data.shape, axis: axis)
        guard reduction == .none else {
            let offsets = try indexing.offsets(indices)
            return try context.combine(updates, with: data, offsets: offsets, inner: 1, reduction: reduction)
        }
        try context.moveElements(of: [data, updates], into: 0, shape: data.shape) { units in
            try units.copy(at: 0, to: 0, count: data.count)
            try units.scatter(indexing, indices, from: 1)
        }
    }
}

/// ONNX ScatterND (11 to 18): slices that tuples of indices name are written over a copy of the data.
struct ScatterND: Operator {
    var reduction: ScatterReduction

    var floatingPointTypes: Set<DType>? { reduction.floatingPointTypes }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        if let shape = data.shape, let indices = try inputs[1].shape {
            let expected = try slicesShape(shape, indices: indices, batchAxes: 0)
            if let updates = try inputs[2].shape, updates != expected {
                throw TensorError("expected updates of shape \(expected), found \(updates)")
            }
        }
        return [Fact(dtype: data.dtype, shape: data.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let (data, indices, updates) = (try context.input(0), try context.input(1), try context.input(2))
        let expected = try slicesShape(data.shape, indices: indices.shape, batchAxes: 0)
        guard updates.shape == expected else {
            throw TensorError("expected updates of shape \(expected), found \(updates.shape)")
        }
        let offsets = try sliceOffsets(indices, in: data.shape, batchAxes: 0)
        let inner = data.shape.count((indices.shape.dimensions.last ?? 0)..<data.shape.rank)
        guard reduction == .none else {
            return try context.combine(updates, with: data, offsets: offsets, inner: inner, reduction: reduction)
        }
        try context.moveElements(of: [data, updates], into: 0, shape: data.shape) { units in
            try units.copy(at: 0, to: 0, count: data.count)
            try units.scatter(from: 1, offsets: offsets, inner: inner)
        }
    }
}

extension ScatterElements {
    static let definitions =
        OperatorDefinition.all("Scatter", since: [9, 11]) { decoder in
            try decoder.requireInputs(3...3)
            return ScatterElements(axis: try decoder.int("axis", default: 0), reduction: .none)
        }
        + OperatorDefinition.all("ScatterElements", since: [11, 13, 16, 18]) { decoder in
            try decoder.requireInputs(3...3)
            return ScatterElements(axis: try decoder.int("axis", default: 0), reduction: try ScatterReduction(&decoder))
        }
}

extension ScatterND {
    static let definitions = OperatorDefinition.all("ScatterND", since: [11, 13, 16, 18]) { decoder in
        try decoder.requireInputs(3...3)
        return ScatterND(reduction: try ScatterReduction(&decoder))
    }
}
