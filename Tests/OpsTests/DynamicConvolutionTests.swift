import Foundation
import GraphRuntime
import Ops
import TestSupport
import Testing

/// Convolutions whose factors are rounded to bytes against convolutions in double precision of the numbers that these bytes stand for. Sums of
/// bytes are exact, so that what is left are the roundings of the scaled sums.
@Suite struct DynamicConvolutionTests {
    /// Whether the environment leaves nothing faster than bytes.
    private static let forcesBytes =
        ProcessInfo.processInfo.environment["SD_ONNX_CPU"]?.hasSuffix("+vnni") == true && InstructionSet.multipliesBytes
    private static let bound = 1e-6

    /// What 8 bits leave of numbers that share a scale: with a zero point, or without one.
    private static func rounded(_ numbers: [Float], hasZero: Bool) -> [Double] {
        let (least, largest) = numbers.reduce((Float(0), Float(0))) { (min($0.0, $1), max($0.1, $1)) }
        let scale = hasZero ? largest / 255 - least / 255 : max(-least, largest) / 127
        guard scale >= 0x1p-100 else { return numbers.map { _ in 0 } }
        let inverse = 1 / scale
        let zero = hasZero ? (-least * inverse).rounded(.toNearestOrEven) : 0
        let (lower, upper) = hasZero ? (-zero, 255 - zero) : (-127, 127)
        return numbers.map { Double(min(max(($0 * inverse).rounded(.toNearestOrEven), lower), upper)) * Double(scale) }
    }

    /// Parts of equal size, each with its own scale.
    private static func rounded(_ tensor: Tensor, parts: Int, hasZero: Bool) throws -> [Double] {
        let numbers = try tensor.array(of: Float.self)
        let size = numbers.count / parts
        return (0..<parts).flatMap { rounded(Array(numbers[$0 * size..<($0 + 1) * size]), hasZero: hasZero) }
    }

    private static func operands(_ oracle: WindowOracle) throws -> [Tensor] {
        // More numbers above 0 than below, as activations leave them.
        let x = try pseudoRandom(oracle.input, seed: 1).array(of: Float.self).map { max($0, -0.3) * 5 }
        let (weights, bias) = (try pseudoRandom(oracle.weights, seed: 2), try pseudoRandom([oracle.weights[0]], seed: 3))
        return [try floats(x, oracle.input), weights, bias]
    }

    /// Whether the last node multiplied bytes; other processors have other kernels, which other tests are for.
    private static func ranInBytes(_ profile: Profile, _ title: String) -> Bool {
        let kernel = profile.nodes.last?.kernel ?? "no kernel"
        let isSo = kernel.hasPrefix("int8 windows")
        #expect(isSo || !forcesBytes, "\(title): \(kernel)")
        return isSo
    }

    /// - Parameter inDouble: whether the numbers are convolved by the operator in double precision, which other tests compare with the
    ///   oracle, and not by that itself, which takes its time.
    private func check(_ oracle: WindowOracle, threads: [Int] = [1, 3], inDouble: Bool = true) throws {
        let operands = try Self.operands(oracle)
        var expected: [Double]?
        for count in threads {
            for weights in [WeightFormat.stored, .int8] {
                let profile = Profile()
                let found = try runOnWeights(
                    "Conv", version: 22, attributes: oracle.attributes(autoPad: nil), inputs: operands, threads: count,
                    precision: .int8, weights: weights, observer: profile)
                guard Self.ranInBytes(profile, "\(oracle)") else { return }
                if expected == nil {
                    let x = try Self.rounded(operands[0], parts: oracle.input[0] * oracle.group, hasZero: true)
                    let w = try Self.rounded(operands[1], parts: oracle.weights[0], hasZero: false)
                    let bias = try doubles(operands[2])
                    let tensors = try zip([x, w, bias], operands).map { try Tensor($0, shape: $1.shape) }
                    expected =
                        inDouble
                        ? try doubles(run("Conv", version: 22, attributes: oracle.attributes(autoPad: nil), inputs: tensors)[0])
                        : oracle.convolve(x, w, bias: bias)
                }
                try expectClose(
                    found, expected ?? [], shape: oracle.outputShape, bound: Self.bound, "\(oracle), \(count) threads")
            }
        }
    }

    /// Rows of every width up to more than two tiles that mostly have windows.
    @Test(arguments: [0, 1]) func widths(pad: Int) throws {
        for width in 8...70 {
            let oracle = WindowOracle(input: [1, 16, 8, width], weights: [17, 16, 3, 3], pads: [pad, pad, pad, pad])
            try check(oracle, threads: [2])
        }
    }

    /// Channels that fill words and that don't, and outputs that fill panels and that don't.
    @Test(arguments: [16, 17, 18, 19, 32, 65], [16, 17, 28, 29, 65]) func channels(channels: Int, outputs: Int) throws {
        try check(WindowOracle(input: [2, channels, 5, 9], weights: [outputs, channels, 1, 1]))
        // Of more outputs, and more channels, minimal filtering takes less time.
        let windows = [min(outputs, 31), channels, 3, 3]
        try check(WindowOracle(input: [1, channels, 6, 8], weights: windows, pads: [1, 1, 1, 1]))
    }

    /// Strides, dilations, uneven padding, groups, one axis.
    @Test(arguments: [
        WindowOracle(input: [1, 16, 19, 21], weights: [16, 16, 3, 3], strides: [2, 2], pads: [1, 1, 1, 1]),
        WindowOracle(input: [2, 17, 17, 19], weights: [33, 17, 3, 3], strides: [1, 2], pads: [0, 2, 1, 0]),
        WindowOracle(input: [1, 20, 16, 40], weights: [18, 20, 2, 3], dilations: [2, 3], pads: [0, 4, 2, 2]),
        WindowOracle(input: [1, 18, 12, 40], weights: [16, 18, 1, 7], pads: [0, 3, 0, 3]),
        WindowOracle(input: [3, 16, 19, 17], weights: [40, 16, 5, 1], strides: [2, 1], pads: [2, 0, 2, 0]),
        WindowOracle(input: [2, 48, 10, 19], weights: [66, 16, 3, 3], pads: [1, 1, 1, 1], group: 3),
        WindowOracle(input: [2, 33, 100], weights: [31, 33, 3], pads: [1, 1]),
    ]) func windows(oracle: WindowOracle) throws {
        try check(oracle, inDouble: false)
    }

    /// Several strips, each of which has its scale: as near to the numbers that weren't rounded as 8 bits are.
    @Test(arguments: [
        ([1, 640, 32, 32], [31, 640, 3, 3], 1), ([2, 320, 48, 31], [33, 320, 1, 1], 1),
        ([1, 131, 96, 130], [17, 131, 3, 3], 2),
    ]) func strips(input: [Int], weights: [Int], stride: Int) throws {
        let pad = weights[2] / 2
        let oracle = WindowOracle(
            input: input, weights: weights, strides: [stride, stride], pads: [pad, pad, pad, pad])
        let operands = try Self.operands(oracle)
        let exact = try runOnWeights("Conv", version: 22, attributes: oracle.attributes(autoPad: nil), inputs: operands)
        for threads in [1, 2] {
            let profile = Profile()
            let found = try runOnWeights(
                "Conv", version: 22, attributes: oracle.attributes(autoPad: nil), inputs: operands, threads: threads,
                precision: .int8, observer: profile)
            guard Self.ranInBytes(profile, "\(oracle)") else { return }
            let error = try relativeDeviation(found.array(of: Float.self), exact.array(of: Float.self))
            #expect(error > 1e-3 && error < 1e-2, "\(oracle): \(error)")
        }
    }

    /// Of a picture with a number that isn't finite no sum is that has it, and of weights none of their output; another picture is as it is
    /// without.
    @Test(arguments: [Float.infinity, -.infinity, .nan]) func notFinite(value: Float) throws {
        let oracle = WindowOracle(input: [2, 16, 8, 10], weights: [20, 16, 3, 3], pads: [1, 1, 1, 1])
        var operands = try Self.operands(oracle)
        let profile = Profile()
        let plain = try runOnWeights(
            "Conv", version: 22, attributes: oracle.attributes(autoPad: nil), inputs: operands, precision: .int8,
            observer: profile
        ).array(of: Float.self)
        guard Self.ranInBytes(profile, "not finite") else { return }
        var (x, w) = (try operands[0].array(of: Float.self), try operands[1].array(of: Float.self))
        x[16 * 80 + 35] = value
        w[7 * 144 + 143] = value
        operands[0] = try floats(x, oracle.input)
        operands[1] = try floats(w, oracle.weights)
        let found = try runOnWeights(
            "Conv", version: 22, attributes: oracle.attributes(autoPad: nil), inputs: operands, precision: .int8
        ).array(of: Float.self)
        for index in found.indices {
            let (picture, output) = (index / (20 * 80), index / 80 % 20)
            if picture == 1 || output == 7 {
                #expect(!found[index].isFinite)
            } else {
                #expect(found[index] == plain[index])
            }
        }
    }

    /// A residual and an activation of the sums.
    @Test func fused() throws {
        var graph = FusionGraph()
        let x = try graph.input([1, 32, 12, 16])
        let residual = try graph.input([1, 24, 12, 16])
        let conv = graph.node(
            "Conv", x, try graph.weights([24, 32, 3, 3], isInFile: true), try graph.weights([24]),
            attributes: NodeAttributes(["pads": .ints([1, 1, 1, 1])]))
        let y = graph.node("Relu", graph.node("Add", conv, residual))
        let profile = Profile()
        let pool = ThreadPool(threadCount: 2)
        let found = try graph.result(y, options: SessionOptions(threads: pool, precision: .int8), observer: profile)
        guard Self.ranInBytes(profile, "fused") else { return }
        let exact = try graph.result(y, options: SessionOptions(threads: pool))
        let error = try relativeDeviation(found.array(of: Float.self), exact.array(of: Float.self))
        #expect(profile.nodes.count == 1 && error > 1e-3 && error < 1.5e-2, "\(error)")
    }
}
