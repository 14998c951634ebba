import GraphRuntime

/// Weighs the elements along one axis.
///
/// - Parameters:
///   - tensor: `outer` × `extent` × `inner`.
///   - output: `outer` × the number of outputs in `weights` × `inner`.
///   - constant: what outputs outside of the source get.
func resample<Element: BinaryFloatingPoint & TensorElement>(
    _ tensor: Tensor, outer: Int, extent: Int, inner: Int, weights: ResizeWeights, constant: Element, to output: MutableTensor,
    threads: ThreadPool
) throws(TensorError) {
    let count = weights.outside.count
    let taps = weights.taps
    let factors = weights.weights.map { Element($0) }
    guard inner > 0 else { return }
    let grain = max(16384 / (inner * taps), 1)
    guard tensor.count == outer * extent * inner, output.count == outer * count * inner,
        weights.indices.allSatisfy({ (0..<max(extent, 1)).contains($0) }), weights.indices.count >= count * taps
    else { throw TensorError("\(tensor.shape) can't be resampled to \(output.shape)") }
    nonisolated(unsafe) let source = unsafe try tensor.pointer(to: Element.self)
    nonisolated(unsafe) let target = unsafe try output.pointer(to: Element.self)
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
