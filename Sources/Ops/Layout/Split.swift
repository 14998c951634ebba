import GraphRuntime

/// ONNX Split (1 to 18): parts of a tensor along an axis.
struct Split: Operator {
    var axis: Int
    /// Extents as an attribute (before opset 13); nil where they are input 1, which may be missing.
    var sizes: [Int]?
    /// The number of equal parts, the last of which may be smaller (opset 18).
    var partCount: Int?

    /// The extents of the parts of an axis.
    ///
    /// - Throws: ``TensorError`` where they don't add up to the axis.
    func extents(of extent: Int, sizes: [Int]?, outputCount: Int) throws(TensorError) -> [Int] {
        if let sizes {
            guard sizes.allSatisfy({ $0 >= 0 }), sizes.reduce(0, saturatingAdd) == extent else {
                throw TensorError("the parts \(sizes) don't add up to the extent \(extent)")
            }
            guard sizes.count == outputCount else {
                throw TensorError("the split names \(sizes.count) parts, the node has \(outputCount) outputs")
            }
            return sizes
        }
        let count = partCount ?? outputCount
        guard count > 0, count == outputCount else {
            throw TensorError("num_outputs is \(count), the node has \(outputCount) outputs")
        }
        guard partCount != nil || extent % count == 0 else {
            throw TensorError("the extent \(extent) doesn't split into \(count) equal parts")
        }
        let part = extent / count + (extent % count == 0 ? 0 : 1)
        return (0..<count).map { min(part, max(extent - $0 * part, 0)) }
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape, let sizes = try sizes.map({ .some($0) }) ?? inputs.optionalIntegers(1) else {
            return Array(repeating: Fact(dtype: data.dtype), count: inputs.outputCount)
        }
        let axis = try shape.axis(axis)
        return try extents(of: shape[axis], sizes: sizes, outputCount: inputs.outputCount).map { extent in
            Fact(dtype: data.dtype, shape: try shape.replacing(axis, with: extent))
        }
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let axis = try data.shape.axis(axis)
        let extents = try extents(
            of: data.shape[axis], sizes: sizes ?? context.optionalIntegers(1), outputCount: context.outputs.count)
        let (outer, total, inner) = data.shape.split(at: axis)
        let threads = context.threads
        var offset = 0
        for (index, extent) in extents.enumerated() {
            let row = extent * inner
            try context.moveElements(of: [data], into: index, shape: data.shape.replacing(axis, with: extent)) { units in
                try units.copyRows(outer, of: row, at: offset, step: total * inner, targetStep: row, threads: threads)
            }
            offset += row
        }
    }
}

extension Split {
    static let definitions =
        OperatorDefinition.all("Split", since: [1, 2, 11]) { decoder in
            // In opset 1 the sizes may also be an input.
            try decoder.requireInputs(1...(decoder.version == 1 ? 2 : 1))
            return Split(axis: try decoder.int("axis", default: 0), sizes: try decoder.optionalInts("split"))
        }
        + OperatorDefinition.all("Split", since: [13]) { decoder in
            try decoder.requireInputs(1...2)
            return Split(axis: try decoder.int("axis", default: 0))
        }
        + OperatorDefinition.all("Split", since: [18]) { decoder in
            try decoder.requireInputs(1...2)
            let count = try decoder.optionalInt("num_outputs")
            guard count == nil || !decoder.hasInput(1) else { throw TensorError("both split and num_outputs are given") }
            return Split(axis: try decoder.int("axis", default: 0), partCount: count)
        }
}
