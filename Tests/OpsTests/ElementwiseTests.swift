import Foundation
import GraphRuntime
import Ops
import TestSupport
import Testing

struct ElementwiseTests {
    /// Reads a tensor of `shape` at a position of the shape that it broadcasts to.
    private func element(_ values: [Float], _ shape: [Int], at position: [Int]) -> Float {
        var index = 0
        for (axis, extent) in shape.enumerated() {
            let at = position[position.count - shape.count + axis]
            index = index * extent + (extent == 1 ? 0 : at)
        }
        return values[index]
    }

    private func positions(_ shape: [Int]) -> [[Int]] {
        shape.reduce([[]]) { positions, extent in positions.flatMap { head in (0..<extent).map { head + [$0] } } }
    }

    /// Same shapes, scalars, trailing vectors, channels, columns against rows, tails, one and no elements, split rows.
    @Test(arguments: [
        ([7], [7]), ([2, 3, 5], []), ([], [4]), ([3, 17], [17]), ([2, 3, 4, 5], [1, 3, 1, 1]), ([5, 1], [1, 6]),
        ([1], [1]), ([0], [1]), ([2, 0, 3], [1, 3]), ([3, 1, 2, 1], [4, 1, 5]), ([1, 40000], [3, 1]), ([70001], [70001]),
        ([2, 1, 33000], [3, 1]),
    ])
    func broadcastsLikeTheNaiveLoop(_ a: [Int], _ b: [Int]) throws {
        let x = try pseudoRandom(a, seed: 1)
        let y = try pseudoRandom(b, seed: 2)
        let (left, right) = (try x.array(of: Float.self), try y.array(of: Float.self))
        let shape = try x.shape.broadcast(with: y.shape)
        let functions: [(String, Int, (Float, Float) -> Float)] = [
            ("Add", 14, { $0 + $1 }), ("Sub", 14, { $0 - $1 }), ("Mul", 14, { $0 * $1 }), ("Div", 14, { $0 / $1 }),
            ("Min", 13, { min($0, $1) }), ("Max", 13, { max($0, $1) }), ("PRelu", 16, { $0 < 0 ? $0 * $1 : $0 }),
        ]
        let all = positions(shape.dimensions)
        for (type, version, function) in functions where type != "PRelu" || shape == x.shape {
            let expected = all.map { function(element(left, a, at: $0), element(right, b, at: $0)) }
            let found = try run(type, version: version, inputs: [x, y])[0]
            #expect(found.shape == shape)
            try expectEqual(found, expected, "\(type) of \(a) and \(b)")
        }
        let less = try run("Less", version: 13, inputs: [x, y])[0]
        try expectEqual(less, all.map { element(left, a, at: $0) < element(right, b, at: $0) })
        let chosen = try run("Where", version: 16, inputs: [less, x, y])[0]
        try expectEqual(chosen, all.map { min(element(left, a, at: $0), element(right, b, at: $0)) })
    }

    @Test(arguments: [1, 15, 33, 70_001]) func truthValues(count: Int) throws {
        let a = (0..<count).map { $0 % 3 == 0 || $0 % 7 == 2 }
        let b = (0..<count).map { $0 % 2 == 0 }
        func check(_ type: String, _ function: (Bool, Bool) -> Bool) throws {
            try expectEqual(run(type, version: 7, inputs: [Tensor(a), Tensor(b)])[0], zip(a, b).map(function), type)
            for one in [false, true] {
                try expectEqual(
                    run(type, version: 7, inputs: [Tensor(a), Tensor([one])])[0], a.map { function($0, one) }, type)
                try expectEqual(
                    run(type, version: 7, inputs: [Tensor([one]), Tensor(b)])[0], b.map { function(one, $0) }, type)
            }
        }
        try check("And") { $0 && $1 }
        try check("Or") { $0 || $1 }
        try check("Xor") { $0 != $1 }
        try check("Equal") { $0 == $1 }
        try expectEqual(run("Not", version: 1, inputs: [Tensor(a)])[0], a.map { !$0 })
        let (x, y) = ((0..<count).map { Float($0) }, (0..<count).map { Float(-$0) })
        try expectEqual(
            run("Where", version: 16, inputs: [Tensor(a), Tensor(x), Tensor(y)])[0], a.indices.map { a[$0] ? x[$0] : y[$0] })
        try expectEqual(
            run("Where", version: 16, inputs: [Tensor(a), Tensor(x), Tensor([7 as Float])])[0],
            a.indices.map { a[$0] ? x[$0] : 7 })
        try expectEqual(
            run("Where", version: 16, inputs: [Tensor(a), Tensor([7 as Float]), Tensor(y)])[0],
            a.indices.map { a[$0] ? 7 : y[$0] })
    }

    /// Conditions for whole rows, and one number or two in the place of tensors, of every width.
    @Test(arguments: [[4, 1], [1, 37], [4, 37], [1, 1]], [[4, 37], [1, 1], [4, 1], [1, 37]]) func choosesAcrossRows(
        condition: [Int], x: [Int]
    ) throws {
        func values(_ shape: [Int], _ start: Int) -> [Float] { (0..<shape[0] * shape[1]).map { Float(start + $0) } }
        func place(_ shape: [Int], _ row: Int, _ column: Int) -> Int { row % shape[0] * shape[1] + column % shape[1] }
        let flags = values(condition, 0).map { Int($0) * 7 % 3 == 1 }
        for y in [[4, 37], [1, 1], [4, 1]] {
            let (first, second) = (values(x, 1), values(y, 90))
            let rows = max(condition[0], x[0], y[0])
            let columns = max(condition[1], x[1], y[1])
            let expected = (0..<rows * columns).map { index in
                let (row, column) = (index / columns, index % columns)
                return flags[place(condition, row, column)] ? first[place(x, row, column)] : second[place(y, row, column)]
            }
            for type in [DType.uint8, .float16, .float32, .float64] {
                let cast = NodeAttributes(["to": .int(Int64(type.rawValue))])
                let operands = try [(first, x), (second, y)].map {
                    try run("Cast", version: 13, attributes: cast, inputs: [floats($0.0, $0.1)])[0]
                }
                let chosen = try run("Where", version: 16, inputs: [Tensor(flags, shape: Shape(condition))] + operands)[0]
                let toFloat = NodeAttributes(["to": .int(Int64(DType.float32.rawValue))])
                let found = try run("Cast", version: 13, attributes: toFloat, inputs: [chosen])[0].array(of: Float.self)
                expectEqual(found, expected, "\(condition) \(x) \(y) \(type)")
            }
        }
    }

    /// Zeros and NaN stay what they are.
    @Test func signs() throws {
        let numbers = (0..<37).map { [1.5, -2, 0, -0.0, .infinity, -.infinity, .nan, 1e-45, -1e-45][$0 % 9] as Float }
        let found = try run("Sign", version: 13, inputs: [Tensor(numbers)])[0].array(of: Float.self)
        for (number, sign) in zip(numbers, found) {
            let expected: Float = number > 0 ? 1 : number < 0 ? -1 : number
            #expect(number.isNaN ? sign.isNaN : sign == expected && sign.sign == expected.sign, "\(number)")
        }
    }

    /// Integers, over what the node before has written and into memory of their own.
    @Test func clipsIntegers() throws {
        let numbers = (0..<700).map { Int32($0 * 7919 % 256) - 128 }
        for type in [DType.int8, .int32, .int64, .float64] {
            let input = try run(
                "Cast", version: 13, attributes: NodeAttributes(["to": .int(Int64(type.rawValue))]), inputs: [Tensor(numbers)])[
                    0]
            func bound(_ value: Int32) throws -> Tensor {
                try run(
                    "Cast", version: 13, attributes: NodeAttributes(["to": .int(Int64(type.rawValue))]),
                    inputs: [Tensor(scalar: value)])[0]
            }
            for bounds in [(-20, 30), (30, -20), (nil, 5), (-5, nil), (nil, nil)] as [(Int32?, Int32?)] {
                let expected = numbers.map { min(max($0, bounds.0 ?? .min), bounds.1 ?? .max) }
                let inputs = [try bounds.0.map(bound), try bounds.1.map(bound)]
                let toWhole = NodeAttributes(["to": .int(Int64(DType.int32.rawValue))])
                let found = try run("Clip", version: 13, inputs: [input] + inputs)[0]
                try expectEqual(run("Cast", version: 13, attributes: toWhole, inputs: [found])[0], expected)
                var g = FusionGraph()
                let x = try g.input([numbers.count])
                g.graph.values[x].type = .tensor(type, nil)
                g[x] = input
                let sum = g.node("Add", x, g.constant(try bound(0)))
                let limits = inputs.map { limit in limit.map { g.constant($0) } }
                let clipped = g.outputs(1, of: "Clip", [sum] + limits)[0]
                try expectSame(g.result(clipped, options: SessionOptions()), found)
            }
        }
    }

    /// Against the compiler's own remainder, of quotients below and beyond those that vectors take, in blocks of both.
    @Test(arguments: [1, 17, 255, 3001], [false, true]) func remaindersOfFloats(count: Int, isExtreme: Bool) throws {
        let special: [Float] = [.nan, .infinity, -.infinity, 0, -0.0, 1e-45, -1e-40, 3e38, -3e38, 1e30, 0.1]
        func values(_ seed: UInt64, _ scale: Float) throws -> [Float] {
            try pseudoRandom([count], seed: seed).array(of: Float.self).enumerated().map { index, value in
                if isExtreme, index % 4 == 1, index > 260 || count < 20 {
                    return special[(index / 4 + Int(seed) * index / 44) % special.count]
                }
                return index % 3 == 0 ? (value * scale).rounded() : value * scale
            }
        }
        let (a, b) = (try values(1, 1000), try values(2, 8))
        func check(_ b: [Float]) throws {
            let divisors = b.count == 1 ? [Float](repeating: b[0], count: count) : b
            let rests = zip(a, divisors).map { $0.truncatingRemainder(dividingBy: $1) }
            let inputs = [try Tensor(a), try Tensor(b)]
            let found = try run("Mod", version: 13, attributes: NodeAttributes(["fmod": .int(1)]), inputs: inputs)[0]
            func bits(_ values: [Float]) -> [UInt32] { values.map { $0.isNaN ? Float.nan.bitPattern : $0.bitPattern } }
            expectEqual(bits(try found.array(of: Float.self)), bits(rests), "fmod")
            let floored = zip(rests, divisors).map { rest, b in
                rest == 0 ? Float(signOf: b, magnitudeOf: 0) : (rest < 0) != (b < 0) ? rest + b : rest
            }
            let python = try run("Mod", version: 28, inputs: inputs)[0]
            expectEqual(bits(try python.array(of: Float.self)), bits(floored), "floored")
        }
        try check(b)
        try check([0.75])
        try check([-3])
    }

    @Test func testsOfFloats() throws {
        let values: [Double] = (0..<203).map { [.nan, .infinity, -.infinity, 0, -1, 1e308, 5e-324][$0 * 5 % 7] }
        for x in [try Tensor(values), try Tensor(values.map { Float($0) })] {
            let isSingle = x.dtype == .float32
            let given = isSingle ? values.map { Double(Float($0)) } : values
            try expectEqual(run("IsNaN", version: 20, inputs: [x])[0], given.map { $0.isNaN })
            for (negative, positive) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let signs = NodeAttributes([
                    "detect_negative": .int(Int64(negative)), "detect_positive": .int(Int64(positive)),
                ])
                let expected = given.map { ($0 == .infinity && positive == 1) || ($0 == -.infinity && negative == 1) }
                try expectEqual(run("IsInf", version: 20, attributes: signs, inputs: [x])[0], expected)
            }
        }
    }

    @Test func integersNeverTrap() throws {
        let x = try Tensor([Int32.min, 7, -7, 5])
        let y = try Tensor([Int32(-1), 0, 2, -3])
        try expectEqual(run("Div", version: 14, inputs: [x, y])[0], [.min, 0, -3, -1] as [Int32])
        try expectEqual(run("Mod", version: 13, inputs: [x, y])[0], [0, 0, 1, -1] as [Int32])
        let fmod = NodeAttributes(["fmod": .int(1)])
        try expectEqual(run("Mod", version: 13, attributes: fmod, inputs: [x, y])[0], [0, 0, -1, 2] as [Int32])
        try expectEqual(run("Mul", version: 14, inputs: [x, y])[0], [.min, 0, -14, -15] as [Int32])
        try expectEqual(run("Neg", version: 13, inputs: [x])[0], [.min, -7, 7, -5] as [Int32])
        try expectEqual(run("Abs", version: 13, inputs: [x])[0], [.min, 7, 7, 5] as [Int32])
        let left = NodeAttributes(["direction": .string("LEFT")])
        let bytes = try Tensor([UInt8(1), 3, 255])
        let shifts = try Tensor([UInt8(7), 8, 200])
        try expectEqual(run("BitShift", version: 11, attributes: left, inputs: [bytes, shifts])[0], [128, 0, 0] as [UInt8])
    }

    @Test func minimaAndMaximaKeepNaN() throws {
        let x = try floats([.nan, 1, .nan, 2], [4])
        let y = try floats([1, .nan, .nan, 3], [4])
        for type in ["Min", "Max"] {
            let found = try run(type, version: 13, inputs: [x, y])[0].array(of: Float.self)
            #expect(found[0].isNaN && found[1].isNaN && found[2].isNaN && found[3] == (type == "Min" ? 2 : 3))
        }
        let sum = try run("Sum", version: 13, inputs: [floats([1, 2], [2]), floats([10], [1]), floats([5], [])])[0]
        try expectEqual(sum, [16, 17] as [Float])
        let mean = try run("Mean", version: 13, inputs: [floats([1, 2], [2]), floats([3], [1])])[0]
        try expectEqual(mean, [2, 2.5] as [Float])
    }

    @Test func powersOfMixedTypes() throws {
        let x = try floats([-2, 0.5, 3], [3])
        for (exponent, expected) in [(2, [4, 0.25, 9]), (3, [-8, 0.125, 27]), (1, [-2, 0.5, 3]), (-1, [-0.5, 2, 1 / 3])]
            as [(Float, [Float])]
        {
            try expectEqual(run("Pow", version: 15, inputs: [x, floats([exponent], [])])[0], expected)
        }
        let integers = try Tensor([Int32(2), -1, 0, 7])
        try expectEqual(
            run("Pow", version: 15, inputs: [integers, int64s([10, -3, -1, 0])])[0],
            [
                1024, -1, 0, 1,
            ] as [Int32])
        #expect(try run("Pow", version: 15, inputs: [integers, floats([0.5], [])])[0].array(of: Int32.self)[0] == 1)
        let half = try Tensor([Float16(3), 0.5])
        try expectEqual(run("Pow", version: 15, inputs: [half, int64s([2])])[0], [9, 0.25] as [Float16])
    }

    @Test func clipsWithAndWithoutBounds() throws {
        let x = try floats([-3, -0.5, .nan, 0.5, 3], [5])
        let low = try floats([-1], [])
        let high = try floats([1], [])
        func clip(_ inputs: [Tensor?]) throws -> [Float] {
            try run("Clip", version: 13, inputs: inputs)[0].array(of: Float.self).map { $0.isNaN ? 99 : $0 }
        }
        expectEqual(try clip([x, low, high]), [-1, -0.5, 99, 0.5, 1])
        expectEqual(try clip([x, nil, high]), [-3, -0.5, 99, 0.5, 1])
        expectEqual(try clip([x, low]), [-1, -0.5, 99, 0.5, 3])
        expectEqual(try clip([x, high, low]), [-1, -1, 99, -1, -1])
        let old = NodeAttributes(["min": .float(0)])
        try expectEqual(run("Clip", version: 6, attributes: old, inputs: [floats([-1, 2], [2])])[0], [0, 2] as [Float])
        expectError("a bound should be one float32, found float32[2]") {
            try run("Clip", version: 13, inputs: [x, floats([1, 2], [2])])
        }
    }

    @Test func floatConditionsAndStringsCompare() throws {
        let a = try Tensor(strings: ["cat", "dog"], shape: Shape([2]))
        let b = try Tensor(strings: ["dog"], shape: Shape([1]))
        try expectEqual(run("Equal", version: 19, inputs: [a, b])[0], [false, true] as [Bool])
        let flags = try Tensor([true, false])
        try expectEqual(run("Equal", version: 13, inputs: [flags, Tensor([true])])[0], [true, false] as [Bool])
        #expect(try run("Where", version: 16, inputs: [flags, a, b])[0].strings == ["cat", "dog"])
        let x = try floats([.nan, .infinity, -.infinity, 1], [4])
        try expectEqual(run("IsNaN", version: 20, inputs: [x])[0], [true, false, false, false] as [Bool])
        let positive = NodeAttributes(["detect_negative": .int(0)])
        try expectEqual(
            run("IsInf", version: 20, attributes: positive, inputs: [x])[0],
            [
                false, true, false, false,
            ] as [Bool])
        expectError("inputs of types float32 and bool should have one type") {
            try run("Add", version: 14, inputs: [x, flags])
        }
        expectError("shapes [4] and [3] don't broadcast") { try run("Add", version: 14, inputs: [x, floats([1, 2, 3], [3])]) }
    }
}
