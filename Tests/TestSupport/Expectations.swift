import GraphRuntime
import Testing

/// Expects the same elements; a failure names the first that isn't, both values and the shape.
///
/// - Parameter shape: the extents by which elements are named, outermost first; one axis where nil.
public func expectEqual<Element: Equatable>(
    _ found: [Element], _ expected: [Element], shape: [Int]? = nil, _ title: @autoclosure () -> String = "",
    sourceLocation: SourceLocation = #_sourceLocation
) {
    record(ArrayDifference.between(found, expected, shape: shape), title(), sourceLocation)
}

/// Expects elements within a tolerance, NaN and infinities where they are expected.
public func expectClose<Found: BinaryFloatingPoint, Expected: BinaryFloatingPoint>(
    _ found: [Found], _ expected: [Expected], shape: [Int]? = nil, within tolerance: Tolerance,
    _ title: @autoclosure () -> String = "", sourceLocation: SourceLocation = #_sourceLocation
) {
    record(ArrayDifference.between(found, expected, shape: shape, within: tolerance), title(), sourceLocation)
}

/// Expects whole numbers, such as colours, that differ by `difference` at most.
///
/// - Parameter shape: the extents by which elements are named, outermost first; one axis where nil.
public func expectClose<Found: Sequence, Expected: Sequence>(
    _ found: Found, _ expected: Expected, shape: [Int]? = nil, within difference: Int,
    _ title: @autoclosure () -> String = "", sourceLocation: SourceLocation = #_sourceLocation
) where Found.Element: BinaryInteger, Expected.Element: BinaryInteger {
    let (found, expected) = (found.map { Double($0) }, expected.map { Double($0) })
    let tolerance = Tolerance(absolute: Double(difference))
    record(ArrayDifference.between(found, expected, shape: shape, within: tolerance), title(), sourceLocation)
}

/// Expects a tensor of these elements, of one axis or of `shape`.
public func expectEqual<Element: TensorElement & Equatable>(
    _ found: Tensor, _ expected: [Element], shape: [Int]? = nil, _ title: @autoclosure () -> String = "",
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    guard found.dtype == Element.dtype, shape == nil || shape == found.shape.dimensions else {
        let wanted = "\(Element.dtype)\(shape.map { "\($0)" } ?? "")"
        return record("found \(found.dtype)\(found.shape), expected \(wanted)", title(), sourceLocation)
    }
    expectEqual(
        try found.array(of: Element.self), expected, shape: found.shape.dimensions, title(), sourceLocation: sourceLocation)
}

/// Expects a floating-point tensor of these elements within a tolerance, of any shape with as many elements or of `shape`.
public func expectClose<Expected: BinaryFloatingPoint>(
    _ found: Tensor, _ expected: [Expected], shape: [Int]? = nil, within tolerance: Tolerance,
    _ title: @autoclosure () -> String = "", sourceLocation: SourceLocation = #_sourceLocation
) throws {
    if let shape, shape != found.shape.dimensions {
        return record("found shape \(found.shape), expected \(shape)", title(), sourceLocation)
    }
    let dimensions = found.shape.dimensions
    let difference =
        switch found.dtype {
        case .float64:
            ArrayDifference.between(try found.array(of: Double.self), expected, shape: dimensions, within: tolerance)
        case .float16:
            ArrayDifference.between(try found.array(of: Float16.self), expected, shape: dimensions, within: tolerance)
        case .bfloat16:
            ArrayDifference.between(
                try found.array(of: BFloat16.self).map(\.float), expected, shape: dimensions, within: tolerance)
        default: ArrayDifference.between(try found.array(of: Float.self), expected, shape: dimensions, within: tolerance)
        }
    record(difference, title(), sourceLocation)
}

/// Expects two tensors of the same type, shape and bits.
public func expectSame(
    _ found: Tensor, _ expected: Tensor, _ title: @autoclosure () -> String = "",
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    record(try TensorBits.difference(found, expected), title(), sourceLocation)
}

/// Expects an error whose description contains `text`.
public func expectError<Result>(
    _ text: String, _ title: @autoclosure () -> String = "", sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> Result
) {
    do {
        _ = try body()
        record("expected an error with \"\(text)\", found none", title(), sourceLocation)
    } catch {
        if "\(error)".contains(text) { return }
        record("expected an error with \"\(text)\", found \"\(error)\"", title(), sourceLocation)
    }
}

private func record(_ difference: String?, _ title: @autoclosure () -> String, _ sourceLocation: SourceLocation) {
    guard let difference else { return }
    let title = title()
    Issue.record(Comment(rawValue: title.isEmpty ? difference : "\(title): \(difference)"), sourceLocation: sourceLocation)
}
