import GraphRuntime
import Ops
import TestSupport
import Testing

@Suite struct LayoutTests {
    /// Element (i0, i1, …) of the output is element of the input at the permuted indices: the definition, one element at a time.
    private func transposed(_ values: [Float], _ shape: [Int], _ perm: [Int]) throws -> [Float] {
        let strides = try Shape(shape).strides
        let extents = perm.map { shape[$0] }
        var result: [Float] = []
        var index = [Int](repeating: 0, count: perm.count)
        for _ in 0..<values.count {
            result.append(values[zip(index, perm).reduce(0) { $0 + $1.0 * strides[$1.1] }])
            for axis in index.indices.reversed() {
                index[axis] += 1
                if index[axis] < extents[axis] { break }
                index[axis] = 0
            }
        }
        return result
    }

    @Test(arguments: [
        ([5, 7], [1, 0]), ([3, 17, 33], [0, 2, 1]), ([2, 9, 5, 8], [0, 2, 1, 3]), ([2, 19, 6, 11], [0, 2, 3, 1]),
        ([2, 6, 11, 19], [0, 3, 1, 2]), ([2, 3, 4, 5], [3, 1, 0, 2]), ([1, 1, 8], [2, 0, 1]), ([4, 1, 3], [1, 0, 2]), ([], []),
        ([64, 130], [1, 0]), ([0, 3], [1, 0]), ([1, 320, 64, 64], [0, 2, 3, 1]), ([2, 3, 2, 3, 2], [4, 2, 0, 1, 3]),
    ])
    func transposes(shape: [Int], perm: [Int]) throws {
        let input = try pseudoRandom(shape)
        var attributes = NodeAttributes()
        attributes["perm"] = .ints(perm.map(Int64.init))
        let output = try run("Transpose", version: 13, attributes: attributes, inputs: [input])[0]
        #expect(output.shape.dimensions == perm.map { shape[$0] })
        try expectEqual(output, transposed(input.array(of: Float.self), shape, perm))
    }

    /// Blocks of elements of one, two, four and eight bytes with their edges, and few rows or columns.
    @Test(arguments: [
        ([3, 17, 33], [0, 2, 1]), ([2, 19, 6, 11], [0, 2, 3, 1]), ([64, 130], [1, 0]), ([1, 3, 40, 21], [0, 2, 3, 1]),
        ([1, 40, 21, 3], [0, 3, 1, 2]), ([16, 16], [1, 0]), ([8, 9], [1, 0]),
    ])
    func transposesOtherWidths(shape: [Int], perm: [Int]) throws {
        let attributes = NodeAttributes(["perm": .ints(perm.map(Int64.init))])
        let numbers = (0..<shape.reduce(1, *)).map { Float($0 % 251) }
        for type in [DType.uint8, .float16, .int32, .float64] {
            let input = try run(
                "Cast", version: 13, attributes: NodeAttributes(["to": .int(Int64(type.rawValue))]),
                inputs: [floats(numbers, shape)])[0]
            let moved = try run("Transpose", version: 13, attributes: attributes, inputs: [input])[0]
            let found = try run(
                "Cast", version: 13, attributes: NodeAttributes(["to": .int(Int64(DType.float32.rawValue))]), inputs: [moved])[
                    0]
            try expectEqual(found.array(of: Float.self), transposed(numbers, shape, perm), "\(type)")
        }
    }

    @Test func movesEveryWidth() throws {
        let perm = NodeAttributes(["perm": .ints([1, 0])])
        let shape = try Shape([3, 5])
        let order = (0..<15).map { $0 % 3 * 5 + $0 / 3 }
        let bytes = try run(
            "Transpose", version: 13, attributes: perm, inputs: [Tensor((0..<15).map { UInt8($0) }, shape: shape)])[0]
        try expectEqual(bytes, order.map { UInt8($0) })
        let halves = try run(
            "Transpose", version: 13, attributes: perm, inputs: [Tensor((0..<15).map { Int16($0) }, shape: shape)])[0]
        try expectEqual(halves, order.map { Int16($0) })
        let longs = try run(
            "Transpose", version: 13, attributes: perm, inputs: [Tensor((0..<15).map { Int64($0) }, shape: shape)])[0]
        try expectEqual(longs, order.map { Int64($0) })
        let strings = try run(
            "Transpose", version: 13, attributes: perm, inputs: [Tensor(strings: (0..<15).map { "\($0)" }, shape: shape)])[0]
        #expect(strings.strings == order.map { "\($0)" })
        let packed = try MutableTensor(dtype: .int4, shape: shape)
        try packed.withMutableBytes { bytes in
            for index in 0..<bytes.count { bytes[index] = UInt8(2 * index) | UInt8((2 * index + 1) & 15) << 4 }
        }
        let nibbles = try run("Transpose", version: 21, attributes: perm, inputs: [packed.finish()])[0]
        #expect((0..<15).map { Int(nibbles.bytes[$0 / 2] >> ($0 % 2 * 4)) & 15 } == order)
    }

    @Test func reshapes() throws {
        let data = try pseudoRandom([2, 3, 4])
        func shape(_ target: [Int64], zero: Int64 = 0) throws -> [Int] {
            try run(
                "Reshape", version: 14, attributes: NodeAttributes(["allowzero": .int(zero)]), inputs: [data, int64s(target)])[
                    0
                ].shape.dimensions
        }
        expectEqual(try shape([4, -1]), [4, 6])
        expectEqual(try shape([0, 0, 2, 2]), [2, 3, 2, 2])
        expectEqual(try shape([-1]), [24])
        expectError("[2, 3, 4] has 24 elements, which the target shape [5, -1] doesn't divide") { try shape([5, -1]) }
        expectError("the target shape [-1, -1] has more than one -1") { try shape([-1, -1]) }
        expectError("[2, 3, 4] has 24 elements and can't become [0, 24]") { try shape([0, 24], zero: 1) }
        expectError("shape [4611686018427387904, 4611686018427387904] has too many elements") { try shape([1 << 62, 1 << 62]) }
        let empty = try floats([], [0, 3])
        #expect(
            try run(
                "Reshape", version: 14, attributes: NodeAttributes(["allowzero": .int(1)]), inputs: [empty, int64s([5, 0])])[0]
                .shape.dimensions == [5, 0])
    }

    @Test func slicesWithStepsAndClamps() throws {
        let data = try floats((0..<20).map { Float($0) }, [4, 5])
        func slice(_ starts: [Int64], _ ends: [Int64], _ axes: [Int64], _ steps: [Int64]) throws -> [Float] {
            try run("Slice", version: 13, inputs: [data, int64s(starts), int64s(ends), int64s(axes), int64s(steps)])[0]
                .array(of: Float.self)
        }
        #expect(try slice([1], [3], [0], [1]) == (5..<15).map { Float($0) })
        expectEqual(try slice([-1], [Int64.min], [1], [-2]), [4, 2, 0, 9, 7, 5, 14, 12, 10, 19, 17, 15])
        expectEqual(try slice([0, 1], [Int64.max, 1000], [0, -1], [3, 2]), [1, 3, 16, 18])
        expectEqual(try slice([Int64.max], [Int64.min], [0], [Int64.min]), [15, 16, 17, 18, 19])
        expectEqual(try slice([3], [1], [0], [1]), [])
        expectError("a slice has the step 0") { try slice([0], [1], [0], [0]) }
        expectError("axis 2 is outside of the 2 axes of [4, 5]") { try slice([0], [1], [2], [1]) }
    }

    @Test func concatenatesAndSplits() throws {
        let (a, b) = (try pseudoRandom([2, 3, 4]), try pseudoRandom([2, 5, 4], seed: 2))
        let joined = try run("Concat", version: 13, attributes: NodeAttributes(["axis": .int(-2)]), inputs: [a, b])[0]
        #expect(joined.shape.dimensions == [2, 8, 4])
        let parts = try run(
            "Split", version: 13, attributes: NodeAttributes(["axis": .int(1)]), inputs: [joined, int64s([3, 5])],
            outputCount: 2)
        try expectEqual(parts[0], a.array(of: Float.self))
        try expectEqual(parts[1], b.array(of: Float.self))
        let uneven = try run(
            "Split", version: 18, attributes: NodeAttributes(["axis": .int(1), "num_outputs": .int(3)]), inputs: [joined],
            outputCount: 3)
        #expect(uneven.map { $0.shape[1] } == [3, 3, 2])
        expectError("[2, 3, 4] and [2, 5, 4] can't be concatenated along axis 2") {
            try run("Concat", version: 13, attributes: NodeAttributes(["axis": .int(2)]), inputs: [a, b])
        }
        expectError("axis 3 is outside of the 3 axes of [2, 3, 4]") {
            try run("Concat", version: 13, attributes: NodeAttributes(["axis": .int(3)]), inputs: [a, a])
        }
    }

    @Test func pads() throws {
        let data = try floats((0..<6).map { Float($0) }, [2, 3])
        func pad(_ mode: String, _ pads: [Int64], version: Int = 19) throws -> [Float] {
            try run(
                "Pad", version: version, attributes: NodeAttributes(["mode": .string(mode)]), inputs: [data, int64s(pads)])[0]
                .array(of: Float.self)
        }
        // numpy.pad of arange(6).reshape(2, 3)
        expectEqual(try pad("constant", [0, 1, 1, 0]), [0, 0, 1, 2, 0, 3, 4, 5, 0, 0, 0, 0])
        expectEqual(try pad("reflect", [0, 2, 0, 1]), [2, 1, 0, 1, 2, 1, 5, 4, 3, 4, 5, 4])
        expectEqual(try pad("edge", [1, 0, 0, 1]), [0, 1, 2, 2, 0, 1, 2, 2, 3, 4, 5, 5])
        expectEqual(try pad("wrap", [0, 2, 0, 2]), [1, 2, 0, 1, 2, 0, 1, 4, 5, 3, 4, 5, 3, 4])
        expectEqual(try pad("constant", [0, -1, -1, 0]), [1, 2])
        expectError("pads -9223372036854775808 and 9223372036854775807 don't fit an axis of extent 3") {
            try pad("constant", [0, Int64.min, 0, Int64.max])
        }
        expectError("the mode \"wrap\" isn't supported") { try pad("wrap", [0, 0, 0, 0], version: 13) }
    }
}
