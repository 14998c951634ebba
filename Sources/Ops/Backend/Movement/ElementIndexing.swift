import GraphRuntime

/// Where elements of a row-major tensor are that another tensor's elements name by an index along one axis: their other indices are those
/// of the index itself, as for ONNX's GatherElements and ScatterElements.
struct ElementIndexing: Sendable {
    /// Rows along the last axis of the indices, and indices in each.
    let rowCount: Int
    let columns: Int
    /// Elements from one column to the next, and from one index along the axis to the next one.
    let columnStep: Int
    let step: Int
    /// Of the axis.
    let extent: Int
    /// Of the tensor that the indices are about.
    let elementCount: Int
    /// Of the indices' axes but the last one, and elements of the tensor from one to the next; 0 along the axis.
    private let extents: [Int]
    private let strides: [Int]

    /// - Parameters:
    ///   - indices: the shape of the indices.
    ///   - shape: of the tensor that they are about.
    /// - Throws: ``TensorError`` where the shapes don't fit each other.
    init(_ indices: Shape, in shape: Shape, axis: Int) throws(TensorError) {
        let axis = shape.rank == 0 ? 0 : try shape.axis(axis)
        guard indices.rank == shape.rank else {
            throw TensorError("indices of shape \(indices) don't have the \(shape.rank) axes of \(shape)")
        }
        for position in 0..<shape.rank where position != axis && indices[position] > shape[position] {
            throw TensorError("indices of shape \(indices) reach beyond \(shape) along axis \(position)")
        }
        // A scalar has one row of one element.
        let last = shape.rank - 1
        elementCount = shape.count
        let strides = shape.strides
        columns = last < 0 ? 1 : indices[last]
        rowCount = last < 0 ? 1 : indices.count(0..<last)
        (step, extent) = last < 0 ? (1, 1) : (strides[axis], shape[axis])
        columnStep = axis == last ? 0 : 1
        extents = Array(indices.dimensions.dropLast())
        self.strides = strides.indices.dropLast().map { $0 == axis ? 0 : strides[$0] }
    }

    /// Of the first of a row's elements, had it the index 0.
    func offset(ofRow row: Int) -> Int {
        var (rest, offset) = (row, 0)
        for position in extents.indices.reversed() {
            let quotient = rest / extents[position]
            offset += (rest - quotient * extents[position]) * strides[position]
            rest = quotient
        }
        return offset
    }

    /// The offsets of the elements, in the order of their indices.
    ///
    /// - Throws: ``TensorError`` for indices that are out of range.
    func offsets(_ indices: Tensor) throws -> [Int] {
        var offsets = try indices.integers()
        for row in 0..<rowCount where columns > 0 {
            let first = offset(ofRow: row)
            for column in 0..<columns {
                let place = row * columns + column
                let number = offsets[place]
                let isUsual = UInt(bitPattern: number) < UInt(bitPattern: extent)
                let index = isUsual ? number : try checkedIndex(number, extent: extent)
                offsets[place] = first &+ column &* columnStep &+ index &* step
            }
        }
        return offsets
    }
}

extension ElementUnits {
    /// Copies the elements of a source that `indices` name, in the order of these.
    ///
    /// - Parameter indexing: of the source's shape and of that of the indices.
    /// - Throws: ``TensorError`` for indices that are out of range.
    func gather(
        _ indexing: ElementIndexing, _ indices: Tensor, from source: Int = 0, threads: ThreadPool
    ) throws(TensorError) {
        try move(indexing, indices, scattered: false, source: source, threads: threads)
    }

    /// Writes the elements of a source over those of the target that `indices` name, the last one where several name the same.
    ///
    /// - Parameter indexing: of the target's shape and of that of the indices.
    /// - Throws: ``TensorError`` for indices that are out of range.
    func scatter(_ indexing: ElementIndexing, _ indices: Tensor, from source: Int) throws(TensorError) {
        try move(indexing, indices, scattered: true, source: source, threads: nil)
    }

    private func move(
        _ indexing: ElementIndexing, _ indices: Tensor, scattered: Bool, source: Int, threads: ThreadPool?
    ) throws(TensorError) {
        guard indices.count > 0 else { return }
        guard indices.count == indexing.rowCount * indexing.columns else {
            throw TensorError("\(indices.count) indices don't fill \(indexing.rowCount) rows of \(indexing.columns)")
        }
        let from = unsafe try read(source, 0..<(scattered ? indices.count : indexing.elementCount))
        let to = unsafe try write(0..<(scattered ? indexing.elementCount : indices.count))
        let rows = unsafe ElementRows(indexing: indexing, isScattered: scattered, source: from, target: to, width: width)
        let invalid: Int?
        switch indices.dtype {
        case .int64: invalid = try rows.move(indices, as: Int64.self, threads: threads)
        case .int32: invalid = try rows.move(indices, as: Int32.self, threads: threads)
        default: throw TensorError("expected integers, found \(indices.dtype)\(indices.shape)")
        }
        if let invalid { _ = try checkedIndex(invalid, extent: indexing.extent) }
    }
}

/// Rows of elements to gather or to scatter.
@safe private struct ElementRows: @unchecked Sendable {
    let indexing: ElementIndexing
    let isScattered: Bool
    let source: UnsafeRawPointer
    let target: UnsafeMutableRawPointer
    let width: Int

    /// Indices that are worth a task.
    private static let grain = 1 << 15

    /// Moves all rows, those of many on all threads; an index that is out of range, of which nothing behind it in its row is moved.
    func move<Index: TensorElement & FixedWidthInteger>(
        _ indices: Tensor, as type: Index.Type, threads: ThreadPool?
    ) throws(TensorError) -> Int? {
        nonisolated(unsafe) let indices = unsafe try indices.pointer(to: type)
        let step = max(Self.grain / indexing.columns, 1)
        let pieces = threads == nil ? 1 : (indexing.rowCount + step - 1) / step
        let rows = threads == nil ? indexing.rowCount : step
        @Sendable func piece(_ piece: Int) -> Int? {
            let range = piece * rows..<min((piece + 1) * rows, indexing.rowCount)
            switch width {
            case 1: return unsafe move(UInt8.self, indices, range)
            case 2: return unsafe move(UInt16.self, indices, range)
            case 4: return unsafe move(UInt32.self, indices, range)
            case 8: return unsafe move(UInt64.self, indices, range)
            default: return unsafe move(SixteenBytes.self, indices, range)
            }
        }
        guard let threads, pieces > 1 else { return piece(0) }
        return threads.map(pieces, piece).lazy.compactMap { $0 }.first
    }

    private func move<Index: FixedWidthInteger, Unit: BitwiseCopyable>(
        _ unit: Unit.Type, _ indices: UnsafePointer<Index>, _ rows: Range<Int>
    ) -> Int? {
        let columns = indexing.columns
        let stride = MemoryLayout<Unit>.stride
        // Weights of a mapped file may be at any address.
        func copy(from read: Int, to write: Int) {
            let element = unsafe source.loadUnaligned(fromByteOffset: read &* stride, as: unit)
            unsafe target.storeBytes(of: element, toByteOffset: write &* stride, as: unit)
        }
        for row in rows {
            let first = indexing.offset(ofRow: row)
            let own = unsafe indices + row * columns
            let invalid =
                unsafe isScattered
                ? forEachOffset(own, first) { column, offset in copy(from: row * columns + column, to: offset) }
                : forEachOffset(own, first) { column, offset in copy(from: offset, to: row * columns + column) }
            if let invalid { return invalid }
        }
        return nil
    }

    /// Calls `body` for each of a row's indices, with the offset of the element that it names, up to one that is out of range.
    @inline(__always)
    private func forEachOffset<Index: FixedWidthInteger>(
        _ indices: UnsafePointer<Index>, _ first: Int, _ body: (_ column: Int, _ offset: Int) -> Void
    ) -> Int? {
        let (columnStep, step, extent) = (indexing.columnStep, indexing.step, indexing.extent)
        var offset = first
        for column in 0..<indexing.columns {
            let number = unsafe Int(truncatingIfNeeded: indices[column])
            let index = number < 0 ? number &+ extent : number
            guard UInt(bitPattern: index) < UInt(bitPattern: extent) else { return number }
            body(column, offset &+ index &* step)
            offset &+= columnStep
        }
        return nil
    }
}
