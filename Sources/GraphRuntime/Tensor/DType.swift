/// The element types of ONNX tensors, with `TensorProto.DataType`'s numbers as raw values (ONNX IR versions 3 to 13).
public enum DType: Int32, Sendable, CaseIterable {
    /// Single precision, IEEE 754 binary32.
    case float32 = 1
    /// 0 to 255.
    case uint8 = 2
    /// -128 to 127.
    case int8 = 3
    /// 0 to 65535.
    case uint16 = 4
    /// -32768 to 32767.
    case int16 = 5
    /// -2³¹ to 2³¹ - 1.
    case int32 = 6
    /// -2⁶³ to 2⁶³ - 1; shapes, axes and indices are of this type.
    case int64 = 7
    /// Texts, which are kept beside the storage: ``Tensor/strings``.
    case string = 8
    /// A byte that is 0 or 1.
    case bool = 9
    /// Half precision, IEEE 754 binary16.
    case float16 = 10
    /// Double precision, IEEE 754 binary64.
    case float64 = 11
    /// 0 to 2³² - 1.
    case uint32 = 12
    /// 0 to 2⁶⁴ - 1.
    case uint64 = 13
    /// Two of ``float32``, the real part first.
    case complex64 = 14
    /// Two of ``float64``, the real part first.
    case complex128 = 15
    /// The upper half of ``float32``: 8 bits of exponent, 7 of fraction.
    case bfloat16 = 16
    /// 4 bits of exponent, 3 of fraction, no infinities (Micikevicius et al. 2022, "FP8 Formats for Deep Learning").
    case float8E4M3FN = 17
    /// 4 bits of exponent, 3 of fraction, no infinities and no -0 (Noune et al. 2022, "8-bit Numerical Formats for Deep Neural
    /// Networks").
    case float8E4M3FNUZ = 18
    /// 5 bits of exponent, 2 of fraction: the upper half of ``float16``.
    case float8E5M2 = 19
    /// 5 bits of exponent, 2 of fraction, no infinities and no -0.
    case float8E5M2FNUZ = 20
    /// 0 to 15, two to a byte.
    case uint4 = 21
    /// -8 to 7, two to a byte.
    case int4 = 22
    /// 2 bits of exponent, 1 of fraction, two to a byte (OCP Microscaling Formats 1.0).
    case float4E2M1 = 23
    /// A power of two, 2⁻¹²⁷ to 2¹²⁷, or NaN (OCP Microscaling Formats 1.0).
    case float8E8M0 = 24
    /// 0 to 3, four to a byte.
    case uint2 = 25
    /// -2 to 1, four to a byte.
    case int2 = 26

    /// Bits an element takes in storage; 4-bit types are packed two to a byte and 2-bit types four, the lowest bits first. Strings take none.
    public var bitWidth: Int {
        switch self {
        case .string: 0
        case .uint2, .int2: 2
        case .uint4, .int4, .float4E2M1: 4
        case .uint8, .int8, .bool, .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ, .float8E8M0: 8
        case .uint16, .int16, .float16, .bfloat16: 16
        case .float32, .int32, .uint32: 32
        case .float64, .int64, .uint64, .complex64: 64
        case .complex128: 128
        }
    }

    /// Bytes that `count` elements take, or nil where that overflows.
    public func byteCount(of count: Int) -> Int? {
        let (bits, overflow) = count.multipliedReportingOverflow(by: bitWidth)
        guard !overflow, bits <= Int.max - 7 else { return nil }
        return (bits + 7) / 8
    }

    /// Whether it is one of the formats with an exponent, of any width; complex numbers aren't.
    public var isFloatingPoint: Bool {
        switch self {
        case .float16, .bfloat16, .float32, .float64, .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ, .float4E2M1,
            .float8E8M0:
            true
        default: false
        }
    }

    /// Whether it is a whole number of any width; bool isn't.
    public var isInteger: Bool {
        switch self {
        case .uint2, .int2, .uint4, .int4, .uint8, .int8, .uint16, .int16, .uint32, .int32, .uint64, .int64: true
        default: false
        }
    }
}

extension DType: CustomStringConvertible {
    public var description: String {
        switch self {
        case .float8E4M3FN: "float8e4m3fn"
        case .float8E4M3FNUZ: "float8e4m3fnuz"
        case .float8E5M2: "float8e5m2"
        case .float8E5M2FNUZ: "float8e5m2fnuz"
        case .float4E2M1: "float4e2m1"
        case .float8E8M0: "float8e8m0"
        case .float32: "float32"
        case .uint8: "uint8"
        case .int8: "int8"
        case .uint16: "uint16"
        case .int16: "int16"
        case .int32: "int32"
        case .int64: "int64"
        case .string: "string"
        case .bool: "bool"
        case .float16: "float16"
        case .float64: "float64"
        case .uint32: "uint32"
        case .uint64: "uint64"
        case .complex64: "complex64"
        case .complex128: "complex128"
        case .bfloat16: "bfloat16"
        case .uint4: "uint4"
        case .int4: "int4"
        case .uint2: "uint2"
        case .int2: "int2"
        }
    }
}

extension DType {
    /// Whether it is float16 or bfloat16.
    package var isHalf: Bool { self == .float16 || self == .bfloat16 }
}
