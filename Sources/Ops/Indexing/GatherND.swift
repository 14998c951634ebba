import GraphRuntime

/// Offsets, in slices, of the slices that tuples of indices name.
///
/// - Parameters:
///   - indices: the last axis holds the tuples; the first `batchAxes` axes are those of the data.
/// - Throws: ``TensorError`` for indices out of range.
func sliceOffsets(_ indices: Tensor, in shape: Shape, batchAxes: Int) throws -> [Int] {
    switch indices.dtype {
    case .int64: try indices.withSpan(of: Int64.self) { try sliceOffsets($0, indices.shape, in: shape, batchAxes: batchAxes) }
    case .int32: try indices.withSpan(of: Int32.self) { try sliceOffsets($0, indices.shape, in: shape, batchAxes: batchAxes) }
    default: throw TensorError("expected integers, found \(indices.dtype)\(indices.shape)")
    }
}

private func sliceOffsets<Index: FixedWidthInteger>(
    _ values: borrowing Span<Index>, _ indices: Shape, in shape: Shape, batchAxes: Int
) throws(TensorError) -> [Int] {
    let length = indices.dimensions.last ?? 0
    let tuples = indices.count(0..<max(indices.rank - 1, 0))
    let batches = shape.count(0..<batchAxes)
    guard tuples > 0, batches > 0 else { return [] }
    // Each names the whole of its batch.
    guard length > 0 || shape.count > 0 else { return [] }
    let extents = Array(shape.dimensions[batchAxes..<batchAxes + length])
    let tuplesPerBatch = tuples / batches
    var offsets = [Int](repeating: 0, count: tuples)
    for batch in 0..<batches {
        for tuple in batch * tuplesPerBatch..<(batch + 1) * tuplesPerBatch {
            var offset = batch
            for position in 0..<length {
                let index = try checkedIndex(Int(values[tuple * length + position]), extent: extents[position])
                offset = offset * extents[position] + index
            }
            offsets[tuple] = offset
        }
    }
    return offsets
}

/// The shape of what tuples of indices name: the indices' but for the last axis, then what is left of the data's.
///
/// - Throws: ``TensorError`` where the tuples are longer than the data has axes, or the batch axes differ.
func slicesShape(_ shape: Shape, indices: Shape, batchAxes: Int) throws(TensorError) -> Shape {
    guard let length = indices.dimensions.last, batchAxes >= 0, batchAxes < indices.rank, length <= shape.rank - batchAxes,
        shape.dimensions.prefix(batchAxes) == indices.dimensions.prefix(batchAxes)
    else {
        throw TensorError("indices of shape \(indices) with \(batchAxes) batch axes don't fit \(shape)")
    }
    return try Shape(indices.dimensions.dropLast() + shape.dimensions[(batchAxes + length)...])
}

/// ONNX GatherND (11 to 13).
struct GatherND: Operator {
    var batchAxes: Int

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape, let indices = try inputs[1].shape else { return [Fact(dtype: data.dtype)] }
        return [Fact(dtype: data.dtype, shape: try slicesShape(shape, indices: indices, batchAxes: batchAxes))]
    }

    func run(_ context: inout RunContext) throws {
        let (data, indices) = (try context.input(0), try context.input(1))
        let shape = try slicesShape(data.shape, indices: indices.shape, batchAxes: batchAxes)
        let offsets = try sliceOffsets(indices, in: data.shape, batchAxes: batchAxes)
        let inner = data.shape.count(batchAxes + (indices.shape.dimensions.last ?? 0)..<data.shape.rank)
        let threads = context.threads
        try context.moveElements(of: [data], into: 0, shape: shape) { units in
            try units.gather(outer: 1, extent: 0, inner: inner, indices: offsets, threads: threads)
        }
    }
}

extension GatherND {
    static let definitions = OperatorDefinition.all("GatherND", since: [11, 12, 13]) { decoder in
        try decoder.requireInputs(2...2)
        return GatherND(batchAxes: try decoder.int("batch_dims", default: 0))
    }
}
