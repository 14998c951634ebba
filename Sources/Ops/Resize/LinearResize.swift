import GraphRuntime

/// Weighs the elements along one axis.
///
/// - Parameters:
///   - source: `outer` × `extent` × `inner`.
///   - target: `outer` × the number of outputs in `weights` × `inner`.
///   - constant: what outputs outside of the source get.
func resample<Element: BinaryFloatingPoint & TensorElement>(
    _ source: UnsafePointer<Element>, outer: Int, extent: Int, inner: Int, weights: ResizeWeights, constant: Element,
    to target: UnsafeMutablePointer<Element>, threads: ThreadPool
) {
    let count = weights.outside.count
    let taps = weights.taps
    let factors = weights.weights.map { Element($0) }
    guard inner > 0 else { return }
    let grain = max(16384 / (inner * taps), 1)
    nonisolated(unsafe) let source = unsafe source
    nonisolated(unsafe) let target = unsafe target
    threads.forEachRange(outer * count, grain: grain) { range in
        for row in range {
            let (item, place) = (row / count, row % count)
            let from = unsafe source + item * extent * inner
            let to = unsafe target + row * inner
            if weights.outside[place] {
                unsafe to.update(repeating: constant, count: inner)
                continue
            }
            let first = place * taps
            if inner == 1 {
                var sum: Element = 0
                for tap in first..<first + taps { unsafe sum += factors[tap] * from[weights.indices[tap]] }
                unsafe to[0] = sum
                continue
            }
            unsafe to.update(repeating: 0, count: inner)
            for tap in first..<first + taps where factors[tap] != 0 {
                let line = unsafe from + weights.indices[tap] * inner
                let factor = factors[tap]
                for index in 0..<inner { unsafe to[index] += factor * line[index] }
            }
        }
    }
}

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
            unsafe resample(
                try current.pointer(to: Element.self), outer: outer, extent: extent, inner: inner, weights: own,
                constant: constant, to: try target.pointer(to: Element.self), threads: threads)
        }
        current = target.tensor
    }
}
