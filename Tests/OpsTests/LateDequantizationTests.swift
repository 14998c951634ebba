import GraphRuntime
import Ops
import TestSupport
import Testing

/// DequantizeLinear behind what moves elements, and where it has to stay before it.
@Suite struct LateDequantizationTests {
    private static let fusion = "DequantizeLinear behind movement"

    /// Bytes of an input, dequantized.
    private func dequantized(
        _ g: inout FusionGraph, _ shape: [Int], scales: [Float] = [0.5], zeros: [Int8] = [3], axis: Int64 = 1
    ) throws -> ValueID {
        let bytes = g.node("QuantizeLinear", try g.input(shape), try g.scalar(0.02), g.constant(try Tensor(scalar: Int8(1))))
        let isOne = scales.count == 1
        let scale = g.constant(try isOne ? Tensor(scalar: scales[0]) : Tensor(scales))
        let zero = g.constant(try isOne ? Tensor(scalar: zeros[0]) : Tensor(zeros))
        return g.node("DequantizeLinear", bytes, scale, zero, attributes: NodeAttributes(["axis": .int(axis)]))
    }

    private func quantized(_ g: inout FusionGraph, _ x: ValueID) throws -> ValueID {
        let (scale, zero) = (try g.scalar(4), g.constant(try Tensor(scalar: Int8(0))))
        return g.node("DequantizeLinear", g.node("QuantizeLinear", x, scale, zero), scale, zero)
    }

    private func check(
        _ g: FusionGraph, count: Int, _ title: String = "", _ make: (inout FusionGraph) throws -> ValueID
    ) throws {
        var g = g
        let y = try make(&g)
        let (fused, written, counts) = try g.results(y, threads: ThreadPool(threadCount: 2))
        #expect(counts[Self.fusion, default: 0] == count, "\(title)")
        #expect(fused.shape == written.shape)
        #expect(try fused.array(of: Float.self) == written.array(of: Float.self), "\(title)")
    }

    @Test func movesBytes() throws {
        var g = FusionGraph()
        let x = try dequantized(&g, [2, 3, 5, 4])
        let turned = g.node("Transpose", x, attributes: NodeAttributes(["perm": .ints([0, 2, 1, 3])]))
        let shape = g.constant(try Tensor([2, 60] as [Int64]))
        try check(g, count: 2) { $0.node("Neg", $0.node("Reshape", turned, shape)) }
        let pool = NodeAttributes(["kernel_shape": .ints([3, 2]), "pads": .ints([1, 0, 0, 1])])
        try check(g, count: 1, "MaxPool") { $0.node("Neg", $0.node("MaxPool", x, attributes: pool)) }
        let join = NodeAttributes(["axis": .int(-2)])
        try check(g, count: 1, "Concat") { $0.node("Neg", $0.node("Concat", x, x, attributes: join)) }
        // Others read what is dequantized, too, and so does the graph's output.
        try check(g, count: 2) { $0.node("Add", $0.node("Transpose", $0.node("Transpose", x)), x) }
        try check(g, count: 1, "output") { _ in turned }
    }

    @Test(arguments: [0, -3, 2] as [Int64]) func takesScalesAlong(axis: Int64) throws {
        var g = FusionGraph()
        let x = try dequantized(&g, [3, 5, 3], scales: [0.5, 0.25, 3], zeros: [3, -7, 0], axis: axis)
        let order = NodeAttributes(["perm": .ints([2, 0, 1])])
        try check(g, count: 1) { $0.node("Neg", $0.node("Transpose", x, attributes: order)) }
        let shape = g.constant(try Tensor([9, 5] as [Int64]))
        try check(g, count: 0) { $0.node("Neg", $0.node("Reshape", x, shape)) }
    }

    @Test func staysBefore() throws {
        var g = FusionGraph()
        let x = try dequantized(&g, [1, 2, 4, 4])
        for (name, other) in [
            ("scale", try dequantized(&g, [1, 2, 4, 4], scales: [0.25])),
            ("zero point", try dequantized(&g, [1, 2, 4, 4], zeros: [2])), ("float32", try g.input([1, 2, 4, 4])),
        ] {
            let join = NodeAttributes(["axis": .int(1)])
            try check(g, count: 0, name) { $0.node("Concat", x, other, attributes: join) }
        }
        // Windows of padding alone are negative infinity.
        for windows in [
            NodeAttributes(["kernel_shape": .ints([1, 1]), "pads": .ints([1, 1, 1, 1])]),
            NodeAttributes(["kernel_shape": .ints([2, 2]), "dilations": .ints([5, 5]), "pads": .ints([1, 1, 1, 1])]),
        ] {
            try check(g, count: 0) { $0.node("Neg", $0.node("MaxPool", x, attributes: windows)) }
        }
        let flipped = try dequantized(&g, [1, 2, 4, 4], scales: [-1])
        let pool = NodeAttributes(["kernel_shape": .ints([2, 2])])
        try check(g, count: 0) { $0.node("Neg", $0.node("MaxPool", flipped, attributes: pool)) }
        // What is larger than before costs more to dequantize.
        let shape = g.constant(try Tensor([3, 2, 4, 4] as [Int64]))
        try check(g, count: 0) { $0.node("Neg", $0.node("Expand", x, shape)) }
    }

    @Test(arguments: [.max, .min, 2, -3] as [Int64]) func refusesAxes(axis: Int64) throws {
        var g = FusionGraph()
        let x = try dequantized(&g, [2, 3], scales: [0.5, 0.25], zeros: [3, -7], axis: axis)
        let y = g.node("Neg", g.node("Transpose", x))
        #expect(throws: (any Error).self) { try g.results(y, threads: ThreadPool(threadCount: 1)) }
    }

    /// Biases that no int32 holds, that aren't numbers, or that belong to rows.
    @Test(arguments: [[1, 2, 3], [1, .nan, 3], [1e30, 2, 3], [.infinity, 0, 0]] as [[Float]]) func roundsBiases(bias: [Float])
        throws
    {
        var g = FusionGraph()
        let x = try dequantized(&g, [1, 2, 6, 5])
        let levels = try Tensor((0..<54).map { Int8($0 * 5 % 127 - 60) }, shape: Shape([3, 2, 3, 3]))
        let w = g.node("DequantizeLinear", g.constant(levels), try g.scalar(0.125), g.constant(try Tensor(scalar: Int8(0))))
        let sums = g.node("Conv", x, w, g.constant(try Tensor(bias)))
        let y = try quantized(&g, sums)
        let counts = try g.results(y, threads: ThreadPool(threadCount: 1)).counts
        #expect(counts["QLinearConv", default: 0] == (bias == [1, 2, 3] ? 1 : 0))
    }

    @Test func biasesOfRows() throws {
        var g = FusionGraph()
        let a = try dequantized(&g, [4, 8])
        let levels = try Tensor((0..<32).map { Int8($0 * 5 % 127 - 60) }, shape: Shape([8, 4]))
        let b = g.node("DequantizeLinear", g.constant(levels), try g.scalar(0.125), g.constant(try Tensor(scalar: Int8(0))))
        for (shape, count) in [([4, 1], 0), ([4], 1), ([1, 4], 1)] {
            let sums = g.node("Gemm", a, b, try g.weights(shape))
            let y = try quantized(&g, sums)
            let counts = try g.results(y, threads: ThreadPool(threadCount: 1)).counts
            #expect(counts["QGemm", default: 0] == count, "\(shape)")
        }
    }

    /// Steps of tables one behind the other, of which the bytes between them are read by others as well, and one that ends in 16 bits.
    @Test(arguments: ["Erf", "Softmax", "Concat", "DequantizeLinear"]) func keepsBytesThatOthersRead(reader: String) throws {
        var g = FusionGraph()
        let (scale, zero) = (try g.scalar(0.05), g.constant(try Tensor(scalar: UInt8(128))))
        func bytes(_ x: ValueID) -> ValueID { g.node("QuantizeLinear", x, scale, zero) }
        func floats(_ x: ValueID) -> ValueID { g.node("DequantizeLinear", x, scale, zero) }
        let first = bytes(g.node("Relu", floats(bytes(try g.input([2, 40])))))
        let between = floats(first)
        let second = floats(bytes(g.node("Sigmoid", between)))
        let other =
            switch reader {
            case "Concat": between
            case "DequantizeLinear": g.node("Neg", floats(first))
            default: g.node(reader, between)
            }
        let (fused, written, _) = try g.results(
            g.node("Concat", second, other, attributes: NodeAttributes(["axis": .int(0)])), threads: ThreadPool(threadCount: 1))
        #expect(try fused.array(of: Float.self) == written.array(of: Float.self))
    }

    @Test func roundsBytesTo16Bits() throws {
        var g = FusionGraph()
        let (scale, zero) = (try g.scalar(0.05), g.constant(try Tensor(scalar: UInt8(128))))
        let bytes = g.node("QuantizeLinear", try g.input([2, 40]), scale, zero)
        let x = g.node("Tanh", g.node("DequantizeLinear", bytes, scale, zero))
        let (fine, middle) = (try g.scalar(0.0001), g.constant(try Tensor(scalar: UInt16(30000))))
        let y = g.node("DequantizeLinear", g.node("QuantizeLinear", x, fine, middle), fine, middle)
        let (fused, written, _) = try g.results(y, threads: ThreadPool(threadCount: 1))
        #expect(try fused.array(of: Float.self) == written.array(of: Float.self))
    }
}
