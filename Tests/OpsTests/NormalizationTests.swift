import Foundation
import GraphRuntime
import Ops
import TestSupport
import Testing

/// Normalisations against sums in double precision, written straight from the definitions.
@Suite struct NormalizationTests {
    /// (x - mean) / √(variance + ε) over ranges of consecutive elements.
    private static func standardize(_ x: [Float], block: Int, epsilon: Double) -> [Double] {
        guard block > 0 else { return [] }
        return stride(from: 0, to: x.count, by: block).flatMap { start -> [Double] in
            let values = x[start..<start + block].map { Double($0) }
            let mean = values.reduce(0, +) / Double(block)
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(block)
            return values.map { ($0 - mean) / (variance + epsilon).squareRoot() }
        }
    }

    private func expectClose(_ found: Tensor, _ expected: [Double], _ bound: Float, _ title: String = "") throws {
        try TestSupport.expectClose(found, expected, within: Tolerance(ofLargest: Double(bound)), title)
    }

    /// As Paddle's converter writes it, for variances that are larger.
    @Test func instancesOfNegativeEpsilon() throws {
        let x = try pseudoRandom([2, 3, 4, 5])
        let (scale, bias) = (try floats([1, 1, 1], [3]), try floats([0, 0, 0], [3]))
        let epsilon: Float = -9.673985e-7
        let y = try run(
            "InstanceNormalization", version: 17, attributes: NodeAttributes(["epsilon": .float(epsilon)]),
            inputs: [x, scale, bias])[0]
        let expected = Self.standardize(try x.array(of: Float.self), block: 20, epsilon: Double(epsilon))
        try TestSupport.expectClose(y, expected, within: Tolerance(absolute: 1e-6))
    }

    // N, C, G and the further axes: tails of every vector width, one element, none, few large groups, many small ones.
    @Test(arguments: [
        ([1, 4, 1, 1], 2), ([2, 6, 3], 3), ([2, 32, 7, 13], 8), ([1, 32, 5, 5], 32), ([1, 4, 65, 129], 1),
        ([1, 2, 200, 301], 2),
        ([3, 8, 1, 1], 1), ([0, 4, 3, 3], 2), ([1, 0, 3], 5), ([2, 4, 0], 2), ([1, 1, 1], 1), ([1, 320, 16, 16], 32),
    ])
    func groupNormalization(dimensions: [Int], groups: Int) throws {
        let x = try pseudoRandom(dimensions)
        let channels = dimensions[1]
        let inner = dimensions[2...].reduce(1, *)
        let scale = try pseudoRandom([channels], seed: 2)
        let bias = try pseudoRandom([channels], seed: 3)
        let block = channels / groups * inner
        let normal = Self.standardize(try x.array(of: Float.self), block: block, epsilon: 1e-5)
        let factors = try scale.array(of: Float.self)
        let offsets = try bias.array(of: Float.self)
        let expected = normal.enumerated().map { index, value in
            let channel = index / inner % channels
            return value * Double(factors[channel]) + Double(offsets[channel])
        }
        let given = NodeAttributes(["num_groups": .int(Int64(groups))])
        let found = try run("GroupNormalization", version: 21, attributes: given, inputs: [x, scale, bias])[0]
        try expectClose(found, expected, 2e-6)

        let activated = try MutableTensor(dtype: .float32, shape: x.shape)
        try normalizeGroups(
            x, scale: factors.map { Double($0) }, bias: offsets.map { Double($0) }, groups: groups,
            epsilon: Double(Float(1e-5)),
            hasSiLU: true, into: activated, threads: ThreadPool(threadCount: 2))
        try expectClose(activated.tensor, expected.map { $0 / (1 + exp(-$0)) }, 2e-6, "with SiLU")
    }

    @Test func groupNormalizationOfGroupParameters() throws {
        let x = try pseudoRandom([2, 6, 5])
        let scale = try floats([1, 2, 3], [3])
        let bias = try floats([4, 5, 6], [3])
        let normal = Self.standardize(try x.array(of: Float.self), block: 10, epsilon: 0.01)
        let expected = normal.enumerated().map { index, value in
            let group = index / 10 % 3
            return value * Double(group + 1) + Double(group + 4)
        }
        let given = NodeAttributes(["num_groups": .int(3), "epsilon": .float(0.01)])
        let found = try run("GroupNormalization", version: 18, attributes: given, inputs: [x, scale, bias])[0]
        try expectClose(found, expected, 2e-6)
    }

    // A mean a thousand times the deviation: sums of squares without centring would lose all digits.
    @Test func largeMeanKeepsItsPrecision() throws {
        let x = try floats(pseudoRandom([2 * 40000]).array(of: Float.self).map { $0 + 1000 }, [1, 2, 40000])
        let expected = Self.standardize(try x.array(of: Float.self), block: 40000, epsilon: 1e-5)
        let one = try floats([1, 1], [2])
        let zero = try floats([0, 0], [2])
        let found = try run("InstanceNormalization", version: 6, inputs: [x, one, zero])[0]
        try expectClose(found, expected, 1e-6)
        let row = try run("LayerNormalization", version: 17, inputs: [x, floats([1], [1])])[0]
        try expectClose(row, expected, 1e-6)
    }

    @Test(arguments: [
        [1, 1], [3, 5], [2, 7, 13], [5, 16], [4, 17], [3, 33], [9, 63], [2, 1280], [0, 4], [4, 0], [1, 9001],
    ])
    func layerNormalization(dimensions: [Int]) throws {
        let x = try pseudoRandom(dimensions)
        let count = dimensions.last ?? 0
        let rows = dimensions.dropLast().reduce(1, *)
        let scale = try pseudoRandom([count], seed: 2)
        let bias = try pseudoRandom([count], seed: 3)
        let factors = try scale.array(of: Float.self)
        let offsets = try bias.array(of: Float.self)
        let normal = Self.standardize(try x.array(of: Float.self), block: count, epsilon: 1e-5)
        let found = try run("LayerNormalization", version: 17, inputs: [x, scale, bias], outputCount: 3)
        try expectClose(
            found[0], normal.enumerated().map { $1 * Double(factors[$0 % count]) + Double(offsets[$0 % count]) }, 2e-6)
        #expect(found[1].shape.dimensions == dimensions.dropLast() + [1])
        #expect(found[2].count == rows)
        if count > 0, rows > 0 {
            let first = try x.array(of: Float.self).prefix(count).map { Double($0) }
            let mean = first.reduce(0, +) / Double(count)
            let variance = first.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
            #expect(abs(Double(try found[1].array(of: Float.self)[0]) - mean) < 1e-6)
            let deviation = 1 / (variance + 1e-5).squareRoot()
            #expect(abs(Double(try found[2].array(of: Float.self)[0]) / deviation - 1) < 1e-6)
        }
    }

    @Test(arguments: [[1, 1], [3, 5], [2, 7, 13], [5, 16], [4, 17], [9, 63], [2, 1280], [0, 4], [4, 0], [1, 9001]])
    func rootMeanSquareNormalization(dimensions: [Int]) throws {
        let x = try pseudoRandom(dimensions)
        let count = dimensions.last ?? 0
        let scale = try pseudoRandom([count], seed: 2)
        let factors = try scale.array(of: Float.self)
        let values = try x.array(of: Float.self).map { Double($0) }
        let expected = values.indices.map { index -> Double in
            let row = values[index / count * count..<(index / count + 1) * count]
            let mean = row.reduce(0) { $0 + $1 * $1 } / Double(count)
            return values[index] / (mean + 1e-5).squareRoot() * Double(factors[index % count])
        }
        try expectClose(run("RMSNormalization", version: 23, inputs: [x, scale])[0], expected, 1e-6)
    }

    @Test func scalesThatBroadcast() throws {
        let x = try pseudoRandom([2, 3, 5])
        let normal = Self.standardize(try x.array(of: Float.self), block: 15, epsilon: 1e-5)
        let given = NodeAttributes(["axis": .int(1)])
        let perRow = try floats([1, 2, 3], [3, 1])
        let found = try run("LayerNormalization", version: 17, attributes: given, inputs: [x, perRow])[0]
        try expectClose(found, normal.enumerated().map { $1 * Double($0 / 5 % 3 + 1) }, 2e-6)
        let perSample = try floats([1, 2], [2, 1, 1])
        let samples = try run("LayerNormalization", version: 17, attributes: given, inputs: [x, perSample])[0]
        try expectClose(samples, normal.enumerated().map { $1 * Double($0 / 15 + 1) }, 2e-6)
    }

    @Test func doublePrecision() throws {
        let values = try pseudoRandom([2, 6, 7]).array(of: Float.self)
        let x = try Tensor(values.map { Double($0) }, shape: Shape([2, 6, 7]))
        let ones = try Tensor([Double](repeating: 1, count: 7))
        let found = try run("LayerNormalization", version: 17, inputs: [x, ones])[0]
        let expected = Self.standardize(values, block: 7, epsilon: Double(Float(1e-5)))
        try TestSupport.expectClose(found, expected, within: Tolerance(absolute: 1e-12))
        let parameters = try Tensor([Double](repeating: 1, count: 6))
        let zeros = try Tensor([Double](repeating: 0, count: 6))
        let instances = try run("InstanceNormalization", version: 22, inputs: [x, parameters, zeros])[0]
        try TestSupport.expectClose(instances, expected, within: Tolerance(absolute: 1e-12))
        let rows = try run("Softmax", version: 13, inputs: [x])[0].array(of: Double.self)
        #expect(abs(rows[0..<7].reduce(0, +) - 1) < 1e-12)
    }

    @Test(arguments: [
        ([1], 0), ([5], 0), ([3, 77], 1), ([2, 16], -1), ([7, 13], 0), ([2, 3, 5], 1), ([2, 9, 100], 1), ([4, 4096], 1),
        ([0, 3], 1),
        ([3, 0], 1), ([1, 10001], 1), ([3, 64, 2], 1),
    ])
    func softmaxAndItsLogarithm(dimensions: [Int], axis: Int) throws {
        let x = try floats(pseudoRandom(dimensions).array(of: Float.self).map { $0 * 20 }, dimensions)
        let resolved = try x.shape.axis(axis)
        let count = dimensions[resolved]
        let inner = dimensions[(resolved + 1)...].reduce(1, *)
        let values = try x.array(of: Float.self).map { Double($0) }
        let sums = values.indices.map { index -> (Double, Double) in
            let start = index / (count * inner) * count * inner + index % inner
            let row = (0..<count).map { values[start + $0 * inner] }
            let maximum = row.max() ?? 0
            return (maximum, row.reduce(0) { $0 + exp($1 - maximum) })
        }
        let expected = zip(values, sums).map { exp($0 - $1.0) / $1.1 }
        let given = NodeAttributes(["axis": .int(Int64(axis))])
        let found = try run("Softmax", version: 13, attributes: given, inputs: [x])[0]
        try expectClose(found, expected, 5e-7)
        // Every single probability, not only the large ones.
        try TestSupport.expectClose(found, expected, within: Tolerance(absolute: 1e-37, relative: 4e-6))
        let logarithms = try run("LogSoftmax", version: 13, attributes: given, inputs: [x])[0]
        try expectClose(logarithms, zip(values, sums).map { $0 - $1.0 - log($1.1) }, 5e-7)
    }

    @Test func softmaxOfExtremes() throws {
        let x = try floats([1e30, -1e30, 0, -.infinity, 3, 3, .nan, 0, 0], [3, 3])
        let found = try run("Softmax", version: 13, inputs: [x])[0].array(of: Float.self)
        #expect(found[0..<6].elementsEqual([1, 0, 0, 0, 0.5, 0.5]))
        #expect(found[6...].allSatisfy { $0.isNaN })
    }

    @Test func softmaxOfMatricesBeforeVersion13() throws {
        let x = try floats([0, 0, 0, 0, 0, 0, 0, 0], [2, 2, 2])
        #expect(try run("Softmax", version: 11, inputs: [x])[0].array(of: Float.self).allSatisfy { $0 == 0.25 })
        #expect(try run("Softmax", version: 13, inputs: [x])[0].array(of: Float.self).allSatisfy { $0 == 0.5 })
        let hard = try run("Hardmax", version: 1, inputs: [x])[0].array(of: Float.self)
        expectEqual(hard, [1, 0, 0, 0, 1, 0, 0, 0])
    }

    @Test(arguments: [[2, 3, 4, 5], [1, 1, 1, 1], [2, 5], [7], [0, 3, 2], [2, 0, 2], [3, 2, 700], [37, 300]])
    func batchNormalization(dimensions: [Int]) throws {
        let x = try pseudoRandom(dimensions)
        let channels = dimensions.count > 1 ? dimensions[1] : 1
        let inner = dimensions.dropFirst(2).reduce(1, *)
        let parameters = try (2...5).map { try pseudoRandom([channels], seed: $0) }
        let variance = try floats(parameters[3].array(of: Float.self).map { abs($0) }, [channels])
        let p = try (Array(parameters[0..<3]) + [variance]).map { try $0.array(of: Float.self).map { Double($0) } }
        let values = try x.array(of: Float.self).map { Double($0) }
        func normalize(_ mean: [Double], _ variance: [Double]) -> [Double] {
            values.enumerated().map { index, value in
                let channel = index / inner % channels
                return (value - mean[channel]) / (variance[channel] + 1e-5).squareRoot() * p[0][channel] + p[1][channel]
            }
        }
        let inputs = [x] + parameters[0..<3] + [variance]
        try expectClose(run("BatchNormalization", version: 15, inputs: inputs)[0], normalize(p[2], p[3]), 2e-6)

        guard !values.isEmpty else { return }
        let own = (0..<channels).map { channel -> (Double, Double) in
            let all = values.indices.filter { $0 / inner % channels == channel }.map { values[$0] }
            let mean = all.reduce(0, +) / Double(all.count)
            return (mean, all.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(all.count))
        }
        let training = NodeAttributes(["training_mode": .int(1), "momentum": .float(0.75)])
        let found = try run("BatchNormalization", version: 15, attributes: training, inputs: inputs, outputCount: 3)
        try expectClose(found[0], normalize(own.map(\.0), own.map(\.1)), 2e-6)
        try expectClose(found[1], zip(p[2], own).map { $0 * 0.75 + $1.0 * 0.25 }, 1e-6)
        try expectClose(found[2], zip(p[3], own).map { $0 * 0.75 + $1.1 * 0.25 }, 1e-6)
    }

    @Test(arguments: [
        ([3, 5], -1), ([3, 5], 0), ([2, 7, 13], 1), ([1], 0), ([0, 2], 1), ([2, 0], 1), ([9, 16], 1), ([3, 49], 1),
        ([2, 77], -1),
        ([2, 9, 1030], 1), ([2, 3000], 1),
    ])
    func normalizationByNorms(dimensions: [Int], axis: Int) throws {
        let x = try pseudoRandom(dimensions)
        let resolved = try x.shape.axis(axis)
        let count = dimensions[resolved]
        let inner = dimensions[(resolved + 1)...].reduce(1, *)
        let values = try x.array(of: Float.self).map { Double($0) }
        for p in [1, 2] {
            let expected = values.indices.map { index -> Double in
                let start = index / (count * inner) * count * inner + index % inner
                let row = (0..<count).map { abs(values[start + $0 * inner]) }
                let norm = p == 1 ? row.reduce(0, +) : row.reduce(0) { $0 + $1 * $1 }.squareRoot()
                return values[index] / norm
            }
            let given = NodeAttributes(["axis": .int(Int64(axis)), "p": .int(Int64(p))])
            try expectClose(run("LpNormalization", version: 22, attributes: given, inputs: [x])[0], expected, 1e-6)
            let wide = try Tensor(values, shape: x.shape)
            try expectClose(run("LpNormalization", version: 22, attributes: given, inputs: [wide])[0], expected, 1e-13)
        }
        let zeros = try floats([0, 0], [1, 2])
        try expectEqual(run("LpNormalization", version: 22, inputs: [zeros])[0], [0, 0] as [Float])
    }

    /// Squares of float32 numbers that float32 can't hold.
    @Test(arguments: [0, 1]) func normsOfHugeAndTinyNumbers(axis: Int) throws {
        let given = NodeAttributes(["axis": .int(Int64(axis))])
        for scale: Float in [1e38, 1e-40] {
            let x = try floats([Float](repeating: 3 * scale, count: 4), [2, 2])
            let expected = [Double](repeating: 0.5.squareRoot(), count: 4)
            try expectClose(run("LpNormalization", version: 22, attributes: given, inputs: [x])[0], expected, 1e-6)
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 99]) func localResponseNormalization(size: Int) throws {
        let x = try pseudoRandom([2, 7, 3, 5])
        let values = try x.array(of: Float.self).map { Double($0) }
        let expected = values.indices.map { index -> Double in
            let channel = index / 15 % 7
            let window = max(channel - (size - 1) / 2, 0)...min(channel + size / 2, 6)
            let sum = window.reduce(0.0) { $0 + values[index + ($1 - channel) * 15] * values[index + ($1 - channel) * 15] }
            return values[index] / pow(1.5 + 0.5 / Double(size) * sum, 0.75)
        }
        let given = NodeAttributes(["size": .int(Int64(size)), "alpha": .float(0.5), "bias": .float(1.5)])
        try expectClose(run("LRN", version: 13, attributes: given, inputs: [x])[0], expected, 1e-6)
    }

    @Test func meanVarianceNormalizationOverAxes() throws {
        let x = try pseudoRandom([4, 3, 5])
        let given = NodeAttributes(["axes": .ints([-1, 1])])
        let found = try run("MeanVarianceNormalization", version: 13, attributes: given, inputs: [x])[0]
        try expectClose(found, Self.standardize(x.array(of: Float.self), block: 15, epsilon: 0), 1e-6)
    }

    /// Averages over axes at the end, others, and both, in runs of few neighbours and of many, of numbers far from 0.
    @Test(arguments: [[0, 2, 3], [2, 3], [1], [0], [0, 1], [3], [0, 1, 2, 3]], [[2, 3, 4, 3], [2, 3, 5, 40]])
    func meanVarianceNormalizationOverRuns(axes: [Int], shape: [Int]) throws {
        let values = try pseudoRandom(shape).array(of: Float.self).map { $0 + 100 }
        let given = NodeAttributes(["axes": .ints(axes.map { Int64($0) })])
        let found = try run("MeanVarianceNormalization", version: 13, attributes: given, inputs: [floats(values, shape)])[0]
        let strides = try Shape(shape).strides
        // The numbers of equal indices along the other axes.
        let groups = Dictionary(
            grouping: values.indices,
            by: { index in
                shape.indices.filter { !axes.contains($0) }.map { index / strides[$0] % shape[$0] }
            })
        var expected = [Double](repeating: 0, count: values.count)
        for group in groups.values {
            let mean = group.reduce(0) { $0 + Double(values[$1]) } / Double(group.count)
            let variance = group.reduce(0) { $0 + pow(Double(values[$1]) - mean, 2) } / Double(group.count)
            for index in group { expected[index] = (Double(values[index]) - mean) / (variance.squareRoot() + 1e-9) }
        }
        try expectClose(found, expected, 2e-6)
    }

    /// Numbers whose squares leave the range of single precision, and equal ones.
    @Test(arguments: [1e-25, 1e-12, 1e19, 1e25, 2e38, 0] as [Float]) func meanVarianceNormalizationOfExtremes(scale: Float)
        throws
    {
        let values = try pseudoRandom([1, 2, 4, 10]).array(of: Float.self).map { $0 * scale }
        let found = try run("MeanVarianceNormalization", version: 13, inputs: [floats(values, [1, 2, 4, 10])])[0]
        let expected = (0..<2).flatMap { channel -> [Double] in
            let own = values[channel * 40..<(channel + 1) * 40].map { Double($0) }
            let mean = own.reduce(0, +) / 40
            let deviation = (own.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 40).squareRoot()
            return own.map { ($0 - mean) / (deviation + 1e-9) }
        }
        try expectClose(found, expected, 2e-6)
        let equal = try run(
            "MeanVarianceNormalization", version: 13,
            inputs: [floats([Float](repeating: 1.5 * scale, count: 80), [1, 2, 4, 10])])[0]
        try expectEqual(equal, [Float](repeating: 0, count: 80))
    }

    @Test func skipLayerNormalization() throws {
        let x = try pseudoRandom([2, 3, 7])
        let skip = try pseudoRandom([3, 7], seed: 2)
        let scale = try pseudoRandom([7], seed: 3)
        let shift = try pseudoRandom([7], seed: 4)
        let bias = try pseudoRandom([7], seed: 5)
        let (a, b, c) = (try x.array(of: Float.self), try skip.array(of: Float.self), try bias.array(of: Float.self))
        let sum = a.indices.map { a[$0] + b[$0 % 21] + c[$0 % 7] }
        let (factors, offsets) = (try scale.array(of: Float.self), try shift.array(of: Float.self))
        let expected = Self.standardize(sum, block: 7, epsilon: 1e-12).enumerated().map {
            $1 * Double(factors[$0 % 7]) + Double(offsets[$0 % 7])
        }
        let found = try run(
            "SkipLayerNormalization", version: 1, domain: "com.microsoft", inputs: [x, skip, scale, shift, bias], outputCount: 4
        )
        try expectClose(found[0], expected, 2e-6)
        try expectClose(found[3], sum.map { Double($0) }, 1e-6)
        #expect(found[1].shape.dimensions == [2, 3, 1])
    }

    @Test func refusals() throws {
        let x = try pseudoRandom([1, 6, 4])
        let six = try pseudoRandom([6])
        let four = try pseudoRandom([4])
        func group(_ attribute: KeyValuePairs<String, AttributeValue>, _ inputs: [Tensor?]) throws {
            _ = try run("GroupNormalization", version: 21, attributes: NodeAttributes(attribute), inputs: inputs)
        }
        expectError("attribute num_groups should be 1 or more, found 0") { try group(["num_groups": .int(0)], [x, six, six]) }
        expectError("6 channels of X [1, 6, 4] don't divide into 4 groups") {
            try group(["num_groups": .int(4)], [x, six, six])
        }
        expectError("attribute num_groups should be 1 or more, found -1") {
            try group(["num_groups": .int(-1)], [x, six, six])
        }
        expectError("scale should have 6 elements, found shape [4]") { try group(["num_groups": .int(2)], [x, four, six]) }
        expectError("bias should have 6 elements, found shape [4]") { try group(["num_groups": .int(2)], [x, six, four]) }
        expectError("X should have the axes [N, C, …], found shape [4]") {
            try group(["num_groups": .int(2)], [four, four, four])
        }
        expectError("attribute epsilon should be a number of 0 or more, found nan") {
            try group(["num_groups": .int(2), "epsilon": .float(.nan)], [x, six, six])
        }
        expectError("X should be of a floating-point type, found int64") {
            try group(["num_groups": .int(2)], [int64s([1]), six, six])
        }
        expectError("shapes [6] and [1, 6, 4] don't broadcast") {
            try run("LayerNormalization", version: 17, inputs: [x, six])
        }
        expectError("axis 3 is outside of the 3 axes of [1, 6, 4]") {
            try run("LayerNormalization", version: 17, attributes: NodeAttributes(["axis": .int(3)]), inputs: [x, four])
        }
        expectError("axis -4 is outside of the 3 axes of [1, 6, 4]") {
            try run("Softmax", version: 13, attributes: NodeAttributes(["axis": .int(-4)]), inputs: [x])
        }
        expectError("axis -1 is outside of the 0 axes of []") {
            try run("Softmax", version: 13, inputs: [Tensor(scalar: Float(1))])
        }
        expectError("scale should have 6 elements, found shape [4]") {
            try run("InstanceNormalization", version: 6, inputs: [x, four, four])
        }
        expectError("var should have 6 elements, found shape [4]") {
            try run("BatchNormalization", version: 9, inputs: [x, six, six, six, four])
        }
        expectError("5 outputs are those of a training mode that isn't supported") {
            try run("BatchNormalization", version: 9, inputs: [x, six, six, six, six], outputCount: 5)
        }
        expectError("attribute size should be 1 or more, found 0") {
            try run("LRN", version: 13, attributes: NodeAttributes(["size": .int(0)]), inputs: [x])
        }
        expectError("attribute p should be 1 or 2, found 3") {
            try run("LpNormalization", version: 1, attributes: NodeAttributes(["p": .int(3)]), inputs: [x])
        }
        expectError("axis 3 is outside of the 3 axes of [1, 6, 4]") {
            try run("MeanVarianceNormalization", version: 9, inputs: [x])
        }
    }
}
