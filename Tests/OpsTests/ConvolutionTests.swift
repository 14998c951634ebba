import GraphRuntime
import Ops
import TestSupport
import Testing

/// Conv and ConvTranspose against ``WindowOracle``.
@Suite struct ConvolutionTests {
    private enum Padding { case explicit, valid, sameUpper, sameLower }

    private struct Case {
        var oracle: WindowOracle
        var padding = Padding.explicit
        var hasBias = true
        var isDouble = false
        var isTransposed = false
        var threads = 2
        /// The largest error over the largest magnitude; nil for that of plain sums.
        var bound: Double?

        /// A shape, a window and a padding that fit each other.
        init(_ dice: inout Dice, isTransposed: Bool) {
            self.isTransposed = isTransposed
            let rank = 1 + dice.roll(3)
            let largest = rank == 3 ? 5 : (rank == 2 ? 13 : 29)
            let group = dice.pick([1, 1, 1, 2, 3])
            let channels = (dice.pick(rank == 3 ? [1, 3] : [1, 3, 5, 17]), dice.pick(rank == 3 ? [1, 3] : [1, 3, 5, 17]))
            let kernel = (0..<rank).map { _ in 1 + dice.roll(3) }
            let dilations = (0..<rank).map { _ in 1 + dice.roll(3) }
            let strides = (0..<rank).map { _ in 1 + dice.roll(3) }
            let spatial = (0..<rank).map { axis in
                (isTransposed ? 1 : (kernel[axis] - 1) * dilations[axis] + 1) + dice.roll(largest)
            }
            let (inputs, outputs) = (channels.0 * group, channels.1 * group)
            oracle = WindowOracle(
                input: [dice.pick([1, 1, 2, 3]), inputs] + spatial,
                weights: (isTransposed ? [inputs, channels.1] : [outputs, channels.0]) + kernel, strides: strides,
                dilations: dilations, group: group)
            threads = dice.pick([1, 2, 3, 5])
            hasBias = dice.roll(2) == 0
            isDouble = dice.roll(4) == 0
            switch dice.roll(6) {
            case 0: padding = .valid
            case 1: padding = .sameUpper
            case 2: padding = .sameLower
            default: oracle.pads = (0..<2 * rank).map { _ in dice.roll(isTransposed ? 2 : 4) }
            }
            if isTransposed { chooseTransposed(&dice) }
        }

        private mutating func chooseTransposed(_ dice: inout Dice) {
            oracle.outputPadding = oracle.strides.map { dice.roll($0) }
            switch padding {
            case .explicit:
                // Pads that leave nothing are no test.
                for axis in 0..<oracle.rank where oracle.transposedShape[axis + 2] < 1 {
                    (oracle.pads[axis], oracle.pads[axis + oracle.rank]) = (0, 0)
                }
            case .valid: break
            case .sameUpper, .sameLower:
                let wanted = zip(oracle.input.dropFirst(2), oracle.strides).map { $0 * $1 }
                oracle.padTransposed(to: wanted, upper: padding == .sameUpper)
            }
        }

        init(_ oracle: WindowOracle, hasBias: Bool = true, isTransposed: Bool = false, threads: Int = 2) {
            self.oracle = oracle
            self.hasBias = hasBias
            self.isTransposed = isTransposed
            self.threads = threads
        }

        func check() throws {
            var oracle = oracle
            if !isTransposed, padding == .sameUpper || padding == .sameLower { oracle.padToSame(upper: padding == .sameUpper) }
            let make = isDouble ? pseudoRandomDoubles : pseudoRandom
            let shape = isTransposed ? oracle.transposedShape : oracle.outputShape
            let x = try make(oracle.input, 1)
            let w = try make(oracle.weights, 2)
            let bias = hasBias ? try make([shape[1]], 3) : nil
            let name: String? =
                switch padding {
                case .explicit: nil
                case .valid: "VALID"
                case .sameUpper: "SAME_UPPER"
                case .sameLower: "SAME_LOWER"
                }
            let found = try run(
                isTransposed ? "ConvTranspose" : "Conv", version: 22,
                attributes: oracle.attributes(autoPad: name, isTransposed: isTransposed),
                inputs: [x, w] + (bias.map { [$0] } ?? []),
                threads: threads)[0]
            let b = try bias.map { try doubles($0) }
            let expected =
                isTransposed
                ? oracle.convolveTransposed(try doubles(x), try doubles(w), bias: b)
                : oracle.convolve(try doubles(x), try doubles(w), bias: b)
            try expectClose(found, expected, shape: shape, bound: bound ?? (isDouble ? 1e-13 : 2e-6), "\(self)")
            let packed = try runOnWeights(
                isTransposed ? "ConvTranspose" : "Conv", version: 22,
                attributes: oracle.attributes(autoPad: name, isTransposed: isTransposed),
                inputs: [x, w] + (bias.map { [$0] } ?? []), threads: threads)
            try expectClose(packed, expected, shape: shape, bound: bound ?? (isDouble ? 1e-13 : 2e-6), "\(self) packed")
        }
    }

    @Test(arguments: [false, true]) func randomWindows(isTransposed: Bool) throws {
        var dice = Dice(isTransposed ? 11 : 5)
        for _ in 0..<150 { try Case(&dice, isTransposed: isTransposed).check() }
    }

    /// Dilated windows: as ordinary ones of smaller pictures, as products of the taps that see pixels, and as those that padding or strides
    /// leave to other kernels.
    @Test(arguments: [
        WindowOracle(input: [2, 5, 15, 17], weights: [6, 5, 3, 3], dilations: [2, 2], pads: [2, 2, 2, 2]),
        WindowOracle(input: [1, 33, 23, 29], weights: [19, 33, 3, 3], dilations: [3, 4], pads: [3, 4, 3, 4]),
        WindowOracle(input: [2, 4, 21, 22], weights: [3, 4, 3, 2], dilations: [2, 1], pads: [2, 0, 5, 0]),
        WindowOracle(input: [1, 4, 24, 25], weights: [3, 4, 2, 3], dilations: [2, 3], pads: [0, 3, 2, 0]),
        WindowOracle(input: [1, 6, 30, 31], weights: [7, 6, 3, 3], dilations: [2, 2]),
        WindowOracle(input: [2, 34, 7, 9], weights: [17, 34, 3, 3], dilations: [6, 6], pads: [6, 6, 6, 6]),
        WindowOracle(input: [1, 40, 14, 13], weights: [15, 40, 3, 3], dilations: [12, 5], pads: [12, 5, 12, 5]),
        WindowOracle(input: [1, 36, 9, 40], weights: [5, 36, 3, 5], dilations: [1, 9], pads: [1, 18, 1, 18]),
        WindowOracle(input: [1, 32, 11, 8], weights: [30, 32, 3, 3], dilations: [4, 4], pads: [5, 3, 2, 6]),
        WindowOracle(input: [1, 32, 5, 5], weights: [3, 32, 3, 3], dilations: [7, 7], pads: [9, 8, 9, 8]),
        WindowOracle(input: [1, 300, 30, 33], weights: [16, 300, 3, 3], dilations: [12, 12], pads: [12, 12, 12, 12]),
    ])
    func dilatedWindows(oracle: WindowOracle) throws {
        for threads in [1, 3] { try Case(oracle, hasBias: threads == 1, threads: threads).check() }
    }

    /// Corners that chance doesn't find: [N, C, …] against [M, C / group, …].
    @Test(arguments: [
        // One pixel, one row, and windows that lie in the padding alone.
        WindowOracle(input: [1, 3, 1, 1], weights: [5, 3, 1, 1]), WindowOracle(input: [3, 5, 5, 1], weights: [1, 5, 3, 1]),
        WindowOracle(input: [1, 1, 1, 1], weights: [3, 1, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 1, 2, 2], weights: [2, 1, 1, 1], strides: [3, 3], pads: [4, 5, 3, 2]),
        WindowOracle(input: [1, 2, 0, 3], weights: [3, 2, 2, 2], pads: [2, 0, 1, 0]),
        // No pictures, no input channels, no output channels, no pixels.
        WindowOracle(input: [0, 3, 7, 13], weights: [5, 3, 3, 3]), WindowOracle(input: [2, 0, 4, 3], weights: [5, 0, 3, 3]),
        WindowOracle(input: [2, 3, 4, 4], weights: [0, 3, 3, 3]),
        WindowOracle(input: [1, 3, 0], weights: [2, 3, 1]),
        // Depthwise, one filter a channel and two; pointwise in groups; a stride over a pointwise kernel.
        WindowOracle(input: [2, 17, 7, 13], weights: [17, 1, 3, 3], pads: [1, 1, 1, 1], group: 17),
        WindowOracle(input: [1, 5, 7, 13], weights: [10, 1, 3, 2], dilations: [2, 3], pads: [2, 0, 1, 3], group: 5),
        WindowOracle(input: [1, 6, 5, 5], weights: [9, 2, 1, 1], group: 3),
        WindowOracle(input: [1, 4, 9, 9], weights: [3, 4, 1, 1], strides: [2, 2]),
        // More pixels than a tile, and fewer than threads.
        WindowOracle(input: [1, 33, 65, 67], weights: [3, 33, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 3, 2, 2], weights: [67, 3, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 2, 3, 4, 2, 3], weights: [2, 2, 2, 1, 2, 2], strides: [2, 1, 1, 2]),
    ])
    func corners(oracle: WindowOracle) throws {
        for threads in [1, 2, 3, 5] { try Case(oracle, hasBias: threads % 2 == 1, threads: threads).check() }
    }

    /// Windows as lanes: phases of strides up to 3, dilations, several strips of rows and several channels of a task, lanes that fill
    /// vectors and that don't, panels of every height, groups, one axis, and pictures of one row or column.
    @Test(arguments: [
        WindowOracle(input: [1, 3, 65, 63], weights: [16, 3, 3, 3], strides: [2, 2], pads: [1, 1, 1, 1]),
        WindowOracle(input: [2, 5, 33, 70], weights: [29, 5, 7, 7], strides: [2, 2], pads: [3, 3, 3, 3]),
        WindowOracle(input: [1, 96, 40, 41], weights: [24, 96, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(
            input: [1, 24, 23, 21], weights: [57, 24, 2, 5], strides: [3, 1], dilations: [2, 3], pads: [0, 4, 5, 2]),
        WindowOracle(input: [3, 64, 14, 14], weights: [130, 64, 1, 1]),
        WindowOracle(input: [1, 61, 7, 7], weights: [150, 61, 1, 1]),
        WindowOracle(input: [2, 30, 5, 7], weights: [46, 15, 1, 1], group: 2),
        WindowOracle(input: [1, 700, 20, 20], weights: [3, 700, 1, 1]), WindowOracle(input: [1, 9, 19], weights: [17, 9, 1]),
        WindowOracle(input: [1, 200, 7, 7], weights: [96, 200, 1, 1], strides: [2, 2]),
        WindowOracle(input: [1, 32, 128], weights: [48, 32, 5], pads: [2, 2]),
        WindowOracle(input: [2, 20, 301], weights: [31, 20, 3], strides: [2], dilations: [3], pads: [0, 5]),
        WindowOracle(input: [1, 32, 100, 1], weights: [40, 32, 5, 1]),
        WindowOracle(input: [1, 32, 1, 100], weights: [40, 32, 1, 5], strides: [1, 3], pads: [0, 2, 0, 2]),
        WindowOracle(input: [2, 24, 15, 17], weights: [36, 8, 3, 3], pads: [1, 1, 1, 1], group: 3),
        WindowOracle(input: [1, 8, 9, 9], weights: [8, 4, 3, 3], strides: [2, 1], group: 2),
        WindowOracle(input: [1, 1, 128, 130], weights: [1, 1, 5, 5], pads: [2, 2, 2, 2]),
        WindowOracle(input: [1, 70, 20, 60], weights: [70, 1, 5, 5], pads: [2, 2, 2, 2], group: 70),
        WindowOracle(input: [2, 6, 112, 50], weights: [6, 1, 3, 3], strides: [2, 2], pads: [1, 1, 1, 1], group: 6),
        WindowOracle(
            input: [1, 5, 9, 64], weights: [15, 1, 3, 4], strides: [1, 3], dilations: [2, 2], pads: [2, 0, 2, 6], group: 5),
        WindowOracle(input: [2, 7, 120], weights: [7, 1, 9], pads: [4, 4], group: 7),
        // Depthwise: more padding than a kernel, none, one row, strips of a single plane, and rows of several bands.
        WindowOracle(input: [2, 5, 6, 7], weights: [5, 1, 3, 3], pads: [5, 6, 4, 7], group: 5),
        WindowOracle(input: [3, 6, 9, 10], weights: [6, 1, 5, 5], strides: [2, 2], group: 6),
        WindowOracle(input: [1, 9, 1, 40], weights: [9, 1, 3, 3], pads: [1, 0, 1, 2], group: 9),
        WindowOracle(input: [1, 2, 30, 150], weights: [2, 1, 7, 7], pads: [3, 2, 3, 1], group: 2),
        WindowOracle(input: [1, 3, 47, 163], weights: [3, 1, 5, 5], strides: [2, 2], pads: [0, 4, 2, 1], group: 3),
        WindowOracle(input: [2, 40, 1, 1], weights: [21, 40, 1, 1]),
        WindowOracle(input: [1, 9, 5, 4], weights: [33, 9, 5, 4]),
        WindowOracle(input: [1, 3, 4, 4], weights: [5, 3, 1, 1], pads: [40, 3, 2, 50]),
    ])
    func windowsAsLanes(oracle: WindowOracle) throws {
        for threads in [1, 2, 5] { try Case(oracle, hasBias: threads != 2, threads: threads).check() }
    }

    /// Several small planes of a task, of which the later ones find their padding in place, at all widths of rows up to more than a vector,
    /// and at some around more.
    @Test(arguments: [1, 2], [3, 4, 5, 7]) func smallPlanes(stride: Int, kernel: Int) throws {
        let pad = kernel / 2
        for width in Array(1...20) + [31, 32, 33, 47, 64, 131] {
            let oracle = WindowOracle(
                input: [1, 37, 7, width], weights: [37, 1, kernel, kernel], strides: [stride, stride],
                pads: [pad, pad, pad, pad], group: 37)
            try Case(oracle, hasBias: true, threads: 2).check()
        }
    }

    /// More weights than the second-level cache keeps, which strips of many windows read: against the unfolded convolution in double
    /// precision, since the oracle takes long for as many. With weights that are constants, and with those that aren't.
    @Test(arguments: [
        WindowOracle(input: [1, 256, 104, 1], weights: [512, 256, 5, 1]),
        WindowOracle(input: [2, 700, 7, 7], weights: [801, 700, 1, 1]),
        WindowOracle(input: [1, 170, 23, 21], weights: [347, 170, 3, 3], strides: [2, 2], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 800, 15, 31], weights: [670, 800, 1, 1]),
        WindowOracle(input: [2, 300, 61], weights: [612, 100, 9], strides: [1], pads: [4, 4], group: 3),
    ])
    func manyWeights(oracle: WindowOracle) throws {
        let shapes = [oracle.input, oracle.weights, [oracle.weights[0]]]
        let inputs = try shapes.enumerated().map { try pseudoRandomDoubles($1, seed: UInt64($0 + 1)) }
        let singles = try inputs.map { try Tensor(doubles($0).map { Float($0) }, shape: $0.shape) }
        let expected = try doubles(
            run(
                "Conv", version: 22, attributes: oracle.attributes(),
                inputs: singles.map { try Tensor(doubles($0), shape: $0.shape) })[0])
        for threads in [1, 2, 5] {
            let found = try run("Conv", version: 22, attributes: oracle.attributes(), inputs: singles, threads: threads)[0]
            try expectClose(found, expected, shape: oracle.outputShape, bound: 2e-6, "\(threads) threads")
            let packed = try runOnWeights(
                "Conv", version: 22, attributes: oracle.attributes(), inputs: singles, threads: threads)
            try expectClose(packed, expected, shape: oracle.outputShape, bound: 2e-6, "packed, \(threads) threads")
        }
    }

    /// Signals of one channel in frames: with and without samples missing at the ends, frames that overlap and that don't, one of them,
    /// and frames that see nothing but padding; and pictures of one to three pixels.
    @Test(arguments: [
        WindowOracle(input: [1, 1, 640], weights: [258, 1, 256], strides: [128]),
        WindowOracle(input: [2, 1, 500], weights: [40, 1, 64], strides: [17], pads: [5, 9]),
        WindowOracle(input: [1, 1, 1, 900], weights: [80, 1, 1, 509], strides: [1, 441], pads: [0, 34, 0, 475]),
        WindowOracle(input: [3, 1, 33], weights: [9, 1, 33]),
        WindowOracle(input: [1, 1, 10], weights: [16, 1, 40], strides: [50], pads: [120, 60]),
        WindowOracle(input: [2, 1, 700], weights: [24, 1, 32], strides: [90]),
        WindowOracle(input: [1, 1, 2000], weights: [33, 1, 100], strides: [3], pads: [50, 50]),
        WindowOracle(input: [1, 64, 1], weights: [128, 64, 3], pads: [1, 1]),
        WindowOracle(input: [1, 128, 4], weights: [64, 128, 3], strides: [2], pads: [1, 1]),
        WindowOracle(input: [3, 70, 1, 1], weights: [41, 70, 3, 3], pads: [1, 1, 1, 1]),
    ])
    func frames(oracle: WindowOracle) throws {
        for threads in [1, 3] { try Case(oracle, hasBias: threads == 1, threads: threads).check() }
    }

    /// Windows of three axes on slices of a few planes: slices that see padding, some that see nothing else, one slice, several pictures,
    /// strides and dilations along each axis, kernels of one pixel, of one slice, and of so many channels that filtering is worth it.
    @Test(arguments: [
        WindowOracle(input: [1, 3, 5, 9, 8], weights: [7, 3, 3, 3, 3], pads: [1, 1, 1, 1, 1, 1]),
        WindowOracle(input: [2, 4, 6, 7, 9], weights: [5, 4, 3, 2, 4], strides: [2, 1, 2], pads: [1, 0, 2, 0, 1, 1]),
        WindowOracle(input: [1, 2, 7, 12, 11], weights: [3, 2, 3, 3, 3], dilations: [3, 2, 1], pads: [3, 2, 0, 1, 2, 1]),
        WindowOracle(input: [1, 5, 4, 6, 6], weights: [8, 5, 3, 1, 1], pads: [1, 0, 0, 1, 0, 0]),
        WindowOracle(input: [2, 6, 3, 8, 8], weights: [9, 6, 1, 3, 3], pads: [0, 1, 1, 0, 1, 1]),
        WindowOracle(input: [1, 3, 2, 6, 7], weights: [4, 3, 2, 3, 3], strides: [4, 1, 1], pads: [6, 0, 0, 5, 0, 0]),
        WindowOracle(input: [1, 32, 3, 16, 16], weights: [32, 32, 3, 3, 3], pads: [1, 1, 1, 1, 1, 1]),
        WindowOracle(input: [1, 48, 1, 9, 9], weights: [33, 48, 1, 1, 1], strides: [1, 2, 2]),
    ])
    func slices(oracle: WindowOracle) throws {
        for threads in [1, 3] {
            var example = Case(oracle, hasBias: threads == 1, threads: threads)
            if oracle.weights[0] >= 32 { example.bound = 2e-5 }
            try example.check()
        }
    }

    /// Shapes that minimal filtering and the direct convolution take, each of their forms with edges that don't fill a tile, a panel
    /// or a vector. One thread and three, since the form depends on how many there are. The transforms of F(4×4, 3×3) cost a decimal
    /// digit (Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution", 2020, table 2).
    @Test(arguments: [
        // A few tiles: one and several groups of them, and parts of one; so many that their sums are no registers, some of a panel,
        // some of several panels; pictures that share one.
        WindowOracle(input: [1, 33, 4, 4], weights: [35, 33, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [2, 79, 4, 4], weights: [64, 79, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [3, 41, 4, 4], weights: [33, 41, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 150, 8, 9], weights: [49, 150, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 36, 16, 16], weights: [40, 36, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 47, 17, 16], weights: [34, 47, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [3, 70, 5, 7], weights: [32, 70, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [2, 32, 16, 13], weights: [50, 32, 3, 3], pads: [0, 2, 1, 0]),
        WindowOracle(input: [1, 130, 3, 20], weights: [33, 130, 3, 3], pads: [2, 2, 0, 1]),
        WindowOracle(input: [1, 257, 4, 4], weights: [259, 257, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [2, 260, 4, 5], weights: [256, 260, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 300, 8, 9], weights: [230, 300, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 55, 17, 16], weights: [66, 55, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [2, 48, 16, 13], weights: [50, 48, 3, 3], pads: [0, 2, 1, 0]),
        // A few pixels: one row of pixels, several pictures, strides, dilations, kernels of one pixel and of many.
        WindowOracle(input: [1, 40, 1, 4], weights: [33, 40, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [5, 9, 3, 2], weights: [64, 9, 1, 1]),
        WindowOracle(input: [2, 35, 8, 7], weights: [41, 35, 3, 3], strides: [2, 2], pads: [1, 0, 0, 1]),
        WindowOracle(input: [1, 6, 9, 11], weights: [70, 6, 5, 2], strides: [3, 2], dilations: [2, 3], pads: [2, 1, 0, 1]),
        // More kernels than pictures.
        WindowOracle(input: [1, 32, 26, 25], weights: [47, 32, 3, 3], pads: [1, 0, 1, 2]),
        WindowOracle(input: [2, 40, 19, 24], weights: [64, 40, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 51, 26, 25], weights: [49, 51, 3, 3], pads: [1, 0, 1, 2]),
        // Large pictures.
        WindowOracle(input: [1, 33, 41, 39], weights: [33, 33, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [2, 32, 31, 29], weights: [37, 32, 3, 3], pads: [2, 0, 0, 1]),
        WindowOracle(input: [2, 49, 41, 39], weights: [53, 49, 3, 3], pads: [2, 0, 0, 1]),
        // A few output channels: fewer than the kernel takes at once, as many, and more; rows of one vector, two, and parts.
        WindowOracle(input: [2, 5, 7, 16], weights: [1, 5, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 3, 17, 35], weights: [3, 3, 3, 3], pads: [0, 2, 2, 0]),
        WindowOracle(input: [1, 33, 9, 50], weights: [4, 33, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [3, 1, 8, 33], weights: [7, 1, 3, 3], pads: [1, 1, 1, 1]),
        WindowOracle(input: [1, 2, 1, 1], weights: [2, 2, 3, 3], pads: [9, 20, 4, 3]),
    ])
    func minimalFiltering(oracle: WindowOracle) throws {
        for threads in [1, 3] {
            var example = Case(oracle, hasBias: threads == 1, threads: threads)
            if oracle.weights[0] >= 32 { example.bound = 2e-5 }
            try example.check()
        }
    }

    /// [N, C, …] against [C, M / group, …].
    @Test(arguments: [
        WindowOracle(input: [1, 3, 1, 1], weights: [3, 5, 3, 3], strides: [2, 3], outputPadding: [1, 2]),
        WindowOracle(input: [0, 3, 4, 4], weights: [3, 5, 3, 3]), WindowOracle(input: [2, 0, 4, 4], weights: [0, 5, 3, 3]),
        WindowOracle(input: [2, 3, 4, 4], weights: [3, 0, 3, 3]),
        WindowOracle(input: [1, 2, 0], weights: [2, 1, 3]),
        WindowOracle(input: [2, 6, 5, 4], weights: [6, 1, 3, 3], strides: [2, 2], pads: [1, 0, 0, 1], group: 6),
        WindowOracle(input: [1, 4, 40, 41], weights: [4, 3, 4, 4], strides: [2, 2], pads: [1, 1, 1, 1]),
        WindowOracle(
            input: [1, 3, 2, 3, 2], weights: [3, 2, 2, 2, 2], strides: [1, 2, 3], dilations: [2, 1, 1],
            outputPadding: [0, 1, 2]),
        // Rows that never meet, cut into parts, with pixels that none reaches; rows that do meet, in several strips.
        WindowOracle(input: [1, 24, 50, 31], weights: [24, 3, 2, 2], strides: [2, 2], pads: [1, 0, 0, 1]),
        WindowOracle(
            input: [1, 40, 30, 33], weights: [40, 2, 2, 3], strides: [3, 4], pads: [2, 1, 0, 0], outputPadding: [2, 3]),
        WindowOracle(
            input: [1, 16, 70, 68], weights: [16, 9, 3, 3], strides: [2, 2], pads: [1, 1, 1, 1], outputPadding: [1, 1]),
        WindowOracle(input: [1, 12, 9, 20, 21], weights: [12, 4, 2, 2, 2], strides: [2, 2, 2]),
        WindowOracle(input: [1, 12, 9, 20, 21], weights: [12, 4, 3, 2, 3], strides: [2, 1, 2], pads: [1, 0, 1, 1, 0, 0]),
        // A row longer than a strip, taps of one stride and of several, and more of them than a panel has rows.
        WindowOracle(input: [1, 4, 5000], weights: [4, 3, 16], strides: [8], pads: [4, 4]),
        WindowOracle(input: [1, 5, 3000], weights: [5, 2, 8], strides: [4], pads: [2, 3], outputPadding: [1]),
        WindowOracle(input: [1, 5, 700], weights: [5, 2, 7], strides: [3], dilations: [2], pads: [1, 2]),
        WindowOracle(input: [1, 3, 11, 12], weights: [3, 2, 17, 9], strides: [2, 2], pads: [8, 4, 8, 4]),
        // One pixel, all of whose products are the output, in groups too.
        WindowOracle(input: [2, 10, 1, 1], weights: [10, 70, 4, 4]),
        WindowOracle(input: [2, 10, 1, 1], weights: [10, 9, 4, 3], strides: [2, 2], group: 2),
        WindowOracle(input: [2, 64, 13, 9], weights: [64, 1, 4, 4], strides: [2, 2], pads: [1, 1, 1, 1], group: 64),
    ])
    func transposedCorners(oracle: WindowOracle) throws {
        for threads in [1, 3] { try Case(oracle, hasBias: threads == 1, isTransposed: true, threads: threads).check() }
    }

    /// output_shape decides the padding: cut on both sides, the odd pixel at the start but for SAME_UPPER; or grown with zeros.
    @Test(arguments: [nil, "SAME_UPPER", "SAME_LOWER"], [[8, 10], [5, 6], [12, 11]])
    func transposedOutputShape(autoPad: String?, extents: [Int]) throws {
        var oracle = WindowOracle(input: [1, 2, 4, 4], weights: [2, 3, 3, 4], strides: [2, 2])
        oracle.padTransposed(to: extents, upper: autoPad == "SAME_UPPER")
        var attributes = NodeAttributes(["strides": .ints([2, 2]), "output_shape": .ints(extents.map { Int64($0) })])
        if let autoPad { attributes["auto_pad"] = .string(autoPad) }
        let (x, w) = (try pseudoRandom(oracle.input), try pseudoRandom(oracle.weights, seed: 2))
        let found = try run("ConvTranspose", version: 11, attributes: attributes, inputs: [x, w])[0]
        let expected = oracle.convolveTransposed(try doubles(x), try doubles(w), bias: nil)
        try expectClose(found, expected, shape: [1, 3] + extents, bound: 2e-6)
    }

    /// Half precision runs in single precision and is rounded once, at the end.
    @Test(arguments: [false, true]) func halfPrecision(isTransposed: Bool) throws {
        let oracle = WindowOracle(input: [1, 3, 7, 5], weights: isTransposed ? [3, 5, 3, 3] : [5, 3, 3, 3])
        let (x, w) = (try pseudoRandom(oracle.input), try pseudoRandom(oracle.weights, seed: 2))
        let halves = try [x, w].map { tensor in
            try Tensor(tensor.array(of: Float.self).map { Float16($0) }, shape: tensor.shape)
        }
        let found = try run(isTransposed ? "ConvTranspose" : "Conv", version: 22, inputs: halves)[0]
        #expect(found.dtype == .float16)
        let (a, b) = (try doubles(halves[0]), try doubles(halves[1]))
        let expected = isTransposed ? oracle.convolveTransposed(a, b, bias: nil) : oracle.convolve(a, b, bias: nil)
        let shape = isTransposed ? oracle.transposedShape : oracle.outputShape
        try expectClose(found, expected, shape: shape, bound: 5e-4)
    }
}

/// Attributes that no window has: an error, never a trap.
@Suite struct HostileWindowTests {
    private static let far = Int64.max
    /// Attributes, and what is wrong with all of these lists.
    private static let lists: [(String, [[Int64]], String)] = [
        ("strides", [[1], [1, 1, 1]], "should have 2 values"),
        ("strides", [[0, 1], [1, -1], [far, far], [.min, 1]], "are out of range"),
        ("dilations", [[1]], "should have 2 values"),
        ("dilations", [[0, 1], [-2, 1], [far, far], [.min, .min]], "are out of range"),
        ("kernel_shape", [[3, 2], [3], [far, far], [-3, -3]], "contradicts the weights' [3, 3]"),
        ("pads", [[1, 1], [1, 1, 1, 1, 1]], "should have 4 values"),
        (
            "pads", [[-1, 0, 0, 0], [0, 0, 0, -7], [far, far, far, far], [.min, 0, 0, 0], [1 << 40, 0, 0, 0]],
            "are out of range"
        ),
    ]

    private func given(_ name: String, _ values: [Int64], autoPad: String? = nil) -> NodeAttributes {
        var attributes = NodeAttributes()
        attributes[name] = .ints(values)
        if let autoPad { attributes["auto_pad"] = .string(autoPad) }
        return attributes
    }

    private func expectRefused(
        _ type: String, _ attributes: NodeAttributes, input: [Int] = [1, 2, 5, 5], weights: [Int] = [2, 2, 3, 3],
        bias: [Int]? = nil, saying reason: String
    ) throws {
        let inputs = try [input, weights].map { try pseudoRandom($0) } + (bias.map { [try pseudoRandom($0)] } ?? [])
        expectError(reason, "\(type) \(attributes) \(input) \(weights)") {
            try run(type, version: 22, attributes: attributes, inputs: inputs)
        }
    }

    @Test(arguments: ["Conv", "ConvTranspose"]) func lists(type: String) throws {
        for (name, lists, reason) in Self.lists {
            for values in lists { try expectRefused(type, given(name, values), saying: "\(name) \(values) \(reason)") }
        }
        let grown =
            type == "Conv"
            ? "[2147483651, 2147483651] has too many elements" : "[1, 2, -2147483641, -2147483641] has a negative"
        try expectRefused(type, given("pads", Array(repeating: 1 << 30, count: 4)), saying: "shape \(grown)")
        try expectRefused(
            type, NodeAttributes(["auto_pad": .string("SAME")]), saying: "auto_pad \"SAME\" isn't one of ONNX's")
        try expectRefused(
            type, NodeAttributes(["strides": .int(1)]), saying: "attribute strides should be integers, found an integer")
    }

    @Test(arguments: ["Conv", "ConvTranspose"], [0, -1, 3, 1 << 40, .max, .min] as [Int64]) func groups(
        type: String, group: Int64
    ) throws {
        let reason = group < 1 ? "group is \(group), expected 1 or more" : "don't fit input [1, 2, 5, 5] in \(group) groups"
        try expectRefused(type, NodeAttributes(["group": .int(group)]), saying: reason)
        // No channels divide into any number of groups, but those don't multiply.
        if type == "ConvTranspose", group > 1 << 20 {
            try expectRefused(
                type, NodeAttributes(["group": .int(group)]), input: [1, 0, 5, 5], weights: [0, 1 << 30, 3, 3],
                saying: "weights [0, 1073741824, 3, 3] have too many channels")
        }
    }

    @Test(arguments: ["Conv", "ConvTranspose"]) func shapes(type: String) throws {
        let none = NodeAttributes()
        for (input, weights) in [([2, 2, 3], [2, 2, 3, 3]), ([], []), ([2, 2], [2, 2])] as [([Int], [Int])] {
            let reason =
                type == "Conv"
                ? "expected input [N, C, spatial…] and weights [M, C/group, kernel…], found \(input) and \(weights)"
                : "weights \(weights) don't fit input \(input) in 1 groups"
            try expectRefused(type, none, input: input, weights: weights, saying: reason)
        }
        try expectRefused(
            type, none, input: [1, 3, 5, 5], weights: [2, 2, 3, 3],
            saying: "weights [2, 2, 3, 3] don't fit input [1, 3, 5, 5] in 1 groups")
        let kernel = type == "Conv" ? "the kernel [0, 3] is out of range" : "kernel [0, 3], strides [1, 1], dilations [1, 1]"
        try expectRefused(type, none, weights: [2, 2, 0, 3], saying: kernel)
        try expectRefused(
            type, none, weights: [0, 0, 0, 0], saying: "weights [0, 0, 0, 0] don't fit input [1, 2, 5, 5] in 1 groups")
        try expectRefused(type, none, bias: [3], saying: "the bias [3] doesn't have 2 elements")
        try expectRefused(type, none, bias: [], saying: "the bias [] doesn't have 2 elements")
        // Extents whose products with strides and dilations leave 64 bits, in tensors without elements.
        let wide = NodeAttributes(["strides": .ints([1 << 30]), "dilations": .ints([1 << 30])])
        for (extent, taps) in [(1 << 33, 1), (1 << 33 + 1, 1 << 33 + 1), (1, 1 << 34), (1 << 32, 1 << 32), (1 << 40, 1 << 40)] {
            for autoPad in ["NOTSET", "VALID", "SAME_UPPER"] {
                var attributes = wide
                attributes["auto_pad"] = .string(autoPad)
                let inputs = try [[0, 0, extent], [0, 0, taps]].map { try pseudoRandom($0) }
                let found = try? run(type, version: 22, attributes: attributes, inputs: inputs)
                #expect(found.map { $0[0].count == 0 } ?? true)
            }
        }
    }

    @Test(
        arguments: [
            ("output_padding", [[1]], "output_padding LIST or output_shape [] should have 2 values"),
            ("output_padding", [[-1, 0], [.max, .max], [.min, 0]], "output_padding LIST are out of range"),
            ("output_shape", [[5], [1, 1, 5, 5]], "output_padding [] or output_shape LIST should have 2 values"),
            ("output_shape", [[-1, 5], [.min, .min]], "output_shape LIST has a negative extent"),
            ("output_shape", [[.max, .max]], "shape [1, 2, 9223372036854775807, 9223372036854775807] has too many elements"),
            ("output_shape", [[1 << 40, 1 << 40]], "shape [1, 2, 1099511627776, 1099511627776] has too many elements"),
        ] as [(String, [[Int64]], String)])
    func transposedLists(name: String, lists: [[Int64]], reason: String) throws {
        for values in lists {
            for autoPad in [nil, "SAME_UPPER"] {
                try expectRefused(
                    "ConvTranspose", given(name, values, autoPad: autoPad),
                    saying: reason.replacing("LIST", with: "\(values)"))
            }
        }
    }
}
