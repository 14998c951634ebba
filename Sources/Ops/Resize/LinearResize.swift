import GraphRuntime

/// Weighs along every axis that has weights, the last one first.
///
/// - Parameter weights: for each axis of `tensor`, nil where it stays as it is.
func resample<Element: BinaryFloatingPoint & TensorElement>(
    _ tensor: Tensor, weights: [ResizeWeights?], constant: Element, into output: MutableTensor, threads: ThreadPool
) throws {
    let axes = weights.indices.filter { weights[$0] != nil }.reversed()
    var current = tensor
    guard let final = axes.last else { return try output.copy(from: tensor) }
    for axis in axes {
        guard let own = weights[axis] else { continue }
        let shape = try current.shape.replacing(axis, with: own.outside.count)
        let target = axis == final ? output : try MutableTensor(dtype: tensor.dtype, shape: shape)
        let (outer, extent, inner) = current.shape.split(at: axis)
        if shape.count > 0 {
            try resample(
                current, outer: outer, extent: extent, inner: inner, weights: own, constant: constant, to: target,
                threads: threads)
        }
        current = try target.finish()
    }
}
