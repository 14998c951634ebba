import Foundation
import GraphRuntime
import Ops
import TestSupport
import Testing

/// Products with factors that are rounded to bfloat16 against the single-precision ones of factors that were rounded before.
@Suite struct BFloat16Tests {
    /// Which factors of a product are rounded, as the kernel's name says.
    private enum Rounding: Equatable {
        case none, weights, both

        init(_ profile: Profile) throws {
            let name = try #require(profile.nodes.last?.kernel)
            self = name.contains("bf16 weights") ? .weights : name.contains("bf16") ? .both : .none
        }
    }

    private static let hasPanels = InstructionSet.current != .plain
    /// Whether the environment asks for pairs, whatever the processor can.
    private static let forcesPairs =
        hasPanels && ProcessInfo.processInfo.environment["SD_ONNX_CPU"]?.hasSuffix("+bf16") == true

    /// Runs an operator on weights with and without rounding.
    private func check(
        _ type: String, _ inputs: [Tensor], _ attributes: NodeAttributes = NodeAttributes(), isPacked: Bool = true,
        staysSingle: Bool = false, title: String
    ) throws {
        let profile = Profile()
        let found = try runOnWeights(
            type, version: 13, attributes: attributes, inputs: inputs, precision: .bfloat16, observer: profile)
        let rounding = try Rounding(profile)
        if Self.hasPanels { #expect(rounding != .none || !isPacked, "\(title): \(String(describing: profile.nodes.last))") }
        if Self.forcesPairs { #expect(rounding == (staysSingle ? .none : .both), "\(title)") }
        var rounded = inputs
        if rounding == .both { rounded[0] = try roundedToBFloat16(inputs[0]) }
        if rounding != .none { rounded[1] = try roundedToBFloat16(inputs[1]) }
        let expected = try runOnWeights(type, version: 13, attributes: attributes, inputs: rounded).array(of: Float.self)
        try expectClose(found, expected, within: Tolerance(ofLargest: 3e-6), title)
        // Sums of many rounded numbers come nearer than a single one, which is at most 2^-9 off.
        let exact = try runOnWeights(type, version: 13, attributes: attributes, inputs: inputs).array(of: Float.self)
        let distance = try relativeError(found, exact)
        if rounding != .none { #expect(distance > 1e-5 && distance < 8e-3, "\(title): \(distance)") }
        if rounding == .both {
            let spared = try runOnWeights(
                type, version: 13, attributes: attributes, inputs: inputs, savesMemory: true, precision: .bfloat16)
            try expectClose(spared, expected, within: Tolerance(ofLargest: 3e-6), "\(title), sparing memory")
        }
    }

    /// Rows of the left factor, its columns, columns of the right one: odd ones, parts of tiles and panels, one slice of rows and
    /// several, more rows than are kept while panels pass by.
    @Test(arguments: [
        [4, 4, 8], [5, 7, 9], [14, 33, 32], [15, 5, 33], [65, 641, 70], [130, 64, 2000], [301, 1283, 530], [600, 1283, 100],
        [1030, 65, 1040],
    ]) func products(extents: [Int]) throws {
        let (m, k, n) = (extents[0], extents[1], extents[2])
        let (x, w) = (try pseudoRandom([m, k], seed: 1), try pseudoRandom([k, n], seed: 2))
        try check("MatMul", [x, w], title: "MatMul \(extents)")
        for (transposesA, transposesB) in [(false, true), (true, false), (true, true)] {
            let left = transposesA ? try pseudoRandom([k, m], seed: 1) : x
            let right = transposesB ? try pseudoRandom([n, k], seed: 2) : w
            let attributes = NodeAttributes([
                "transA": .int(transposesA ? 1 : 0), "transB": .int(transposesB ? 1 : 0), "alpha": .float(0.5),
            ])
            try check("Gemm", [left, right, pseudoRandom([n], seed: 3)], attributes, title: "Gemm \(extents)")
        }
    }

    /// Few pixels, kernels of one pixel, strides, groups; 3×3 kernels of stride 1 and few channels stay in single precision.
    @Test(arguments: [
        ([1, 32, 4, 3], [48, 32, 3, 3], 1, 1), ([2, 40, 9, 7], [33, 40, 1, 1], 1, 1), ([1, 40, 5, 5], [33, 40, 1, 1], 1, 1),
        ([1, 17, 40, 31], [20, 17, 3, 3], 2, 1), ([2, 12, 9, 11], [24, 6, 3, 3], 2, 2),
        ([1, 64, 16, 16], [64, 64, 3, 3], 1, 1),
    ]) func convolutions(input: [Int], weights: [Int], stride: Int64, group: Int64) throws {
        let attributes = NodeAttributes([
            "pads": .ints(Array(repeating: Int64(weights[2] / 2), count: 4)), "strides": .ints([stride, stride]),
            "group": .int(group),
        ])
        let tensors = [
            try pseudoRandom(input, seed: 1), try pseudoRandom(weights, seed: 2), try pseudoRandom([weights[0]], seed: 3),
        ]
        let isFiltered = weights[2] == 3 && stride == 1 && input[2] == input[3]
        try check(
            "Conv", tensors, attributes, isPacked: false, staysSingle: isFiltered, title: "\(input) \(weights)")
    }

    /// Minimal filtering of pairs against the algorithm as it is written, one number after the other: few tiles, panels of tiles and of
    /// kernels that aren't full, odd numbers of channels, many tiles, several pictures. Fewer than 128 input channels, and little work, stay
    /// in single precision. Small pictures with many kernels that were packed are of tiles of 2×2 pixels.
    @Test(arguments: [
        ([1, 405, 19, 15], [390, 405, 3, 3]), ([2, 331, 16, 16], [300, 331, 3, 3]), ([1, 601, 12, 12], [590, 601, 3, 3]),
        ([1, 217, 33, 30], [204, 217, 3, 3]), ([2, 170, 40, 24], [157, 170, 3, 3]), ([1, 133, 130, 66], [50, 133, 3, 3]),
        ([1, 128, 128, 128], [50, 128, 3, 3]), ([1, 127, 130, 66], [67, 127, 3, 3]), ([1, 145, 33, 30], [67, 145, 3, 3]),
        ([1, 513, 5, 3], [520, 513, 3, 3]), ([2, 640, 8, 8], [433, 640, 3, 3]), ([5, 417, 3, 7], [641, 417, 3, 3]),
        ([1, 1283, 2, 33], [257, 1283, 3, 3]),
    ]) func filteredConvolutions(input: [Int], weights: [Int]) throws {
        let attributes = NodeAttributes(["pads": .ints([1, 1, 1, 1])])
        let tensors = [
            try pseudoRandom(input, seed: 1), try pseudoRandom(weights, seed: 2), try pseudoRandom([weights[0]], seed: 3),
        ]
        let exact = try runOnWeights("Conv", version: 11, attributes: attributes, inputs: tensors).array(of: Float.self)
        for savesMemory in [false, true] {
            let profile = Profile()
            let found = try runOnWeights(
                "Conv", version: 11, attributes: attributes, inputs: tensors, savesMemory: savesMemory,
                precision: .bfloat16, observer: profile
            ).array(of: Float.self)
            let kernel = profile.nodes.last?.kernel
            // With AMX nothing is filtered, see TileConvolutionTests.
            if kernel == "bf16 tiles" { continue }
            let tiles = input[0] * ((input[2] + 3) / 4) * ((input[3] + 3) / 4)
            let isPaired = input[1] >= 128 && tiles * input[1] * weights[0] >= 3 << 20
            let isSmall = tiles <= 16 && input[1] * weights[0] >= 1 << 18
            if Self.forcesPairs, !savesMemory {
                #expect(kernel == (isSmall ? "bf16 Winograd 2×2" : isPaired ? "bf16 Winograd 4×4" : "Winograd 4×4"))
            }
            let error = relativeDeviation(found, exact)
            guard let kernel, kernel.hasPrefix("bf16 Winograd") else {
                // Weights that aren't packed may be multiplied with unfolded pairs, which aren't filtered.
                if kernel?.contains("bf16") == true { continue }
                #expect(error < 1e-5, "\(input) \(weights), \(kernel ?? "without a name"): \(error)")
                continue
            }
            let naive: PairedFiltering =
                kernel.hasSuffix("2×2") ? .tilesOf2 : .tilesOf4(roundsKernelsFirst: tiles <= 32 && !savesMemory)
            // Rounding before a sum of products adds 2.4e-3 of its root mean square for numbers without any correlation, and rounding
            // after the transforms 4.8 times that, or 1.7 times for small tiles, as follows from these.
            #expect(error > 1e-3 && error < (kernel.hasSuffix("2×2") ? 5e-3 : 1.3e-2), "\(input) \(weights): \(error)")
            // A few numbers are nearly halfway between two that they can be rounded to.
            let distance = relativeDeviation(found, try naive.convolve(tensors))
            #expect(distance < 2e-4, "\(input) \(weights), naively: \(distance)")
        }
    }

    /// Any padding, with what follows a convolution of small tiles done by it: a residual, an activation in registers, and one that isn't.
    @Test(arguments: [[1, 1, 1, 1], [0, 0, 0, 0], [2, 0, 1, 3]], ["", "Relu", "Softplus"])
    func smallTiles(pads: [Int], activation: String) throws {
        var graph = FusionGraph()
        let x = try graph.input([2, 530, 7, 6])
        let weights = try graph.weights([515, 530, 3, 3], isInFile: true)
        let bias = try graph.weights([515])
        let residual = try graph.input([2, 515, 7 + pads[0] + pads[2] - 2, 6 + pads[1] + pads[3] - 2])
        var y = graph.node("Conv", x, weights, bias, attributes: NodeAttributes(["pads": .ints(pads.map { Int64($0) })]))
        y = graph.node("Add", y, residual)
        if !activation.isEmpty { y = graph.node(activation, y) }
        let profile = Profile()
        let options = SessionOptions(threads: ThreadPool(threadCount: 2), precision: .bfloat16)
        let found = try graph.result(y, options: options, observer: profile).array(of: Float.self)
        #expect(profile.nodes.count == 1)
        let isFiltered = profile.nodes.last?.kernel == "bf16 Winograd 2×2"
        #expect(isFiltered || !Self.forcesPairs)
        guard isFiltered else { return }
        let exact = try graph.result(y, options: SessionOptions(threads: ThreadPool(threadCount: 2))).array(of: Float.self)
        let error = relativeDeviation(found, exact)
        #expect(error < 6e-3, "\(error)")
    }

    /// Weights of 16 bits as those that they are widened to, on any number of threads.
    @Test(arguments: [DType.float16, .bfloat16]) func smallTilesOfHalves(dtype: DType) throws {
        let values = try pseudoRandom([512, 520, 3, 3], seed: 2).array(of: Float.self).map { BFloat16($0).float }
        let shape = try Shape([512, 520, 3, 3])
        // Numbers of bfloat16 between 2^-10 and 1 are numbers of float16 too.
        let numbers = values.map { abs($0) < 0x1p-10 ? 0 : $0 }
        let half =
            dtype == .float16
            ? try Tensor(numbers.map { Float16($0) }, shape: shape) : try Tensor(numbers.map { BFloat16($0) }, shape: shape)
        let x = try pseudoRandom([1, 520, 6, 9], seed: 1)
        let profile = Profile()
        let results = try [try Tensor(numbers, shape: shape), half].flatMap { weights in
            try [1, 2, 3].map {
                try runOnWeights(
                    "Conv", version: 11, inputs: [x, weights], threads: $0, precision: .bfloat16, observer: profile)
            }
        }
        guard profile.nodes.allSatisfy({ $0.kernel == "bf16 Winograd 2×2" }) else {
            #expect(!Self.forcesPairs)
            return
        }
        for result in results.dropFirst() { try expectSame(result, results[0]) }
    }

    /// The gated product of feed-forward blocks, and a convolution that writes its channels last.
    @Test(arguments: [[4, 6, 64], [2, 17, 41, 96], [30, 900, 1344], [700, 33, 128]]) func fusedProducts(extents: [Int]) throws {
        let (depth, width) = (extents[extents.count - 2], extents[extents.count - 1])
        var gated = FusionGraph()
        let x = try gated.input(Array(extents.dropLast()))
        let halves = gated.node(
            "Add", gated.node("MatMul", x, try gated.weights([depth, width], isInFile: true)), try gated.weights([width]))
        let (values, gate) = gated.nodes("Split", halves, attributes: NodeAttributes(["axis": .int(-1)]))
        let erf = gated.node("Erf", gated.node("Div", gate, try gated.scalar(Float(2).squareRoot())))
        let gelu = gated.node(
            "Mul", gated.node("Mul", gate, gated.node("Add", erf, try gated.scalar(1))), try gated.scalar(0.5))
        let product = gated.node("Mul", values, gelu)
        try check(gated, product, type: "GatedMatMul")

        var convolution = FusionGraph()
        let pixels = try convolution.input([2, depth, 7, 5])
        let conv = convolution.node("Conv", pixels, try convolution.weights([width, depth, 1, 1], isInFile: true))
        let turned = convolution.node("Transpose", conv, attributes: NodeAttributes(["perm": .ints([0, 2, 3, 1])]))
        try check(convolution, turned, type: "PointwiseConv")
    }

    private func check(_ graph: FusionGraph, _ output: ValueID, type: String) throws {
        var graph = graph
        let options = SessionOptions(threads: ThreadPool(threadCount: 2), precision: .bfloat16)
        let profile = Profile()
        let found = try graph.result(output, options: options, observer: profile)
        #expect(profile.nodes.count == 1, "\(type): \(profile.nodes.map(\.type))")
        let rounding = try Rounding(profile)
        if Self.hasPanels { #expect(rounding == .both || rounding == .weights && !Self.forcesPairs) }
        var rounded = rounding == .none ? graph : try graph.rounded(inputs: rounding == .both)
        let expected = try rounded.result(output, options: SessionOptions(threads: ThreadPool(threadCount: 2)))
        try expectClose(found, expected.array(of: Float.self), within: Tolerance(ofLargest: 3e-6))
    }

    /// Numbers of all magnitudes, halfway between two of bfloat16 and not, are rounded as ``BFloat16`` does.
    @Test func roundsToNearest() throws {
        guard Self.hasPanels else { return }
        var dice = Dice(5)
        let bits = (0..<8 * 40).map { index -> UInt32 in
            let sign = UInt32(dice.roll(2)) << 31
            // Not below 2^-126, which processors may take for zero, nor such that sums or the rounding overflow.
            let exponent = UInt32(1 + dice.roll(250)) << 23
            let fraction = index % 3 == 0 ? UInt32(dice.roll(128)) << 16 | 0x8000 : UInt32(dice.roll(1 << 23))
            return sign | exponent | fraction
        }
        let weights = bits.map { Float(bitPattern: $0) }
        var identity = [Float](repeating: 0, count: 64)
        for index in 0..<8 { identity[index * 9] = 1 }
        let found = try runOnWeights(
            "MatMul", version: 13, inputs: [floats(identity, [8, 8]), floats(weights, [8, 40])], precision: .bfloat16)
        try expectEqual(found, weights.map { BFloat16($0).float })
    }

    /// What isn't finite, or isn't once it is rounded, makes the same of a sum as in single precision.
    @Test(arguments: [Float.infinity, -.infinity, .nan, Float(bitPattern: 0x7FFF_FFFF), .greatestFiniteMagnitude])
    func notFinite(value: Float) throws {
        guard Self.hasPanels else { return }
        var weights = [Float](repeating: 1, count: 8 * 32)
        weights[3 * 32 + 5] = value
        let left = try floats([Float](repeating: 1, count: 64), [8, 8])
        let found = try runOnWeights(
            "MatMul", version: 13, inputs: [left, floats(weights, [8, 32])], precision: .bfloat16
        ).array(of: Float.self)
        for (index, number) in found.enumerated() {
            if index % 32 != 5 {
                #expect(number == 8)
            } else if value.isNaN {
                #expect(number.isNaN)
            } else {
                #expect(number == (value < 0 ? -.infinity : .infinity))
            }
        }
    }

    /// As few queries as are put into panels, parts of tiles, odd widths and numbers of keys, several blocks of keys.
    @Test(arguments: [[1, 1, 8, 1, 1], [2, 3, 20, 9, 8], [1, 2, 70, 77, 40], [1, 2, 33, 501, 64], [1, 1, 65, 1024, 80]])
    func attention(extents: [Int]) throws {
        let (batch, heads, queries, keys, width) = (extents[0], extents[1], extents[2], extents[3], extents[4])
        let operands = try [queries, keys, keys].enumerated().map { index, rows in
            try pseudoRandom([batch, heads, rows, width], seed: UInt64(index + 1))
        }
        let profile = Profile()
        let found = try runOnWeights(
            "Attention", version: 23, inputs: operands, precision: .bfloat16, observer: profile)
        let exact = try runOnWeights("Attention", version: 23, inputs: operands)
        let distance = try relativeError(found, exact.array(of: Float.self))
        let rounding = try Rounding(profile)
        if Self.forcesPairs { #expect(rounding == .both) }
        if rounding == .none {
            #expect(distance == 0)
        } else {
            #expect(distance > 0 && distance < 8e-3, "\(extents): \(distance)")
        }
    }

    /// Masks of -∞, and of float32's least number, which exporters write for it: where all keys of a query have that, they count alike.
    @Test(arguments: [Float.infinity, .greatestFiniteMagnitude], [[1, 2, 40, 300, 64], [2, 4, 70, 501, 64]])
    func maskedAttention(limit: Float, extents: [Int]) throws {
        let (batch, heads, queries, keys, width) = (extents[0], extents[1], extents[2], extents[3], extents[4])
        let operands = try [queries, keys, keys].enumerated().map { index, rows in
            try pseudoRandom([batch, heads, rows, width], seed: UInt64(index + 1))
        }
        let masks = (0..<queries * keys).map { index -> Float in
            let (query, key) = (index / keys, index % keys)
            return query == 3 || key % 7 == 2 || key > 8 * query + 20 ? -limit : Float(key % 5) / 4
        }
        let inputs = operands + [try Tensor(masks, shape: Shape([queries, keys]))]
        let profile = Profile()
        let found = try runOnWeights("Attention", version: 23, inputs: inputs, precision: .bfloat16, observer: profile)
        let exact = try runOnWeights("Attention", version: 23, inputs: inputs).array(of: Float.self)
        let rounding = try Rounding(profile)
        if Self.forcesPairs { #expect(rounding == .both) }
        // Query 3 by itself: beside the others its means are small.
        for row in [0..<queries, 3..<4] {
            let places = exact.indices.filter { row.contains($0 / width % queries) }
            let values = try found.array(of: Float.self)
            let (largest, difference) = places.reduce((Float(0), Float(0))) {
                (max($0.0, abs(exact[$1])), max($0.1, abs(values[$1] - exact[$1])))
            }
            #expect(
                rounding == .none ? difference == 0 : difference <= 8e-3 * largest,
                "\(extents) \(row): \(difference) of \(largest)")
            #expect(limit.isFinite || row.count > 1 || largest == 0)
        }
    }

    /// Scores that grow and fall by more than a weight can, from one block of keys to the next: whole numbers, so that rounding keeps them.
    @Test(arguments: [false, true], [32, 64, 128]) func scoresFarApart(isFalling: Bool, width: Int) throws {
        let (queries, keys) = (40, 500)
        let query = try floats((0..<queries * width).map { $0 / width % 2 == 0 ? 1 : -0.5 }, [1, 2, queries / 2, width])
        let key = (0..<2 * keys * width).map { index -> Float in
            let row = index / width % keys
            return Float((isFalling ? keys - 1 - row : row) / 2)
        }
        let inputs = [query, try floats(key, [1, 2, keys, width]), try pseudoRandom([1, 2, keys, width], seed: 3)]
        let attributes = NodeAttributes(["scale": .float(1 / Float(width))])
        let found = try runOnWeights("Attention", version: 23, attributes: attributes, inputs: inputs, precision: .bfloat16)
        let exact = try runOnWeights("Attention", version: 23, attributes: attributes, inputs: inputs)
        #expect(try relativeError(found, exact.array(of: Float.self)) < 8e-3)
    }

    /// Without the optimizer a graph runs as it is in the file.
    @Test func notWithoutOptimizer() throws {
        var graph = FusionGraph()
        let y = graph.node("MatMul", try graph.input([20, 30]), try graph.weights([30, 40], isInFile: true))
        let pool = ThreadPool(threadCount: 1)
        let found = try graph.result(y, options: SessionOptions(optimize: false, threads: pool, precision: .bfloat16))
        let exact = try graph.result(y, options: SessionOptions(optimize: false, threads: pool))
        try expectSame(found, exact)
    }
}
