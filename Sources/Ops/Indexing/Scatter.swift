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
    /// Where constant indices name neighbouring slices, as assignments to parts of a tensor do.
    private var runs: [Run]?

    /// Neighbouring slices of the data, and the first of the updates that are written there.
    private struct Run {
        let place: Int
        let start: Int
        var count = 1
    }

    init(reduction: ScatterReduction) { self.reduction = reduction }

    /// Slices of a run, on average, from which on runs are kept.
    private static let leastRun = 8

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        guard reduction == .none, inputs.count == 3, let shape = inputs[0]?.shape, let indices = inputs[1]?.tensor else {
            return self
        }
        // What doesn't fit is an error of the run.
        guard indices.count > 0, (try? slicesShape(shape, indices: indices.shape, batchAxes: 0)) != nil,
            let offsets = try? sliceOffsets(indices, in: shape, batchAxes: 0)
        else { return self }
        var found: [Run] = []
        for (start, place) in offsets.enumerated() {
            if let last = found.last, last.place + last.count == place {
                found[found.count - 1].count += 1
            } else {
                found.append(Run(place: place, start: start))
                guard found.count * Self.leastRun <= offsets.count else { return self }
            }
        }
        var result = self
        result.runs = found
        return result
    }

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
        let inner = data.shape.count((indices.shape.dimensions.last ?? 0)..<data.shape.rank)
        if let runs {
            return try context.moveElements(of: [data, updates], into: 0, shape: data.shape) { units in
                try units.copy(at: 0, to: 0, count: data.count)
                for run in runs {
                    try units.copy(from: 1, at: run.start * inner, to: run.place * inner, count: run.count * inner)
                }
            }
        }
        let offsets = try sliceOffsets(indices, in: data.shape, batchAxes: 0)
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
