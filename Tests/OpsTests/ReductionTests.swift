import Foundation
import GraphRuntime
import Ops
import TestSupport
import Testing

struct ReductionTests {
    /// The elements of each group that a reduction along `axes` brings together, by the naive loop.
    private func groups(_ values: [Float], _ shape: [Int], _ axes: [Int]) -> [[Double]] {
        let kept = shape.indices.filter { !axes.contains($0) }
        var result = [[Double]](repeating: [], count: kept.reduce(1) { $0 * shape[$1] })
        for (index, value) in values.enumerated() {
            var position = [Int](repeating: 0, count: shape.count)
            var rest = index
            for axis in shape.indices.reversed() {
                position[axis] = rest % shape[axis]
                rest /= shape[axis]
            }
            result[kept.reduce(0) { $0 * shape[$1] + position[$1] }].append(Double(value))
        }
        return result
    }

    private static let functions: [(String, @Sendable ([Double]) -> Double)] = [
        ("ReduceSum", { $0.reduce(0, +) }), ("ReduceMean", { $0.reduce(0, +) / Double($0.count) }),
        ("ReduceMax", { $0.max() ?? -.infinity }), ("ReduceMin", { $0.min() ?? .infinity }),
        ("ReduceProd", { $0.reduce(1, *) }), ("ReduceL1", { $0.reduce(0) { $0 + abs($1) } }),
        ("ReduceL2", { $0.reduce(0) { $0 + $1 * $1 }.squareRoot() }), ("ReduceSumSquare", { $0.reduce(0) { $0 + $1 * $1 } }),
        ("ReduceLogSumExp", { log($0.reduce(0) { $0 + exp($1) }) }),
    ]

    @Test(arguments: [
        ([5], [0]), ([2, 3, 4], [2]), ([2, 3, 4], [0]), ([2, 3, 4], [1]), ([2, 3, 4, 5], [0, 2]), ([3, 33, 17], [0, 2]),
        ([4, 1, 7], [1, 2]), ([2, 9000], [1]), ([9000, 3], [0]), ([2, 3, 4], [0, 1, 2]), ([70, 1000], [1]), ([300, 1000], [0]),
    ])
    func matchesTheNaiveLoop(_ shape: [Int], _ axes: [Int]) throws {
        let x = try pseudoRandom(shape)
        let groups = groups(try x.array(of: Float.self), shape, axes)
        for (type, function) in Self.functions {
            let found = try run(type, version: 18, inputs: [x, int64s(axes.map { Int64($0) })])[0]
            #expect(found.shape.dimensions == shape.indices.map { axes.contains($0) ? 1 : shape[$0] })
            try expectClose(
                found, groups.map { Float(function($0)) }, within: Tolerance(ofLargest: 1e-5),
                "\(type) of \(shape) along \(axes)")
        }
    }

    /// Rows and columns of every length up to some vectors, with NaN at one place or another.
    @Test func extremesOfAnyLength() throws {
        for count in Array(1...70) + [200, 1001] {
            var values = try pseudoRandom([count], seed: UInt64(count)).array(of: Float.self)
            for nan in [nil, 0, count / 2, count - 1] as [Int?] {
                if let nan { values[nan] = .nan }
                let (least, largest) = nan == nil ? (values.min() ?? 0, values.max() ?? 0) : (.nan, .nan)
                let wide = values.map { Double($0) }
                for axes in [[1], [0]] as [[Int64]] {
                    let shape = try Shape(axes == [1] ? [1, count] : [count, 1])
                    func extreme(_ type: String, _ x: Tensor) throws -> Tensor {
                        try run(type, version: 18, inputs: [x, int64s(axes)])[0]
                    }
                    let title = "\(count) along \(axes), NaN at \(String(describing: nan))"
                    try expectEqual(extreme("ReduceMin", Tensor(values, shape: shape)), [least], title)
                    try expectEqual(extreme("ReduceMax", Tensor(values, shape: shape)), [largest], title)
                    try expectEqual(extreme("ReduceMin", Tensor(wide, shape: shape)), [Double(least)], title)
                    try expectEqual(extreme("ReduceMax", Tensor(wide, shape: shape)), [Double(largest)], title)
                }
                if let nan { values[nan] = 0 }
            }
        }
    }

    @Test(arguments: [1, 63, 64, 100, 1003], [0, 1, 2]) func doublesAndIntegers(count: Int, axis: Int) throws {
        var dimensions = [3, 5, 4]
        dimensions[axis] = count
        let wide = try pseudoRandom(dimensions).array(of: Float.self).map { 1 + Double($0) / 64 }
        let whole = wide.indices.map { Int32(truncatingIfNeeded: $0 &* 2_654_435_761) }
        let kept = [0, 1, 2].filter { $0 != axis }
        let strides = [dimensions[1] * dimensions[2], dimensions[2], 1]
        func lines<Element>(_ values: [Element]) -> [[Element]] {
            (0..<dimensions[kept[0]]).flatMap { i in
                (0..<dimensions[kept[1]]).map { j in
                    (0..<count).map { values[i * strides[kept[0]] + j * strides[kept[1]] + $0 * strides[axis]] }
                }
            }
        }
        func reduce(_ type: String, _ x: Tensor) throws -> Tensor {
            try run(type, version: 18, inputs: [x, int64s([Int64(axis)])])[0]
        }
        let (x, n) = (try Tensor(wide, shape: Shape(dimensions)), try Tensor(whole, shape: Shape(dimensions)))
        func check(_ type: String, _ exact: ([Double]) -> Double) throws {
            let found = try reduce(type, x).array(of: Double.self)
            for (result, expected) in zip(found, lines(wide).map(exact)) {
                #expect(abs(result - expected) <= 1e-12 * abs(expected), "\(type): \(result), not \(expected)")
            }
        }
        try check("ReduceSum") { $0.reduce(0, +) }
        try check("ReduceProd") { $0.reduce(1, *) }
        try check("ReduceL1") { $0.reduce(0) { $0 + abs($1) } }
        try check("ReduceSumSquare") { $0.reduce(0) { $0 + $1 * $1 } }
        try expectEqual(reduce("ReduceSum", n), lines(whole).map { $0.reduce(0, &+) })
        try expectEqual(reduce("ReduceProd", n), lines(whole).map { $0.reduce(1, &*) })
        try expectEqual(reduce("ReduceMax", n), lines(whole).map { $0.max() ?? 0 })
        try expectEqual(reduce("ReduceMin", n), lines(whole).map { $0.min() ?? 0 })
        try expectEqual(reduce("ReduceSumSquare", n), lines(whole).map { $0.reduce(0) { $0 &+ $1 &* $1 } })
        let single = try Tensor(wide.map { Float($0) }, shape: Shape(dimensions))
        let products = try reduce("ReduceProd", single)
        for (result, line) in zip(try products.array(of: Float.self), lines(wide.map { Float($0) })) {
            let expected = line.reduce(1.0) { $0 * Double($1) }
            #expect(abs(Double(result) - expected) <= 1e-4 * expected, "\(result), not \(expected)")
        }
    }

    @Test func axesAsAttributeAndKeepdims() throws {
        let x = try floats([1, 2, 3, 4, 5, 6], [2, 3])
        let attributes = NodeAttributes(["axes": .ints([-1]), "keepdims": .int(0)])
        let found = try run("ReduceMean", version: 13, attributes: attributes, inputs: [x])[0]
        #expect(found.shape.dimensions == [2])
        try expectEqual(found, [2, 5] as [Float])
        let all = try run("ReduceSum", version: 11, attributes: NodeAttributes(["keepdims": .int(0)]), inputs: [x])[0]
        #expect(all.shape.rank == 0)
        try expectEqual(all, [21] as [Float])
        let noop = NodeAttributes(["noop_with_empty_axes": .int(1)])
        let signed = try Tensor([-2, 0.5] as [Float])
        for (type, expected) in [("ReduceL1", [2, 0.5]), ("ReduceL2", [2, 0.5]), ("ReduceSumSquare", [4, 0.25])]
            as [(String, [Float])]
        {
            try expectEqual(run(type, version: 18, attributes: noop, inputs: [signed])[0], expected)
        }
        try expectEqual(run("ReduceSum", version: 13, attributes: noop, inputs: [x])[0], [1, 2, 3, 4, 5, 6] as [Float])
        expectError("axis 2 is outside of the 2 axes of [2, 3]") {
            try run("ReduceSum", version: 13, inputs: [x, int64s([2])])
        }
    }

    @Test func emptyAxesAndSpecialNumbers() throws {
        let empty = try floats([], [2, 0])
        for (type, expected) in [
            ("ReduceSum", 0), ("ReduceProd", 1), ("ReduceMax", -.infinity), ("ReduceMin", .infinity),
            ("ReduceLogSum", -.infinity), ("ReduceLogSumExp", -.infinity),
        ] as [(String, Float)] {
            try expectEqual(
                run(type, version: 18, inputs: [empty, int64s([1])])[0], [expected, expected] as [Float], "\(type)")
        }
        let x = try floats([1, .nan, 3, -.infinity, -.infinity, 0], [2, 3])
        let largest = try run("ReduceMax", version: 18, inputs: [x, int64s([1])])[0].array(of: Float.self)
        #expect(largest[0].isNaN && largest[1] == 0)
        let flags = try Tensor([true, false, false, false], shape: Shape([2, 2]))
        try expectEqual(run("ReduceMax", version: 20, inputs: [flags, int64s([1])])[0], [true, false] as [Bool])
        let huge = try floats([1000, 1000], [2])
        #expect(try run("ReduceLogSumExp", version: 18, inputs: [huge])[0].array(of: Float.self)[0] == Float(1000 + log(2.0)))
        try expectEqual(run("ReduceL2", version: 18, inputs: [Tensor([Int32(3), 4])])[0], [5] as [Int32])
    }

    @Test func positionsOfExtremes() throws {
        let x = try floats([1, 5, 5, 9, 2, 9], [2, 3])
        func find(_ type: String, _ attributes: NodeAttributes) throws -> [Int64] {
            try run(type, version: 13, attributes: attributes, inputs: [x])[0].array(of: Int64.self)
        }
        expectEqual(try find("ArgMax", NodeAttributes(["axis": .int(1)])), [1, 0])
        expectEqual(try find("ArgMax", NodeAttributes(["axis": .int(-1), "select_last_index": .int(1)])), [2, 2])
        expectEqual(try find("ArgMin", NodeAttributes(["axis": .int(0)])), [0, 1, 0])
        expectEqual(try find("ArgMax", NodeAttributes(["axis": .int(0), "keepdims": .int(0)])), [1, 0, 1])
        let empty = try floats([], [0, 2])
        expectError("axis 0 of shape [0, 2] has no elements to choose from") { try run("ArgMax", version: 13, inputs: [empty]) }
    }

    @Test func runningSums() throws {
        let x = try floats([1, 2, 3, 4, 5, 6], [2, 3])
        func sums(_ axis: Int64, _ attributes: NodeAttributes = NodeAttributes()) throws -> [Float] {
            let input = try Tensor(scalar: axis)
            return try run("CumSum", version: 14, attributes: attributes, inputs: [x, input])[0].array(of: Float.self)
        }
        expectEqual(try sums(1), [1, 3, 6, 4, 9, 15])
        expectEqual(try sums(0), [1, 2, 3, 5, 7, 9])
        expectEqual(try sums(-1, NodeAttributes(["exclusive": .int(1)])), [0, 1, 3, 0, 4, 9])
        expectEqual(try sums(1, NodeAttributes(["reverse": .int(1)])), [6, 5, 3, 15, 11, 6])
        try expectEqual(
            run("CumProd", version: 26, inputs: [x, Tensor(scalar: Int64(1))])[0],
            [
                1, 2, 6, 4, 20, 120,
            ] as [Float])
    }

    /// Lines along every axis, beyond what one band and one task take, against loops over each.
    @Test(arguments: 0..<3) func lines(axis: Int) throws {
        let extents = [70, 40, 600]
        let shape = try Shape(extents)
        let stride = extents[(axis + 1)...].reduce(1, *)
        var state: UInt64 = 1
        let numbers = (0..<shape.count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int32(state >> 60) - 8
        }
        // Equal numbers are common, NaN is now and then.
        let floats = numbers.enumerated().map { $0 % 1013 == 7 ? Float.nan : Float($1) }
        let firsts = numbers.indices.filter { $0 / stride % extents[axis] == 0 }
        for isLast in [false, true] {
            let attributes = NodeAttributes(["axis": .int(Int64(axis)), "select_last_index": .int(isLast ? 1 : 0)])
            let found = try run("ArgMax", version: 13, attributes: attributes, inputs: [Tensor(floats, shape: shape)])[0]
            let expected = firsts.map { first in
                let line = (0..<extents[axis]).map { floats[first + $0 * stride] }
                let largest = line.max() ?? 0
                let place =
                    line.firstIndex { $0.isNaN } ?? (isLast ? line.lastIndex(of: largest) : line.firstIndex(of: largest))
                return Int64(place ?? -1)
            }
            expectEqual(try found.array(of: Int64.self), expected, "select_last_index \(isLast)")
            let negated = try Tensor(floats.map { -$0 }, shape: shape)
            let least = try run("ArgMin", version: 13, attributes: attributes, inputs: [negated])[0]
            expectEqual(try least.array(of: Int64.self), expected, "ArgMin, select_last_index \(isLast)")
        }
        // Integers have extremes of their own.
        for type in [DType.int8, .uint8, .int32, .int64] {
            let whole = try run(
                "Cast", version: 13, attributes: NodeAttributes(["to": .int(Int64(type.rawValue))]),
                inputs: [Tensor(numbers.map { type == .uint8 ? $0 + 8 : $0 }, shape: shape)])[0]
            for (name, sign) in [("ArgMax", Int32(1)), ("ArgMin", -1)] {
                let attributes = NodeAttributes(["axis": .int(Int64(axis))])
                let found = try run(name, version: 13, attributes: attributes, inputs: [whole])[0]
                let expected = firsts.map { first in
                    let line = (0..<extents[axis]).map { sign * numbers[first + $0 * stride] }
                    return Int64(line.firstIndex(of: line.max() ?? 0) ?? -1)
                }
                expectEqual(try found.array(of: Int64.self), expected, "\(name) of \(type)")
            }
        }
        for (exclusive, reverse) in [(false, false), (false, true), (true, false), (true, true)] {
            let attributes = NodeAttributes(["exclusive": .int(exclusive ? 1 : 0), "reverse": .int(reverse ? 1 : 0)])
            var expected = numbers
            for first in firsts {
                var sum: Int32 = 0
                for step in 0..<extents[axis] {
                    let place = first + (reverse ? extents[axis] - 1 - step : step) * stride
                    expected[place] = exclusive ? sum : sum + numbers[place]
                    sum += numbers[place]
                }
            }
            let found = try run(
                "CumSum", version: 14, attributes: attributes,
                inputs: [Tensor(numbers, shape: shape), Tensor(scalar: Int64(axis))])[0]
            expectEqual(try found.array(of: Int32.self), expected, "exclusive \(exclusive), reverse \(reverse)")
        }
    }
}
