import Foundation
import GraphRuntime
import Ops
import TestSupport
import Testing

/// What of com.microsoft's operators ONNX Runtime's results (Tests/References/microsoft_cases.py) don't show.
@Suite struct ContributedTests {
    private static let domain = "com.microsoft"

    private static func node(
        _ type: String, domain: String = ContributedTests.domain, inputs: Int, outputs: Int = 1,
        _ attributes: NodeAttributes = NodeAttributes()
    ) -> Graph {
        var graph = Graph()
        graph.inputs = (0..<inputs).map { graph.addValue(ValueDeclaration(name: "x\($0)")) }
        graph.outputs = (0..<outputs).map { graph.addValue(ValueDeclaration(name: "y\($0)")) }
        graph.nodes = [
            Node(
                name: "node", identity: OperatorIdentity(domain: domain, type: type, version: 1), inputs: graph.inputs,
                outputs: graph.outputs, attributes: attributes)
        ]
        return graph
    }

    /// A layout for one processor is refused with what helps.
    @Test func advisesAboutLayouts() {
        let graph = Self.node("Conv", domain: "com.microsoft.nchwc", inputs: 2)
        expectError("com.microsoft.nchwc.Conv-1: they are of a layout for one processor; save the optimised model at the level")
        {
            try Session(graph: graph, library: StandardOperators.library)
        }
    }

    /// Against the sums that define the transforms, over one and over two axes.
    @Test(arguments: [[1, 6], [2, 5], [3, 4, 8], [2, 3, 1]], [1, 2]) func transformsRealSignals(shape: [Int], rank: Int) throws
    {
        guard rank < shape.count else { return }
        let attributes = NodeAttributes(["signal_ndim": .int(Int64(rank)), "onesided": .int(1), "normalized": .int(0)])
        let signal = try pseudoRandom(shape)
        let values = try signal.array(of: Float.self).map { Double($0) }
        let columns = shape[shape.count - 1]
        let rows = rank == 2 ? shape[shape.count - 2] : 1
        let half = columns / 2 + 1
        var expected: [Float] = []
        for plane in 0..<values.count / (rows * columns) {
            for u in 0..<rows {
                for v in 0..<half {
                    var sum = (0.0, 0.0)
                    for y in 0..<rows {
                        for x in 0..<columns {
                            let turn = 2 * Double.pi * (Double(u * y) / Double(rows) + Double(v * x) / Double(columns))
                            let value = values[(plane * rows + y) * columns + x]
                            sum = (sum.0 + value * cos(turn), sum.1 - value * sin(turn))
                        }
                    }
                    expected += [Float(sum.0), Float(sum.1)]
                }
            }
        }
        let spectrum = try run("Rfft", version: 1, domain: Self.domain, attributes: attributes, inputs: [signal])[0]
        #expect(spectrum.shape.dimensions == shape.dropLast() + [half, 2])
        #expect(try relativeError(spectrum, expected) < 1e-6)
        // Back to an even number of elements, as the inverse always gives.
        guard columns % 2 == 0 else { return }
        let back = try run("Irfft", version: 1, domain: Self.domain, attributes: attributes, inputs: [spectrum])[0]
        #expect(back.shape == signal.shape)
        #expect(try relativeError(back, signal.array(of: Float.self)) < 1e-6)
    }

    @Test func refusesWhatItCannotHonour() {
        let cases: [(String, Int, Int, NodeAttributes, String)] = [
            ("FusedGemm", 2, 1, NodeAttributes(["activation": .string("Cosine")]), "the activation Cosine isn't supported"),
            ("FusedConv", 2, 1, NodeAttributes(["activation": .string("Clip")]), "the activation Clip needs two parameters"),
            ("FusedGemm", 2, 1, NodeAttributes(["gamma": .float(1)]), "attribute gamma isn't supported"),
            ("GroupNorm", 3, 1, NodeAttributes(["groups": .int(2)]), "attribute activation is missing"),
            (
                "GroupNorm", 3, 1, NodeAttributes(["groups": .int(2), "activation": .int(0), "channels_last": .int(0)]),
                "channels_last should be 1"
            ),
            ("Attention", 3, 1, NodeAttributes(), "attribute num_heads is missing"),
            ("Attention", 3, 1, NodeAttributes(["num_heads": .int(2), "do_rotary": .int(1)]), "do_rotary isn't supported"),
            ("MultiHeadAttention", 3, 1, NodeAttributes(["num_heads": .int(0)]), "num_heads should be 1 or more"),
            ("MultiHeadAttention", 3, 4, NodeAttributes(["num_heads": .int(2)]), "the scores as an output aren't supported"),
            (
                "MatMulNBits", 3, 1, NodeAttributes(["N": .int(4), "K": .int(4), "bits": .int(3), "block_size": .int(16)]),
                "bits should be 2, 4 or 8"
            ),
            (
                "MatMulNBits", 3, 1, NodeAttributes(["N": .int(4), "K": .int(1 << 60), "block_size": .int(16)]),
                "N and K should be 1 to"
            ),
            ("MatMulNBits", 3, 1, NodeAttributes(["N": .int(4), "K": .int(4), "block_size": .int(24)]), "a power of two"),
            ("QLinearConcat", 4, 1, NodeAttributes(["axis": .int(0)]), "expected 2 inputs and 3 for each part, found 4"),
            ("BiasAdd", 2, 1, NodeAttributes(), "expected 3 inputs, found 2"),
            ("CropAndResize", 4, 1, NodeAttributes(["mode": .string("cubic")]), "mode should be bilinear or nearest"),
        ]
        for (type, inputs, outputs, attributes, part) in cases {
            expectError(part, type) {
                try Session(
                    graph: Self.node(type, inputs: inputs, outputs: outputs, attributes), library: StandardOperators.library)
            }
        }
    }

    @Test func refusesShapesThatDoNotFit() throws {
        func zeros(_ shape: Int...) throws -> Tensor {
            try Tensor([Float](repeating: 0, count: shape.reduce(1, *)), shape: Shape(shape))
        }
        let heads = NodeAttributes(["num_heads": .int(2)])
        let cases: [(String, NodeAttributes, [Tensor], String)] = [
            ("MultiHeadAttention", heads, [try zeros(1, 3, 8)], "should be [B, L, 2, 3, E], as key and value aren't given"),
            ("MultiHeadAttention", heads, [try zeros(1, 3, 8), try zeros(1, 3, 8)], "should be [B, M, 2, 2, E]"),
            (
                "MultiHeadAttention", heads, [try zeros(1, 3, 8), try zeros(1, 3, 8), try zeros(1, 3, 8), try zeros(23)],
                "should have 24 elements"
            ),
            (
                "MultiHeadAttention", heads,
                [
                    try zeros(2, 5, 8), try zeros(2, 3, 8), try zeros(2, 3, 8), try zeros(24),
                    try Tensor([Int32](repeating: 1, count: 18), shape: Shape([2, 1, 3, 3])),
                ], "doesn't fit 2 batch items, 5 queries and 3 keys"
            ),
            (
                "RotaryEmbedding", NodeAttributes(),
                [try zeros(1, 2, 3, 4), try Tensor([Int64.min]), try zeros(8, 2), try zeros(8, 2)], "position_ids should"
            ),
            ("Inverse", NodeAttributes(), [try zeros(2, 3)], "expected square matrices"),
            (
                "MatMulNBits", NodeAttributes(["N": .int(2), "K": .int(16), "block_size": .int(16)]),
                [try zeros(1, 16), try Tensor([UInt8](repeating: 0, count: 15)), try zeros(2)], "should have 2 × 1 × 8 bytes"
            ),
            (
                "CropAndResize", NodeAttributes(),
                [try zeros(1, 1, 2, 2), try zeros(1, 4), try Tensor([Int32(1)]), try Tensor([Int32(2), 2])],
                "batch_indices should be in 0..<1, found 1"
            ),
        ]
        for (type, attributes, inputs, part) in cases {
            expectError(part, type) {
                try run(type, version: 1, domain: Self.domain, attributes: attributes, inputs: inputs)
            }
        }
    }

    /// Caches of cosines and sines that aren't a table of as many pairs as a head has, or fewer.
    @Test(arguments: [([], []), ([9], [9]), ([9, 4], [9, 2]), ([9, 5], [9, 5]), ([1, 9, 4], [1, 9, 4])])
    func refusesCachesOfRotations(cosines: [Int], sines: [Int]) throws {
        func zeros(_ shape: [Int]) throws -> Tensor {
            try floats([Float](repeating: 0, count: shape.reduce(1, *)), shape)
        }
        let attributes = NodeAttributes(["num_heads": .int(1), "kv_num_heads": .int(1), "do_rotary": .int(1)])
        let rows = try zeros([1, 2, 8])
        let sizes = [try Tensor([Int32(1)]), try Tensor(scalar: Int32(2))]
        expectError("should have a row of at most 4 numbers for each position", "\(cosines) \(sines)") {
            try run(
                "GroupQueryAttention", version: 1, domain: Self.domain, attributes: attributes,
                inputs: [rows, rows, rows, nil, nil] + sizes + [zeros(cosines), zeros(sines)], outputCount: 3)
        }
        let caches = try [zeros([9, 4]), zeros([9, 4])]
        expectError("position_ids should have the shape [1, 2], found 1 elements") {
            try run(
                "GroupQueryAttention", version: 1, domain: Self.domain, attributes: attributes,
                inputs: [rows, rows, rows, nil, nil] + sizes + caches + [Tensor([Int64(1)], shape: Shape([1, 1]))],
                outputCount: 3)
        }
    }

    /// What stands for an operator takes part in fusions: a product with its bias and activation is a product, not four nodes.
    @Test func joinsFusions() throws {
        var graph = Self.node("BiasSplitGelu", inputs: 1)
        let bias = graph.addValue(ValueDeclaration(name: "bias"))
        graph.initializers[bias] = try Tensor([Float](repeating: 0.5, count: 64))
        let weights = graph.addValue(ValueDeclaration(name: "weights"))
        graph.initializers[weights] = try Tensor([Float](repeating: 0.25, count: 32 * 64), shape: Shape([32, 64]))
        let product = graph.addValue(ValueDeclaration(name: "product"))
        graph.nodes[0].inputs = [product, bias]
        graph.nodes.insert(
            Node(
                name: "product", identity: OperatorIdentity(type: "MatMul", version: 13), inputs: [graph.inputs[0], weights],
                outputs: [product]), at: 0)
        let session = try Session(graph: graph, library: StandardOperators.library)
        let x = try Tensor([Float](repeating: 1, count: 2 * 32), shape: Shape([2, 32]))
        let summary = try session.prepare(["x0": x])
        #expect(summary.nodeCount < 4 && !summary.fusionCounts.isEmpty, "\(summary)")
    }

    /// Between two operators on pictures with their channels last nothing is moved.
    @Test func joinsTransposes() throws {
        var graph = Self.node("NhwcMaxPool", inputs: 1, outputs: 1, NodeAttributes(["kernel_shape": .ints([1, 1])]))
        let between = graph.addValue(ValueDeclaration(name: "between"))
        var second = graph.nodes[0]
        graph.nodes[0].outputs = [between]
        (second.name, second.inputs) = ("second", [between])
        graph.nodes.append(second)
        let bytes = (0..<24).map { UInt8($0) }
        let x = try Tensor(bytes, shape: Shape([1, 2, 3, 4]))
        let session = try Session(graph: graph, library: StandardOperators.library)
        #expect(try session.prepare(["x0": x]).fusionCounts["Transpose+Transpose"] == 1)
        try expectEqual(try #require(try session.run(["x0": x])["y0"]), bytes, shape: [1, 2, 3, 4])
    }
}
