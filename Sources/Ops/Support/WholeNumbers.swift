import GraphRuntime

extension Tensor {
    /// The elements of a tensor of any number type, brought to integers; what has no place in an `Int` becomes `Int.min`.
    ///
    /// - Throws: ``TensorError`` for types that aren't numbers.
    func wholeNumbers() throws -> [Int] {
        func integers<Element: TensorElement & BinaryInteger>(_ type: Element.Type) throws -> [Int] {
            try array(of: type).map { Int(exactly: $0) ?? Int.min }
        }
        switch dtype {
        case .int8: return try integers(Int8.self)
        case .int16: return try integers(Int16.self)
        case .int32: return try integers(Int32.self)
        case .int64: return try integers(Int64.self)
        case .uint8: return try integers(UInt8.self)
        case .uint16: return try integers(UInt16.self)
        case .uint32: return try integers(UInt32.self)
        case .uint64: return try integers(UInt64.self)
        case .bool: return try array(of: Bool.self).map { $0 ? 1 : 0 }
        case .float64: return try array(of: Double.self).map { Int(exactly: $0.rounded(.towardZero)) ?? Int.min }
        case .float32, .float16, .bfloat16:
            return try HalfPrecision.widen(self).array(of: Float.self).map { Int(exactly: $0.rounded(.towardZero)) ?? Int.min }
        default: throw TensorError("expected numbers, found \(dtype)\(shape)")
        }
    }

    /// The one element of an integer tensor.
    ///
    /// - Throws: ``TensorError`` where there are more or fewer, or it is of another type.
    func integer(_ name: String) throws -> Int {
        let values = try wholeNumbers()
        guard values.count == 1 else { throw TensorError("\(name) should be one number, found \(dtype)\(shape)") }
        return values[0]
    }

    /// Numbers that stand in the same order as the elements, equal where those are equal; NaNs are equal and come last.
    ///
    /// - Throws: ``TensorError`` for types without an order.
    func orderKeys() throws -> [UInt64] {
        func integers<Element: TensorElement & FixedWidthInteger>(_ type: Element.Type) throws -> [UInt64] {
            if Element.isSigned {
                return try array(of: type).map { UInt64(bitPattern: Int64($0)) ^ (1 << 63) }
            }
            return try array(of: type).map { UInt64($0) }
        }
        func key(_ value: Double) -> UInt64 {
            if value.isNaN { return .max }
            // Adding 0 makes a positive zero of a negative one.
            let bits = (value + 0).bitPattern
            return bits >> 63 == 1 ? ~bits : bits | (1 << 63)
        }
        switch dtype {
        case .int8: return try integers(Int8.self)
        case .int16: return try integers(Int16.self)
        case .int32: return try integers(Int32.self)
        case .int64: return try integers(Int64.self)
        case .uint8: return try integers(UInt8.self)
        case .uint16: return try integers(UInt16.self)
        case .uint32: return try integers(UInt32.self)
        case .uint64: return try integers(UInt64.self)
        case .bool: return try array(of: Bool.self).map { $0 ? 1 : 0 }
        case .float64: return try array(of: Double.self).map(key)
        case .float32, .float16, .bfloat16: return try HalfPrecision.widen(self).array(of: Float.self).map { key(Double($0)) }
        case .string:
            let strings = strings ?? []
            // Code units, as other runtimes compare; Swift's own order would equate what Unicode calls equivalent.
            let sorted = Set(strings.map { Array($0.utf8) }).sorted { $0.lexicographicallyPrecedes($1) }
            let ranks = Dictionary(sorted.enumerated().map { ($1, UInt64($0)) }, uniquingKeysWith: { first, _ in first })
            return strings.map { ranks[Array($0.utf8)] ?? 0 }
        default: throw TensorError("elements of type \(dtype) have no order")
        }
    }
}

/// An index that may count from the end, as a number in 0..<extent.
///
/// - Throws: ``TensorError`` that names index and extent where it is outside.
@inline(__always)
func checkedIndex(_ index: Int, extent: Int) throws(TensorError) -> Int {
    guard index >= -extent, index < extent else {
        throw TensorError("index \(index) is outside of an axis of extent \(extent)")
    }
    return index < 0 ? index + extent : index
}
