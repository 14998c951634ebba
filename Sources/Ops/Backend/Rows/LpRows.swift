import CKernels
import GraphRuntime

/// Divides by the sum of magnitudes (p = 1) or the root of the sum of squares (p = 2) along an axis; zeros where that is 0. Sums are of
/// double precision, in which squares of float32 numbers don't overflow.
///
/// - Parameter y: of x's shape; may share x's memory.
/// - Throws: ``TensorError`` where it isn't, or tensors aren't of float32.
func normalizeLpFloats(_ x: Tensor, p: Int, _ split: AxisSplit, into y: MutableTensor, threads: ThreadPool) throws(TensorError)
{
    nonisolated(unsafe) let source = unsafe try x.pointer(to: Float.self)
    nonisolated(unsafe) let target = unsafe try y.pointer(to: Float.self)
    guard y.count == x.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
    guard x.count > 0 else { return }
    let (count, inner) = (split.count, split.inner)
    @Sendable func factor(_ sum: Double) -> Double {
        guard sum != 0 else { return 0 }
        return 1 / (p == 1 ? sum : sum.squareRoot())
    }
    if inner == 1 {
        threads.forEachRange(split.outer, grain: max(BroadcastPlan.grain / count, 1)) { lines in
            for line in lines {
                let row = unsafe source + line * count
                let factor = unsafe factor(p == 1 ? ck_row_sum_abs_wide(row, count) : ck_row_sum_square_wide(row, count))
                unsafe withUnsafePointer(to: factor) { unsafe ck_scale_wide(row, $0, 0, target + line * count, count) }
            }
        }
        return
    }
    let bands = AxisBands(split)
    threads.forEachRange(bands.count, grain: bands.grain) { range in
        for band in range {
            let (first, width) = bands[band]
            unsafe withUnsafeTemporaryAllocation(of: Double.self, capacity: width) { factors in
                guard let sums = factors.baseAddress else { return }
                unsafe sums.initialize(repeating: 0, count: width)
                for step in 0..<count {
                    let row = unsafe source + first + step * inner
                    unsafe p == 1 ? ck_accumulate_abs_wide(row, sums, width) : ck_accumulate_square_wide(row, sums, width)
                }
                for index in 0..<width { unsafe sums[index] = factor(sums[index]) }
                for step in 0..<count {
                    let place = first + step * inner
                    unsafe ck_scale_wide(source + place, sums, 1, target + place, width)
                }
            }
        }
    }
}
