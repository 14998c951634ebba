import GraphRuntime
import Ops
import TestSupport
import Testing

/// Operators with weights of 16 bits in a file against the same with these weights in float32: the same numbers, to the bit, as kernels
/// widen the weights and then compute as they do with others.
@Suite struct HalfWeightsTests {
    private static let hasPanels = InstructionSet.current != .plain

    private func halves(_ tensor: Tensor, _ dtype: DType) throws -> Tensor {
        let result = try MutableTensor(dtype: dtype, shape: tensor.shape)
        try HalfPrecision.narrow(tensor, into: result)
        return try result.finish()
    }

    /// - Parameter isPacked: whether the weights are worth packing, which profiles then say.
    private func check(
        _ type: String, domain: String = "", version: Int = 13, _ inputs: [Tensor],
        _ attributes: NodeAttributes = NodeAttributes(),
        isPacked: Bool, _ title: String
    ) throws {
        for dtype in [DType.float16, .bfloat16] {
            let given = try inputs.map { try halves($0, dtype) }
            let profile = Profile()
            let found = try runOnWeights(
                type, version: version, domain: domain, attributes: attributes, inputs: given, observer: profile)
            let wide = try given.map { try HalfPrecision.widen($0) }
            for savesMemory in [false, true] {
                let expected = try halves(
                    runOnWeights(
                        type, version: version, domain: domain, attributes: attributes, inputs: wide, savesMemory: savesMemory),
                    dtype)
                let result =
                    savesMemory
                    ? try runOnWeights(
                        type, version: version, domain: domain, attributes: attributes, inputs: given, savesMemory: true)
                    : found
                try expectSame(result, expected, "\(title), \(dtype)\(savesMemory ? ", sparing memory" : "")")
            }
            guard Self.hasPanels else { continue }
            let kernels = profile.nodes.compactMap(\.kernel)
            let name = dtype == .float16 ? "fp16 weights" : "bf16 weights"
            #expect(kernels.contains { $0.contains(name) } == isPacked, "\(title), \(dtype): \(kernels)")
        }
    }

    /// Rows of the left factor, its columns, columns of the right one: odd ones, parts of tiles and panels, one slice of rows and several,
    /// more rows than are kept while panels pass by, and a single one.
    @Test(arguments: [
        [1, 40, 33], [3, 65, 50], [4, 4, 8], [5, 7, 9], [14, 33, 32], [15, 5, 33], [65, 641, 70], [130, 64, 2000],
        [301, 1283, 530], [600, 1283, 100], [1030, 65, 1040],
    ]) func products(extents: [Int]) throws {
        let (m, k, n) = (extents[0], extents[1], extents[2])
        let (x, w) = (try pseudoRandom([m, k], seed: 1), try pseudoRandom([k, n], seed: 2))
        try check("MatMul", [x, w], isPacked: true, "MatMul \(extents)")
        for (transposesA, transposesB) in [(false, true), (true, false), (true, true)] {
            let left = transposesA ? try pseudoRandom([k, m], seed: 1) : x
            let right = transposesB ? try pseudoRandom([n, k], seed: 2) : w
            let attributes = NodeAttributes([
                "transA": .int(transposesA ? 1 : 0), "transB": .int(transposesB ? 1 : 0), "alpha": .float(0.5),
            ])
            try check(
                "Gemm", [left, right, pseudoRandom([n], seed: 3)], attributes, isPacked: m > 1 || !transposesB,
                "Gemm \(extents)")
        }
        try check(
            "FusedMatMul", domain: "com.microsoft", version: 1, [x, w], NodeAttributes(["alpha": .float(0.5)]),
            isPacked: true, "FusedMatMul \(extents)")
    }

    /// Input, weights, stride and group of a convolution for each of the kernels that there are, and whether it is named by packed weights: few
    /// pixels, one row of tiles and several in registers, few tiles, minimal filtering by kernels and by tiles, kernels of one pixel,
    /// strides and groups, a depthwise one, and one of an odd number of channels, of which the last pair of rows lacks one.
    @Test(arguments: [
        ([1, 32, 4, 3], [48, 32, 3, 3], 1, 1, true), ([1, 64, 4, 4], [48, 64, 3, 3], 1, 1, false),
        ([1, 47, 4, 4], [50, 47, 3, 3], 1, 1, false), ([2, 70, 8, 8], [40, 70, 3, 3], 1, 1, false),
        ([1, 67, 16, 16], [35, 67, 3, 3], 1, 1, false), ([1, 130, 18, 20], [33, 130, 3, 3], 1, 1, false),
        ([1, 640, 32, 32], [64, 640, 3, 3], 1, 1, false), ([1, 33, 80, 64], [40, 33, 3, 3], 1, 1, false),
        ([1, 40, 5, 5], [33, 40, 1, 1], 1, 1, true), ([2, 40, 9, 7], [33, 40, 1, 1], 1, 1, false),
        ([1, 17, 40, 31], [20, 17, 3, 3], 2, 1, false), ([2, 12, 9, 11], [24, 6, 3, 3], 2, 2, false),
        ([1, 16, 12, 12], [16, 1, 3, 3], 1, 16, false), ([1, 3, 40, 40], [8, 3, 3, 3], 1, 1, false),
    ]) func convolutions(input: [Int], weights: [Int], stride: Int64, group: Int64, isPacked: Bool) throws {
        let attributes = NodeAttributes([
            "pads": .ints(Array(repeating: Int64(weights[2] / 2), count: 4)), "strides": .ints([stride, stride]),
            "group": .int(group),
        ])
        let tensors = [
            try pseudoRandom(input, seed: 1), try pseudoRandom(weights, seed: 2), try pseudoRandom([weights[0]], seed: 3),
        ]
        try check("Conv", tensors, attributes, isPacked: isPacked, "\(input) \(weights)")
    }

    /// Pixels of a few and of many columns, groups, and strides that overlap.
    @Test(arguments: [
        ([1, 24, 5, 7], [24, 10, 4, 4], 2, 1), ([2, 16, 1, 1], [16, 33, 3, 3], 1, 1), ([1, 12, 9, 40], [12, 6, 2, 2], 2, 2),
    ]) func transposedConvolutions(input: [Int], weights: [Int], stride: Int64, group: Int64) throws {
        let attributes = NodeAttributes(["strides": .ints([stride, stride]), "group": .int(group)])
        let tensors = [
            try pseudoRandom(input, seed: 1), try pseudoRandom(weights, seed: 2),
            try pseudoRandom([weights[1] * Int(group)], seed: 3),
        ]
        try check("ConvTranspose", tensors, attributes, isPacked: false, "\(input) \(weights)")
    }

    /// Of caches of cosines and sines, rotations widen the rows that they read: the same as of caches in float32.
    @Test(arguments: [DType.float16, .bfloat16]) func rotations(dtype: DType) throws {
        let x = try halves(pseudoRandom([2, 3, 4, 8], seed: 1), dtype)
        let caches = try [2, 3].map { try halves(pseudoRandom([50, 4], seed: $0), dtype) }
        let positions = try Tensor([Int64(49), 0, 7, 7, 1, 20, 3, 48], shape: Shape([2, 4]))
        let wide = try ([x] + caches).map { try HalfPrecision.widen($0) }
        let found = try run("RotaryEmbedding", version: 23, inputs: [x] + caches + [positions])[0]
        try expectSame(found, halves(run("RotaryEmbedding", version: 23, inputs: wide + [positions])[0], dtype))
        func contributed(_ x: Tensor, _ caches: [Tensor]) throws -> Tensor {
            try run("RotaryEmbedding", version: 1, domain: "com.microsoft", inputs: [x, positions] + caches)[0]
        }
        try expectSame(contributed(x, caches), halves(contributed(wide[0], Array(wide[1...])), dtype))
        // Without positions, caches have a row for each of the input's.
        let rows = try [4, 5].map { try halves(pseudoRandom([2, 4, 4], seed: $0), dtype) }
        try expectSame(
            run("RotaryEmbedding", version: 23, inputs: [x] + rows)[0],
            halves(
                run("RotaryEmbedding", version: 23, inputs: [wide[0]] + rows.map { try HalfPrecision.widen($0) })[0], dtype))
    }

    /// Every finite float16 there is, which the product with an identity gives back.
    @Test func everyNumber() throws {
        let bits = (0...UInt16.max).filter { $0 & 0x7C00 != 0x7C00 }
        let table = try Tensor(bits.map { Float16(bitPattern: $0) }, shape: Shape([bits.count / 32, 32]))
        let rows = table.shape[0]
        var identity = [Float16](repeating: 0, count: rows * rows)
        for row in 0..<rows { identity[row * rows + row] = 1 }
        let x: Tensor = try Tensor(identity, shape: Shape([rows, rows]))
        let found = try runOnWeights("MatMul", version: 13, inputs: [x, table])
        // Sums that begin with zero have no zero of a negative sign.
        var expected = try table.array(of: Float16.self)
        for index in expected.indices where expected[index] == 0 { expected[index] = 0 }
        try expectSame(found, Tensor(expected, shape: table.shape))
    }

    /// The gated product of feed-forward blocks and a convolution that writes its channels last, which are found with weights of 16 bits too.
    @Test(arguments: [[4, 6, 64], [2, 17, 41, 96], [30, 900, 1344]]) func fusedProducts(extents: [Int]) throws {
        let (depth, width) = (extents[extents.count - 2], extents[extents.count - 1])
        var gated = FusionGraph(.float16)
        let x = try gated.input(Array(extents.dropLast()))
        let halves = gated.node(
            "Add", gated.node("MatMul", x, try gated.weights([depth, width], isInFile: true)), try gated.weights([width]))
        let (values, gate) = gated.nodes("Split", halves, attributes: NodeAttributes(["axis": .int(-1)]))
        let erf = gated.node("Erf", gated.node("Div", gate, try gated.scalar(Float(2).squareRoot())))
        let gelu = gated.node(
            "Mul", gated.node("Mul", gate, gated.node("Add", erf, try gated.scalar(1))), try gated.scalar(0.5))
        let product = gated.node("Mul", values, gelu)
        try check(gated, product, type: "GatedMatMul")

        var convolution = FusionGraph(.float16)
        let pixels = try convolution.input([2, depth, 7, 5])
        let conv = convolution.node("Conv", pixels, try convolution.weights([width, depth, 1, 1], isInFile: true))
        let turned = convolution.node("Transpose", conv, attributes: NodeAttributes(["perm": .ints([0, 2, 3, 1])]))
        try check(convolution, turned, type: "PointwiseConv")
    }

    private func check(_ graph: FusionGraph, _ output: ValueID, type: String) throws {
        var graph = graph
        let threads = ThreadPool(threadCount: 2)
        let profile = Profile()
        let found = try HalfPrecision.widen(graph.result(output, options: SessionOptions(threads: threads), observer: profile))
        if Self.hasPanels {
            let kernels = profile.nodes.compactMap(\.kernel)
            #expect(kernels.contains { $0.contains("fp16 weights") }, "\(type): \(kernels)")
        }
        let spared = try graph.result(output, options: SessionOptions(threads: threads, savesMemory: true))
        try expectSame(HalfPrecision.widen(spared), found, "\(type), sparing memory")
        // The same numbers in float32: only what the graph hands out is rounded to 16 bits.
        var wide = try graph.widened()
        let expected = try wide.result(output, options: SessionOptions(optimize: false, threads: threads))
        try expectClose(found, expected.array(of: Float.self), within: Tolerance(ofLargest: 1e-3), type)
    }
}
