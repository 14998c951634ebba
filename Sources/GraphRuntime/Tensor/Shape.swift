/// The extents of a tensor, outermost first; an empty shape is a scalar.
///
/// Invariant: there are at most ``largestRank`` extents, none is negative, and their product fits an `Int`.
public struct Shape: Sendable, Hashable {
    /// The extents, outermost first; each 0 or more.
    public let dimensions: [Int]
    /// The number of elements: the product of the extents, 1 for a scalar.
    public let count: Int

    /// The most axes: as many as arrays of numpy have.
    public static let largestRank = 64

    /// No axes, one element.
    public static let scalar = Shape(unchecked: [], count: 1)

    /// - Throws: ``TensorError`` for a negative extent, a product that overflows or more than ``largestRank`` axes.
    public init(_ dimensions: [Int]) throws(TensorError) {
        guard dimensions.count <= Self.largestRank else {
            throw TensorError("a shape has \(dimensions.count) axes, expected at most \(Self.largestRank)")
        }
        var count = 1
        var hasZero = false
        for extent in dimensions {
            guard extent >= 0 else { throw TensorError("shape \(dimensions) has a negative extent") }
            if extent == 0 { hasZero = true; continue }
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            // A tensor of 2^48 elements fits no machine; refusing it here keeps all later byte arithmetic from overflowing.
            guard !overflow, product <= 1 << 48 else { throw TensorError("shape \(dimensions) has too many elements") }
            count = product
        }
        self.dimensions = dimensions
        self.count = hasZero ? 0 : count
    }

    init(unchecked dimensions: [Int], count: Int) {
        self.dimensions = dimensions
        self.count = count
    }

    /// The number of axes, 0 for a scalar.
    public var rank: Int { dimensions.count }

    /// The extent of an axis, counted from the outermost; it must be in `0..<rank`.
    @inlinable
    public subscript(axis: Int) -> Int { dimensions[axis] }

    /// Elements to step over to move by one along each axis of a row-major tensor.
    public var strides: [Int] {
        var strides = [Int](repeating: 1, count: rank)
        var step = 1
        for axis in stride(from: rank - 1, through: 0, by: -1) {
            strides[axis] = step
            step *= max(dimensions[axis], 1)
        }
        return strides
    }

    /// The product of the extents in `axes`, 1 for an empty range.
    public func count(_ axes: Range<Int>) -> Int { dimensions[axes].reduce(1, *) }

    /// An axis that may count from the end, as a number in 0..<rank.
    ///
    /// - Throws: ``TensorError`` where the axis is outside of -rank..<rank.
    public func axis(_ axis: Int) throws(TensorError) -> Int {
        guard axis >= -rank, axis < rank else {
            throw TensorError("axis \(axis) is outside of the \(rank) axes of \(self)")
        }
        return axis < 0 ? axis + rank : axis
    }

    /// The shape that two shapes broadcast to (ONNX "multidirectional broadcasting").
    public func broadcast(with other: Shape) throws(TensorError) -> Shape {
        if self == other { return self }
        let rank = max(rank, other.rank)
        var result = [Int](repeating: 1, count: rank)
        for back in 1...max(rank, 1) where back <= rank {
            let a = back <= self.rank ? dimensions[self.rank - back] : 1
            let b = back <= other.rank ? other.dimensions[other.rank - back] : 1
            guard a == b || a == 1 || b == 1 else { throw TensorError("shapes \(self) and \(other) don't broadcast") }
            result[rank - back] = a == 1 ? b : a
        }
        return try Shape(result)
    }

    /// The strides with which a row-major tensor of this shape is read as if it had the shape `target` that it broadcasts to.
    public func broadcastStrides(to target: Shape) -> [Int] {
        let own = strides
        var result = [Int](repeating: 0, count: target.rank)
        for back in 1...max(rank, 1) where back <= rank && back <= target.rank {
            if dimensions[rank - back] != 1 { result[target.rank - back] = own[rank - back] }
        }
        return result
    }
}

extension Shape: CustomStringConvertible {
    public var description: String { "[" + dimensions.map(String.init).joined(separator: ", ") + "]" }
}
