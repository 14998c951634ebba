import CKernels
import GraphRuntime

/// What one coordinate takes along its axis: up to four indices with their weights; index -1 stands for a zero.
struct AxisTaps {
    var count: Int
    var indices = SIMD4<Int>(repeating: -1)
    var weights = SIMD4<Double>(repeating: 1)

    /// Nothing near.
    static let none = AxisTaps(count: 1)
}

/// A tensor [N, C, spatial…] read at places between its elements: each point is a weighted sum of elements, by the same weights in each
/// channel.
///
/// Points are worked on in blocks, whose places and weights are computed once for all channels.
struct GridSampling {
    private let items: Int
    private let channels: Int
    private let extents: [Int]
    private let strides: [Int]
    /// Of an item.
    private let points: Int
    /// Where taps are those of linear interpolation.
    private let linear: Linear?

    struct Linear {
        /// Whether -1 and 1 stand for the middles of the outermost elements rather than for their edges.
        let alignsCorners: Bool
        /// Whether the border is taken for what lies outside, rather than 0.
        let takesBorder: Bool
    }

    /// Points of a block.
    private static let block = 256
    /// Elements that are summed up for each point, of the axes' four each; beyond, there are more axes than any picture has.
    private static let mostTaps = 1 << 12

    /// - Parameters:
    ///   - points: of each item.
    ///   - linear: what taps of pictures in float32 are, which are then found in vectors.
    init(_ shape: Shape, points: Int, linear: Linear? = nil) {
        (items, channels, self.points, self.linear) = (shape[0], shape[1], points, linear)
        (extents, strides) = (Array(shape.dimensions[2...]), Array(shape.strides[2...]))
    }

    private var blocks: Int { (points + Self.block - 1) / Self.block }

    /// - Parameters:
    ///   - grid: [N, points, axes], the innermost axis first.
    ///   - tapsPerAxis: at most 4.
    ///   - taps: those of a coordinate along an axis of the given extent, at most `tapsPerAxis`.
    ///   - output: [N, C, points].
    /// - Throws: ``TensorError`` for more axes than sums can be made of, and where there is no memory.
    func run<Element: TensorElement & BinaryFloatingPoint>(
        _ data: Tensor, _ grid: Tensor, _: Element.Type, tapsPerAxis: Int, into output: MutableTensor, threads: ThreadPool,
        taps: @escaping @Sendable (_ coordinate: Double, _ extent: Int) -> AxisTaps
    ) throws {
        if grid.dtype == .float64 {
            unsafe try run(
                data, grid.pointer(to: Double.self), Element.self, tapsPerAxis: tapsPerAxis, into: output, threads: threads,
                taps: taps)
        } else {
            let grid = try HalfPrecision.widen(grid)
            try withExtendedLifetime(grid) {
                unsafe try run(
                    data, grid.pointer(to: Float.self), Element.self, tapsPerAxis: tapsPerAxis, into: output,
                    threads: threads, taps: taps)
            }
        }
    }

    private func run<Element: TensorElement & BinaryFloatingPoint, Coordinate: BinaryFloatingPoint & SendableMetatype>(
        _ data: Tensor, _ grid: UnsafePointer<Coordinate>, _: Element.Type, tapsPerAxis: Int, into output: MutableTensor,
        threads: ThreadPool, taps: @escaping @Sendable (Double, Int) -> AxisTaps
    ) throws {
        nonisolated(unsafe) let grid = unsafe grid
        nonisolated(unsafe) let source = unsafe try data.pointer(to: Element.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Element.self)
        let (axes, plane) = (extents.count, extents.reduce(1, *))
        let most = extents.reduce(1) { count, _ in min(count * tapsPerAxis, Self.mostTaps + 1) }
        guard most <= Self.mostTaps else {
            throw TensorError(
                "expected at most \(Self.mostTaps) elements for a point, found \(tapsPerAxis) along each of \(axes) axes")
        }
        let sumSize = MemoryLayout<Int>.stride + MemoryLayout<Element>.stride
        unsafe try threads.forEach(items * blocks, scratchBytes: Self.block * most * sumSize) { index, scratch in
            let (item, first) = (index / blocks, index % blocks * Self.block)
            let count = min(Self.block, points - first)
            let offsets = unsafe scratch.assumingMemoryBound(to: Int.self)
            let weights = unsafe (scratch + Self.block * most * MemoryLayout<Int>.stride).assumingMemoryBound(to: Element.self)
            let coordinates = unsafe grid + (item * points + first) * axes
            if let linear, axes == 2, Element.self == Float.self, Coordinate.self == Float.self {
                unsafe ck_grid_taps(
                    UnsafeRawPointer(coordinates).assumingMemoryBound(to: Float.self), count, extents[0], extents[1],
                    linear.alignsCorners ? 1 : 0, linear.takesBorder ? 1 : 0, offsets,
                    UnsafeMutableRawPointer(weights).assumingMemoryBound(to: Float.self))
            } else {
                var axisTaps = [AxisTaps](repeating: .none, count: axes)
                for point in 0..<count {
                    for axis in 0..<axes {
                        unsafe axisTaps[axis] = taps(Double(coordinates[point * axes + axes - 1 - axis]), extents[axis])
                    }
                    unsafe combine(axisTaps, offsets + point * most, weights + point * most, most)
                }
            }
            for channel in 0..<channels {
                let from = unsafe source + (item * channels + channel) * plane
                let to = unsafe target + (item * channels + channel) * points + first
                if Element.self == Float.self {
                    unsafe ck_sum_taps(
                        UnsafeRawPointer(from).assumingMemoryBound(to: Float.self), offsets,
                        UnsafeRawPointer(weights).assumingMemoryBound(to: Float.self), most, count,
                        UnsafeMutableRawPointer(to).assumingMemoryBound(to: Float.self))
                    continue
                }
                for point in 0..<count {
                    let (own, factors) = unsafe (offsets + point * most, weights + point * most)
                    var sum: Element = 0
                    for tap in 0..<most where unsafe own[tap] >= 0 { unsafe sum += factors[tap] * from[own[tap]] }
                    unsafe to[point] = sum
                }
            }
        }
    }

    /// The elements that a point's taps along all axes meet at, and the products of their weights; as many as `most`, with offset -1 and
    /// weight 0 where there is none.
    private func combine<Element: BinaryFloatingPoint>(
        _ taps: [AxisTaps], _ offsets: UnsafeMutablePointer<Int>, _ weights: UnsafeMutablePointer<Element>, _ most: Int
    ) {
        if taps.count == 2 { return unsafe combine(taps[0], taps[1], offsets, weights, most) }
        let total = taps.reduce(1) { $0 * $1.count }
        for tap in 0..<most {
            guard tap < total else {
                unsafe (offsets[tap], weights[tap]) = (-1, 0)
                continue
            }
            var (rest, offset, weight, isInside) = (tap, 0, 1.0, true)
            for axis in stride(from: taps.count - 1, through: 0, by: -1) {
                let own = rest % taps[axis].count
                rest /= taps[axis].count
                isInside = isInside && taps[axis].indices[own] >= 0
                offset += taps[axis].indices[own] * strides[axis]
                weight *= taps[axis].weights[own]
            }
            unsafe offsets[tap] = isInside ? offset : -1
            unsafe weights[tap] = isInside ? Element(weight) : 0
        }
    }

    /// The same of a picture's rows and columns.
    private func combine<Element: BinaryFloatingPoint>(
        _ rows: AxisTaps, _ columns: AxisTaps, _ offsets: UnsafeMutablePointer<Int>, _ weights: UnsafeMutablePointer<Element>,
        _ most: Int
    ) {
        var place = 0
        for row in 0..<rows.count {
            let (index, weight) = (rows.indices[row], rows.weights[row])
            for column in 0..<columns.count {
                let own = columns.indices[column]
                let isInside = index >= 0 && own >= 0
                unsafe offsets[place] = isInside ? index * strides[0] + own * strides[1] : -1
                unsafe weights[place] = isInside ? Element(weight * columns.weights[column]) : 0
                place += 1
            }
        }
        for tap in place..<most { unsafe (offsets[tap], weights[tap]) = (-1, 0) }
    }

    /// For each point of each item, which element of its plane it is by one tap along each axis; -1 for a zero.
    func nearest(_ grid: Tensor, taps: (_ coordinate: Double, _ extent: Int) -> AxisTaps) throws -> [Int] {
        let coordinates: [Double] =
            grid.dtype == .float64
            ? try grid.array(of: Double.self) : try HalfPrecision.widen(grid).array(of: Float.self).map { Double($0) }
        return (0..<items * points).map { point in
            var offset = 0
            for (axis, extent) in extents.enumerated() {
                let index = taps(coordinates[(point + 1) * extents.count - 1 - axis], extent).indices[0]
                guard index >= 0 else { return -1 }
                offset += index * strides[axis]
            }
            return offset
        }
    }
}
