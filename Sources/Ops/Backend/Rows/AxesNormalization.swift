import CKernels
import GraphRuntime

/// (x - μ) / (σ + 1e-9) with mean and deviation over some axes, as ONNX's function body of MeanVarianceNormalization has it.
///
/// - Parameters:
///   - axes: the axes to average over, in 0..<rank.
///   - scales: whether it is divided; else it is x - μ, element by element, which only experiments of old opsets ask for.
///   - y: of x's type and shape; may share x's memory.
package func normalizeMeanVariance<Element: TensorElement & BinaryFloatingPoint>(
    _ x: Tensor, axes: Set<Int>, scales: Bool = true, into y: MutableTensor, threads: ThreadPool, _ type: Element.Type
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
    // Averaged axes at the end are runs of neighbours.
    let trailing = x.shape.dimensions.indices.reversed().prefix { axes.contains($0) }
    let run = trailing.reduce(1) { $0 * x.shape[$1] }
    let runs = offsets { axes.contains($0) && $0 < x.shape.rank - trailing.count }
    let kept = offsets { !axes.contains($0) }
    let count = runs.count * run
    guard let from = unsafe source.baseAddress, let to = unsafe target.baseAddress else { return }
    nonisolated(unsafe) let (x, y) = unsafe (from, to)
    threads.forEachRange(kept.count, grain: max(4096 / count, 1)) { range in
        for start in kept[range] {
            if type == Float.self, run >= 16, scales,
                unsafe normalizeRuns(
                    UnsafeRawPointer(x + start).assumingMemoryBound(to: Float.self),
                    UnsafeMutableRawPointer(y + start).assumingMemoryBound(to: Float.self), runs, run)
            {
                continue
            }
            let places = runs.lazy.flatMap { $0..<$0 + run }
            var sum = 0.0
            for place in places { unsafe sum += Double(x[start + place]) }
            let mean = sum / Double(count)
            var squares = 0.0
            for place in places {
                let difference = unsafe Double(x[start + place]) - mean
                squares += difference * difference
            }
            let deviation = scales ? (squares / Double(count)).squareRoot() + 1e-9 : 1
            for place in places { unsafe y[start + place] = unsafe Element((Double(x[start + place]) - mean) / deviation) }
        }
    }
}

/// Normalises all elements of runs that begin at `starts`, which are measured in single precision.
///
/// - Returns: false where their squares leave its range, or they are nearly equal: nothing has changed then.
private func normalizeRuns(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ starts: [Int], _ run: Int) -> Bool {
    var moments = normalization_moments()
    for start in starts { unsafe moments = normalization_merge(moments, normalization_measure(x + start, run)) }
    let variance = moments.squares / Double(moments.count)
    guard variance.isFinite, variance > 1e-24, variance > 1e-10 * moments.mean * moments.mean else { return false }
    let deviation = variance.squareRoot() + 1e-9
    for start in starts { unsafe normalization_affine(x + start, y + start, run, moments.mean, 1 / deviation, 0, 0) }
    return true
}
