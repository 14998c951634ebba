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
    threads.forEachRange(rows, grain: max((128 << 10) / rowBytes, 1)) { range in
        for row in range {
            var rest = row
            var offset = 0
            var isFilled = false
            for axis in stride(from: last - 1, through: 0, by: -1) {
                let index = axes[axis][rest % axes[axis].count]
                rest /= axes[axis].count
                if index < 0 { isFilled = true } else { offset += index * strides[axis] }
            }
            let to = unsafe target + row * rowBytes
            let from = unsafe source + offset * width
            if isFilled {
                unsafe fillElements(to, count: rowBytes / width, with: fill, width: width)
                continue
            }
            func copy(_ side: PaddedAxis.Side, to first: Int) {
                let place = unsafe to + first * piece
                guard let indices = side.indices else {
                    return unsafe fillElements(place, count: side.count * piece / width, with: fill, width: width)
                }
                for (offset, index) in indices.enumerated() {
                    unsafe copyBytes(place + offset * piece, from + index * piece, piece)
                }
            }
            copy(padded.before, to: 0)
            let own = unsafe to + padded.before.count * piece
            unsafe own.copyMemory(from: from + padded.own.lowerBound * piece, byteCount: padded.own.count * piece)
            copy(padded.after, to: padded.before.count + padded.own.count)
        }
    }
}
