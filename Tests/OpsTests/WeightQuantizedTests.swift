import GraphRuntime
import Ops
import TestSupport
import Testing

/// DequantizeLinear of constant weights of few bits before products, against the graph as it is written.
@Suite struct WeightQuantizedTests {
    private enum Scales: String, CaseIterable { case one, columns, blocks }

    /// Whole numbers of a type, by their lowest bits.
    private func numbers(_ dtype: DType, _ shape: [Int], seed: UInt64) throws -> Tensor {
        let count = shape.reduce(1, *)
        let values = try pseudoRandom([max(count, 1)], seed: seed).array(of: Float.self)
        let bits = dtype.bitWidth
        let codes = values.map { UInt8(truncatingIfNeeded: Int($0 * 1000)) & UInt8(truncatingIfNeeded: 1 << bits - 1) }
        var bytes = [UInt8](repeating: 0, count: (count * bits + 7) / 8)
        for index in 0..<count { bytes[index * bits / 8] |= codes[index] << UInt8(index * bits % 8) }
        let result = try MutableTensor(dtype: dtype, shape: Shape(shape))
        try result.withMutableBytes { target in for index in bytes.indices { target[index] = bytes[index] } }
        return try result.finish()
    }

    /// - Parameter isTransposed: for Gemm; nil for MatMul, with a bias and another addend.
    private func check(
        _ dtype: DType, rows: Int, k: Int, n: Int, _ scales: Scales, hasZeros: Bool, isTransposed: Bool?
    ) throws {
        var g = FusionGraph()
        let x = try g.input(isTransposed == nil ? [1, rows, k] : [rows, k])
        let isTransposed = isTransposed ?? false
        let w = g.constant(try numbers(dtype, isTransposed ? [n, k] : [k, n], seed: 5))
        let blocks = (k + 31) / 32
        let shape = [Scales.one: [], .columns: [n], .blocks: isTransposed ? [n, blocks] : [blocks, n]][scales] ?? []
        let count = shape.reduce(1, *)
        let magnitudes = try pseudoRandom([count], seed: 6).array(of: Float.self).map { 0.01 + abs($0) / 50 }
        var inputs: [ValueID?] = [w, g.constant(try Tensor(magnitudes, shape: Shape(shape)))]
        if hasZeros { inputs.append(g.constant(try numbers(dtype, shape, seed: 8))) }
        let axis: Int64 = (scales == .blocks) != isTransposed ? 0 : 1
        var attributes = NodeAttributes(["axis": .int(axis)])
        if scales == .blocks { attributes["block_size"] = .int(32) }
        let weights = g.outputs(1, of: "DequantizeLinear", version: 25, inputs, attributes: attributes)[0]
        let y: ValueID
        if g[x]?.shape.rank == 3 {
            let sum = g.node("Add", g.node("MatMul", x, weights), try g.weights([n]))
            y = g.node("Add", sum, try g.input([1, rows, n]))
        } else {
            let gemm = NodeAttributes(["transB": .int(isTransposed ? 1 : 0)])
            y = g.node("Gemm", x, weights, try g.weights([n]), attributes: gemm)
        }
        let (fused, written, counts) = try g.results(y, threads: ThreadPool(threadCount: 2))
        let title = "\(dtype) \(rows)×\(k)×\(n) \(scales) \(hasZeros) \(isTransposed)"
        // Of 8 bits, panels of floats are faster for more rows than these.
        let isFused = dtype.bitWidth < 8 || rows <= 8
        #expect(counts["MatMul of quantised weights", default: 0] == (isFused ? 1 : 0), "\(title)")
        try expectClose(fused, written.array(of: Float.self), within: Tolerance(ofLargest: 2e-6), "\(title)")
    }

    @Test(arguments: [DType.int8, .uint8, .int4, .uint4, .int2, .uint2]) func staysInItsBits(dtype: DType) throws {
        for scales in Scales.allCases {
            for hasZeros in [false, true] {
                for (rows, k, n) in [(1, 64, 32), (3, 100, 70), (20, 33, 5), (9, 256, 33), (0, 40, 8)] {
                    try check(dtype, rows: rows, k: k, n: n, scales, hasZeros: hasZeros, isTransposed: nil)
                    try check(dtype, rows: rows, k: k, n: n, scales, hasZeros: hasZeros, isTransposed: true)
                    try check(dtype, rows: rows, k: k, n: n, scales, hasZeros: hasZeros, isTransposed: false)
                }
            }
        }
    }

    /// Scales of halves, as graphs of these have them, of a column and of blocks.
    @Test(arguments: [DType.float16, .bfloat16], [false, true]) func takesScalesOfHalves(dtype: DType, hasBlocks: Bool) throws {
        var g = FusionGraph(dtype)
        let x = try g.input([3, 64])
        let w = g.constant(try numbers(.int8, [64, 40], seed: 5))
        let scale = try g.weights(hasBlocks ? [2, 40] : [40])
        var attributes = NodeAttributes(["axis": .int(hasBlocks ? 0 : 1)])
        if hasBlocks { attributes["block_size"] = .int(32) }
        let weights = g.outputs(1, of: "DequantizeLinear", version: 25, [w, scale], attributes: attributes)[0]
        let counts = try g.fusions(g.node("MatMul", x, weights))
        #expect(counts["MatMul of quantised weights"] == 1)
    }

    /// A QLinearMatMul of factors whose zero points aren't stated.
    @Test(arguments: [false, true], [false, true]) func zeroPointsLeftOut(leftHasZero: Bool, rightHasZero: Bool) throws {
        var g = FusionGraph()
        let (scale, zero) = (try g.scalar(0.02), g.constant(try Tensor(scalar: UInt8(0))))
        let bytes = g.node("QuantizeLinear", try g.input([5, 12]), scale, zero)
        let a = leftHasZero ? g.node("DequantizeLinear", bytes, scale, zero) : g.node("DequantizeLinear", bytes, scale)
        let (w, none) = (g.constant(try numbers(.int8, [12, 7], seed: 3)), g.constant(try Tensor(scalar: Int8(0))))
        let b = rightHasZero ? g.node("DequantizeLinear", w, scale, none) : g.node("DequantizeLinear", w, scale)
        let result = g.node(
            "QuantizeLinear", g.node("MatMul", a, b), try g.scalar(0.1), g.constant(try Tensor(scalar: UInt8(7))))
        let y = g.node("DequantizeLinear", result, try g.scalar(0.1), g.constant(try Tensor(scalar: UInt8(7))))
        let (fused, written, counts) = try g.results(y, threads: ThreadPool(threadCount: 2))
        #expect(counts["QLinearMatMul"] == 1)
        try expectClose(fused, written.array(of: Float.self), within: Tolerance(absolute: 0.1001))
    }

    /// What is folded late may follow from a plan's shapes, and then isn't another plan's.
    @Test func constantsOfOnePlanAlone() throws {
        var g = FusionGraph()
        let x = try g.input([8, 40])
        let w = g.constant(try numbers(.int8, [40, 48], seed: 4))
        let weights = g.node("DequantizeLinear", w, try g.scalar(0.01))
        let row = NodeAttributes(["axis": .int(0)])
        let rows = g.node("Gather", g.node("Shape", x), g.constant(try Tensor(scalar: Int64(0))), attributes: row)
        let factor = g.node("Cast", rows, attributes: NodeAttributes(["to": .int(1)]))
        g.graph.outputs = [
            g.node("MatMul", x, g.node("Mul", weights, factor)),
            g.node("Add", g.node("MatMul", x, g.node("Neg", weights)), factor),
        ]
        let sessions = try [true, false].map { optimize in
            try Session(
                graph: g.graph, library: StandardOperators.library,
                options: SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 2)))
        }
        for rows in [8, 16, 8, 3] {
            let given = [g.graph.values[x].name: try pseudoRandom([rows, 40], seed: UInt64(rows))]
            let (fused, written) = (try sessions[0].run(given), try sessions[1].run(given))
            for (name, tensor) in written {
                try expectClose(
                    #require(fused[name]), tensor.array(of: Float.self), within: Tolerance(ofLargest: 2e-6), "\(rows) \(name)")
            }
        }
    }

    /// The same bytes as numbers with a sign and without, in one file.
    @Test func bytesOfTwoTypes() throws {
        var g = FusionGraph()
        let bytes = try MappedTensors([try numbers(.uint8, [40, 48], seed: 4)]).tensors[0]
        let signed = try Tensor(dtype: .int8, shape: bytes.shape, storage: bytes.storage, byteOffset: bytes.byteOffset)
        let (x, scale) = (try g.input([3, 40]), try g.scalar(0.01))
        let products = [bytes, signed].map { tensor in
            g.node("MatMul", x, g.node("DequantizeLinear", g.constant(tensor), scale))
        }
        let y = g.node("Sub", products[0], products[1])
        let (fused, written, counts) = try g.results(y, threads: ThreadPool(threadCount: 2))
        #expect(counts["MatMul of quantised weights"] == 2)
        try expectClose(fused, written.array(of: Float.self), within: Tolerance(ofLargest: 2e-6))
    }

    /// Scales that don't fit, and blocks beyond any matrix, are errors of the DequantizeLinear.
    @Test(arguments: [([32, 4], 16), ([1, 32], Int.max), ([1, 32], 0), ([2, 16], 32)]) func scalesThatDontFit(
        shape: [Int], block: Int
    ) throws {
        var g = FusionGraph()
        let w = g.constant(try numbers(.int8, [64, 32], seed: 4))
        let scales = g.constant(try pseudoRandom(shape, seed: 2))
        let attributes = NodeAttributes(["axis": .int(0), "block_size": .int(Int64(block))])
        let weights = g.outputs(1, of: "DequantizeLinear", version: 21, [w, scales], attributes: attributes)[0]
        var broken = g
        let y = broken.node("MatMul", try broken.input([3, 64]), weights)
        if shape == [1, 32], block > 0 {
            let (fused, written, _) = try broken.results(y, threads: ThreadPool(threadCount: 2))
            try expectClose(fused, written.array(of: Float.self), within: Tolerance(ofLargest: 2e-6))
        } else {
            #expect(throws: (any Error).self) { try broken.results(y, threads: ThreadPool(threadCount: 2)) }
        }
    }
}
