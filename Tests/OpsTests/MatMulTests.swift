import GraphRuntime
import Ops
import TestSupport
import Testing

/// MatMul and Gemm against sums in double precision, written from ONNX MatMul-13 (numpy.matmul) and Gemm-13.
@Suite struct MatMulTests {
    /// The product of tensors of these shapes, with numpy's rules for vectors and broadcasting.
    private static func product(_ a: [Double], _ b: [Double], _ left: [Int], _ right: [Int]) throws -> (
        values: [Double], shape: [Int]
    ) {
        let (rows, columns) = (left.count == 1 ? [1] + left : left, right.count == 1 ? right + [1] : right)
        let (m, k, n) = (rows[rows.count - 2], rows[rows.count - 1], columns[columns.count - 1])
        let rank = max(rows.count, columns.count) - 2
        func padded(_ shape: [Int]) -> [Int] { Array(repeating: 1, count: rank + 2 - shape.count) + shape.dropLast(2) }
        let (leftBatch, rightBatch) = (padded(rows), padded(columns))
        let batch = zip(leftBatch, rightBatch).map { $0 == 1 ? $1 : $0 }
        var values: [Double] = []
        for index in 0..<batch.reduce(1, *) {
            var (rest, leftIndex, rightIndex, leftStep, rightStep) = (index, 0, 0, 1, 1)
            for axis in batch.indices.reversed() {
                let position = rest % batch[axis]
                rest /= batch[axis]
                leftIndex += leftBatch[axis] == 1 ? 0 : position * leftStep
                rightIndex += rightBatch[axis] == 1 ? 0 : position * rightStep
                leftStep *= leftBatch[axis]
                rightStep *= rightBatch[axis]
            }
            for row in 0..<m {
                for column in 0..<n {
                    values.append(
                        (0..<k).reduce(0) { $0 + a[(leftIndex * m + row) * k + $1] * b[(rightIndex * k + $1) * n + column] })
                }
            }
        }
        return (values, batch + (left.count == 1 ? [] : [m]) + (right.count == 1 ? [] : [n]))
    }

    @Test(
        arguments: [
            ([5], [5]), ([5], [5, 3]), ([3, 5], [5]), ([5], [2, 5, 3]), ([2, 3, 5], [5]), ([1], [1]), ([0], [0]),
            ([0], [0, 3]),
            ([3, 5], [5, 7]), ([1, 1], [1, 1]), ([1, 5], [5, 1]), ([17, 1], [1, 13]), ([3, 0], [0, 4]), ([0, 5], [5, 3]),
            ([3, 5], [5, 0]), ([2, 3, 5], [5, 7]), ([3, 5], [2, 5, 7]), ([2, 3, 5], [2, 5, 7]), ([2, 1, 3, 5], [4, 5, 7]),
            ([4, 3, 5], [2, 1, 5, 7]), ([1, 3, 5], [6, 5, 7]), ([6, 3, 5], [1, 5, 7]), ([0, 3, 5], [5, 7]),
            ([0, 3, 5], [1, 5, 7]),
            ([3, 1, 2, 3], [1, 4, 3, 2]), ([2, 0, 3, 5], [5, 7]), ([2, 3, 0], [2, 0, 7]), ([3, 2000], [2000, 5]),
            ([1, 4096], [4096, 3]),
            ([130, 67], [67, 259]), ([2, 65, 33], [33, 129]), ([5, 64, 65], [5, 65, 63]), ([1, 300, 40], [40, 17]),
            ([3, 20, 40], [40, 700]), ([2, 70], [70, 1300]), ([33, 900], [900, 1090]),
        ] as [([Int], [Int])])
    func matMul(left: [Int], right: [Int]) throws {
        for (isDouble, threads) in [(false, 1), (false, 2), (true, 3), (false, 5)] {
            let make = isDouble ? pseudoRandomDoubles : pseudoRandom
            let (a, b) = (try make(left, 1), try make(right, 2))
            let expected = try Self.product(doubles(a), doubles(b), left, right)
            let found = try run("MatMul", version: 13, inputs: [a, b], threads: threads)[0]
            #expect(found.dtype == a.dtype)
            try expectClose(
                found, expected.values, shape: expected.shape, bound: isDouble ? 1e-14 : 3e-6,
                "\(left) × \(right), \(threads) threads")
            let packed = try runOnWeights("MatMul", version: 13, inputs: [a, b], threads: threads)
            try expectClose(
                packed, expected.values, shape: expected.shape, bound: isDouble ? 1e-14 : 3e-6,
                "\(left) × \(right) packed, \(threads) threads")
        }
    }

    /// Factors so large that neither is packed at once, and some that are read as they lie; some thousand of the sums are checked.
    @Test(arguments: [(1030, 4100, 1040), (301, 700, 530), (140, 1024, 70), (129, 2050, 900)]) func large(
        m: Int, k: Int, n: Int
    ) throws {
        let (a, b) = (try pseudoRandom([m, k], seed: 1), try pseudoRandom([k, n], seed: 2))
        let found = try run("MatMul", version: 13, inputs: [a, b], threads: 1)[0].array(of: Float.self)
        let (left, right) = (try a.array(of: Float.self), try b.array(of: Float.self))
        var dice = Dice(3)
        var (error, magnitude) = (0.0, 0.0)
        for _ in 0..<2000 {
            let (row, column) = (dice.roll(m), dice.roll(n))
            let expected = (0..<k).reduce(0.0) { $0 + Double(left[row * k + $1]) * Double(right[$1 * n + column]) }
            error = max(error, abs(expected - Double(found[row * n + column])))
            magnitude = max(magnitude, abs(expected))
        }
        #expect(error <= 3e-6 * magnitude)
    }

    @Test func integersWrapAround() throws {
        let a: [Int32] = [3, .max, -5, 7, 0, .min]
        let b: [Int32] = [2, 1, -1, 4, 9, 3]
        let found = try run(
            "MatMul", version: 13, inputs: [Tensor(a, shape: Shape([2, 3])), Tensor(b, shape: Shape([3, 2]))])[0]
        var expected: [Int32] = [0, 0, 0, 0]
        for place in 0..<4 {
            for inner in 0..<3 {
                let factors: (Int32, Int32) = (a[place / 2 * 3 + inner], b[inner * 2 + place % 2])
                expected[place] = expected[place] &+ factors.0 &* factors.1
            }
        }
        try expectEqual(found, expected)
        let longs = try run(
            "MatMul", version: 13,
            inputs: [Tensor([Int64](1...6), shape: Shape([3, 1, 2])), Tensor([Int64](1...2), shape: Shape([2]))])[0]
        #expect(longs.shape.dimensions == [3, 1])
        try expectEqual(longs, [5, 11, 17] as [Int64])
        let none = try run(
            "MatMul", version: 13,
            inputs: [Tensor([UInt64](), shape: Shape([2, 0])), Tensor([UInt64](), shape: Shape([0, 1]))])
        try expectEqual(none[0], [0, 0] as [UInt64])
    }

    @Test(
        arguments: [
            ([], [3], "a scalar has no matrix product (shapes [] and [3])"),
            ([3], [], "a scalar has no matrix product (shapes [3] and [])"),
            ([3, 4], [5, 6], "shapes [3, 4] and [5, 6] don't multiply"), ([3], [4], "shapes [3] and [4] don't multiply"),
            ([3, 0], [1, 3], "shapes [3, 0] and [1, 3] don't multiply"),
            ([2, 3, 4], [3, 4, 5], "shapes [2] and [3] don't broadcast"),
            ([0, 3, 4], [2, 4, 5], "shapes [0] and [2] don't broadcast"),
            // These fit no memory: they have no elements themselves, but their product has, or none that BLAS can count.
            ([1 << 32, 0], [0, 1], "an extent of 4294967296 is more than the matrix product takes (2^31 - 1)"),
            ([1, 0], [0, 1 << 40], "an extent of 1099511627776 is more than the matrix product takes"),
            ([1 << 30, 0], [0, 1 << 30], "shape [1073741824, 1073741824] has too many elements"),
            ([0, 1, 1 << 33], [1 << 33, 0], "an extent of 8589934592 is more than the matrix product takes"),
        ] as [([Int], [Int], String)])
    func refusesShapes(left: [Int], right: [Int], reason: String) throws {
        expectError(reason) {
            try run("MatMul", version: 13, inputs: [pseudoRandom(left), pseudoRandom(right)])
        }
    }

    @Test func refusesTypes() throws {
        let a = try pseudoRandom([2, 2])
        expectError("the factors are of different types, float32 and float64") {
            try run("MatMul", version: 13, inputs: [a, pseudoRandomDoubles([2, 2])])
        }
        expectError("the factors are of different types, float32 and int32") {
            try run("MatMul", version: 13, inputs: [a, Tensor([Int32](1...4), shape: Shape([2, 2]))])
        }
        let flags = try Tensor([true, false, true, true], shape: Shape([2, 2]))
        expectError("matrices of bool aren't supported") { try run("MatMul", version: 13, inputs: [flags, flags]) }
    }
}

@Suite struct GemmTests {
    /// alpha · op(A) · op(B) + beta · C with C [rows or 1, columns or 1].
    private struct Problem {
        var m: Int
        var n: Int
        var k: Int
        var transposeA = false
        var transposeB = false
        var alpha: Float = 1
        var beta: Float = 1
        var c: [Int]?

        var attributes: NodeAttributes {
            NodeAttributes([
                "alpha": .float(alpha), "beta": .float(beta), "transA": .int(transposeA ? 1 : 0),
                "transB": .int(transposeB ? 1 : 0),
            ])
        }

        var shapes: [[Int]] { [transposeA ? [k, m] : [m, k], transposeB ? [n, k] : [k, n]] + (c.map { [$0] } ?? []) }

        func expected(_ a: [Double], _ b: [Double], _ c: [Double]?) -> [Double] {
            let padded = Array(repeating: 1, count: 2 - (self.c?.count ?? 2)) + (self.c ?? [1, 1])
            return (0..<m * n).map { place in
                let (row, column) = (place / n, place % n)
                let sum = (0..<k).reduce(0.0) {
                    $0 + a[transposeA ? $1 * m + row : row * k + $1] * b[transposeB ? column * k + $1 : $1 * n + column]
                }
                let addend = c.map { $0[(padded[0] == 1 ? 0 : row) * padded[1] + (padded[1] == 1 ? 0 : column)] } ?? 0
                return Double(alpha) * sum + Double(beta) * addend
            }
        }
    }

    private static func addends(_ m: Int, _ n: Int) -> [[Int]?] { [nil, [], [1], [n], [1, 1], [1, n], [m, 1], [m, n]] }

    @Test(arguments: [
        (3, 5, 7), (1, 1, 1), (17, 1, 13), (1, 17, 5), (5, 5, 5), (3, 4, 0), (0, 4, 3), (3, 0, 4), (67, 129, 65), (1, 1, 3000),
        (5, 70, 650),
    ])
    func equalsSums(m: Int, n: Int, k: Int) throws {
        var dice = Dice(UInt64(m * 31 + n * 7 + k))
        for c in Self.addends(m, n) {
            for flags in 0..<4 {
                let problem = Problem(
                    m: m, n: n, k: k, transposeA: flags & 1 == 1, transposeB: flags & 2 == 2,
                    alpha: dice.pick([1, 0.5, -2, 0]),
                    beta: dice.pick([1, 0.25, -3, 0]), c: c)
                let isDouble = dice.roll(3) == 0
                let make = isDouble ? pseudoRandomDoubles : pseudoRandom
                let inputs = try problem.shapes.enumerated().map { try make($1, UInt64($0 + 1)) }
                let values = try inputs.map { try doubles($0) }
                let found = try run(
                    "Gemm", version: 13, attributes: problem.attributes, inputs: inputs, threads: dice.pick([1, 2, 3, 5]))
                try expectClose(
                    found[0], problem.expected(values[0], values[1], c == nil ? nil : values[2]), shape: [m, n],
                    bound: isDouble ? 1e-14 : 3e-6, "\(problem)")
                let packed = try runOnWeights(
                    "Gemm", version: 13, attributes: problem.attributes, inputs: inputs, threads: dice.pick([1, 2, 3, 5]))
                try expectClose(
                    packed, problem.expected(values[0], values[1], c == nil ? nil : values[2]), shape: [m, n],
                    bound: isDouble ? 1e-14 : 3e-6, "\(problem) packed")
            }
        }
    }

    @Test func integers() throws {
        for flags in 0..<4 {
            let problem = Problem(
                m: 2, n: 3, k: 2, transposeA: flags & 1 == 1, transposeB: flags & 2 == 2, alpha: 2, beta: -3, c: [3])
            let inputs = try problem.shapes.enumerated().map { index, dimensions in
                let shape = try Shape(dimensions)
                return try Tensor((0..<shape.count).map { Int32($0 * 3 - 4 + index) }, shape: shape)
            }
            let values = try inputs.map { try $0.array(of: Int32.self).map { Double($0) } }
            let found = try run("Gemm", version: 13, attributes: problem.attributes, inputs: inputs)[0]
            let expected = problem.expected(values[0], values[1], values[2])
            expectEqual(try found.array(of: Int32.self).map { Double($0) }, expected, shape: found.shape.dimensions)
        }
        let one = try Tensor([UInt32(1)], shape: Shape([1, 1]))
        expectError("alpha 0.5 and beta 1.0 aren't integers as the matrices are") {
            try run("Gemm", version: 13, attributes: NodeAttributes(["alpha": .float(0.5)]), inputs: [one, one])
        }
        expectError("alpha 1.0 and beta nan aren't integers as the matrices are") {
            try run("Gemm", version: 13, attributes: NodeAttributes(["beta": .float(.nan)]), inputs: [one, one])
        }
    }

    @Test func refuses() throws {
        let shapes: [([[Int]], String)] = [
            ([[3], [3, 2]], "expected two matrices, found shapes [3] and [3, 2]"),
            ([[2, 3], [3]], "expected two matrices, found shapes [2, 3] and [3]"),
            ([[1, 2, 3], [3, 2]], "expected two matrices, found shapes [1, 2, 3] and [3, 2]"),
            ([[], []], "expected two matrices, found shapes [] and []"),
            ([[2, 3], [2, 3]], "shapes [2, 3] and [2, 3] don't multiply"),
            ([[2, 3], [3, 4], [3]], "shapes [3] and [2, 4] don't broadcast"),
            ([[2, 3], [3, 4], [2]], "shapes [2] and [2, 4] don't broadcast"),
            ([[2, 3], [3, 4], [4, 1]], "shapes [4, 1] and [2, 4] don't broadcast"),
            ([[2, 3], [3, 4], [1, 2, 4]], "C of shape [1, 2, 4] doesn't broadcast to [2, 4]"),
            ([[2, 3], [3, 4], [0]], "shapes [0] and [2, 4] don't broadcast"),
            ([[0, 3], [3, 4], [5, 4]], "shapes [5, 4] and [0, 4] don't broadcast"),
            ([[1 << 40, 0], [0, 1]], "an extent of 1099511627776 is more than the matrix product takes (2^31 - 1)"),
            ([[1 << 31, 0], [0, 1 << 31]], "an extent of 2147483648 is more than the matrix product takes (2^31 - 1)"),
        ]
        for (inputs, reason) in shapes {
            expectError(reason, "\(inputs)") {
                try run("Gemm", version: 13, inputs: inputs.map { try pseudoRandom($0) })
            }
        }
        let (a, b) = (try pseudoRandom([2, 2]), try pseudoRandomDoubles([2, 2]))
        expectError("expected a tensor of float32, found float64") { try run("Gemm", version: 13, inputs: [a, b]) }
        expectError("expected a tensor of float32, found float64") { try run("Gemm", version: 13, inputs: [a, a, b]) }
        expectError("attribute alpha should be a float, found an integer") {
            try run("Gemm", version: 13, attributes: NodeAttributes(["alpha": .int(1)]), inputs: [a, a])
        }
    }
}
