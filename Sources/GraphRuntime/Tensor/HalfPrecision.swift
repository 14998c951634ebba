/// Conversions of whole tensors between single precision and the two 16-bit formats, on bit patterns: the loops vectorise on every
/// instruction set, where conversions of single elements may be calls.
public enum HalfPrecision {
    /// A float32 tensor with the values of a float16 or bfloat16 one; every other tensor as it is.
    public static func widen(_ tensor: Tensor) throws -> Tensor {
        guard tensor.dtype == .float16 || tensor.dtype == .bfloat16 else { return tensor }
        let result = try MutableTensor(dtype: .float32, shape: tensor.shape)
        try widen(tensor, into: result)
        return try result.finish()
    }

    /// - Throws: ``TensorError`` where `source` isn't of a 16-bit float type or `target` isn't float32 of the same size.
    public static func widen(_ source: Tensor, into target: MutableTensor) throws {
        guard source.count == target.count else { throw TensorError("can't widen \(source.shape) into \(target.shape)") }
        try target.withMutableSpan(of: Float.self) { floats in
            switch source.dtype {
            // Views, as weights in a file may be misaligned and spans would copy them.
            case .float16:
                let halves = try source.view(of: Float16.self)
                for index in 0..<floats.count { floats[index] = single(halves[index].bitPattern) }
            case .bfloat16:
                let halves = try source.view(of: BFloat16.self)
                for index in 0..<floats.count { floats[index] = halves[index].float }
            default: throw TensorError("expected float16 or bfloat16, found \(source.dtype)")
            }
        }
    }

    /// Rounds to nearest, ties to even.
    ///
    /// - Throws: ``TensorError`` where `source` isn't float32 or `target` isn't of a 16-bit float type of the same size.
    public static func narrow(_ source: Tensor, into target: MutableTensor) throws {
        guard source.count == target.count else { throw TensorError("can't narrow \(source.shape) into \(target.shape)") }
        try source.withSpan(of: Float.self) { floats in
            switch target.dtype {
            case .float16:
                try target.withMutableSpan(of: Float16.self) { halves in
                    for index in 0..<floats.count { halves[index] = Float16(bitPattern: half(floats[index])) }
                }
            case .bfloat16:
                try target.withMutableSpan(of: BFloat16.self) { halves in
                    for index in 0..<floats.count { halves[index] = BFloat16(floats[index]) }
                }
            default: throw TensorError("expected float16 or bfloat16, found \(target.dtype)")
            }
        }
    }

    /// Moves the exponent and significand into place and multiplies by 2^112, which makes up for the difference of the biases and
    /// normalises subnormal numbers on the way.
    @inline(__always)
    static func single(_ half: UInt16) -> Float {
        let bits = UInt32(half)
        let magnitude = Float(bitPattern: (bits & 0x7FFF) << 13) * Float(bitPattern: 0x7780_0000)
        let isSpecial = (bits & 0x7C00) == 0x7C00
        let special = 0x7F80_0000 | ((bits & 0x3FF) << 13)
        let result = isSpecial ? special : magnitude.bitPattern
        return Float(bitPattern: result | ((bits & 0x8000) << 16))
    }

    /// Rounds by adding a number whose unit in the last place is the half's: the hardware's own rounding does the rest.
    @inline(__always)
    static func half(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        let sign = UInt16(truncatingIfNeeded: (bits >> 16) & 0x8000)
        let magnitude = bits & 0x7FFF_FFFF
        // Subnormal in half precision: below 2^-14. Adding 0.5 leaves the half's bits at the end of the significand.
        let subnormal = (Float(bitPattern: magnitude) + 0.5).bitPattern &- 0x3F00_0000
        let odd = (magnitude >> 13) & 1
        let normal = (magnitude &+ 0xC800_0FFF &+ odd) >> 13
        let finite = magnitude < 0x3880_0000 ? subnormal : normal
        let special: UInt32 = magnitude > 0x7F80_0000 ? 0x7E00 : 0x7C00
        return sign | UInt16(truncatingIfNeeded: magnitude >= 0x4780_0000 ? special : finite)
    }
}
