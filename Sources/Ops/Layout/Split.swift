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

    /// A part: its shape, and in each row of the input the place of its elements.
    private struct Part {
        let shape: Shape
        let offset: Int
        let count: Int
        let rows: Int
        let step: Int

        func copy(_ units: ElementUnits, threads: ThreadPool) throws(TensorError) {
            try units.copyRows(rows, of: count, at: offset, step: step, targetStep: count, threads: threads)
        }
    }

    private func parts(of data: Tensor, sizes: [Int]?, outputCount: Int) throws(TensorError) -> [Part] {
        let axis = try data.shape.axis(axis)
        let extents = try extents(of: data.shape[axis], sizes: sizes, outputCount: outputCount)
        let (outer, total, inner) = data.shape.split(at: axis)
        var parts: [Part] = []
        var offset = 0
        for extent in extents {
            let shape = try data.shape.replacing(axis, with: extent)
            parts.append(Part(shape: shape, offset: offset, count: extent * inner, rows: outer, step: total * inner))
            offset += extent * inner
        }
        return parts
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let parts = try parts(of: data, sizes: sizes ?? context.optionalIntegers(1), outputCount: context.outputs.count)
        let threads = context.threads
        for (index, part) in parts.enumerated() {
            try context.moveElements(of: [data], into: index, shape: part.shape) { try part.copy($0, threads: threads) }
        }
    }

    func prepared(for operands: Operands) throws -> PreparedRun? {
        // Sizes among the inputs are constants where the outputs' shapes are known.
        let data = try operands.input(0)
        let parts = try parts(
            of: data, sizes: sizes ?? operands.optionalInput(1)?.integers(), outputCount: operands.outputs.count)
        let moves = try zip(parts, operands.outputs).compactMap { part, output in
            try output.map { (part, try ElementUnits(sources: [data], target: $0)) }
        }
        return { threads in for (part, units) in moves { try part.copy(units, threads: threads) } }
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
