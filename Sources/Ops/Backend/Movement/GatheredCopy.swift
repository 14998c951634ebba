import GraphRuntime

/// Copies the slices that `indices` name along an axis, as ``ElementUnits/gather(from:outer:extent:inner:indices:threads:)`` has checked.
///
/// - Parameter bytes: of a slice.
func gatherSlices(
    _ source: UnsafeRawPointer, outer: Int, extent: Int, bytes: Int, indices: [Int], to target: UnsafeMutableRawPointer,
    threads: ThreadPool
) {
    nonisolated(unsafe) let source = unsafe source
    nonisolated(unsafe) let target = unsafe target
    threads.forEachRange(outer * indices.count, grain: max((128 << 10) / bytes, 1)) { range in
        unsafe indices.withUnsafeBufferPointer { indices in
            var row = range.lowerBound / indices.count
            var column = range.lowerBound % indices.count
            for position in range {
                unsafe copyBytes(target + position * bytes, source + (row * extent + indices[column]) * bytes, bytes)
                column += 1
                if column == indices.count { (row, column) = (row + 1, 0) }
            }
        }
    }
}
