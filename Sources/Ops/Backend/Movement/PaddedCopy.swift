import GraphRuntime

/// Fills a tensor from the elements that tables name for each axis, as ``ElementUnits/pad(from:shape:tables:fill:threads:)`` has checked.
///
/// - Parameters:
///   - source: row-major of shape `shape`.
///   - tables: none is empty.
///   - fill: the element for where a table has -1.
func padElements(
    _ source: UnsafeRawPointer, shape: Shape, tables: [[Int]], fill: UnsafeRawPointer, to target: UnsafeMutableRawPointer,
    width: Int, threads: ThreadPool
) {
    // Axes behind the last one that changes move as one piece.
    let whole = zip(tables, shape.dimensions).map { $0.count == $1 && ($1 == 0 || ($0.first == 0 && $0.last == $1 - 1)) }
    let last = whole.lastIndex(of: false) ?? 0
    guard shape.rank > 0 else { return unsafe target.copyMemory(from: source, byteCount: width) }
    let piece = shape.count(last + 1..<shape.rank) * width
    let table = tables[last]
    let rowBytes = table.count * piece
    // The run of the row that is the source's own.
    let start = table.firstIndex(of: 0) ?? table.count
    var run = 0
    while start + run < table.count, table[start + run] == run { run += 1 }
    let runCount = run
    let rows = tables[..<last].reduce(1) { $0 * $1.count }
    let strides = shape.strides
    guard rows > 0, rowBytes > 0 else { return }
    nonisolated(unsafe) let fill = unsafe fill
    nonisolated(unsafe) let source = unsafe source
    nonisolated(unsafe) let target = unsafe target
    threads.forEachRange(rows, grain: max((128 << 10) / rowBytes, 1)) { range in
        for row in range {
            var rest = row
            var offset = 0
            var isFilled = false
            for axis in stride(from: last - 1, through: 0, by: -1) {
                let index = tables[axis][rest % tables[axis].count]
                rest /= tables[axis].count
                if index < 0 { isFilled = true } else { offset += index * strides[axis] }
            }
            let to = unsafe target + row * rowBytes
            let from = unsafe source + offset * width
            if isFilled {
                unsafe fillElements(to, count: rowBytes / width, with: fill, width: width)
                continue
            }
            if runCount > 0 { unsafe (to + start * piece).copyMemory(from: from, byteCount: runCount * piece) }
            for position in [0..<start, (start + runCount)..<table.count].joined() {
                let index = table[position]
                if index < 0 {
                    unsafe fillElements(to + position * piece, count: piece / width, with: fill, width: width)
                } else {
                    unsafe copyBytes(to + position * piece, from + index * piece, piece)
                }
            }
        }
    }
}
