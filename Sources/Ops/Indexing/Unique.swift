import GraphRuntime

/// ONNX Unique (11): the distinct elements of a tensor, or its distinct slices along an axis.
struct Unique: Operator {
    /// Nil takes single elements of the flattened tensor.
    var axis: Int?
    /// Whether results ascend; otherwise they come in the order of their first occurrence.
    var isSorted: Bool

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        if let axis, let shape = data.shape { _ = try shape.axis(axis) }
        return [Fact(dtype: data.dtype)] + Array(repeating: Fact(dtype: .int64), count: 3)
    }

    func run(_ context: inout RunContext) throws {
        let given = try context.input(0)
        let data = axis == nil ? try given.reshaped(to: Shape([given.count])) : given
        let axis = try data.shape.axis(axis ?? 0)
        let (outer, extent, inner) = data.shape.split(at: axis)
        let groups = try Self.groups(data.orderKeys(), outer: outer, extent: extent, inner: inner, isSorted: isSorted)
        let threads = context.threads
        let kept = try RunContext.newTensor(of: [data], shape: data.shape.replacing(axis, with: groups.first.count)) {
            units in
            try units.gather(outer: outer, extent: extent, inner: inner, indices: groups.first, threads: threads)
        }
        context.setOutput(0, .tensor(kept))
        context.setOutput(1, .tensor(try Tensor(groups.first.map { Int64($0) })))
        context.setOutput(2, .tensor(try Tensor(groups.inverse.map { Int64($0) })))
        context.setOutput(3, .tensor(try Tensor(groups.counts.map { Int64($0) })))
    }

    /// For each distinct slice its first place and how often it occurs, and for each slice the distinct one it is.
    static func groups(
        _ keys: [UInt64], outer: Int, extent: Int, inner: Int, isSorted: Bool
    ) -> (first: [Int], counts: [Int], inverse: [Int]) {
        guard outer * inner != 1 else { return groups(keys, isSorted: isSorted, <) }
        let slices = (0..<extent).map { index -> [UInt64] in
            (0..<outer).flatMap { row -> ArraySlice<UInt64> in
                let start = (row * extent + index) * inner
                return keys[start..<start + inner]
            }
        }
        return groups(slices, isSorted: isSorted) { $0.lexicographicallyPrecedes($1) }
    }

    private static func groups<Slice: Hashable>(
        _ slices: [Slice], isSorted: Bool, _ precedes: (Slice, Slice) -> Bool
    ) -> (first: [Int], counts: [Int], inverse: [Int]) {
        var groupOf: [Slice: Int] = [:]
        var (first, counts): ([Int], [Int]) = ([], [])
        var inverse = slices.enumerated().map { index, slice -> Int in
            if let group = groupOf[slice] {
                counts[group] += 1
                return group
            }
            groupOf[slice] = first.count
            first.append(index)
            counts.append(1)
            return first.count - 1
        }
        if isSorted {
            let order = first.indices.sorted { precedes(slices[first[$0]], slices[first[$1]]) }
            var rank = [Int](repeating: 0, count: order.count)
            for (position, group) in order.enumerated() { rank[group] = position }
            first = order.map { first[$0] }
            counts = order.map { counts[$0] }
            inverse = inverse.map { rank[$0] }
        }
        return (first, counts, inverse)
    }
}

extension Unique {
    static let definitions = OperatorDefinition.all("Unique", since: [11]) { decoder in
        try decoder.requireInputs(1...1)
        return Unique(axis: try decoder.optionalInt("axis"), isSorted: try decoder.bool("sorted", default: true))
    }
}
