import CKernels
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
        default: unsafe run(SixteenBytes.self, source, target, threads)
        }
    }

    private func run<Unit: BitwiseCopyable>(
        _ unit: Unit.Type, _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, _ threads: ThreadPool
    ) {
        let source = unsafe source.assumingMemoryBound(to: Unit.self)
        let target = unsafe target.assumingMemoryBound(to: Unit.self)
        let last = extents.count - 1
        if targetStrides[last] == 1,
            let column = (0..<last).first(where: {
                sourceStrides[$0] == 1 && (extents[$0] >= 4 || sourceStrides[last] == extents[$0])
            })
        {
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
                let start = min(index % pieces * piece, rowBytes)
                let (from, to) = outer.offsets(at: index / pieces)
                unsafe (target + to * width + start).copyMemory(
                    from: source + from * width + start, byteCount: min(piece, rowBytes - start))
            }
            return
        }
        nonisolated(unsafe) let source = unsafe source
        nonisolated(unsafe) let target = unsafe target
        threads.forEachRange(outer.count, grain: max(Self.grainBytes / rowBytes, 1)) { range in
            outer.forEach(range) { from, to in unsafe copyBytes(target + to * width, source + from * width, rowBytes) }
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
            outer.forEach(range) { from, to in
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

    /// Strips of up to 64 columns of the source (its contiguous axis), 8 rows of it at a time: what is read and written stays in the
    /// first-level cache until every byte of its lines was used.
    private func transpose<Unit: BitwiseCopyable>(
        _ source: UnsafePointer<Unit>, _ target: UnsafeMutablePointer<Unit>, column: Int, _ threads: ThreadPool
    ) {
        let last = extents.count - 1
        let outer = Odometer(self, axes: (0..<last).filter { $0 != column })
        let (rows, columns) = (extents[last], extents[column])
        let (sourceStep, targetStep) = (sourceStrides[last], targetStrides[column])
        // Of rows a multiple of 1 KB apart, the first-level cache keeps few lines: as many as kernels turn at once.
        let size = MemoryLayout<Unit>.stride
        let strip = targetStep * size % 1024 == 0 ? (size == 1 ? 16 : 8) : 64
        let strips = (columns + strip - 1) / strip
        // Few columns of many rows are cut too.
        let rowsOfPart = max(Self.grainBytes / (min(strip, columns) * size), strip)
        let parts = (rows + rowsOfPart - 1) / rowsOfPart
        let grain = max(Self.grainBytes / (strip * min(rows, rowsOfPart) * size), 1)
        nonisolated(unsafe) let source = unsafe source
        nonisolated(unsafe) let target = unsafe target
        threads.forEachRange(outer.count * strips * parts, grain: grain) { range in
            for index in range {
                let (from, to) = outer.offsets(at: index / parts / strips)
                let (first, row) = (index / parts % strips * strip, index % parts * rowsOfPart)
                unsafe transposeTile(
                    source + from + first + row * sourceStep, target + to + first * targetStep + row,
                    rows: min(rowsOfPart, rows - row), columns: min(strip, columns - first), sourceStep: sourceStep,
                    targetStep: targetStep)
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
    if Unit.self == UInt32.self {
        let (words, turned) = unsafe (UnsafeRawPointer(source), UnsafeMutableRawPointer(target))
        return unsafe ck_transpose_words(
            words.assumingMemoryBound(to: UInt32.self), sourceStep, rows, columns, turned.assumingMemoryBound(to: UInt32.self),
            targetStep)
    }
    if Unit.self == UInt16.self {
        let (halves, turned) = unsafe (UnsafeRawPointer(source), UnsafeMutableRawPointer(target))
        return unsafe ck_transpose_halves(
            halves.assumingMemoryBound(to: UInt16.self), sourceStep, rows, columns,
            turned.assumingMemoryBound(to: UInt16.self), targetStep)
    }
    if Unit.self == UInt8.self {
        let (bytes, turned) = unsafe (UnsafeRawPointer(source), UnsafeMutableRawPointer(target))
        return unsafe ck_transpose_bytes(
            bytes.assumingMemoryBound(to: UInt8.self), sourceStep, rows, columns, turned.assumingMemoryBound(to: UInt8.self),
            targetStep)
    }
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

    init(_ copy: StridedCopy, axes: [Int]) {
        extents = axes.map { copy.extents[$0] }
        sourceStrides = axes.map { copy.sourceStrides[$0] }
        targetStrides = axes.map { copy.targetStrides[$0] }
        count = extents.reduce(1, *)
    }

    /// Of the elements at a position, counted through all axes.
    func offsets(at position: Int) -> (source: Int, target: Int) {
        var (rest, source, target) = (position, 0, 0)
        for axis in extents.indices.reversed() {
            let own = rest % extents[axis]
            rest /= extents[axis]
            source += own * sourceStrides[axis]
            target += own * targetStrides[axis]
        }
        return (source, target)
    }

    /// Calls `body` with the offsets at each position of a range. Only where an axis ends are others looked at than the last one.
    @inline(__always)
    func forEach(_ positions: Range<Int>, _ body: (_ source: Int, _ target: Int) -> Void) {
        guard let extent = extents.last, let sourceStep = sourceStrides.last, let targetStep = targetStrides.last else {
            for _ in positions { body(0, 0) }
            return
        }
        var position = positions.lowerBound
        while position < positions.upperBound {
            let end = min(position - position % extent + extent, positions.upperBound)
            var (source, target) = offsets(at: position)
            while position < end {
                body(source, target)
                source &+= sourceStep
                target &+= targetStep
                position += 1
            }
        }
    }
}
