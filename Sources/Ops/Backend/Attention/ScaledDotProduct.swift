import GraphRuntime

/// Computes softmax(scale·Q·Kᵀ + mask)·V. A query that the masks leave no key gets zeros, or NaN where the problem says so.
///
/// - Parameters:
///   - problem: the extents, and how the operands lie in memory.
///   - operands: queries, keys and values of one type, float32 or float64.
///   - output: of the same type.
///   - scores: where the scores go, [batch, heads, queries, keys], at the problem's stage; nil where nobody wants them.
/// - Throws: ``TensorError`` where the operands don't fit the problem.
package func scaledDotProductAttention(
    _ problem: AttentionProblem, _ operands: AttentionOperands, into output: MutableTensor, scores: MutableTensor? = nil,
    threads: ThreadPool
) throws {
    switch operands.query.dtype {
    case .float64: try attend(problem, operands, output, scores, threads, Double.self)
    default: try attend(problem, operands, output, scores, threads, Float.self)
    }
}

private func attend<Element: AttentionElement>(
    _ problem: AttentionProblem, _ operands: AttentionOperands, _ output: MutableTensor, _ scores: MutableTensor?,
    _ threads: ThreadPool, _ type: Element.Type
) throws {
    var problem = problem
    let extents = problem.extents
    let query = unsafe try operands.query.pointer(to: type)
    let key = unsafe try operands.key.pointer(to: type)
    let value = unsafe try operands.value.pointer(to: type)
    let target = unsafe try output.pointer(to: type)
    let scoresTarget = unsafe try scores?.pointer(to: type)
    try problem.check(
        query: operands.query.count, key: operands.key.count, value: operands.value.count, output: output.count)
    if let scores, scores.count != extents.batch * extents.heads * extents.queries * extents.keys {
        throw TensorError("\(scores.count) elements don't hold the scores of \(extents)")
    }
    let mask = unsafe try maskPointer(&problem, operands.mask, type)
    guard extents.batch > 0, extents.heads > 0, extents.queries > 0 else { return }
    let kernel = unsafe AttentionKernel(
        problem: problem, query: query, key: key, value: value, output: target, mask: mask, scores: scoresTarget)
    if let single = unsafe kernel as? AttentionKernel<Float>, let panels = unsafe PanelAttention(single) {
        try panels.run(threads: threads)
    } else {
        unsafe try kernel.run(threads: threads)
    }
}

/// The mask's elements, expanded where its last axis broadcasts, and its steps in the problem.
private func maskPointer<Element: AttentionElement>(
    _ problem: inout AttentionProblem, _ mask: Tensor?, _ type: Element.Type
) throws -> AttentionKernel<Element>.Mask {
    guard let mask else { return unsafe .none }
    let extents = problem.extents
    let columns = mask.shape.dimensions.last ?? 1
    // A shorter mask leaves out the last keys.
    problem.maskedKeys = columns
    let full = try Shape([extents.batch, extents.heads, extents.queries, columns])
    guard mask.shape.rank <= 4, mask.shape.rank >= 1, columns <= extents.keys, try mask.shape.broadcast(with: full) == full
    else {
        throw TensorError(
            "a mask of shape \(mask.shape) doesn't broadcast to [\(extents.batch), \(extents.heads), \(extents.queries), "
                + "\(extents.keys)]")
    }
    let strides = mask.shape.broadcastStrides(to: full)
    problem.mask = AttentionLayout(batch: strides[0], head: strides[1], row: strides[2])
    return unsafe mask.dtype == .bool ? .boolean(try mask.pointer(to: Bool.self)) : .additive(try mask.pointer(to: type))
}
