/// What is different between two arrays of one shape, in a sentence that says where.
public enum ArrayDifference {
    /// The first pair of elements that differ and the largest difference, or nil where there is none. Two NaN are equal, and an
    /// infinity only equals itself.
    ///
    /// - Parameter shape: the extents by which elements are named, outermost first; `[found.count]` where nil.
    public static func between<Found: BinaryFloatingPoint, Expected: BinaryFloatingPoint>(
        _ found: [Found], _ expected: [Expected], shape: [Int]? = nil, within tolerance: Tolerance
    ) -> String? {
        let (numbers, wanted) = (doubles(found), doubles(expected))
        let largest = wanted.reduce(0) { $1.isFinite ? max($0, abs($1)) : $0 }
        let bound = tolerance.absolute + tolerance.ofLargest * largest
        return report(found, expected, shape: shape) { index in
            let (a, b) = (numbers[index], wanted[index])
            if a == b || a.isNaN && b.isNaN { return nil }
            let difference = abs(a - b)
            // An infinite element has an infinite share of itself, so that only finite ones have room.
            if difference.isFinite, difference <= bound + tolerance.relative * abs(b) { return nil }
            return difference.isNaN ? .infinity : difference
        }
    }

    /// The first pair of elements that differ, or nil where there is none. What doesn't equal itself, as NaN, equals its like.
    public static func between<Element: Equatable>(_ found: [Element], _ expected: [Element], shape: [Int]? = nil) -> String? {
        report(found, expected, shape: shape) { index in
            let (a, b) = (found[index], expected[index])
            return a == b || (a != a && b != b) ? nil : distance(a, b)
        }
    }

    /// The sentence. `difference` is nil for an element as it should be, and infinite where no number says how far off it is.
    static func report<Found, Expected>(
        _ found: [Found], _ expected: [Expected], shape: [Int]?, _ difference: (Int) -> Double?
    ) -> String? {
        let shape = shape ?? [expected.count]
        guard found.count == expected.count else {
            return "found \(found.count) elements, expected \(expected.count) of shape \(shape)"
        }
        var first: Int?
        var count = 0
        var worst = (index: 0, difference: -1.0)
        for index in expected.indices {
            guard let difference = difference(index) else { continue }
            count += 1
            if first == nil { first = index }
            if difference > worst.difference { worst = (index, difference) }
        }
        guard let first else { return nil }
        func pair(_ index: Int) -> String { "\(place(index, shape)): found \(found[index]), expected \(expected[index])" }
        var text = "\(count) of \(expected.count) elements of shape \(shape) differ; first \(pair(first))"
        if worst.index != first { text += "; most \(pair(worst.index))" }
        return text
    }

    /// The index of an element along each axis, as `[0, 3, 1]`; the number of the element where the shape has another count.
    static func place(_ index: Int, _ shape: [Int]) -> String {
        guard !shape.contains(0), shape.reduce(1, *) > index else { return "[\(index)]" }
        var rest = index
        var place: [Int] = []
        for extent in shape.reversed() {
            place.append(rest % extent)
            rest /= extent
        }
        return "\(Array(place.reversed()))"
    }

    // The casts make the common types' loops the compiler's own: converted as generic numbers, large arrays would take seconds.
    private static func doubles<Number: BinaryFloatingPoint>(_ values: [Number]) -> [Double] {
        if let values = values as? [Double] { return values }
        if let values = values as? [Float] { return values.map { Double($0) } }
        return values.map { Double($0) }
    }

    private static func distance<Element>(_ a: Element, _ b: Element) -> Double {
        switch (a, b) {
        case (let a as any BinaryInteger, let b as any BinaryInteger): return magnitude(Double(a) - Double(b))
        case (let a as any BinaryFloatingPoint, let b as any BinaryFloatingPoint): return magnitude(Double(a) - Double(b))
        default: return .infinity
        }
    }

    private static func magnitude(_ difference: Double) -> Double { difference.isNaN ? .infinity : abs(difference) }
}
