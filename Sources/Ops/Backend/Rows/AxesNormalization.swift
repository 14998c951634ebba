import GraphRuntime

/// (x - μ) / (σ + 1e-9) with mean and deviation over some axes, as ONNX's function body of MeanVarianceNormalization has it.
///
/// - Parameters:
///   - axes: the axes to average over, in 0..<rank.
///   - y: of x's type and shape; may share x's memory.
package func normalizeMeanVariance<Element: TensorElement & BinaryFloatingPoint>(
    _ x: Tensor, axes: Set<Int>, into y: MutableTensor, threads: ThreadPool, _ type: Element.Type
) throws(TensorError) {
    nonisolated(unsafe) let source = unsafe try x.buffer(of: type)
    nonisolated(unsafe) let target = unsafe try y.buffer(of: type)
    guard y.count == x.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
    guard x.count > 0 else { return }
    func offsets(_ isIncluded: (Int) -> Bool) -> [Int] {
        var result = [0]
        for (axis, (extent, step)) in zip(x.shape.dimensions, x.shape.strides).enumerated() where isIncluded(axis) {
            result = result.flatMap { start in (0..<extent).map { start + $0 * step } }
        }
        return result
    }
    let averaged = offsets { axes.contains($0) }
    let kept = offsets { !axes.contains($0) }
    threads.forEachRange(kept.count, grain: max(4096 / averaged.count, 1)) { range in
        for start in kept[range] {
            var sum = 0.0
            for offset in averaged { unsafe sum += Double(source[start + offset]) }
            let mean = sum / Double(averaged.count)
            var squares = 0.0
            for offset in averaged {
                let difference = unsafe Double(source[start + offset]) - mean
                squares += difference * difference
            }
            let deviation = (squares / Double(averaged.count)).squareRoot() + 1e-9
            for offset in averaged {
                unsafe target[start + offset] = unsafe Element((Double(source[start + offset]) - mean) / deviation)
            }
        }
    }
}
