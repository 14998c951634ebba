import GraphRuntime
import Ops
import Testing

struct CastTests {
    private func cast(_ x: Tensor, to dtype: DType, saturate: Bool = true) throws -> Tensor {
        let attributes = NodeAttributes(["to": .int(Int64(dtype.rawValue)), "saturate": .int(saturate ? 1 : 0)])
        return try run("Cast", version: 19, attributes: attributes, inputs: [x])[0]
    }

    private func bytes(_ tensor: Tensor) -> [UInt8] { withExtendedLifetime(tensor) { Array(tensor.rawBytes) } }

    @Test func floatsOutOfRangeAndNaNBecomeSomething() throws {
        let x = try floats([.nan, .infinity, -.infinity, 3e9, -1.9, 255.9], [6])
        #expect(try cast(x, to: .int64).array(of: Int64.self) == [0, .max, .min, 3_000_000_000, -1, 255])
        #expect(try cast(x, to: .uint8).array(of: UInt8.self)[4...] == [255, 255])
        #expect(try cast(x, to: .bool).array(of: Bool.self) == [true, true, true, true, true, true])
        #expect(try cast(floats([0, -0.0, 0.1], [3]), to: .bool).array(of: Bool.self) == [false, false, true])
    }

    @Test func integersKeepTheirLowBits() throws {
        #expect(try cast(Tensor([Int16(200), -1, 256]), to: .int8).array(of: Int8.self) == [-56, -1, 0])
        #expect(try cast(Tensor([UInt64.max, 5]), to: .float32).array(of: Float.self) == [0x1p64, 5])
        #expect(try cast(Tensor([Int64.min]), to: .float64).array(of: Double.self) == [-0x1p63])
        #expect(try cast(Tensor([Int32(-1)]), to: .uint64).array(of: UInt64.self) == [.max])
    }

    /// Every half through float32 and back; ties and overflow on the way down; one rounding only from double precision.
    @Test func halfPrecision() throws {
        let halves = (0...UInt16.max).map { Float16(bitPattern: $0) }
        let wide = try cast(Tensor(halves), to: .float32).array(of: Float.self)
        #expect(zip(wide, halves).allSatisfy { $0 == Float($1) || ($0.isNaN && $1.isNaN) })
        let back = try cast(Tensor(wide), to: .float16).array(of: Float16.self)
        #expect(zip(back, halves).allSatisfy { $0.bitPattern == $1.bitPattern || ($0.isNaN && $1.isNaN) })
        #expect(try cast(floats([65520, 65519.9, 1e-8], [3]), to: .float16).array(of: Float16.self) == [.infinity, 65504, 0])
        // Above the middle of 1 and the next half by less than single precision can tell.
        #expect(try cast(Tensor([1 + 0x1p-11 + 0x1p-40]), to: .float16).array(of: Float16.self) == [1 + 0x1p-10])
        #expect(
            try bytes(cast(floats([1 + 0x1p-8, 1 + 0x1p-8 + 0x1p-20], [2]), to: .bfloat16)) == [0x80, 0x3F, 0x81, 0x3F])
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
        #expect(try cast(packed, to: .int32).array(of: Int32.self) == [-8, 7, -1])
        #expect(try cast(cast(Tensor([UInt8(15), 3]), to: .uint4), to: .float32).array(of: Float.self) == [15, 3])
    }

    @Test func strings() throws {
        let x = try Tensor(strings: ["3.5", "-INF", "nan", "1e3"], shape: Shape([4]))
        let values = try cast(x, to: .float32).array(of: Float.self)
        #expect(values[0] == 3.5 && values[1] == -.infinity && values[2].isNaN && values[3] == 1000)
        let large = try Tensor(strings: ["9007199254740993"], shape: Shape([1]))
        #expect(try cast(large, to: .int64).array(of: Int64.self) == [9_007_199_254_740_993])
        #expect(try cast(floats([0.25, .infinity, -2], [3]), to: .string).strings == ["0.25", "INF", "-2.0"])
        #expect(throws: (any Error).self) { try cast(Tensor(strings: ["cat"], shape: Shape([1])), to: .float32) }
    }
}
