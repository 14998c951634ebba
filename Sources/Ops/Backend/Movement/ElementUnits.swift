import GraphRuntime

/// What operators that move elements without looking at them work on: tensors to read and one to write, of one element type.
///
/// Every move is checked against the tensors' extents. Sent between threads unchecked: those of a node belong to the run that it is in.
@safe
struct ElementUnits: @unchecked Sendable {
    /// Elements in memory. What holds that is looked up once: for moves of single elements it would take longer than these.
    @safe
    private struct Place {
        let start: UnsafeRawPointer
        let count: Int
    }

    private let sources: [Place]
    private let target: UnsafeMutableRawPointer
    /// Elements of the target.
    private let count: Int
    /// Never read: they keep the memory.
    private let tensors: [Tensor]
    /// Bytes of an element: 1, 2, 4, 8 or 16.
    let width: Int

    /// - Parameter target: of the sources' element type, which has whole bytes.
    init(sources: [Tensor], target: MutableTensor) throws(TensorError) {
        for source in sources where source.dtype != target.dtype {
            throw TensorError("can't move elements of \(source.dtype) to \(target.dtype)")
        }
        tensors = sources + [target.tensor]
        self.sources = sources.map { unsafe Place(start: $0.start, count: $0.count) }
        unsafe self.target = unsafe target.start
        count = target.count
        width = target.dtype.bitWidth / 8
        guard target.dtype != .string, [1, 2, 4, 8, 16].contains(width), width * 8 == target.dtype.bitWidth else {
            throw TensorError("can't move elements of type \(target.dtype)")
        }
    }

    /// Copies `count` elements of a source from index `start` on to the target's from index `place` on.
    func copy(from source: Int = 0, at start: Int, to place: Int, count: Int = 1) throws(TensorError) {
        let from = unsafe try read(source, start..<start + count)
        unsafe copyBytes(try write(place..<place + count), from, count * width)
    }

    /// Copies rows of `count` neighbouring elements, from one row to the next so many elements further in a source and in the target.
    func copyRows(
        _ rows: Int, of count: Int, from source: Int = 0, at start: Int = 0, step: Int, to place: Int = 0, targetStep: Int,
        threads: ThreadPool
    ) throws(TensorError) {
        guard rows > 0, count > 0 else { return }
        guard rows * count * width < StridedCopy.grainBytes else {
            let copy = StridedCopy(extents: [rows, count], sourceStrides: [step, 1], targetStrides: [targetStep, 1])
            return try run(copy, from: source, at: start, to: place, threads: threads)
        }
        let from = unsafe try read(source, start..<start + (rows - 1) * step + count)
        let to = unsafe try write(place..<place + (rows - 1) * targetStep + count)
        for row in 0..<rows { unsafe copyBytes(to + row * targetStep * width, from + row * step * width, count * width) }
    }

    /// Writes one element of a source to all places of a range.
    func fill(_ places: Range<Int>, from source: Int, at index: Int = 0) throws(TensorError) {
        let element = unsafe try read(source, index..<index + 1)
        unsafe fillElements(try write(places), count: places.count, with: element, width: width)
    }

    /// Copies a block of elements, the first of which is at index `start` of a source and `place` of the target.
    func run(
        _ copy: StridedCopy, from source: Int = 0, at start: Int = 0, to place: Int = 0, threads: ThreadPool
    ) throws(TensorError) {
        guard let (reads, writes) = copy.reach else { return }
        let from = unsafe try read(source, start + reads.lowerBound..<start + reads.upperBound + 1)
        let to = unsafe try write(place + writes.lowerBound..<place + writes.upperBound + 1)
        unsafe copy.run(
            from: from - reads.lowerBound * width, to: to - writes.lowerBound * width, width: width, threads: threads)
    }

    /// Copies slices along an axis of a source; the target is row-major of `outer` × `indices.count` × `inner`.
    ///
    /// - Parameters:
    ///   - outer: the product of the extents before the axis, and `inner` of those behind it, with `extent` the axis' own.
    ///   - indices: of slices, in the order in which they are wanted.
    func gather(
        from source: Int = 0, outer: Int, extent: Int, inner: Int, indices: [Int], threads: ThreadPool
    ) throws(TensorError) {
        guard outer > 0, inner > 0, let least = indices.min(), let largest = indices.max() else { return }
        guard least >= 0 else { throw TensorError("the index \(least) is negative") }
        let from = unsafe try read(source, 0..<((outer - 1) * extent + largest + 1) * inner)
        let to = unsafe try write(0..<outer * indices.count * inner)
        unsafe gatherSlices(
            from, outer: outer, extent: extent, bytes: inner * width, indices: indices, to: to, threads: threads)
    }

    /// Writes slices of a source over those of the target that `offsets` name, in their order.
    ///
    /// - Parameters:
    ///   - offsets: of the target's slices, as many as the source has.
    ///   - inner: elements of a slice.
    func scatter(from source: Int, offsets: [Int], inner: Int) throws(TensorError) {
        guard inner > 0, let least = offsets.min(), let largest = offsets.max() else { return }
        guard least >= 0 else { throw TensorError("the offset \(least) is negative") }
        let from = unsafe try read(source, 0..<offsets.count * inner)
        let to = unsafe try write(0..<(largest + 1) * inner)
        let bytes = inner * width
        for (index, offset) in offsets.enumerated() { unsafe copyBytes(to + offset * bytes, from + index * bytes, bytes) }
    }

    /// Fills the target from the elements of a source of shape `shape` that padded axes name.
    ///
    /// - Parameter fill: the source whose first element is taken for the constant.
    func pad(from source: Int = 0, shape: Shape, axes: [PaddedAxis], fill: Int, threads: ThreadPool) throws(TensorError) {
        guard axes.map(\.extent) == shape.dimensions else {
            throw TensorError("\(axes.count) padded axes don't fit shape \(shape)")
        }
        let count = axes.reduce(1) { $0 * $1.count }
        guard count > 0 else { return }
        unsafe padElements(
            try read(source, 0..<shape.count), shape: shape, axes: axes, fill: try read(fill, 0..<1), to: try write(0..<count),
            width: width, threads: threads)
    }

    /// Fills the target from the elements of a source of shape `shape` that tables name for each axis, most of whose entries repeat their
    /// neighbour.
    ///
    /// - Parameters:
    ///   - tables: for each axis an index for each of the target's; -1 where there is none.
    ///   - fill: the source whose first element is taken where a table has -1.
    func resizeNearest(
        from source: Int = 0, shape: Shape, tables: [[Int]], fill: Int, threads: ThreadPool
    ) throws(TensorError) {
        guard let (from, element, to) = unsafe try table(source, shape, tables, fill) else { return }
        unsafe Ops.resizeNearest(
            from, shape: shape, tables: tables, fill: element, to: to, width: width, threads: threads)
    }

    /// The memory of a copy by tables; nil where there is nothing to write.
    private func table(
        _ source: Int, _ shape: Shape, _ tables: [[Int]], _ fill: Int
    ) throws(TensorError) -> (source: UnsafeRawPointer, fill: UnsafeRawPointer, target: UnsafeMutableRawPointer)? {
        guard tables.count == shape.rank else { throw TensorError("\(tables.count) tables don't fit shape \(shape)") }
        for (table, extent) in zip(tables, shape.dimensions) {
            guard table.allSatisfy({ $0 >= -1 && $0 < extent }) else {
                throw TensorError("an index is outside of the extent \(extent)")
            }
        }
        let count = tables.reduce(1) { $0 * $1.count }
        guard count > 0 else { return nil }
        return unsafe (try read(source, 0..<shape.count), try read(fill, 0..<1), try write(0..<count))
    }

    func read(_ source: Int, _ range: Range<Int>) throws(TensorError) -> UnsafeRawPointer {
        guard sources.indices.contains(source), range.lowerBound >= 0, range.upperBound <= sources[source].count else {
            throw TensorError("elements \(range) are outside of what is moved")
        }
        return unsafe sources[source].start + range.lowerBound * width
    }

    func write(_ range: Range<Int>) throws(TensorError) -> UnsafeMutableRawPointer {
        guard range.lowerBound >= 0, range.upperBound <= count else {
            throw TensorError("elements \(range) are outside of the output, which has \(count)")
        }
        return unsafe target + range.lowerBound * width
    }
}

/// Writes one element `count` times.
func fillElements(_ target: UnsafeMutableRawPointer, count: Int, with element: UnsafeRawPointer, width: Int) {
    func fill<Unit: BitwiseCopyable>(_ unit: Unit.Type) {
        unsafe target.assumingMemoryBound(to: unit).update(repeating: element.loadUnaligned(as: unit), count: count)
    }
    switch width {
    case 1: fill(UInt8.self)
    case 2: fill(UInt16.self)
    case 4: fill(UInt32.self)
    case 8: fill(UInt64.self)
    default: fill(SixteenBytes.self)
    }
}

/// Copies a few bytes without a call for those numbers that single elements have.
@inline(__always)
func copyBytes(_ target: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ count: Int) {
    switch count {
    case 1: unsafe target.storeBytes(of: source.loadUnaligned(as: UInt8.self), as: UInt8.self)
    case 2: unsafe target.storeBytes(of: source.loadUnaligned(as: UInt16.self), as: UInt16.self)
    case 4: unsafe target.storeBytes(of: source.loadUnaligned(as: UInt32.self), as: UInt32.self)
    case 8: unsafe target.storeBytes(of: source.loadUnaligned(as: UInt64.self), as: UInt64.self)
    default: unsafe target.copyMemory(from: source, byteCount: count)
    }
}
