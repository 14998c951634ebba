import Foundation
import GraphRuntime
import Ops
import TestSupport
import Testing

/// Convolutions whose numbers are rounded to bfloat16 and multiplied in tiles, against convolutions of the rounded numbers in double
/// precision. Products of two numbers of 8 significant bits are exact in single precision, so that what is left are errors of sums:
/// of n products without any correlation about √n · 2^-26 of the largest sum, below 3e-6 for all that is summed up here.
@Suite struct TileConvolutionTests {
    /// Whether the environment asks for tiles, whatever the processor can.
    private static let forcesTiles = ProcessInfo.processInfo.environment["SD_ONNX_CPU"] == "avx512+amx"
    private static let bound = 3e-6

    /// Input, weights, and a bias where there is one.
    private static func operands(_ oracle: WindowOracle, hasBias: Bool) throws -> [Tensor] {
        let shapes = [oracle.input, oracle.weights] + (hasBias ? [[oracle.weights[0]]] : [])
        return try shapes.enumerated().map { try pseudoRandom($1, seed: UInt64($0 + 1)) }
    }

    private static func rounded(_ operands: [Tensor]) throws -> [Tensor] {
        try operands.enumerated().map { $0 < 2 ? try roundedToBFloat16($1) : $1 }
    }

    /// Whether the last node ran in tiles; other processors have other kernels, which other tests are for.
    private static func ranInTiles(_ profile: Profile) -> Bool {
        let isSo = profile.nodes.last?.kernel?.hasPrefix("bf16 tiles") == true
        #expect(isSo || !forcesTiles, "\(profile.nodes.last?.kernel ?? "no kernel")")
        return isSo
    }

    private func check(
        _ oracle: WindowOracle, autoPad: String? = nil, hasBias: Bool = true, threads: [Int] = [2], inDouble: Bool = false
    ) throws {
        let operands = try Self.operands(oracle, hasBias: hasBias)
        let rounded = try Self.rounded(operands).map { try doubles($0) }
        let attributes = oracle.attributes(autoPad: autoPad)
        var expected: [Double]?
        for count in threads {
            for savesMemory in [false, true] {
                let profile = Profile()
                let found = try runOnWeights(
                    "Conv", version: 22, attributes: attributes, inputs: operands, threads: count, savesMemory: savesMemory,
                    precision: .bfloat16, observer: profile)
                guard Self.ranInTiles(profile) else { return }
                if expected == nil {
                    expected =
                        inDouble
                        ? try doubles(
                            run(
                                "Conv", version: 22, attributes: attributes,
                                inputs: zip(rounded, operands).map { try Tensor($0, shape: $1.shape) })[0])
                        : oracle.convolve(rounded[0], rounded[1], bias: hasBias ? rounded[2] : nil)
                }
                try expectClose(
                    found, expected ?? [], shape: oracle.outputShape, bound: Self.bound,
                    "\(oracle), \(count) threads\(savesMemory ? ", sparing memory" : "")")
            }
        }
    }

    /// Rows of every width up to more than two tiles, with all borders and without any.
    @Test(arguments: [0, 1]) func widths(pad: Int) throws {
        for width in 1...40 where width + 2 * pad >= 3 {
            try check(
                WindowOracle(input: [1, 16, 4, width], weights: [17, 16, 3, 3], pads: [pad, pad, pad, pad]),
                hasBias: pad == 1)
        }
    }

    /// Channels, and outputs, that fill blocks and panels and that don't.
    @Test(arguments: [16, 17, 31, 32, 33, 64, 320], [16, 17, 31, 33, 65, 320]) func channels(channels: Int, outputs: Int) throws
    {
        try check(
            WindowOracle(input: [2, channels, 3, 5], weights: [outputs, channels, 1, 1]), hasBias: channels % 2 == 0)
        try check(
            WindowOracle(input: [1, channels, 4, 5], weights: [outputs, channels, 3, 3], pads: [1, 1, 1, 1]),
            hasBias: outputs % 2 == 0, inDouble: true)
    }

    /// Strides, dilations, uneven padding, groups, kernels of 1 to 7 columns, one axis.
    @Test(arguments: [
        WindowOracle(input: [1, 16, 9, 20], weights: [16, 16, 3, 3], strides: [2, 2], pads: [1, 1, 1, 1]),
        WindowOracle(input: [2, 17, 13, 19], weights: [33, 17, 3, 3], strides: [3, 2], pads: [0, 2, 1, 0]),
        WindowOracle(
            input: [1, 20, 16, 35], weights: [18, 20, 2, 5], strides: [1, 3], dilations: [2, 3], pads: [0, 4, 5, 2]),
        WindowOracle(input: [1, 33, 11, 11], weights: [31, 33, 7, 7], pads: [3, 3, 3, 3]),
        WindowOracle(input: [1, 18, 12, 40], weights: [16, 18, 1, 7], pads: [0, 3, 0, 3]),
        WindowOracle(input: [3, 16, 9, 7], weights: [40, 16, 5, 1], strides: [2, 1], pads: [2, 0, 1, 0]),
        WindowOracle(input: [1, 48, 10, 9], weights: [66, 16, 3, 3], pads: [1, 1, 1, 1], group: 3),
        WindowOracle(input: [2, 34, 7, 9], weights: [36, 17, 1, 1], group: 2),
        WindowOracle(input: [2, 40, 9, 9], weights: [21, 40, 1, 1], strides: [2, 2]),
        WindowOracle(input: [1, 19, 5, 4], weights: [16, 19, 1, 1], pads: [2, 3, 1, 0]),
        WindowOracle(input: [2, 24, 77], weights: [35, 24, 5], strides: [2], dilations: [2], pads: [4, 1]),
        WindowOracle(input: [1, 32, 40], weights: [48, 32, 1]),
        WindowOracle(input: [1, 16, 2, 2], weights: [16, 16, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 16, 2, 2], weights: [19, 16, 1, 1], strides: [3, 3], pads: [4, 5, 3, 2]),
        WindowOracle(input: [1, 17, 30, 1], weights: [16, 17, 4, 1], pads: [2, 0, 1, 0]),
    ])
    func windows(oracle: WindowOracle) throws {
        try check(oracle, threads: [1, 2, 5])
    }

    @Test func chance() throws {
        var dice = Dice(31)
        for _ in 0..<60 {
            let kernel = [1 + dice.roll(4), 1 + dice.roll(4)]
            let dilations = [1 + dice.roll(3), 1 + dice.roll(3)]
            let spatial = (0..<2).map { (kernel[$0] - 1) * dilations[$0] + 1 + dice.roll(14) }
            let group = 1 + dice.roll(2)
            let (channels, outputs) = (16 + dice.roll(20), 16 + dice.roll(20))
            var oracle = WindowOracle(
                input: [1 + dice.roll(3), channels * group] + spatial, weights: [outputs * group, channels] + kernel,
                strides: [1 + dice.roll(3), 1 + dice.roll(3)], dilations: dilations,
                pads: (0..<4).map { _ in dice.roll(3) }, group: group)
            let autoPad = dice.pick([nil, nil, "SAME_UPPER", "SAME_LOWER"])
            if let autoPad { oracle.padToSame(upper: autoPad == "SAME_UPPER") }
            try check(oracle, autoPad: autoPad, hasBias: dice.roll(2) == 0, threads: [1 + dice.roll(4)], inDouble: true)
        }
    }

    /// Several strips, parts of the weights, several pictures of a strip, and several passes over the channels.
    @Test(arguments: [
        WindowOracle(input: [1, 320, 40, 36], weights: [96, 320, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [3, 330, 8, 8], weights: [290, 330, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [2, 1290, 8, 7], weights: [70, 1290, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 130, 65, 200], weights: [33, 130, 3, 3], strides: [2, 2], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 512, 20, 130], weights: [40, 512, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [2, 640, 31, 33], weights: [100, 640, 1, 1]),
        WindowOracle(input: [1, 2500, 9, 9], weights: [200, 2500, 1, 1]),
    ])
    func manyWeights(oracle: WindowOracle) throws {
        try check(oracle, threads: [1, 2, 3], inDouble: true)
    }

    /// No pictures, no pixels, no channels: as other kernels have them.
    @Test(arguments: [
        WindowOracle(input: [0, 16, 7, 13], weights: [16, 16, 3, 3]),
        WindowOracle(input: [2, 0, 4, 3], weights: [16, 0, 3, 3]),
        WindowOracle(input: [2, 16, 4, 4], weights: [0, 16, 3, 3]),
        WindowOracle(input: [1, 16, 0, 3], weights: [20, 16, 2, 2], pads: [2, 0, 1, 0]),
    ])
    func nothing(oracle: WindowOracle) throws {
        let operands = try Self.operands(oracle, hasBias: true)
        let found = try runOnWeights(
            "Conv", version: 22, attributes: oracle.attributes(), inputs: operands, precision: .bfloat16)
        let expected = try runOnWeights("Conv", version: 22, attributes: oracle.attributes(), inputs: operands)
        try expectSame(found, expected)
    }

    /// Weights of 16 bits, and of whole numbers with scales: as their numbers in float32 are.
    @Test func weightFormats() throws {
        let oracle = WindowOracle(input: [2, 70, 12, 11], weights: [50, 70, 3, 3], pads: [1, 1, 1, 1])
        let operands = try Self.operands(oracle, hasBias: true)
        let attributes = oracle.attributes()
        func result(_ inputs: [Tensor], weights: WeightFormat = .stored, precision: Precision = .bfloat16) throws -> Tensor? {
            let profile = Profile()
            let found = try runOnWeights(
                "Conv", version: 22, attributes: attributes, inputs: inputs, precision: precision, weights: weights,
                observer: profile)
            return precision == .single || Self.ranInTiles(profile) ? found : nil
        }
        for dtype in [DType.float16, .bfloat16] {
            let halves = try MutableTensor(dtype: dtype, shape: operands[1].shape)
            try HalfPrecision.narrow(operands[1], into: halves)
            let weights = try halves.finish()
            guard let expected = try result([operands[0], HalfPrecision.widen(weights), operands[2]]) else { return }
            let found = try result([operands[0], weights, operands[2]])
            try expectSame(try #require(found), expected, "\(dtype)")
        }
        for format in [WeightFormat.int8, .int4] {
            guard let found = try result(operands, weights: format) else { return }
            let expected = try #require(try result(operands, weights: format, precision: .single))
            // Numbers of few bits are rounded once more, by at most 2^-9, as pixels are.
            let distance = try relativeError(found, expected.array(of: Float.self))
            #expect(distance < 8e-3, "\(format): \(distance)")
        }
    }

    /// What isn't finite reaches the sums of its own windows and no other ones.
    @Test(arguments: [Float.infinity, -.infinity, .nan]) func notFinite(value: Float) throws {
        let oracle = WindowOracle(input: [1, 20, 9, 23], weights: [18, 20, 3, 3], pads: [1, 1, 1, 1])
        var operands = try Self.operands(oracle, hasBias: false)
        var pixels = try operands[0].array(of: Float.self)
        pixels[7 * 9 * 23 + 4 * 23 + 11] = value
        let exact = try run("Conv", version: 22, attributes: oracle.attributes(), inputs: operands)[0].array(of: Float.self)
        operands[0] = try Tensor(pixels, shape: operands[0].shape)
        let profile = Profile()
        let found = try runOnWeights(
            "Conv", version: 22, attributes: oracle.attributes(), inputs: operands, precision: .bfloat16, observer: profile
        ).array(of: Float.self)
        guard Self.ranInTiles(profile) else { return }
        for (index, number) in found.enumerated() {
            let (row, column) = (index / 23 % 9, index % 23)
            if abs(row - 4) <= 1 && abs(column - 11) <= 1 {
                #expect(!number.isFinite)
            } else {
                #expect(abs(number - exact[index]) < 0.2)
            }
        }
    }

    /// A residual, an activation, and a scale, in strips and in whole pictures.
    @Test(arguments: [[1, 32, 6, 7], [2, 20, 70, 41]]) func epilogue(input: [Int]) throws {
        func graph() throws -> (FusionGraph, ValueID) {
            var graph = FusionGraph()
            let channels = input[1]
            let x = try graph.input(input)
            let residual = try graph.input([input[0], 33] + input.dropFirst(2))
            let weights = try graph.weights([33, channels, 3, 3], isInFile: true)
            let attributes = NodeAttributes(["pads": .ints([1, 1, 1, 1])])
            let sums = graph.node("Conv", x, weights, try graph.weights([33]), attributes: attributes)
            let result = graph.node("Relu", graph.node("Add", sums, residual))
            return (graph, result)
        }
        var (rounded, output) = try graph()
        let profile = Profile()
        let found = try rounded.result(
            output, options: SessionOptions(threads: ThreadPool(threadCount: 2), precision: .bfloat16), observer: profile)
        #expect(profile.nodes.map(\.type) == ["Conv+residual+Relu"])
        guard Self.ranInTiles(profile) else { return }
        var single = try graph().0
        let expected = try single.result(output, options: SessionOptions(threads: ThreadPool(threadCount: 2)))
        let distance = try relativeError(found, expected.array(of: Float.self))
        #expect(distance > 1e-5 && distance < 8e-3, "\(distance)")
    }
}
