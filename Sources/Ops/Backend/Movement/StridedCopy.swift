import GraphRuntime

/// A copy of a block of elements between two places that step through memory differently: transposes, slices, parts of a
/// concatenation, tiles.
///
/// Axes of extent 1 are dropped and axes that both sides step through alike are merged, so that what is left is as few and as long
/// rows as there can be.
struct StridedCopy {
    private(set) var extents: [Int] = []
    /// In elements, for each axis; may be 0 (repetition) or negative (reversal) on the source's side.
    private(set) var sourceStrides: [Int] = []
    private(set) var targetStrides: [Int] = []
    private let isEmpty: Bool

    /// Bytes that are worth a thread's attention.
    static let grainBytes = 128 << 10

    /// - Parameters: one entry an axis, outermost of the target first.
    init(extents: [Int], sourceStrides: [Int], targetStrides: [Int]) {
        isEmpty = extents.contains(0)
        for axis in extents.indices where extents[axis] != 1 {
            let extent = extents[axis]
            if let last = self.extents.last, self.sourceStrides[self.extents.count - 1] == sourceStrides[axis] &* extent,
                self.targetStrides[self.extents.count - 1] == targetStrides[axis] &* extent
            {
                self.extents[self.extents.count - 1] = last * extent
                self.sourceStrides[self.extents.count - 1] = sourceStrides[axis]
                self.targetStrides[self.extents.count - 1] = targetStrides[axis]
            } else {
                self.extents.append(extent)
                self.sourceStrides.append(sourceStrides[axis])
                self.targetStrides.append(targetStrides[axis])
            }
        }
    }

    /// The least and the largest offset of an element from that at index 0 of every axis, on both sides; nil where there are none.
    var reach: (source: ClosedRange<Int>, target: ClosedRange<Int>)? {
        if isEmpty { return nil }
        func reach(_ strides: [Int]) -> ClosedRange<Int> {
            let ends = zip(extents, strides).map { ($0 - 1) * $1 }
            return ends.reduce(0) { $0 + min($1, 0) }...ends.reduce(0) { $0 + max($1, 0) }
        }
        return (reach(sourceStrides), reach(targetStrides))
    }

    /// - Parameters:
    ///   - source: the element at index 0 of every axis, in memory that reaches as far as ``reach`` says; so is `target`.
    ///   - width: bytes of an element: 1, 2, 4, 8 or 16.
    func run(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, width: Int, threads: ThreadPool) {
        guard !isEmpty else { return }
        guard let last = extents.indices.last else { return unsafe target.copyMemory(from: source, byteCount: width) }
        if sourceStrides[last] == 1 && targetStrides[last] == 1 {
            return unsafe copyRows(from: source, to: target, width: width, threads: threads)
        }
        switch width {
        case 1: unsafe run(UInt8.self, source, target, threads)
        case 2: unsafe run(UInt16.self, source, target, threads)
        case 4: unsafe run(UInt32.self, source, target, threads)
        case 8: unsafe run(UInt64.self, source, target, threads)
        default: unsafe run(SIMD2<UInt64>.self, source, target, threads)
        }
    }

    private func run<Unit: BitwiseCopyable>(
        _ unit: Unit.Type, _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, _ threads: ThreadPool
    ) {
        let source = unsafe source.assumingMemoryBound(to: Unit.self)
        let target = unsafe target.assumingMemoryBound(to: Unit.self)
        let last = extents.count - 1
        if targetStrides[last] == 1, let column = (0..<last).first(where: { sourceStrides[$0] == 1 && extents[$0] >= 4 }) {
            unsafe transpose(source, target, column: column, threads)
        } else {
            unsafe copyElements(source, target, threads)
        }
    }

    private func copyRows(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, width: Int, threads: ThreadPool) {
        let rowBytes = extents[extents.count - 1] * width
        let outer = Odometer(self, axes: Array(0..<extents.count - 1))
        // Rows that are long enough to share are cut into pieces.
        let pieces = max(rowBytes / (4 * Self.grainBytes), 1)
        let piece = (rowBytes + pieces - 1) / pieces
        if pieces > 1 {
            nonisolated(unsafe) let source = unsafe source
            nonisolated(unsafe) let target = unsafe target
            threads.forEach(outer.count * pieces) { index in
                var position = outer.start(at: index / pieces)
                let start = min(index % pieces * piece, rowBytes)
                let (from, to) = outer.offsets(&position)
                unsafe (target + to * width + start).copyMemory(
                    from: source + from * width + start, byteCount: min(piece, rowBytes - start))
            }
            return
        }
        nonisolated(unsafe) let source = unsafe source
        nonisolated(unsafe) let target = unsafe target
        threads.forEachRange(outer.count, grain: max(Self.grainBytes / rowBytes, 1)) { range in
            var position = outer.start(at: range.lowerBound)
            for _ in range {
                let (from, to) = outer.offsets(&position)
                unsafe copyBytes(target + to * width, source + from * width, rowBytes)
            }
        }
    }

    private func copyElements<Unit: BitwiseCopyable>(
        _ source: UnsafePointer<Unit>, _ target: UnsafeMutablePointer<Unit>, _ threads: ThreadPool
    ) {
        let last = extents.count - 1
        let (count, sourceStep, targetStep) = (extents[last], sourceStrides[last], targetStrides[last])
        let outer = Odometer(self, axes: Array(0..<last))
        let grain = max(Self.grainBytes / (count * MemoryLayout<Unit>.stride), 1)
        nonisolated(unsafe) let source = unsafe source
        nonisolated(unsafe) let target = unsafe target
        threads.forEachRange(outer.count, grain: grain) { range in
            var position = outer.start(at: range.lowerBound)
            for _ in range {
                let (from, to) = outer.offsets(&position)
                if sourceStep == 0 && targetStep == 1 {
                    unsafe (target + to).update(repeating: source[from], count: count)
                } else {
                    for index in 0..<count {
                        unsafe target[to &+ index &* targetStep] = unsafe source[from &+ index &* sourceStep]
                    }
                }
            }
        }
    }

    /// Strips of 64 columns of the source (its contiguous axis), 8 rows of it at a time: what is read and written stays in the
    /// first-level cache until every byte of its lines was used.
    private func transpose<Unit: BitwiseCopyable>(
        _ source: UnsafePointer<Unit>, _ target: UnsafeMutablePointer<Unit>, column: Int, _ threads: ThreadPool
    ) {
        let last = extents.count - 1
        let outer = Odometer(self, axes: (0..<last).filter { $0 != column })
        let (rows, columns) = (extents[last], extents[column])
        let (sourceStep, targetStep) = (sourceStrides[last], targetStrides[column])
        let strip = 64
        let strips = (columns + strip - 1) / strip
        let grain = max(Self.grainBytes / (strip * rows * MemoryLayout<Unit>.stride), 1)
        nonisolated(unsafe) let source = unsafe source
        nonisolated(unsafe) let target = unsafe target
        threads.forEachRange(outer.count * strips, grain: grain) { range in
            for index in range {
                var position = outer.start(at: index / strips)
                let (from, to) = outer.offsets(&position)
                let first = index % strips * strip
                unsafe transposeTile(
                    source + from + first, target + to + first * targetStep, rows: rows, columns: min(strip, columns - first),
                    sourceStep: sourceStep, targetStep: targetStep)
            }
        }
    }
}

/// Writes element (row, column) of `source` (rows `sourceStep` apart) to (column, row) of `target` (rows `targetStep` apart).
@inline(__always)
private func transposeTile<Unit: BitwiseCopyable>(
    _ source: UnsafePointer<Unit>, _ target: UnsafeMutablePointer<Unit>, rows: Int, columns: Int, sourceStep: Int,
    targetStep: Int
) {
    var row = 0
    while row + 8 <= rows {
        let base = unsafe source + row * sourceStep
        for column in 0..<columns {
            let from = unsafe base + column
            let to = unsafe target + (column &* targetStep &+ row)
            let (a, b, c, d) = unsafe (from[0], from[sourceStep], from[2 &* sourceStep], from[3 &* sourceStep])
            let (e, f, g, h) = unsafe (
                from[4 &* sourceStep], from[5 &* sourceStep], from[6 &* sourceStep], from[7 &* sourceStep]
            )
            unsafe to[0] = a
            unsafe to[1] = b
            unsafe to[2] = c
            unsafe to[3] = d
            unsafe to[4] = e
            unsafe to[5] = f
            unsafe to[6] = g
            unsafe to[7] = h
        }
        row += 8
    }
    while row < rows {
        for column in 0..<columns { unsafe target[column &* targetStep &+ row] = unsafe source[row &* sourceStep &+ column] }
        row += 1
    }
}

/// Steps through some axes of a ``StridedCopy``, the last one fastest.
private struct Odometer {
    private let extents: [Int]
    private let sourceStrides: [Int]
    private let targetStrides: [Int]
    let count: Int

    struct Position {
        fileprivate var indices: [Int]
        fileprivate var source: Int
        fileprivate var target: Int
    }

    init(_ copy: StridedCopy, axes: [Int]) {
        extents = axes.map { copy.extents[$0] }
        sourceStrides = axes.map { copy.sourceStrides[$0] }
        targetStrides = axes.map { copy.targetStrides[$0] }
        count = extents.reduce(1, *)
    }

    func start(at index: Int) -> Position {
        var position = Position(indices: extents, source: 0, target: 0)
        var rest = index
        for axis in extents.indices.reversed() {
            let own = rest % extents[axis]
            rest /= extents[axis]
            position.indices[axis] = own
            position.source += own * sourceStrides[axis]
            position.target += own * targetStrides[axis]
        }
        return position
    }

    /// The offsets at a position, which moves on by one.
    @inline(__always)
    func offsets(_ position: inout Position) -> (source: Int, target: Int) {
        let result = (position.source, position.target)
        var axis = extents.count - 1
        while axis >= 0 {
            position.indices[axis] += 1
            position.source += sourceStrides[axis]
            position.target += targetStrides[axis]
            if position.indices[axis] < extents[axis] { break }
            position.indices[axis] = 0
            position.source -= extents[axis] * sourceStrides[axis]
            position.target -= extents[axis] * targetStrides[axis]
            axis -= 1
        }
        return result
    }
}
