import GraphRuntime

/// What makes of an element's bits an unsigned number in the same order: equal where elements are, and largest of a NaN.
struct OrderKey<Bits: FixedWidthInteger & UnsignedInteger & TensorBits>: Sendable {
    /// The bit of the sign; 0 of types without one.
    let sign: Bits
    /// The bits of an infinity; nil of integers.
    let infinity: Bits?

    @inline(__always)
    func callAsFunction(_ bits: Bits) -> Bits {
        guard let infinity else { return bits ^ sign }
        let magnitude = bits & ~sign
        if magnitude > infinity { return .max }
        // Both zeros are one number.
        if magnitude == 0 { return sign }
        // All bits of negative numbers, the sign of others, without a branch that random signs would mislead.
        return bits ^ ((0 &- (bits >> (Bits.bitWidth - 1))) | sign)
    }
}

/// What is done with the bits of a tensor and their order.
protocol OrderedBitsVisitor {
    associatedtype Result
    func visit<Bits>(_ elements: TensorView<Bits>, _ key: OrderKey<Bits>) throws -> Result
}

extension Tensor {
    /// Calls a visitor with the elements' bits.
    ///
    /// - Throws: ``TensorError`` for types without an order, strings among them; what the visitor throws.
    func visitOrderedBits<Visitor: OrderedBitsVisitor>(_ visitor: Visitor) throws -> Visitor.Result {
        func visit<Bits: FixedWidthInteger & UnsignedInteger & TensorBits>(
            _ type: Bits.Type, isSigned: Bool = false, infinity: Bits? = nil
        ) throws -> Visitor.Result {
            let sign: Bits = isSigned ? 1 << (Bits.bitWidth - 1) : 0
            return try visitor.visit(view(ofBits: type), OrderKey(sign: sign, infinity: infinity))
        }
        switch dtype {
        case .uint8, .bool: return try visit(UInt8.self)
        case .uint16: return try visit(UInt16.self)
        case .uint32: return try visit(UInt32.self)
        case .uint64: return try visit(UInt64.self)
        case .int8: return try visit(UInt8.self, isSigned: true)
        case .int16: return try visit(UInt16.self, isSigned: true)
        case .int32: return try visit(UInt32.self, isSigned: true)
        case .int64: return try visit(UInt64.self, isSigned: true)
        case .float16: return try visit(UInt16.self, isSigned: true, infinity: 0x7c00)
        case .bfloat16: return try visit(UInt16.self, isSigned: true, infinity: 0x7f80)
        case .float32: return try visit(UInt32.self, isSigned: true, infinity: 0x7f80_0000)
        case .float64: return try visit(UInt64.self, isSigned: true, infinity: 0x7ff0_0000_0000_0000)
        default: throw TensorError("elements of type \(dtype) have no order")
        }
    }
}
