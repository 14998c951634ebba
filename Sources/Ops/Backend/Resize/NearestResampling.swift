import GraphRuntime

/// Fills a tensor from the elements that tables name for each axis, most of which repeat a neighbour, as
/// ``ElementUnits/resizeNearest(from:shape:tables:fill:threads:)`` has checked.
///
/// - Parameters:
///   - source: row-major of shape `shape`.
///   - tables: for each axis of the target the index of the source, -1 for the element `fill`.
func resizeNearest(
    _ source: UnsafeRawPointer, shape: Shape, tables: [[Int]], fill: UnsafeRawPointer, to target: UnsafeMutableRawPointer,
    width: Int, threads: ThreadPool
) {
    switch width {
    case 1: unsafe resizeNearest(UInt8.self, source, shape, tables, fill, target, threads)
    case 2: unsafe resizeNearest(UInt16.self, source, shape, tables, fill, target, threads)
    case 4: unsafe resizeNearest(UInt32.self, source, shape, tables, fill, target, threads)
    case 8: unsafe resizeNearest(UInt64.self, source, shape, tables, fill, target, threads)
    default: unsafe resizeNearest(SixteenBytes.self, source, shape, tables, fill, target, threads)
    }
}

private func resizeNearest<Unit: BitwiseCopyable & Sendable>(
    _ unit: Unit.Type, _ source: UnsafeRawPointer, _ shape: Shape, _ tables: [[Int]], _ fill: UnsafeRawPointer,
    _ target: UnsafeMutableRawPointer, _ threads: ThreadPool
) {
    nonisolated(unsafe) let source = unsafe source.assumingMemoryBound(to: unit)
    nonisolated(unsafe) let target = unsafe target.assumingMemoryBound(to: unit)
    let fill = unsafe fill.loadUnaligned(as: unit)
    guard let columns = tables.last else { return unsafe target.update(repeating: source[0], count: 1) }
    let outer = tables.dropLast()
    let rows = outer.reduce(1) { $0 * $1.count }
    guard rows > 0, !columns.isEmpty else { return }
    let strides = shape.strides
    let pattern = RowPattern(columns, extent: shape[shape.rank - 1])
    let grain = max((128 << 10) / (columns.count * MemoryLayout<Unit>.stride), 1)
    threads.forEachRange(rows, grain: grain) { range in
        var previous: (offset: Int, row: UnsafeMutablePointer<Unit>)?
        for row in range {
            var rest = row
            var offset = 0
            var isFilled = false
            for axis in stride(from: outer.count - 1, through: 0, by: -1) {
                let index = outer[axis][rest % outer[axis].count]
                rest /= outer[axis].count
                if index < 0 { isFilled = true } else { offset += index * strides[axis] }
            }
            let to = unsafe target + row * columns.count
            if isFilled {
                unsafe to.update(repeating: fill, count: columns.count)
            } else if let previous = unsafe previous, unsafe previous.offset == offset {
                unsafe to.update(from: previous.row, count: columns.count)
            } else {
                unsafe pattern.write(source + offset, to, columns, fill)
                unsafe previous = unsafe (offset, to)
            }
        }
    }
}

/// How a row of the output follows from one of the input.
private enum RowPattern {
    case same
    case repeated(Int)
    case table

    init(_ table: [Int], extent: Int) {
        let factor = extent > 0 && table.count % extent == 0 ? table.count / extent : 0
        let isRepeated = factor > 0 && table.indices.allSatisfy { table[$0] == $0 / factor }
        self = isRepeated ? (factor == 1 ? .same : .repeated(factor)) : .table
    }

    @inline(__always)
    func write<Unit: BitwiseCopyable>(
        _ source: UnsafePointer<Unit>, _ target: UnsafeMutablePointer<Unit>, _ table: [Int], _ fill: Unit
    ) {
        switch self {
        case .same: unsafe target.update(from: source, count: table.count)
        case .repeated(2):
            for index in 0..<table.count / 2 {
                let element = unsafe source[index]
                unsafe target[2 &* index] = element
                unsafe target[2 &* index &+ 1] = element
            }
        case .repeated(let factor):
            for index in 0..<table.count / factor {
                unsafe (target + index * factor).update(repeating: source[index], count: factor)
            }
        case .table:
            for (place, index) in table.enumerated() { unsafe target[place] = unsafe index < 0 ? fill : source[index] }
        }
    }
}
