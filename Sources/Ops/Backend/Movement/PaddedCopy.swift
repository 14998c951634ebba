import GraphRuntime

/// Fills a tensor from the elements that padded axes name, as ``ElementUnits/pad(from:shape:axes:fill:threads:)`` has checked.
///
/// - Parameters:
///   - source: row-major of shape `shape`.
///   - axes: of `shape`, none empty.
///   - fill: the constant.
func padElements(
    _ source: UnsafeRawPointer, shape: Shape, axes: [PaddedAxis], fill: UnsafeRawPointer, to target: UnsafeMutableRawPointer,
    width: Int, threads: ThreadPool
) {
    // Axes behind the last one that changes move as one piece.
    let last = axes.lastIndex { !$0.isWhole } ?? 0
    guard shape.rank > 0 else { return unsafe target.copyMemory(from: source, byteCount: width) }
    let piece = shape.count(last + 1..<shape.rank) * width
    let padded = axes[last]
    let rowBytes = padded.count * piece
    let rows = axes[..<last].reduce(1) { $0 * $1.count }
    let strides = shape.strides
    guard rows > 0, rowBytes > 0 else { return }
    nonisolated(unsafe) let fill = unsafe fill
    nonisolated(unsafe) let source = unsafe source
    nonisolated(unsafe) let target = unsafe target
    let neighbours = last == 0 ? 1 : axes[last - 1].count
    threads.forEachRange(rows, grain: max((128 << 10) / rowBytes, 1)) { range in
        var row = range.lowerBound
        while row < range.upperBound {
            // Rows beside each other share the places of all axes but the last one before the row's own.
            let end = min(row - row % neighbours + neighbours, range.upperBound)
            var (rest, offset, isOutside) = (row / neighbours, 0, false)
            for axis in stride(from: last - 2, through: 0, by: -1) {
                let index = axes[axis][rest % axes[axis].count]
                rest /= axes[axis].count
                if index < 0 { isOutside = true } else { offset += index * strides[axis] }
            }
            var place = row % neighbours
            while row < end {
                let index = last == 0 ? 0 : axes[last - 1][place]
                let to = unsafe target + row * rowBytes
                if isOutside || index < 0 {
                    unsafe fillElements(to, count: rowBytes / width, with: fill, width: width)
                } else {
                    let from = unsafe source + (offset + (last == 0 ? 0 : index * strides[last - 1])) * width
                    unsafe padRow(padded, from, piece: piece, fill: fill, to: to, width: width)
                }
                row += 1
                place += 1
            }
        }
    }
}

/// Pads along the last axis that changes.
///
/// - Parameter piece: bytes of what lies behind that axis.
@inline(__always)
private func padRow(
    _ axis: PaddedAxis, _ source: UnsafeRawPointer, piece: Int, fill: UnsafeRawPointer, to target: UnsafeMutableRawPointer,
    width: Int
) {
    func pad(_ side: PaddedAxis.Side, at first: Int) {
        guard side.count > 0 else { return }
        let place = unsafe target + first * piece
        guard let indices = side.indices else {
            return unsafe fillElements(place, count: side.count * piece / width, with: fill, width: width)
        }
        for offset in indices.indices { unsafe copyBytes(place + offset * piece, source + indices[offset] * piece, piece) }
    }
    pad(axis.before, at: 0)
    unsafe (target + axis.before.count * piece).copyMemory(
        from: source + axis.own.lowerBound * piece, byteCount: axis.own.count * piece)
    pad(axis.after, at: axis.before.count + axis.own.count)
}
