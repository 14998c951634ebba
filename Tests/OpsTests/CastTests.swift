import GraphRuntime
import Ops
import TestSupport
import Testing

struct CastTests {
    private func cast(_ x: Tensor, to dtype: DType, saturate: Bool = true) throws -> Tensor {
        let attributes = NodeAttributes(["to": .int(Int64(dtype.rawValue)), "saturate": .int(saturate ? 1 : 0)])
        return try run("Cast", version: 19, attributes: attributes, inputs: [x])[0]
    }

    private func bytes(_ tensor: Tensor) -> [UInt8] { Array(tensor.bytes) }

    @Test func floatsOutOfRangeAndNaNBecomeSomething() throws {
        let x = try floats([.nan, .infinity, -.infinity, 3e9, -1.9, 255.9], [6])
        try expectEqual(cast(x, to: .int64), [0, .max, .min, 3_000_000_000, -1, 255] as [Int64])
        #expect(try cast(x, to: .uint8).array(of: UInt8.self)[4...] == [255, 255])
        try expectEqual(cast(x, to: .bool), [true, true, true, true, true, true] as [Bool])
        try expectEqual(cast(floats([0, -0.0, 0.1], [3]), to: .bool), [false, false, true] as [Bool])
    }

    /// A number of any type, as the widest of its kind.
    private enum Number {
        case real(Double), signed(Int64), unsigned(UInt64)

        static func all(of tensor: Tensor) throws -> [Number] {
            switch tensor.dtype {
            case .float32: try tensor.array(of: Float.self).map { .real(Double($0)) }
            case .float64: try tensor.array(of: Double.self).map { .real($0) }
            case .uint64: try tensor.array(of: UInt64.self).map { .unsigned($0) }
            case .int8: try tensor.array(of: Int8.self).map { .signed(Int64($0)) }
            case .int16: try tensor.array(of: Int16.self).map { .signed(Int64($0)) }
            case .int32: try tensor.array(of: Int32.self).map { .signed(Int64($0)) }
            case .int64: try tensor.array(of: Int64.self).map { .signed($0) }
            case .uint8: try tensor.array(of: UInt8.self).map { .signed(Int64($0)) }
            case .uint16: try tensor.array(of: UInt16.self).map { .signed(Int64($0)) }
            default: try tensor.array(of: UInt32.self).map { .signed(Int64($0)) }
            }
        }

        /// Its lowest bits as an integer: out of range the nearest of int64, or of uint64 where that is asked for.
        func bits(unsigned: Bool) -> UInt64 {
            switch self {
            case .signed(let value): return UInt64(bitPattern: value)
            case .unsigned(let value): return value
            case .real(let value):
                if value.isNaN { return 0 }
                if unsigned, value >= 0 { return value >= 0x1p64 ? .max : UInt64(value) }
                let clamped = value >= 0x1p63 ? Int64.max : value < -0x1p63 ? .min : Int64(value)
                return UInt64(bitPattern: clamped)
            }
        }

        var float: Float {
            switch self {
            case .real(let value): Float(value)
            case .signed(let value): Float(value)
            case .unsigned(let value): Float(value)
            }
        }

        var double: Double {
            switch self {
            case .real(let value): value
            case .signed(let value): Double(value)
            case .unsigned(let value): Double(value)
            }
        }
    }

    private static let numbers: [DType] = [
        .float32, .float64, .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64,
    ]

    /// Every type to every other, at a length that is no multiple of a vector's, with and without numbers that are out of range.
    @Test(arguments: numbers, [false, true]) func everyTypeToEveryOther(source: DType, isExtreme: Bool) throws {
        let extremes: [Double] = [
            .nan, .infinity, -.infinity, -0.0, 0x1p31, -0x1p31, -0x1p31 - 1, 0x1p31 - 1, 0x1p63, -0x1p63, 0x1p64, 3e9, -3e9,
            1e300,
            255.9, -0.9, 16_777_217, 0x1p53 + 1, 70000.5,
        ]
        let count = 1003
        let values = (0..<count).map { index -> Double in
            if isExtreme, index % 5 == 2, index > 300 { return extremes[index / 5 % extremes.count] }
            return Double(index * 7919 % 513) - 256 + Double(index % 4) / 4
        }
        // Int64s of all bits, which doubles haven't.
        let whole = (0..<count).map { Int64(truncatingIfNeeded: UInt64($0) &* 0x9E37_79B9_7F4A_7C15) >> ($0 % 60) }
        let isFloat = source == .float32 || source == .float64
        let x = try cast(isFloat ? Tensor(values) : Tensor(isExtreme ? whole : values.map { Int64($0) }), to: source)
        let given = try Number.all(of: x)
        for target in Self.numbers + [.bool] where target != source {
            let found = try cast(x, to: target)
            let title = "\(source) to \(target)"
            switch target {
            case .float32: try expectSame(found, Tensor(given.map { $0.float }), title)
            case .float64: try expectSame(found, Tensor(given.map { $0.double }), title)
            case .bool: try expectEqual(found, given.map { $0.double != 0 }, title)
            default:
                let bits = given.map { $0.bits(unsigned: target == .uint64) }
                let expected: Tensor
                switch target {
                case .int8: expected = try Tensor(bits.map { Int8(truncatingIfNeeded: $0) })
                case .int16: expected = try Tensor(bits.map { Int16(truncatingIfNeeded: $0) })
                case .int32: expected = try Tensor(bits.map { Int32(truncatingIfNeeded: $0) })
                case .int64: expected = try Tensor(bits.map { Int64(truncatingIfNeeded: $0) })
                case .uint8: expected = try Tensor(bits.map { UInt8(truncatingIfNeeded: $0) })
                case .uint16: expected = try Tensor(bits.map { UInt16(truncatingIfNeeded: $0) })
                case .uint32: expected = try Tensor(bits.map { UInt32(truncatingIfNeeded: $0) })
                default: expected = try Tensor(bits)
                }
                try expectSame(found, expected, title)
            }
        }
    }

    @Test func integersKeepTheirLowBits() throws {
        try expectEqual(cast(Tensor([Int16(200), -1, 256]), to: .int8), [-56, -1, 0] as [Int8])
        try expectEqual(cast(Tensor([UInt64.max, 5]), to: .float32), [0x1p64, 5] as [Float])
        try expectEqual(cast(Tensor([Int64.min]), to: .float64), [-0x1p63] as [Double])
        try expectEqual(cast(Tensor([Int32(-1)]), to: .uint64), [.max] as [UInt64])
    }

    /// Every half through float32 and back; ties and overflow on the way down; one rounding only from double precision.
    @Test func halfPrecision() throws {
        let halves = (0...UInt16.max).map { Float16(bitPattern: $0) }
        let wide = try cast(Tensor(halves), to: .float32).array(of: Float.self)
        expectEqual(wide, halves.map { Float($0) })
        let back = try cast(Tensor(wide), to: .float16).array(of: Float16.self)
        // By their bits, as 0 is -0 otherwise.
        expectEqual(
            back.map { $0.isNaN ? Float16.nan.bitPattern : $0.bitPattern },
            halves.map { $0.isNaN ? Float16.nan.bitPattern : $0.bitPattern })
        try expectEqual(cast(floats([65520, 65519.9, 1e-8], [3]), to: .float16), [.infinity, 65504, 0] as [Float16])
        // Above the middle of 1 and the next half by less than single precision can tell.
        try expectEqual(cast(Tensor([1 + 0x1p-11 + 0x1p-40]), to: .float16), [1 + 0x1p-10] as [Float16])
        #expect(
            try bytes(cast(floats([1 + 0x1p-8, 1 + 0x1p-8 + 0x1p-20], [2]), to: .bfloat16)) == [0x80, 0x3F, 0x81, 0x3F])
    }

    /// Rounding to 16 bits against the compiler's, at every place of a vector and with numbers of every magnitude.
    @Test func roundsToHalves() throws {
        let special: [Float] = [
            .nan, -.nan, .infinity, -.infinity, -0.0, 65504, 65520, 65519.99, 1e-8, -1e-8, 6.1e-5, 0x1p-25, 3e-8,
        ]
        for count in [1, 15, 17, 70_003] {
            let values = (0..<count).map { index -> Float in
                if index % 9 == 4 || count == 1 { return special[index / 9 % special.count] }
                let bits = UInt32(truncatingIfNeeded: UInt64(index) &* 0x9E37_79B9_7F4A_7C15 >> 20)
                let number = Float(bitPattern: bits)
                return index % 2 == 0 ? number : Float(Int32(truncatingIfNeeded: bits)) * 0x1p-30
            }
            let found = try cast(Tensor(values), to: .float16).array(of: Float16.self)
            let isSame = zip(values, found).allSatisfy { value, half in
                value.isNaN ? half.isNaN && half.sign == value.sign : half.bitPattern == Float16(value).bitPattern
            }
            #expect(isSame, "\(count) float16")
            let brains = try cast(Tensor(values), to: .bfloat16).array(of: BFloat16.self)
            expectEqual(brains.map(\.bitPattern), values.map { BFloat16($0).bitPattern }, "\(count) bfloat16")
            let wide = try cast(Tensor(brains), to: .float32).array(of: Float.self)
            expectEqual(wide.map(\.bitPattern), brains.map { UInt32($0.bitPattern) << 16 }, "\(count) from bfloat16")
        }
    }

    /// Codes of 8-bit floats: P. Micikevicius et al., "FP8 Formats for Deep Learning", table 1.
    @Test func eightBitFloats() throws {
        let x = try floats([448, 464, 465, .infinity, 0x1p-9, 0x1p-10, -1, 1.0625], [8])
        #expect(try bytes(cast(x, to: .float8E4M3FN)) == [0x7E, 0x7E, 0x7E, 0x7E, 1, 0, 0xB8, 0x38])
        #expect(
            try bytes(cast(x, to: .float8E4M3FN, saturate: false)) == [0x7E, 0x7E, 0x7F, 0x7F, 1, 0, 0xB8, 0x38])
        for dtype in [DType.float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ] {
            let codes = try Tensor(Array(0...UInt8.max))
            let all = try Tensor(dtype: dtype, shape: codes.shape, storage: codes.storage)
            let values = try cast(all, to: .float32)
            let back = try cast(values, to: dtype, saturate: false)
            let numbers = try values.array(of: Float.self)
            let found = bytes(back)
            #expect((0..<256).allSatisfy { numbers[$0].isNaN || found[$0] == UInt8($0) }, "\(dtype)")
        }
    }

    @Test func fourBitIntegersAreTwoToAByte() throws {
        let packed = try cast(Tensor([Int8(-8), 7, -1]), to: .int4)
        #expect(bytes(packed) == [0x78, 0x0F])
        try expectEqual(cast(packed, to: .int32), [-8, 7, -1] as [Int32])
        try expectEqual(cast(cast(Tensor([UInt8(15), 3]), to: .uint4), to: .float32), [15, 3] as [Float])
    }

    @Test func strings() throws {
        let x = try Tensor(strings: ["3.5", "-INF", "nan", "1e3"], shape: Shape([4]))
        let values = try cast(x, to: .float32).array(of: Float.self)
        #expect(values[0] == 3.5 && values[1] == -.infinity && values[2].isNaN && values[3] == 1000)
        let large = try Tensor(strings: ["9007199254740993"], shape: Shape([1]))
        try expectEqual(cast(large, to: .int64), [9_007_199_254_740_993] as [Int64])
        #expect(try cast(floats([0.25, .infinity, -2], [3]), to: .string).strings == ["0.25", "INF", "-2.0"])
        expectError("\"cat\" isn't a number") { try cast(Tensor(strings: ["cat"], shape: Shape([1])), to: .float32) }
    }
}
