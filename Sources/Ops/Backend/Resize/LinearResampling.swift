import CKernels
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
    guard inner > 0 else { return }
    guard tensor.count == outer * extent * inner, output.count == outer * count * inner,
        weights.indices.allSatisfy({ (0..<max(extent, 1)).contains($0) }), weights.indices.count >= count * weights.taps
    else { throw TensorError("\(tensor.shape) can't be resampled to \(output.shape)") }
    if Element.self == Float.self, let resampling = LinearResampling(weights, extent: extent, constant: Float(constant)) {
        return inner == 1
            ? try resampling.weighColumns(of: tensor, rows: outer, into: output, threads: threads)
            : try resampling.weighRows(of: tensor, planes: outer, width: inner, into: output, threads: threads)
    }
    let taps = weights.taps
    let factors = weights.weights.map { Element($0) }
    let grain = max(16384 / (inner * taps), 1)
    nonisolated(unsafe) let source = unsafe try tensor.pointer(to: Element.self)
    nonisolated(unsafe) let target = unsafe try output.pointer(to: Element.self)
    threads.forEachRange(outer * count, grain: grain) { range in
        for row in range {
            let (item, place) = (row / count, row % count)
            let from = unsafe source + item * extent * inner
            let to = unsafe target + row * inner
            unsafe to.update(repeating: weights.outside[place] ? constant : 0, count: inner)
            for tap in place * taps..<(place + 1) * taps where factors[tap] != 0 && !weights.outside[place] {
                let line = unsafe from + weights.indices[tap] * inner
                let factor = factors[tap]
                for index in 0..<inner { unsafe to[index] += factor * line[index] }
            }
        }
    }
}

/// Weighs float32 along one axis, in vectors.
private struct LinearResampling {
    private let taps: Int
    private let extent: Int
    private let count: Int
    private let weights: [Float]
    /// What each output's sum begins with: the constant for those outside of the source.
    private let starts: [Float]
    /// Of the strip's source.
    private let indices: [Int32]
    private let strips: [Strip]
    /// Multiplications for all outputs of the longest strip, one number wide.
    private var stripWork: Int { (strips.first?.places.count ?? 1) * taps }

    /// Outputs beside each other, with the part of the axis that they show.
    private struct Strip {
        var places: Range<Int>
        var source: Range<Int>
    }

    /// Outputs of a strip, so that 16 rows of them with what they show mostly stay in the second-level cache.
    private static let stripPlaces = 512
    /// Elements of a strip's source beyond which rows aren't made lanes.
    private static let largestSource = 1 << 18
    /// Multiplications that are worth a task.
    private static let grain = 1 << 16

    /// - Returns: nil where a few outputs next to each other show too much of the axis, or an index doesn't fit into 32 bits.
    init?(_ weights: ResizeWeights, extent: Int, constant: Float) {
        taps = weights.taps
        count = weights.outside.count
        self.extent = extent
        starts = weights.outside.map { $0 ? constant : 0 }
        var factors = weights.weights
        for place in 0..<count where weights.outside[place] {
            for tap in place * taps..<(place + 1) * taps { factors[tap] = 0 }
        }
        self.weights = factors
        var strips: [Strip] = []
        var indices: [Int32] = []
        indices.reserveCapacity(count * taps)
        for first in stride(from: 0, to: count, by: Self.stripPlaces) {
            let places = first..<min(first + Self.stripPlaces, count)
            let own = weights.indices[places.lowerBound * taps..<places.upperBound * taps]
            guard let least = own.min(), let largest = own.max(), largest - least < Self.largestSource else { return nil }
            for index in own { indices.append(Int32(index - least)) }
            strips.append(Strip(places: places, source: least..<largest + 1))
        }
        self.strips = strips
        self.indices = indices
    }

    /// The contiguous axis.
    func weighColumns(of tensor: Tensor, rows: Int, into output: MutableTensor, threads: ThreadPool) throws(TensorError) {
        nonisolated(unsafe) let source = unsafe try tensor.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        let lanes = Int(CK_RESAMPLED_ROWS)
        let longest = strips.lazy.map { $0.places.count + $0.source.count }.max() ?? 0
        let group = lanes * max(Self.grain / (lanes * stripWork), 1)
        let groups = (rows + group - 1) / group
        unsafe try threads.forEach(groups * strips.count, scratchBytes: lanes * longest * MemoryLayout<Float>.stride) {
            task, scratch in
            let strip = strips[task % strips.count]
            let first = task / strips.count * group
            unsafe weigh(strip.places) { indices, weights, starts in
                unsafe ck_resample_columns(
                    source + first * extent + strip.source.lowerBound, extent, strip.source.count, min(group, rows - first),
                    indices, weights, starts, taps, scratch.assumingMemoryBound(to: Float.self),
                    target + first * count + strip.places.lowerBound, count, strip.places.count)
            }
        }
    }

    /// An axis whose elements are rows.
    func weighRows(of tensor: Tensor, planes: Int, width: Int, into output: MutableTensor, threads: ThreadPool)
        throws(TensorError)
    {
        nonisolated(unsafe) let source = unsafe try tensor.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        let step = max(Self.grain / (stripWork * width), 1)
        threads.forEachRange(planes * strips.count, grain: step) { range in
            for index in range {
                let strip = strips[index % strips.count]
                let plane = index / strips.count
                unsafe weigh(strip.places) { indices, weights, starts in
                    unsafe ck_resample_rows(
                        source + (plane * extent + strip.source.lowerBound) * width, width, indices, weights, starts, taps,
                        target + (plane * count + strip.places.lowerBound) * width, strip.places.count)
                }
            }
        }
    }

    private func weigh(
        _ places: Range<Int>, _ body: (UnsafePointer<Int32>, UnsafePointer<Float>, UnsafePointer<Float>) -> Void
    ) {
        unsafe indices.withUnsafeBufferPointer { indices in
            unsafe weights.withUnsafeBufferPointer { weights in
                unsafe starts.withUnsafeBufferPointer { starts in
                    guard let indices = indices.baseAddress, let weights = weights.baseAddress, let starts = starts.baseAddress
                    else { return }
                    unsafe body(
                        indices + places.lowerBound * taps, weights + places.lowerBound * taps, starts + places.lowerBound)
                }
            }
        }
    }
}
