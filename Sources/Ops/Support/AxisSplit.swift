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
