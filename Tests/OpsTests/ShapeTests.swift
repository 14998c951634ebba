import GraphRuntime
import Ops
import Testing

struct ShapeTests {
    @Test func shapesAndSizes() throws {
        let x = try floats(Array(repeating: 0, count: 24), [2, 3, 4])
        #expect(try run("Shape", version: 13, inputs: [x])[0].array(of: Int64.self) == [2, 3, 4])
        let part = NodeAttributes(["start": .int(-2), "end": .int(9)])
        #expect(try run("Shape", version: 15, attributes: part, inputs: [x])[0].array(of: Int64.self) == [3, 4])
        #expect(
            try run("Shape", version: 15, attributes: NodeAttributes(["start": .int(2), "end": .int(1)]), inputs: [x])[0].count
                == 0)
        #expect(try run("Size", version: 13, inputs: [x])[0].array(of: Int64.self) == [24])
    }

    @Test func constants() throws {
        #expect(
            try run("Constant", version: 13, attributes: NodeAttributes(["value_float": .float(2)]), inputs: [])[0].shape.rank
                == 0)
        let list = NodeAttributes(["value_ints": .ints([3, 4])])
        #expect(try run("Constant", version: 13, attributes: list, inputs: [])[0].array(of: Int64.self) == [3, 4])
        let value = NodeAttributes(["value": .tensor(try Tensor([Float16(2)]))])
        let filled = try run("ConstantOfShape", version: 9, attributes: value, inputs: [int64s([2, 3])])[0]
        #expect(try filled.array(of: Float16.self) == Array(repeating: 2, count: 6))
        #expect(try run("ConstantOfShape", version: 9, inputs: [int64s([0, 3])])[0].count == 0)
        #expect(try run("ConstantOfShape", version: 9, inputs: [int64s([])])[0].array(of: Float.self) == [0])
        #expect(throws: (any Error).self) { try run("ConstantOfShape", version: 9, inputs: [int64s([-1])]) }
        #expect(throws: (any Error).self) { try run("Constant", version: 13, inputs: []) }
    }

    @Test func ranges() throws {
        func range(_ start: Int64, _ limit: Int64, _ delta: Int64) throws -> [Int64] {
            let inputs = try [start, limit, delta].map { try Tensor(scalar: $0) }
            return try run("Range", version: 11, inputs: inputs)[0].array(of: Int64.self)
        }
        #expect(try range(0, 5, 2) == [0, 2, 4])
        #expect(try range(10, 4, -2) == [10, 8, 6])
        #expect(try range(3, 3, 1) == [])
        #expect(try range(3, 0, 1) == [])
        #expect(throws: (any Error).self) { try range(0, 5, 0) }
        #expect(throws: (any Error).self) { try range(0, .max, 1) }
        let floating = try [0, 1, 0.25].map { try Tensor(scalar: Float($0)) }
        #expect(try run("Range", version: 11, inputs: floating)[0].array(of: Float.self) == [0, 0.25, 0.5, 0.75])
    }

    @Test func expansion() throws {
        let x = try floats([1, 2, 3], [3, 1])
        let found = try run("Expand", version: 13, inputs: [x, int64s([2, 1, 2])])[0]
        #expect(found.shape.dimensions == [2, 3, 2])
        #expect(try found.array(of: Float.self) == [1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3])
        #expect(try run("Expand", version: 13, inputs: [floats([1, 2], [2]), int64s([3, 1])])[0].shape.dimensions == [3, 2])
        #expect(throws: (any Error).self) { try run("Expand", version: 13, inputs: [x, int64s([2, 2])]) }
    }

    @Test func identityAndDropout() throws {
        let x = try floats([1, 2, 3], [3])
        #expect(try run("Identity", version: 19, inputs: [x])[0].array(of: Float.self) == [1, 2, 3])
        #expect(try run("Dropout", version: 13, inputs: [x])[0].array(of: Float.self) == [1, 2, 3])
        let both = try run("Dropout", version: 13, inputs: [x], outputCount: 2)
        #expect(try both[1].array(of: Bool.self) == [true, true, true])
        let training = try Tensor(scalar: true)
        #expect(throws: (any Error).self) {
            try run("Dropout", version: 13, inputs: [x, Tensor(scalar: Float(0.5)), training])
        }
    }

    @Test func diagonals() throws {
        let x = try floats(Array(repeating: 7, count: 6), [2, 3])
        #expect(try run("EyeLike", version: 9, inputs: [x])[0].array(of: Float.self) == [1, 0, 0, 0, 1, 0])
        let upper = NodeAttributes(["k": .int(1), "dtype": .int(7)])
        #expect(try run("EyeLike", version: 9, attributes: upper, inputs: [x])[0].array(of: Int64.self) == [0, 1, 0, 0, 0, 1])
    }
}
