import GraphRuntime
import Ops
import TestSupport
import Testing

/// Products of bytes against plain sums, for factors of either sign and zero points of every form.
@Suite struct IntegerProductTests {
    /// Bytes as a tensor of int8 or uint8, the extremes often among them: where pairs of products leave 16 bits.
    private static func bytes(_ shape: [Int], isSigned: Bool, seed: UInt64) throws -> Tensor {
        var dice = Dice(seed)
        let values = (0..<shape.reduce(1, *)).map { _ -> UInt8 in
            switch dice.roll(4) {
            case 0: isSigned ? 0x80 : 0xff
            case 1: isSigned ? 0x7f : 0xfe
            default: UInt8(dice.roll(256))
            }
        }
        return try Tensor(dtype: isSigned ? .int8 : .uint8, shape: Shape(shape), bytes: values)
    }

    private static func integers(_ tensor: Tensor) throws -> [Int32] {
        tensor.dtype == .int8
            ? try tensor.array(of: Int8.self).map { Int32($0) } : try tensor.array(of: UInt8.self).map { Int32($0) }
    }

    private static func product(
        _ a: [Int32], _ b: [Int32], m: Int, k: Int, n: Int, rowZero: (Int) -> Int32, columnZero: (Int) -> Int32
    ) -> [Int32] {
        var result: [Int32] = []
        for row in 0..<m {
            for column in 0..<n {
                var sum: Int32 = 0
                for index in 0..<k {
                    sum &+= (a[row * k + index] - rowZero(row)) &* (b[index * n + column] - columnZero(column))
                }
                result.append(sum)
            }
        }
        return result
    }

    @Test(
        arguments: [
            [1, 1, 1], [1, 4, 16], [1, 300, 77], [2, 3, 5], [5, 7, 9], [14, 64, 32], [15, 65, 33], [29, 6, 31], [3, 0, 4],
            [0, 5, 3],
            [3, 5, 0], [4, 64, 32], [16, 128, 33], [20, 130, 64], [21, 63, 96], [31, 191, 32], [52, 256, 7],
            [70, 4096, 40], [130, 67, 259], [257, 129, 65], [33, 900, 300], [1030, 40, 50],
        ])
    func equalsPlainSums(extents: [Int]) throws {
        let (m, k, n) = (extents[0], extents[1], extents[2])
        for signs in 0..<4 {
            let (leftIsSigned, rightIsSigned) = (signs % 2 == 1, signs / 2 == 1)
            let a = try Self.bytes([m, k], isSigned: leftIsSigned, seed: 1)
            let b = try Self.bytes([k, n], isSigned: rightIsSigned, seed: 2)
            let (left, right) = (try Self.integers(a), try Self.integers(b))
            for (each, threads) in [(false, 2), (true, 3)] {
                let aZero = try Self.bytes(each ? [m] : [], isSigned: leftIsSigned, seed: 3)
                let bZero = try Self.bytes(each ? [n] : [1], isSigned: rightIsSigned, seed: 4)
                let (rowZeros, columnZeros) = (try Self.integers(aZero), try Self.integers(bZero))
                let expected = Self.product(
                    left, right, m: m, k: k, n: n, rowZero: { rowZeros[each ? $0 : 0] },
                    columnZero: { columnZeros[each ? $0 : 0] })
                let inputs = [a, b, aZero, bZero]
                let title = Comment("\(extents), signs \(signs), zeros of each row and column: \(each)")
                try #expect(
                    run("MatMulInteger", version: 10, inputs: inputs, threads: threads)[0].array(of: Int32.self) == expected,
                    title)
                let packed = try runOnWeights("MatMulInteger", version: 10, inputs: inputs, threads: threads)
                try #expect(packed.array(of: Int32.self) == expected, title)
            }
            let expected = Self.product(left, right, m: m, k: k, n: n, rowZero: { _ in 0 }, columnZero: { _ in 0 })
            let found = try run("MatMulInteger", version: 10, inputs: [a, b])[0].array(of: Int32.self)
            #expect(found == expected, "\(extents), signs \(signs)")
        }
    }

    /// One matrix for all of A's, one for each, and zero points [batch, M, 1] and [batch, 1, N].
    @Test func batches() throws {
        let (m, k, n) = (5, 9, 17)
        let a = try Self.bytes([3, m, k], isSigned: false, seed: 1)
        let left = try Self.integers(a)
        for shared in [true, false] {
            let b = try Self.bytes(shared ? [k, n] : [3, k, n], isSigned: true, seed: 2)
            let right = try Self.integers(b)
            let aZero = try Self.bytes([3, m, 1], isSigned: false, seed: 3)
            let bZero = try Self.bytes(shared ? [n] : [3, 1, n], isSigned: true, seed: 4)
            let (rowZeros, columnZeros) = (try Self.integers(aZero), try Self.integers(bZero))
            var expected: [Int32] = []
            for index in 0..<3 {
                let place = shared ? 0 : index
                expected += Self.product(
                    Array(left[index * m * k..<(index + 1) * m * k]), Array(right[place * k * n..<(place + 1) * k * n]), m: m,
                    k: k, n: n, rowZero: { rowZeros[index * m + $0] }, columnZero: { columnZeros[place * n + $0] })
            }
            let inputs = [a, b, aZero, bZero]
            let found = try run("MatMulInteger", version: 10, inputs: inputs)[0]
            #expect(found.shape.dimensions == [3, m, n])
            try expectEqual(found, expected)
            try expectEqual(runOnWeights("MatMulInteger", version: 10, inputs: inputs), expected)
        }
        expectError("2 scales or zero points don't fit 5 rows or columns") {
            try run(
                "MatMulInteger", version: 10, inputs: [a, Self.bytes([k, n], isSigned: true, seed: 2), Tensor([UInt8(1), 2])])
        }
        expectError("expected int8 or uint8, found float32") {
            try run("MatMulInteger", version: 10, inputs: [a, floats([1, 2, 3, 4, 5, 6, 7, 8, 9], [9, 1])])
        }
    }

    /// A convolution over three axes.
    private struct Convolution {
        let x: [Int32]
        /// [N, C, D, H, W]
        let input: [Int]
        let w: [Int32]
        /// [M, C / group, kernel…]
        let weights: [Int]
        let group: Int
        let strides: [Int]
        let dilations: [Int]
        let padsBefore: [Int]
        let padsAfter: [Int]
        let xZero: Int32
        /// One for all output channels, or one for each.
        let wZeros: [Int32]

        var output: [Int] {
            (0..<3).map { axis -> Int in
                let reach: Int = (weights[axis + 2] - 1) * dilations[axis] + 1
                let extent: Int = input[axis + 2] + padsBefore[axis] + padsAfter[axis]
                return (extent - reach) / strides[axis] + 1
            }
        }

        /// The sums, both without zero points; padding stands for zero.
        func sums() -> [Int32] {
            let output = output
            var result: [Int32] = []
            for picture in 0..<input[0] {
                for channel in 0..<weights[0] {
                    for place in 0..<output.reduce(1, *) {
                        let at: [Int] = [place / (output[1] * output[2]), place / output[2] % output[1], place % output[2]]
                        result.append(sum(picture, channel, at))
                    }
                }
            }
            return result
        }

        private func sum(_ picture: Int, _ channel: Int, _ at: [Int]) -> Int32 {
            let taps: Int = weights[2] * weights[3] * weights[4]
            let wZero: Int32 = wZeros.count == 1 ? wZeros[0] : wZeros[channel]
            var result: Int32 = 0
            for part in 0..<weights[1] * taps {
                let tap: [Int] = [
                    part / (weights[3] * weights[4]) % weights[2], part / weights[4] % weights[3], part % weights[4],
                ]
                var index: Int = picture * input[1] + channel / (weights[0] / group) * weights[1] + part / taps
                var isInside = true
                for axis in 0..<3 {
                    let from: Int = at[axis] * strides[axis] - padsBefore[axis] + tap[axis] * dilations[axis]
                    if from < 0 || from >= input[axis + 2] { isInside = false }
                    index = index * input[axis + 2] + from
                }
                guard isInside else { continue }
                let weight: Int32 = w[channel * weights[1] * taps + part] - wZero
                result &+= (x[index] - xZero) &* weight
            }
            return result
        }
    }

    /// Kernels of one pixel and more, strides, dilations, uneven pads, groups, one channel for each group, one to three axes.
    @Test(
        arguments: [
            ([2, 5, 7, 6], [9, 5, 1, 1], 1, [1, 1], [1, 1], [0, 0, 0, 0]),
            ([1, 64, 14, 13], [40, 64, 3, 3], 1, [1, 1], [1, 1], [1, 1, 1, 1]),
            ([2, 3, 15, 17], [20, 3, 7, 5], 1, [2, 3], [1, 1], [3, 2, 1, 0]),
            ([1, 8, 9, 11], [12, 4, 3, 2], 2, [1, 2], [2, 3], [2, 1, 0, 2]),
            ([2, 19, 9, 8], [19, 1, 3, 3], 19, [1, 2], [1, 1], [1, 1, 1, 1]),
            ([1, 4, 9, 8], [8, 1, 3, 3], 4, [1, 1], [1, 1], [1, 1, 1, 1]), ([2, 6, 23], [7, 6, 5], 1, [2], [1], [2, 1]),
            ([1, 3, 5, 6, 7], [4, 3, 2, 3, 3], 1, [1, 2, 1], [1, 1, 2], [1, 0, 2, 0, 1, 1]),
            ([1, 1, 1, 1], [1, 1, 1, 1], 1, [1, 1], [1, 1], [0, 0, 0, 0]),
            ([1, 2, 3, 3], [5, 2, 3, 3], 1, [1, 1], [1, 1], [3, 3, 3, 3]),
            ([0, 2, 3, 3], [5, 2, 3, 3], 1, [1, 1], [1, 1], [1, 1, 1, 1]),
            // One channel for each group, by words of four taps: rows that several positions share, and those that they don't.
            ([1, 100, 9, 30], [100, 1, 3, 3], 100, [1, 1], [1, 1], [1, 1, 1, 1]),
            ([1, 70, 11, 21], [70, 1, 5, 5], 70, [1, 1], [1, 1], [2, 2, 2, 2]),
            ([2, 35, 12, 19], [35, 1, 5, 5], 35, [2, 2], [1, 1], [2, 1, 2, 3]),
            ([1, 16, 9, 9], [16, 1, 7, 7], 16, [1, 1], [1, 1], [3, 3, 3, 3]),
            ([1, 17, 9, 12], [17, 1, 2, 6], 17, [1, 3], [1, 1], [0, 5, 1, 4]),
            ([1, 33, 13, 14], [33, 1, 3, 3], 33, [1, 1], [2, 3], [4, 3, 2, 6]),
            ([1, 64, 40], [64, 1, 9], 64, [1], [1], [8, 3]), ([1, 5, 3, 3], [5, 1, 1, 1], 5, [2, 1], [1, 1], [0, 1, 0, 0]),
            ([2, 20, 4, 5, 6], [20, 1, 2, 3, 3], 20, [2, 1, 2], [1, 2, 1], [1, 2, 0, 0, 2, 1]),
            // Few channels for each group, by words of four channels.
            ([1, 32, 9, 19], [32, 4, 3, 3], 8, [1, 1], [1, 1], [1, 1, 1, 1]),
            ([2, 40, 8, 11], [40, 8, 3, 3], 5, [2, 2], [1, 1], [1, 1, 1, 1]),
            ([1, 24, 7, 8], [72, 8, 1, 3], 3, [1, 1], [1, 2], [0, 2, 0, 1]),
            ([1, 64, 10, 9], [14, 32, 2, 2], 2, [1, 1], [1, 1], [0, 0, 0, 0]),
            ([1, 36, 9, 9], [9, 4, 3, 3], 9, [1, 1], [1, 1], [1, 1, 1, 1]),
            ([1, 24, 5, 4, 6], [36, 12, 3, 1, 3], 2, [1, 2, 1], [1, 1, 2], [1, 0, 2, 1, 0, 2]),
        ] as [([Int], [Int], Int, [Int], [Int], [Int])])
    func convolutions(input: [Int], weights: [Int], group: Int, strides: [Int], dilations: [Int], pads: [Int]) throws {
        let missing = 5 - input.count
        func padded(_ values: [Int], _ filler: Int) -> [Int] { Array(repeating: filler, count: missing) + values }
        let half = pads.count / 2
        let attributes = NodeAttributes([
            "group": .int(Int64(group)), "strides": .ints(strides.map { Int64($0) }),
            "dilations": .ints(dilations.map { Int64($0) }), "pads": .ints(pads.map { Int64($0) }),
        ])
        // The last two with weights that have no zero points.
        for signs in 0..<6 {
            let (xIsSigned, wIsSigned, hasZeros) = (signs % 2 == 1, signs / 2 >= 1, signs < 4)
            let x = try Self.bytes(input, isSigned: xIsSigned, seed: 1)
            let w = try Self.bytes(weights, isSigned: wIsSigned, seed: 2)
            let each = signs != 1
            let xZero = try Self.bytes([], isSigned: xIsSigned, seed: 3)
            let wZero = hasZeros ? try Self.bytes(each ? [weights[0]] : [], isSigned: wIsSigned, seed: 4) : nil
            let convolution = Convolution(
                x: try Self.integers(x), input: Array(input[..<2]) + padded(Array(input[2...]), 1), w: try Self.integers(w),
                weights: Array(weights[..<2]) + padded(Array(weights[2...]), 1), group: group, strides: padded(strides, 1),
                dilations: padded(dilations, 1), padsBefore: padded(Array(pads[..<half]), 0),
                padsAfter: padded(Array(pads[half...]), 0), xZero: try Self.integers(xZero)[0],
                wZeros: try wZero.map { try Self.integers($0) } ?? [0])
            let expected = convolution.sums()
            let inputs = [x, w, xZero] + (wZero.map { [$0] } ?? [])
            let shape: [Int] = [input[0], weights[0]] + convolution.output[missing...]
            let title = "\(input) with \(weights), signs \(signs)"
            let found = try run("ConvInteger", version: 10, attributes: attributes, inputs: inputs)[0]
            try expectEqual(found, expected, shape: shape, title)
            let packed = try runOnWeights("ConvInteger", version: 10, attributes: attributes, inputs: inputs)
            try expectEqual(packed, expected, shape: shape, title)
        }
    }

    /// What dynamic quantization makes of a product with a bias and a residual becomes one node, which computes the same to the bit.
    @Test(arguments: [([7, 36], false), ([2, 5, 65], true)]) func fusesWhatDynamicQuantizationWrites(
        shape: [Int], eachColumn: Bool
    ) throws {
        let (k, n) = (shape[shape.count - 1], 50)
        var graph = FusionGraph()
        let x = try graph.input(shape)
        let residual = try graph.input(Array(shape.dropLast()) + [n])
        let quantised = graph.outputs(3, of: "DynamicQuantizeLinear", [x])
        let weights = graph.constant(try MappedTensors([try Self.bytes([k, n], isSigned: true, seed: 5)]).tensors[0])
        let zero = graph.constant(try Self.bytes(eachColumn ? [n] : [], isSigned: true, seed: 6))
        let scale = graph.constant(try pseudoRandom(eachColumn ? [n] : [1], seed: 7))
        let sums = graph.node("MatMulInteger", quantised[0], weights, quantised[2], zero)
        let numbers = graph.node("Cast", sums, attributes: NodeAttributes(["to": .int(1)]))
        let product = graph.node("Mul", numbers, graph.node("Mul", quantised[1], scale))
        let biased = graph.node("Add", try graph.weights([n]), product)
        let results = try graph.results(graph.node("Add", biased, residual), threads: ThreadPool(threadCount: 2))
        try expectSame(results.fused, results.written, "fused and not")
        #expect(results.counts["MatMulInteger+scale"] == 1)
        #expect(results.counts["MatMulInteger+bias"] == 1)
        #expect(results.counts["MatMulInteger+residual"] == 1)
    }

    /// Ties go to the even number, what leaves the range to its end, what isn't a number to its least.
    @Test func quantisesAsTheStandardSays() throws {
        let values: [Float] = [
            0.5, 1.5, 2.5, -0.5, -1.5, 1e30, -1e30, .infinity, -.infinity, .nan, 253.5, 254.5, 3, 4, 5, 6, 7, 8,
        ]
        let x = try Tensor(values)
        let unsigned = try run("QuantizeLinear", version: 13, inputs: [x, Tensor(scalar: Float(1)), Tensor(scalar: UInt8(1))])[
            0]
        try expectEqual(unsigned, [1, 3, 3, 1, 0, 255, 0, 255, 0, 0, 255, 255, 4, 5, 6, 7, 8, 9] as [UInt8])
        let signed = try run("QuantizeLinear", version: 13, inputs: [x, Tensor(scalar: Float(1)), Tensor(scalar: Int8(-1))])[0]
        try expectEqual(
            signed, [-1, 1, 1, -1, -3, 127, -128, 127, -128, -128, 127, 127, 2, 3, 4, 5, 6, 7] as [Int8])
    }

    /// Rows long enough for vectors, with a scale for each, there and back.
    @Test func scalesAlongAnAxis() throws {
        let (count, length) = (3, 37)
        let x = try pseudoRandom([2, count, length], seed: 1)
        let (scales, zeros) = ([Float(0.01), 0.02, 0.005], [UInt8(3), 128, 250])
        let attributes = NodeAttributes(["axis": .int(1)])
        let quantised = try run(
            "QuantizeLinear", version: 13, attributes: attributes, inputs: [x, Tensor(scales), Tensor(zeros)])[0]
        let numbers = try x.array(of: Float.self)
        let expected = numbers.indices.map { index -> UInt8 in
            let row = index / length % count
            return UInt8(min(max((numbers[index] / scales[row]).rounded(.toNearestOrEven) + Float(zeros[row]), 0), 255))
        }
        try expectEqual(quantised, expected)
        let back = try run(
            "DequantizeLinear", version: 13, attributes: attributes, inputs: [quantised, Tensor(scales), Tensor(zeros)])[0]
        try expectEqual(
            back,
            expected.indices.map { index in
                Float(Int(expected[index]) - Int(zeros[index / length % count])) * scales[index / length % count]
            })
    }
}
