import GraphRuntime
import Ops
import TestSupport
import Testing

struct ShapeTests {
    @Test func shapesAndSizes() throws {
        let x = try floats(Array(repeating: 0, count: 24), [2, 3, 4])
        try expectEqual(run("Shape", version: 13, inputs: [x])[0], [2, 3, 4] as [Int64])
        let part = NodeAttributes(["start": .int(-2), "end": .int(9)])
        try expectEqual(run("Shape", version: 15, attributes: part, inputs: [x])[0], [3, 4] as [Int64])
        #expect(
            try run("Shape", version: 15, attributes: NodeAttributes(["start": .int(2), "end": .int(1)]), inputs: [x])[0].count
                == 0)
        try expectEqual(run("Size", version: 13, inputs: [x])[0], [24] as [Int64])
    }

    @Test func constants() throws {
        #expect(
            try run("Constant", version: 13, attributes: NodeAttributes(["value_float": .float(2)]), inputs: [])[0].shape.rank
                == 0)
        let list = NodeAttributes(["value_ints": .ints([3, 4])])
        try expectEqual(run("Constant", version: 13, attributes: list, inputs: [])[0], [3, 4] as [Int64])
        let value = NodeAttributes(["value": .tensor(try Tensor([Float16(2)]))])
        let filled = try run("ConstantOfShape", version: 9, attributes: value, inputs: [int64s([2, 3])])[0]
        try expectEqual(filled, [Float16](repeating: 2, count: 6))
        #expect(try run("ConstantOfShape", version: 9, inputs: [int64s([0, 3])])[0].count == 0)
        try expectEqual(run("ConstantOfShape", version: 9, inputs: [int64s([])])[0], [0] as [Float])
        expectError("shape [-1] has a negative extent") { try run("ConstantOfShape", version: 9, inputs: [int64s([-1])]) }
        expectError("one of the attributes value, sparse_value, value_float(s), value_int(s) and value_string(s) is needed") {
            try run("Constant", version: 13, inputs: [])
        }
    }

    @Test func ranges() throws {
        func range(_ start: Int64, _ limit: Int64, _ delta: Int64) throws -> [Int64] {
            let inputs = try [start, limit, delta].map { try Tensor(scalar: $0) }
            return try run("Range", version: 11, inputs: inputs)[0].array(of: Int64.self)
        }
        expectEqual(try range(0, 5, 2), [0, 2, 4])
        expectEqual(try range(10, 4, -2), [10, 8, 6])
        expectEqual(try range(3, 3, 1), [])
        expectEqual(try range(3, 0, 1), [])
        expectError("the step of a range is 0") { try range(0, 5, 0) }
        expectError("a range from 0 to 9223372036854775807 by 1 has too many elements") { try range(0, .max, 1) }
        let floating = try [0, 1, 0.25].map { try Tensor(scalar: Float($0)) }
        try expectEqual(run("Range", version: 11, inputs: floating)[0], [0, 0.25, 0.5, 0.75] as [Float])
    }

    @Test func expansion() throws {
        let x = try floats([1, 2, 3], [3, 1])
        let found = try run("Expand", version: 13, inputs: [x, int64s([2, 1, 2])])[0]
        #expect(found.shape.dimensions == [2, 3, 2])
        try expectEqual(found, [1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3] as [Float])
        #expect(try run("Expand", version: 13, inputs: [floats([1, 2], [2]), int64s([3, 1])])[0].shape.dimensions == [3, 2])
        expectError("shapes [3, 1] and [2, 2] don't broadcast") {
            try run("Expand", version: 13, inputs: [x, int64s([2, 2])])
        }
    }

    @Test func identityAndDropout() throws {
        let x = try floats([1, 2, 3], [3])
        try expectEqual(run("Identity", version: 19, inputs: [x])[0], [1, 2, 3] as [Float])
        try expectEqual(run("Dropout", version: 13, inputs: [x])[0], [1, 2, 3] as [Float])
        let both = try run("Dropout", version: 13, inputs: [x], outputCount: 2)
        try expectEqual(both[1], [true, true, true] as [Bool])
    }

    /// In training mode each element is dropped with the probability of the ratio, and else divided by what is left.
    @Test(arguments: [DType.float32, .float16, .bfloat16]) func dropsInTraining(dtype: DType) throws {
        var ones = try floats(Array(repeating: 1, count: 4000), [40, 100])
        if dtype.isHalf {
            let halves = try MutableTensor(dtype: dtype, shape: ones.shape)
            try HalfPrecision.narrow(ones, into: halves)
            ones = try halves.finish()
        }
        let training = try Tensor(scalar: true)
        func dropped(_ ratio: Float?, seed: Int64 = 7) throws -> ([Float], [Bool]) {
            let ratio = try ratio.map { try Tensor(scalar: $0) }
            let both = try run(
                "Dropout", version: 22, attributes: NodeAttributes(["seed": .int(seed)]), inputs: [ones, ratio, training],
                outputCount: 2)
            return (try HalfPrecision.widen(both[0]).array(of: Float.self), try both[1].array(of: Bool.self))
        }
        for (ratio, share) in [(0.25 as Float?, 0.25), (nil, 0.5), (0.875, 0.875)] {
            let (values, mask) = try dropped(ratio)
            let factor = Float(1 / (1 - share))
            #expect(zip(values, mask).allSatisfy { abs($0 - ($1 ? factor : 0)) <= 4e-3 * factor })
            #expect(abs(Double(mask.count { !$0 }) / 4000 - share) < 0.04)
        }
        #expect(try dropped(0).1.allSatisfy { $0 })
        #expect(try dropped(0.5) == dropped(0.5) && dropped(0.5) != dropped(0.5, seed: 8))
        for ratio in [1, -0.5, Float.nan] {
            expectError("the ratio is \(Double(ratio)), expected 0 to less than 1") { try dropped(ratio) }
        }
        let test = NodeAttributes(["is_test": .int(1), "ratio": .float(0.5)])
        try expectEqual(
            run("Dropout", version: 6, attributes: test, inputs: [floats([1, 2, 3], [3])])[0], [1, 2, 3] as [Float])
    }

    @Test func diagonals() throws {
        let x = try floats(Array(repeating: 7, count: 6), [2, 3])
        try expectEqual(run("EyeLike", version: 9, inputs: [x])[0], [1, 0, 0, 0, 1, 0] as [Float])
        let upper = NodeAttributes(["k": .int(1), "dtype": .int(7)])
        try expectEqual(run("EyeLike", version: 9, attributes: upper, inputs: [x])[0], [0, 1, 0, 0, 0, 1] as [Int64])
    }
}
