import GraphRuntime

/// ONNX Tile (1 to 13): a tensor repeated along its axes.
struct Tile: Operator {
    /// Whether inputs 1 and 2 are a number and one axis (opset 1) rather than a number for every axis.
    var isSingleAxis = false

    private func repeats(_ inputs: InferenceInputs, rank: Int) throws -> [Int]? {
        guard let given = try inputs.integers(1) else { return nil }
        guard isSingleAxis else { return given }
        guard let axis = try inputs.integers(2) else { return nil }
        guard given.count == 1, axis.count == 1, (0..<rank).contains(axis[0]) else {
            throw TensorError("tiles \(given) along axis \(axis) don't fit a tensor of \(rank) axes")
        }
        return (0..<rank).map { $0 == axis[0] ? given[0] : 1 }
    }

    private static func shape(_ shape: Shape, repeats: [Int]) throws(TensorError) -> Shape {
        guard repeats.count == shape.rank, repeats.allSatisfy({ $0 >= 0 }) else {
            throw TensorError("repeats \(repeats) don't fit \(shape)")
        }
        var extents: [Int] = []
        for (extent, times) in zip(shape.dimensions, repeats) { extents.append(try checkedProduct(extent, times)) }
        return try Shape(extents)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape, let repeats = try repeats(inputs, rank: shape.rank) else {
            return [Fact(dtype: data.dtype)]
        }
        return [Fact(dtype: data.dtype, shape: try Self.shape(shape, repeats: repeats))]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        guard let repeats = try repeats(context.inferenceInputs, rank: data.shape.rank) else {
            throw TensorError("the repeats are missing")
        }
        let shape = try Self.shape(data.shape, repeats: repeats)
        let threads = context.threads
        try context.moveElements(of: [data], into: 0, shape: shape) { units in
            // Every axis becomes two: the repetition, along which the source doesn't move, and the axis itself.
            let axes = data.shape.dimensions.indices
            let (own, target) = (data.shape.strides, shape.strides)
            let copy = StridedCopy(
                extents: axes.flatMap { [repeats[$0], data.shape[$0]] }, sourceStrides: axes.flatMap { [0, own[$0]] },
                targetStrides: axes.flatMap { [target[$0] * data.shape[$0], target[$0]] })
            try units.run(copy, threads: threads)
        }
    }
}

extension Tile {
    static let definitions =
        OperatorDefinition.all("Tile", since: [1]) { decoder in
            try decoder.requireInputs(3...3)
            return Tile(isSingleAxis: true)
        }
        + OperatorDefinition.all("Tile", since: [6, 13]) { decoder in
            try decoder.requireInputs(2...2)
            return Tile()
        }
}
