import GraphRuntime

/// For each element of `indices` the offset of the element of a row-major tensor of shape `shape` at the same place, but for the
/// index along `axis`.
///
/// - Throws: ``TensorError`` for shapes that don't fit and indices that are out of range.
func elementOffsets(_ indices: Tensor, in shape: Shape, axis: Int) throws -> [Int] {
    try checkElementIndices(indices.shape, in: shape, axis: axis)
    guard shape.rank > 0, indices.count > 0 else { return try indices.integers().map { try checkedIndex($0, extent: 1) } }
    let strides = shape.strides
    let (step, extent) = (strides[axis], shape[axis])
    let columns = indices.shape[shape.rank - 1]
    // Along the last axis the place moves by one, unless it is the axis that the indices replace.
    let columnStep = axis == shape.rank - 1 ? 0 : 1
    var offsets = try indices.integers()
    var row = [Int](repeating: 0, count: shape.rank)
    for start in stride(from: 0, to: offsets.count, by: columns) {
        var base = 0
        for position in 0..<shape.rank - 1 where position != axis { base += row[position] * strides[position] }
        for column in 0..<columns {
            let index = try checkedIndex(offsets[start + column], extent: extent)
            offsets[start + column] = base + column * columnStep + index * step
        }
        for position in stride(from: shape.rank - 2, through: 0, by: -1) {
            row[position] += 1
            if row[position] < indices.shape[position] { break }
            row[position] = 0
        }
    }
    return offsets
}

/// - Throws: ``TensorError`` where indices of this shape don't lie within a tensor of `shape`.
func checkElementIndices(_ indices: Shape, in shape: Shape, axis: Int) throws(TensorError) {
    guard indices.rank == shape.rank else {
        throw TensorError("indices of shape \(indices) don't have the \(shape.rank) axes of \(shape)")
    }
    for position in 0..<shape.rank where position != axis && indices[position] > shape[position] {
        throw TensorError("indices of shape \(indices) reach beyond \(shape) along axis \(position)")
    }
}

/// ONNX GatherElements (11 to 13).
struct GatherElements: Operator {
    var axis: Int

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let (data, indices) = (try inputs[0], try inputs[1])
        if let shape = data.shape, let other = indices.shape {
            try checkElementIndices(other, in: shape, axis: shape.rank == 0 ? 0 : shape.axis(axis))
        }
        return [Fact(dtype: data.dtype, shape: indices.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let (data, indices) = (try context.input(0), try context.input(1))
        let offsets = try elementOffsets(indices, in: data.shape, axis: data.shape.rank == 0 ? 0 : data.shape.axis(axis))
        let threads = context.threads
        try context.moveElements(of: [data], into: 0, shape: indices.shape) { units in
            try units.gather(outer: 1, extent: data.count, inner: 1, indices: offsets, threads: threads)
        }
    }
}

extension GatherElements {
    static let definitions = OperatorDefinition.all("GatherElements", since: [11, 13]) { decoder in
        try decoder.requireInputs(2...2)
        return GatherElements(axis: try decoder.int("axis", default: 0))
    }
}
