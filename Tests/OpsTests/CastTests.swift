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
