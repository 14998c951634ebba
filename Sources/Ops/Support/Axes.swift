import GraphRuntime

extension OperatorDefinition {
    /// The same operator for several since-versions.
    static func all(
        _ type: String, since versions: [Int], decode: @escaping @Sendable (inout NodeDecoder) throws -> any Operator
    ) -> [OperatorDefinition] {
        versions.map { OperatorDefinition(type, since: $0, decode: decode) }
    }
}

extension Shape {
    /// Axes that may count from the end, each as a number in 0..<rank, in the order given.
    ///
    /// - Throws: ``TensorError`` where one is outside of the shape or named twice.
    func distinctAxes(_ axes: [Int]) throws(TensorError) -> [Int] {
        var seen: Set<Int> = []
        var result: [Int] = []
        for given in axes {
            let axis = try axis(given)
            guard seen.insert(axis).inserted else { throw TensorError("axis \(given) is named twice in \(axes)") }
            result.append(axis)
        }
        return result
    }

    /// A copy with one extent replaced.
    func replacing(_ axis: Int, with extent: Int) throws(TensorError) -> Shape {
        var dimensions = dimensions
        dimensions[axis] = extent
        return try Shape(dimensions)
    }

    /// Extents of a shape around an axis: the product before it, its own, the product behind it.
    func split(at axis: Int) -> (outer: Int, extent: Int, inner: Int) {
        (count(0..<axis), dimensions[axis], count(axis + 1..<rank))
    }
}

/// A sum that stops at the ends of `Int` instead of overflowing.
func saturatingAdd(_ a: Int, _ b: Int) -> Int {
    let (sum, overflow) = a.addingReportingOverflow(b)
    return overflow ? (a < 0 ? Int.min : Int.max) : sum
}

/// - Throws: ``TensorError`` where the product overflows.
func checkedProduct(_ a: Int, _ b: Int) throws(TensorError) -> Int {
    let (product, overflow) = a.multipliedReportingOverflow(by: b)
    guard !overflow else { throw TensorError("the product of \(a) and \(b) is too large") }
    return product
}

/// A product of numbers that aren't negative, which stops at the largest `Int`.
func saturatingMultiply(_ a: Int, _ b: Int) -> Int {
    let (product, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? Int.max : product
}
