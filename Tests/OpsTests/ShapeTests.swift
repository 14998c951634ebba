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
        let training = try Tensor(scalar: true)
        expectError("dropout in training mode isn't supported") {
            try run("Dropout", version: 13, inputs: [x, Tensor(scalar: Float(0.5)), training])
        }
    }

    @Test func diagonals() throws {
        let x = try floats(Array(repeating: 7, count: 6), [2, 3])
        try expectEqual(run("EyeLike", version: 9, inputs: [x])[0], [1, 0, 0, 0, 1, 0] as [Float])
        let upper = NodeAttributes(["k": .int(1), "dtype": .int(7)])
        try expectEqual(run("EyeLike", version: 9, attributes: upper, inputs: [x])[0], [0, 1, 0, 0, 0, 1] as [Int64])
    }
}
