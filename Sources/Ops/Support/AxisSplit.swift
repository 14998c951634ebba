import GraphRuntime

/// A row-major tensor seen along one axis, or several neighbouring ones: `outer` blocks of `count` rows of `inner` elements.
struct AxisSplit {
    let outer: Int
    let count: Int
    let inner: Int

    init(_ shape: Shape, axis: Int) { self.init(shape, axes: axis..<axis + 1) }

    init(_ shape: Shape, axes: Range<Int>) {
        outer = shape.count(0..<axes.lowerBound)
        count = shape.count(axes)
        inner = shape.count(axes.upperBound..<shape.rank)
    }
}

/// The lines along an axis in bands of neighbours, which are worked off row by row: memory is then read as it lies.
struct AxisBands {
    private let split: AxisSplit
    /// Bands of each row.
    private let pieces: Int

    /// Lines of a band: their rows are whole cache lines, and the first-level cache keeps a few of them.
    private static let width = 512

    init(_ split: AxisSplit) {
        self.split = split
        pieces = (split.inner + Self.width - 1) / Self.width
    }

    var count: Int { split.outer * pieces }
    /// Bands that are worth a thread's attention.
    var grain: Int { max(BroadcastPlan.grain / (min(split.inner, Self.width) * max(split.count, 1)), 1) }

    /// The first element of a band's first row, and how many lines it has.
    subscript(band: Int) -> (first: Int, width: Int) {
        let start = band % pieces * Self.width
        return (band / pieces * split.count * split.inner + start, min(Self.width, split.inner - start))
    }
}
