import GraphRuntime
import Ops
import TestSupport
import Testing

@Suite struct IndexingTests {
    /// Elements of 128 bits, whose addresses aren't always multiples of 16.
    @Test func complexNumbersAtAnyAddress() throws {
        let bytes = (0..<7 * 16).map { UInt8(truncatingIfNeeded: $0 * 73) }
        let x = try Tensor(dtype: .complex128, shape: Shape([7]), bytes: bytes)
        let other = try Tensor(dtype: .complex128, shape: Shape([7]), bytes: bytes.reversed())
        let expanded = try run("Expand", version: 13, inputs: [x, Tensor([Int64(3), 7])])[0]
        #expect(Array(expanded.bytes) == bytes + bytes + bytes)
        let chosen = try run("Where", version: 16, inputs: [Tensor([true, false, true, true, false, false, true]), x, other])[0]
        let expected = [true, false, true, true, false, false, true].enumerated().flatMap { index, isFirst in
            Array((isFirst ? bytes : bytes.reversed())[index * 16..<index * 16 + 16])
        }
        #expect(Array(chosen.bytes) == expected)
    }

    @Test(arguments: [([7, 5], 0), ([7, 5], 1), ([3, 8, 6], -2), ([2, 3, 4, 1], 2)])
    func gathersSlices(shape: [Int], axis: Int) throws {
        let data = try pseudoRandom(shape)
        let place = axis < 0 ? axis + shape.count : axis
        let extent = shape[place]
        let indices = try Tensor([0, Int64(extent - 1), -1, Int64(-extent)], shape: Shape([2, 2]))
        let output = try run(
            "Gather", version: 13, attributes: NodeAttributes(["axis": .int(Int64(axis))]), inputs: [data, indices])[0]
        let inner = shape[(place + 1)...].reduce(1, *)
        let values = try data.array(of: Float.self)
        var expected: [Float] = []
        for outer in 0..<shape[..<place].reduce(1, *) {
            for index in [0, extent - 1, extent - 1, 0] {
                expected += values[(outer * extent + index) * inner..<(outer * extent + index + 1) * inner]
            }
        }
        #expect(output.shape.dimensions == shape[..<place] + [2, 2] + shape[(place + 1)...])
        try expectEqual(output, expected)
    }

    @Test func refusesIndicesOutOfRange() throws {
        let data = try pseudoRandom([3, 4])
        expectError("index 3 is outside of an axis of extent 3") {
            try run("Gather", version: 13, inputs: [data, int64s([3])])
        }
        for index in [Int64.min, -4, 3, .max] {
            let tuple = try Tensor([index], shape: Shape([1, 1]))
            expectError("index \(index) is outside of an axis of extent 3") {
                try run("Gather", version: 13, inputs: [data, tuple])
            }
            expectError("index \(index) is outside of an axis of extent 3") {
                try run("GatherElements", version: 13, inputs: [data, tuple])
            }
            expectError("index \(index) is outside of an axis of extent 3") {
                try run("GatherND", version: 13, inputs: [data, tuple])
            }
            expectError("index \(index) is outside of an axis of extent 3") {
                try run("ScatterElements", version: 18, inputs: [data, tuple, floats([1], [1, 1])])
            }
            expectError("index \(index) is outside of an axis of extent 3") {
                try run("ScatterND", version: 18, inputs: [data, tuple, floats([1, 2, 3, 4], [1, 4])])
            }
        }
        expectError("k is 5, axis 1 of [3, 4] has 4 elements") {
            try run("TopK", version: 11, inputs: [data, int64s([5])], outputCount: 2)
        }
        expectError("shape [1, -2] has a negative extent") {
            try run("OneHot", version: 11, inputs: [int64s([1]), int64s([-2]), floats([0, 1], [2])])
        }
    }

    @Test func emptyTensors() throws {
        let empty = try floats([], [0, 3])
        let none = try Tensor([Int64](), shape: Shape([0]))
        #expect(try run("Gather", version: 13, inputs: [empty, none])[0].shape.dimensions == [0, 3])
        #expect(try run("NonZero", version: 13, inputs: [empty])[0].shape.dimensions == [2, 0])
        #expect(try run("Trilu", version: 14, inputs: [empty])[0].shape.dimensions == [0, 3])
        #expect(try run("Unique", version: 11, inputs: [empty], outputCount: 4)[0].shape.dimensions == [0])
    }

    @Test func scattersWithReductions() throws {
        let data = try floats([1, 2, 3, 4], [4])
        let (indices, updates) = (try Tensor([1, 1, -1].map { Int64($0) }, shape: Shape([3, 1])), try floats([5, 6, 7], [3]))
        func scatter(_ reduction: String) throws -> [Float] {
            try run(
                "ScatterND", version: 18, attributes: NodeAttributes(["reduction": .string(reduction)]),
                inputs: [data, indices, updates])[0]
                .array(of: Float.self)
        }
        expectEqual(try scatter("none"), [1, 6, 3, 7])
        expectEqual(try scatter("add"), [1, 13, 3, 11])
        expectEqual(try scatter("mul"), [1, 60, 3, 28])
        expectEqual(try scatter("max"), [1, 6, 3, 7])
        expectEqual(try scatter("min"), [1, 2, 3, 4])
    }

    @Test func ordersNaNsAndTies() throws {
        let data = try floats([1, .nan, -0.0, 0, 1, -.infinity], [6])
        let smallest = try run(
            "TopK", version: 11, attributes: NodeAttributes(["largest": .int(0)]), inputs: [data, int64s([6])], outputCount: 2)
        try expectEqual(smallest[1], [5, 2, 3, 0, 4, 1] as [Int64])
        let distinct = try run("Unique", version: 11, inputs: [data], outputCount: 4)
        try expectEqual(distinct[3], [1, 2, 2, 1] as [Int64])
    }

    /// Fewer than all, about half and all of lanes that end in ties, against a stable sort.
    @Test(arguments: [0, 1, 2, 33, 150, 299, 300], [0, 1]) func keepsTheFirstOfEqualOnes(count: Int, axis: Int) throws {
        let (extent, other) = (300, 4)
        let shape = axis == 0 ? [extent, other] : [other, extent]
        // Each number is there some twenty times.
        let values = try pseudoRandom(shape, seed: 3).array(of: Float.self).map { ($0 * 8).rounded() }
        for isLargest in [true, false] {
            let outputs = try run(
                "TopK", version: 11,
                attributes: NodeAttributes(["axis": .int(Int64(axis)), "largest": .int(isLargest ? 1 : 0)]),
                inputs: [floats(values, shape), int64s([Int64(count)])], outputCount: 2)
            let (found, places) = (try outputs[0].array(of: Float.self), try outputs[1].array(of: Int64.self))
            for lane in 0..<other {
                let numbers = (0..<extent).map { values[axis == 0 ? $0 * other + lane : lane * extent + $0] }
                let order = numbers.indices.sorted {
                    (isLargest ? -numbers[$0] : numbers[$0], $0) < (isLargest ? -numbers[$1] : numbers[$1], $1)
                }
                let results = (0..<count).map { axis == 0 ? $0 * other + lane : lane * count + $0 }
                #expect(results.map { places[$0] } == order.prefix(count).map { Int64($0) })
                #expect(results.map { found[$0] } == order.prefix(count).map { numbers[$0] })
            }
        }
    }

    /// Lanes of four bytes an element, which are ranked in vectors: fewer than they have blocks, and more, with what has no usual order.
    @Test(arguments: [1, 7, 32, 33, 100], [false, true]) func ranksLanes(count: Int, isLargest: Bool) throws {
        let (lanes, extent) = (3, 131)
        let special: [Float] = [.nan, .infinity, -.infinity, 0, -0.0, 1e-45, -1e-45]
        let values = try pseudoRandom([lanes, extent], seed: 5).array(of: Float.self).enumerated().map { index, value in
            index % 5 == 2 ? special[index / 5 % special.count] : value
        }
        let whole = values.map { $0.isFinite ? Int32($0 * 20) : Int32.min }
        let attributes = NodeAttributes(["largest": .int(isLargest ? 1 : 0)])
        func check<Value>(_ numbers: [Value], _ data: Tensor, _ precedes: (Value, Value) -> Bool) throws {
            let places = try run(
                "TopK", version: 11, attributes: attributes, inputs: [data, int64s([Int64(count)])], outputCount: 2)[1]
            let expected = (0..<lanes).flatMap { lane -> [Int64] in
                let order = (0..<extent).sorted { first, second in
                    let (a, b) = (numbers[lane * extent + first], numbers[lane * extent + second])
                    return isLargest
                        ? precedes(b, a) || !precedes(a, b) && first < second
                        : precedes(a, b) || !precedes(b, a) && first < second
                }
                return order.prefix(count).map { Int64($0) }
            }
            try expectEqual(places, expected)
        }
        let shape = try Shape([lanes, extent])
        // A NaN is the largest.
        try check(values, Tensor(values, shape: shape)) { $0 < $1 || $1.isNaN && !$0.isNaN }
        try check(whole, Tensor(whole, shape: shape), <)
        let unsigned = whole.map { UInt32(bitPattern: $0) }
        try check(unsigned, Tensor(unsigned, shape: shape), <)
    }

    /// Bits of every type in the order of its numbers, zeros of both signs as one.
    @Test(arguments: [
        DType.float16, .bfloat16, .float32, .float64, .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64,
    ])
    func ranksEveryType(type: DType) throws {
        let isUnsigned = [.uint8, .uint16, .uint32, .uint64].contains(type)
        let values: [Float] = isUnsigned ? [7, 0, 200, 3, 0, 128] : [-2, 3, 0, -0.0, 1, -100, 100, -3]
        let data = try run(
            "Cast", version: 13, attributes: NodeAttributes(["to": .int(Int64(type.rawValue))]),
            inputs: [floats(values, [values.count])])[0]
        for isLargest in [true, false] {
            let order = values.indices.sorted {
                (isLargest ? -values[$0] : values[$0], $0) < (isLargest ? -values[$1] : values[$1], $1)
            }
            let places = try run(
                "TopK", version: 11, attributes: NodeAttributes(["largest": .int(isLargest ? 1 : 0)]),
                inputs: [data, int64s([Int64(values.count)])], outputCount: 2)[1]
            try expectEqual(places, order.map { Int64($0) })
        }
    }

    /// More indices than one thread moves, of both types, along every axis, fewer than the data has beside it; and elements of 1 to 8 bytes.
    @Test(arguments: [DType.uint8, .float16, .float32, .float64], [0, 1, 2]) func movesElements(type: DType, axis: Int) throws {
        let (shape, extents) = ([40, 50, 60], [39, 48, 60])
        let numbers = (0..<40 * 50 * 60).map { Float($0 % 251) }
        let data = try run(
            "Cast", version: 13, attributes: NodeAttributes(["to": .int(Int64(type.rawValue))]),
            inputs: [floats(numbers, shape)])[0]
        let count = extents.reduce(1, *)
        let indices = (0..<count).map { ($0 * 7919 + $0 / 60) % shape[axis] - ($0 % 3 == 0 ? shape[axis] : 0) }
        let places = indices.enumerated().map { index, number in
            var place = [index / (48 * 60), index / 60 % 48, index % 60]
            place[axis] = (number + shape[axis]) % shape[axis]
            return (place[0] * 50 + place[1]) * 60 + place[2]
        }
        let wide = try Tensor(indices.map { Int64($0) }, shape: Shape(extents))
        let narrow = try Tensor(indices.map { Int32($0) }, shape: Shape(extents))
        let attributes = NodeAttributes(["axis": .int(Int64(axis))])
        let toFloat = NodeAttributes(["to": .int(Int64(DType.float32.rawValue))])
        for indices in [wide, narrow] {
            let gathered = try run("GatherElements", version: 13, attributes: attributes, inputs: [data, indices])[0]
            try expectEqual(run("Cast", version: 13, attributes: toFloat, inputs: [gathered])[0], places.map { numbers[$0] })
            let scattered = try run("ScatterElements", version: 18, attributes: attributes, inputs: [data, indices, gathered])[
                0]
            try expectEqual(run("Cast", version: 13, attributes: toFloat, inputs: [scattered])[0], numbers)
            let other = try run("GatherElements", version: 13, attributes: attributes, inputs: [scattered, wide])[0]
            try expectSame(other, gathered)
        }
        // Where several indices name an element, the last one wins.
        let updates = try pseudoRandom(extents, seed: 4)
        var expected = numbers
        for (place, update) in zip(places, try updates.array(of: Float.self)) { expected[place] = update }
        let overwritten = try run(
            "ScatterElements", version: 18, attributes: attributes, inputs: [floats(numbers, shape), wide, updates])[0]
        try expectEqual(overwritten, expected)
        let outside = try Tensor((0..<count).map { $0 == count - 5 ? Int64(shape[axis]) : 0 }, shape: Shape(extents))
        expectError("index \(shape[axis]) is outside of an axis of extent \(shape[axis])") {
            try run("GatherElements", version: 13, attributes: attributes, inputs: [data, outside])
        }
    }

    /// Tensors with rows of one element, rows without any that counts, and more elements than one thread looks at.
    @Test(arguments: [[], [7], [5, 1], [1, 6], [3, 4, 5], [70, 1000]]) func indicesOfWhatIsNotZero(shape: [Int]) throws {
        let values = try pseudoRandom(shape, seed: 5).array(of: Float.self).map { $0 > 0.3 ? $0 : ($0 > 0 ? -0.0 : 0) }
        let extents = shape.isEmpty ? [1] : shape
        let places = values.indices.filter { values[$0] != 0 }
        var expected: [Int64] = []
        for axis in extents.indices {
            let inner = extents[(axis + 1)...].reduce(1, *)
            expected += places.map { Int64($0 / inner % extents[axis]) }
        }
        let output = try run("NonZero", version: 13, inputs: [floats(values, shape)])[0]
        #expect(output.shape.dimensions == [extents.count, places.count])
        try expectEqual(output, expected)
    }

    @Test func triangles() throws {
        let data = try floats((1...12).map { Float($0) }, [3, 4])
        let upper = try run("Trilu", version: 14, inputs: [data, Tensor(scalar: Int64(1))])[0]
        try expectEqual(upper, [0, 2, 3, 4, 0, 0, 7, 8, 0, 0, 0, 12] as [Float])
        let lower = try run(
            "Trilu", version: 14, attributes: NodeAttributes(["upper": .int(0)]), inputs: [data, Tensor(scalar: Int64.min)])[0]
        try expectEqual(lower, [Float](repeating: 0, count: 12))
    }

    /// Constant indices of neighbouring slices, as an assignment to a part of a tensor becomes: rows of elements, of slices, and one row that is
    /// written over another.
    @Test(arguments: [DType.float32, .float16]) func scattersBlocks(dtype: DType) throws {
        for (columns, inner, repeats) in [(3..<28, 1, 1), (0..<30, 1, 2), (4..<29, 5, 1)] {
            var g = FusionGraph(dtype)
            let data = try g.input([2, 4, 30] + (inner > 1 ? [inner] : []))
            var tuples: [Int64] = []
            for batch in 0..<2 {
                for row in [-3, 3] + (repeats > 1 ? [1] : []) {
                    for column in columns { tuples += [Int64(batch), Int64(row), Int64(column - (batch == 0 ? 30 : 0))] }
                }
            }
            let shape = [2, repeats > 1 ? 3 : 2, columns.count]
            let indices = g.constant(try Tensor(tuples, shape: Shape(shape + [3])))
            let y = g.node("ScatterND", data, indices, try g.input(shape + (inner > 1 ? [inner] : [])))
            #expect(try g.nodeCount(y) == 1)
        }
    }
}
