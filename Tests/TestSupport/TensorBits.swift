import GraphRuntime

/// Comparison of tensors to the bit, where 0 isn't -0 and one NaN isn't another.
enum TensorBits {
    static func difference(_ found: Tensor, _ expected: Tensor) throws -> String? {
        guard found.dtype == expected.dtype, found.shape == expected.shape else {
            return "found \(found.dtype)\(found.shape), expected \(expected.dtype)\(expected.shape)"
        }
        let shape = expected.shape.dimensions
        if let a = found.strings, let b = expected.strings { return ArrayDifference.between(a, b, shape: shape) }
        return switch expected.dtype {
        case .float32: try compare(found, expected, Float.self) { UInt64($0.bitPattern) }
        case .float64: try compare(found, expected, Double.self) { $0.bitPattern }
        case .float16: try compare(found, expected, Float16.self) { UInt64($0.bitPattern) }
        case .bfloat16: try compare(found, expected, BFloat16.self) { UInt64($0.bitPattern) }
        case .int8: try compare(found, expected, Int8.self)
        case .int16: try compare(found, expected, Int16.self)
        case .int32: try compare(found, expected, Int32.self)
        case .int64: try compare(found, expected, Int64.self)
        case .uint16: try compare(found, expected, UInt16.self)
        case .uint32: try compare(found, expected, UInt32.self)
        case .uint64: try compare(found, expected, UInt64.self)
        // Of the types that Swift has none for, the bytes.
        default: ArrayDifference.between(Array(found.bytes), Array(expected.bytes), shape: nil)
        }
    }

    private static func compare<Element: TensorElement>(
        _ found: Tensor, _ expected: Tensor, _ type: Element.Type, _ bits: (Element) -> UInt64
    ) throws -> String? {
        let (a, b) = (try found.array(of: type), try expected.array(of: type))
        return ArrayDifference.report(a, b, shape: expected.shape.dimensions) { bits(a[$0]) == bits(b[$0]) ? nil : 0 }
    }

    private static func compare<Element: TensorElement & FixedWidthInteger>(
        _ found: Tensor, _ expected: Tensor, _ type: Element.Type
    ) throws -> String? {
        try compare(found, expected, type) { UInt64(truncatingIfNeeded: $0) }
    }
}
