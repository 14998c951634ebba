import GraphRuntime

/// Weighs along every axis that has weights: what shrinks most first, the last one of axes that do alike.
///
/// - Parameter weights: for each axis of `tensor`, nil where it stays as it is.
func resample<Element: BinaryFloatingPoint & TensorElement>(
    _ tensor: Tensor, weights: [ResizeWeights?], constant: Element, into output: MutableTensor, threads: ThreadPool
) throws {
    func growth(_ axis: Int) -> Double { Double(weights[axis]?.outside.count ?? 0) / Double(max(tensor.shape[axis], 1)) }
    let axes = weights.indices.filter { weights[$0] != nil }.sorted { (growth($0), -$0) < (growth($1), -$1) }
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
