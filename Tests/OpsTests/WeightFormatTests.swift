import Foundation
import GraphRuntime
import Ops
import TestSupport
import Testing

/// Operators with weights that are kept in 8 and in 4 bits.
@Suite struct WeightFormatTests {
    private static let hasPanels = InstructionSet.current != .plain

    /// A case of Tests/References/weight_formats.py.
    private struct Case: Decodable {
        let `operator`: String
        let format: String
        let input: [Int]
        let weights: [Int]
        let transB: Bool
        let step: Int
        let expected: [Float]
    }

    /// What numpy makes of the same numbers.
    @Test func numpy() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/weight-formats.json")
        let cases = try JSONDecoder().decode([Case].self, from: Data(contentsOf: file))
        #expect(cases.count == 18)
        for entry in cases {
            let padding = entry.operator == "Conv" ? Int64(entry.weights[2] / 2) : 0
            let attributes = NodeAttributes(
                entry.operator == "Conv"
                    ? ["pads": .ints(Array(repeating: padding, count: 4))] : entry.transB ? ["transB": .int(1)] : [:])
            let found = try runOnWeights(
                entry.operator, version: 13, attributes: attributes,
                inputs: [pseudoRandom(entry.input, seed: 1), pseudoRandom(entry.weights, seed: 2)],
                weights: try #require(WeightFormat(rawValue: entry.format)))
            guard Self.hasPanels || entry.operator == "Conv" else { continue }
            let numbers = try found.array(of: Float.self)
            try expectClose(
                floats(stride(from: 0, to: numbers.count, by: entry.step).map { numbers[$0] }, [entry.expected.count]),
                entry.expected, within: Tolerance(ofLargest: 3e-6), "\(entry.operator) \(entry.weights) \(entry.format)")
        }
    }

    /// The weights as they count after rounding: `channels` output channels, whose numbers are `step` apart.
    private func rounded(_ weights: Tensor, channels: Int, areColumns: Bool, _ format: WeightFormat) throws -> Tensor {
        var values = try weights.array(of: Float.self)
        let depth = values.count / channels
        func place(_ channel: Int, _ index: Int) -> Int { areColumns ? index * channels + channel : channel * depth + index }
        let block = format == .int8 ? depth : 32
        for channel in 0..<channels {
            for first in stride(from: 0, to: depth, by: block) {
                let places = (first..<min(first + block, depth)).map { place(channel, $0) }
                let (lowest, highest) = places.reduce((Float(0), Float(0))) { (min($0.0, values[$1]), max($0.1, values[$1])) }
                let (scale, bounds): (Float, ClosedRange<Float>) =
                    format == .int8
                    ? (max(-lowest, highest) / 127, -127...127) : ((-lowest > highest ? lowest : highest) / -8, -8...7)
                for index in places where scale != 0 {
                    let ratio = (values[index] / scale).rounded(.toNearestOrEven)
                    values[index] = min(max(ratio, bounds.lowerBound), bounds.upperBound) * scale
                }
            }
        }
        return try Tensor(values, shape: weights.shape)
    }

    private func check(
        _ type: String, _ inputs: [Tensor], _ attributes: NodeAttributes = NodeAttributes(), areColumns: Bool = false,
        isRounded: Bool = true, kernel: String? = nil, _ title: String
    ) throws {
        for format in [WeightFormat.int8, .int4] {
            for isHalf in [false, true] {
                var given = inputs
                if isHalf { given[1] = try halves(inputs[1]) }
                let wide = try HalfPrecision.widen(given[1])
                let channels = areColumns ? wide.shape.dimensions.last ?? 0 : wide.shape[0]
                var expected = inputs
                expected[1] = isRounded ? try rounded(wide, channels: channels, areColumns: areColumns, format) : wide
                let profile = Profile()
                let found = try runOnWeights(
                    type, version: 13, attributes: attributes, inputs: isHalf ? try inputs.map(halves) : inputs,
                    weights: format, observer: profile)
                if isHalf { expected[0] = try HalfPrecision.widen(halves(inputs[0])) }
                if isHalf, inputs.count > 2 { expected[2] = try HalfPrecision.widen(halves(inputs[2])) }
                let numbers = try runOnWeights(type, version: 13, attributes: attributes, inputs: expected)
                try expectClose(
                    HalfPrecision.widen(found), numbers.array(of: Float.self),
                    within: Tolerance(relative: isHalf ? 0x1p-10 : 0, ofLargest: 3e-6), "\(title), \(format), half \(isHalf)")
                if let kernel {
                    #expect(profile.nodes.contains { $0.kernel?.contains("\(format.rawValue) \(kernel)") == true }, "\(title)")
                }
            }
        }
    }

    private func halves(_ tensor: Tensor) throws -> Tensor {
        let result = try MutableTensor(dtype: .float16, shape: tensor.shape)
        try HalfPrecision.narrow(tensor, into: result)
        return try result.finish()
    }

    /// Rows of the left factor, its columns, columns of the right one: as in ``HalfWeightsTests``. What isn't packed isn't rounded.
    @Test(arguments: [
        [3, 65, 50], [4, 4, 8], [5, 7, 9], [14, 33, 32], [15, 5, 33], [65, 641, 70], [130, 64, 2000], [301, 1283, 530],
        [600, 1283, 100], [1030, 65, 1040],
    ]) func products(extents: [Int]) throws {
        let (m, k, n) = (extents[0], extents[1], extents[2])
        let isPacked = m >= 4 && Self.hasPanels
        let kernel = isPacked ? "weights" : nil
        let (x, w) = (try pseudoRandom([m, k], seed: 1), try pseudoRandom([k, n], seed: 2))
        try check("MatMul", [x, w], areColumns: true, isRounded: isPacked, kernel: kernel, "MatMul \(extents)")
        let added = try [x, w, pseudoRandom([m, n], seed: 4)]
        let half = NodeAttributes(["beta": .float(0.5)])
        try check("Gemm", added, half, areColumns: true, isRounded: isPacked, "Gemm and C \(extents)")
        for (transposesA, transposesB) in [(false, true), (true, false), (true, true)] {
            let left = transposesA ? try pseudoRandom([k, m], seed: 1) : x
            let right = transposesB ? try pseudoRandom([n, k], seed: 2) : w
            let attributes = NodeAttributes([
                "transA": .int(transposesA ? 1 : 0), "transB": .int(transposesB ? 1 : 0), "alpha": .float(0.5),
            ])
            try check(
                "Gemm", [left, right, pseudoRandom([n], seed: 3)], attributes, areColumns: !transposesB, isRounded: isPacked,
                kernel: kernel, "Gemm \(extents)")
        }
    }

    /// Input, weights, stride and group of a convolution for each of the kernels that there are, as in ``HalfWeightsTests``.
    @Test(arguments: [
        ([1, 32, 4, 3], [48, 32, 3, 3], 1, 1), ([1, 64, 4, 4], [48, 64, 3, 3], 1, 1), ([1, 47, 4, 4], [50, 47, 3, 3], 1, 1),
        ([2, 70, 8, 8], [40, 70, 3, 3], 1, 1), ([1, 67, 16, 16], [35, 67, 3, 3], 1, 1),
        ([1, 130, 18, 20], [33, 130, 3, 3], 1, 1), ([1, 640, 32, 32], [64, 640, 3, 3], 1, 1),
        ([1, 33, 80, 64], [40, 33, 3, 3], 1, 1), ([1, 40, 5, 5], [33, 40, 1, 1], 1, 1), ([2, 40, 9, 7], [33, 40, 1, 1], 1, 1),
        ([1, 17, 40, 31], [20, 17, 3, 3], 2, 1), ([2, 12, 9, 11], [24, 6, 3, 3], 2, 2),
        ([1, 16, 12, 12], [16, 1, 3, 3], 1, 16),
        ([1, 3, 40, 40], [8, 3, 3, 3], 1, 1), ([1, 40, 1, 1], [24, 40, 1, 1], 1, 1),
    ]) func convolutions(input: [Int], weights: [Int], stride: Int64, group: Int64) throws {
        let attributes = NodeAttributes([
            "pads": .ints(Array(repeating: Int64(weights[2] / 2), count: 4)), "strides": .ints([stride, stride]),
            "group": .int(group),
        ])
        try check(
            "Conv", [pseudoRandom(input, seed: 1), pseudoRandom(weights, seed: 2), pseudoRandom([weights[0]], seed: 3)],
            attributes, "\(input) \(weights)")
    }

    /// Weights of nothing but zeros, and one that isn't finite, which a sum must not hide.
    @Test(arguments: [WeightFormat.int8, .int4]) func specialNumbers(format: WeightFormat) throws {
        let x = try pseudoRandom([6, 40], seed: 1)
        let zeros = try runOnWeights(
            "MatMul", version: 13, inputs: [x, try floats(Array(repeating: 0, count: 40 * 8), [40, 8])], weights: format)
        #expect(try zeros.array(of: Float.self).allSatisfy { $0 == 0 })
        for value in [Float.nan, .infinity] {
            var numbers = try pseudoRandom([40, 8], seed: 2).array(of: Float.self)
            numbers[5 * 8 + 3] = value
            let found = try runOnWeights("MatMul", version: 13, inputs: [x, try floats(numbers, [40, 8])], weights: format)
            for (index, result) in try found.array(of: Float.self).enumerated() {
                #expect(result.isFinite == (index % 8 != 3), "\(value), \(index)")
            }
        }
    }
}
