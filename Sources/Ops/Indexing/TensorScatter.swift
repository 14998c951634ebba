import GraphRuntime

/// ONNX TensorScatter (24): writes new entries into a cache of keys or values, for each sequence of the batch at a place of its own.
struct TensorScatter: Operator {
    /// The axis along which the cache grows; never the first.
    var axis: Int
    /// Whether what doesn't fit at the end goes on at the beginning.
    var isCircular: Bool

    private func checkedAxis(_ cache: Shape, _ update: Shape) throws(TensorError) -> Int {
        let axis = try cache.axis(axis)
        guard axis != 0 else { throw TensorError("the axis of a TensorScatter can't be the batch's") }
        guard update.rank == cache.rank, try update.replacing(axis, with: 1) == cache.replacing(axis, with: 1),
            update[axis] <= cache[axis]
        else { throw TensorError("an update of shape \(update) doesn't fit a cache of shape \(cache) along axis \(axis)") }
        return axis
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let cache = try inputs[0]
        if let shape = cache.shape, let update = try inputs[1].shape { _ = try checkedAxis(shape, update) }
        return [Fact(dtype: cache.dtype, shape: cache.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let (cache, update) = (try context.input(0), try context.input(1))
        let axis = try checkedAxis(cache.shape, update.shape)
        let batch = cache.shape[0]
        let starts = try context.optionalIntegers(2) ?? Array(repeating: 0, count: batch)
        guard starts.count == batch else { throw TensorError("\(starts.count) write indices don't fit a batch of \(batch)") }
        let (extent, length) = (cache.shape[axis], update.shape[axis])
        for start in starts {
            guard start >= 0, start <= (isCircular ? extent : extent - length) else {
                throw TensorError("\(length) entries from index \(start) on reach beyond the extent \(extent)")
            }
        }
        let middle = cache.shape.count(1..<axis)
        let inner = cache.shape.count(axis + 1..<cache.shape.rank)
        try context.moveElements(of: [cache, update], into: 0, shape: cache.shape) { units in
            try units.copy(at: 0, to: 0, count: cache.count)
            for row in 0..<batch * middle {
                for entry in 0..<length {
                    let place = (starts[row / middle] + entry) % extent
                    try units.copy(
                        from: 1, at: (row * length + entry) * inner, to: (row * extent + place) * inner, count: inner)
                }
            }
        }
    }
}

extension TensorScatter {
    static let definitions = OperatorDefinition.all("TensorScatter", since: [24]) { decoder in
        try decoder.requireInputs(2...3)
        let mode = try decoder.string("mode", default: "linear")
        guard mode == "linear" || mode == "circular" else { throw TensorError("the mode \"\(mode)\" isn't supported") }
        return TensorScatter(axis: try decoder.int("axis", default: -2), isCircular: mode == "circular")
    }
}
