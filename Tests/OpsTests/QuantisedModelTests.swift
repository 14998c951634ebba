import Foundation
import GraphRuntime
import ONNXLoader
import Ops
import TestSupport
import Testing

/// Small networks as onnxruntime.quantization rewrites them (Tests/References/quantised_models.py), with ONNX Runtime's results.
@Suite struct QuantisedModelTests {
    private static let folder: URL = {
        let environment = ProcessInfo.processInfo.environment
        let cache = environment["SD_ONNX_TEST_CACHE"] ?? NSHomeDirectory() + "/.cache/sd-onnx"
        return URL(fileURLWithPath: cache).appendingPathComponent("quantised-models")
    }()

    @Test(arguments: [true, false]) func equalONNXRuntime(optimize: Bool) throws {
        let cases = try BackendTestCase.find(in: Self.folder)
        #expect(cases.count >= 60, "run python Tests/References/quantised_models.py, which writes them")
        let runner = BackendTestRunner(
            library: StandardOperators.library,
            options: SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 2)))
        for testCase in cases {
            let file = Self.folder.appendingPathComponent(testCase.name).appendingPathComponent("tolerance.txt")
            let text = try String(contentsOf: file, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
            let tolerance = MatchTolerance(relative: 0, absolute: 0, ofLargest: try #require(Double(text)))
            let verdict = try runner.run(testCase, within: tolerance)
            #expect(verdict == .passed, "\(testCase.name)")
        }
    }

    /// No operator computes float32 that could compute bytes.
    @Test(arguments: [
        ("static-pictures-QDQ-u8s8-channels", ["QLinearConv": 4, "QLinearAdd": 1, "QGemm": 1]),
        (
            "static-mobile-QDQ-u8s8-channels",
            [
                "QLinearConv": 6, "table of bytes": 5, "QLinearConv+table": 4, "movement of bytes": 4, "QLinearMul": 1,
                "QLinearGlobalAveragePool": 2, "QLinearConcat": 1, "QGemm": 1, "channels last": 9,
            ]
        ),
        ("static-windows-QDQ-u8s8", ["QLinearMatMul": 2, "movement of bytes": 5, "table of bytes": 4]),
        (
            "written-pictures",
            [
                "QLinearConv": 2, "QLinearAdd": 1, "DequantizeLinear behind movement": 3, "ConvInteger+scale of QDQ": 1,
                "ConvInteger+activation": 1, "channels last": 6,
            ]
        ),
        (
            "written-weights",
            ["MatMulInteger+scale of QDQ": 1, "MatMulInteger+bias": 1, "DequantizeLinear behind movement": 1]
        ),
        ("static-attention-QDQ-s8s8", ["QLinearMatMul": 3, "QLinearSoftmax": 2]),
        ("static-attention-QOperator-u8u8", ["QLinearSoftmax": 2]),
        ("static-perceptron-QDQ-u8u8", ["QLinearMatMul": 3]), ("dynamic-QInt8", ["MatMulInteger+scale": 3]),
        ("blocks-4", ["MatMulNBits+bias": 1, "MatMulNBits+residual": 1]),
        ("dynamic-conv", ["ConvInteger+scale": 4, "ConvInteger+bias": 4, "ConvInteger+activation": 2, "channels last": 3]),
        (
            "dynamic-mobile",
            ["ConvInteger+scale": 6, "ConvInteger+bias": 6, "ConvInteger+activation": 5, "channels last": 4]
        ),
    ])
    func fuses(name: String, expected: [String: Int]) throws {
        let file = Self.folder.appendingPathComponent(name).appendingPathComponent("model.onnx")
        let model = try ONNXModel(contentsOf: file)
        let session = try Session(graph: model.graph, library: StandardOperators.library)
        let hasPictures = ["pictures", "mobile", "conv"].contains { name.contains($0) }
        let shape = hasPictures ? [2, 3, 23, 21] : [2, 7, 36]
        let x = try Tensor([Float](repeating: 0, count: shape.reduce(1, *)), shape: Shape(shape))
        let counts = try session.prepare(["x": x]).fusionCounts
        for (fusion, count) in expected { #expect(counts[fusion] == count, "\(fusion) of \(counts)") }
    }

    /// Rows that are rounded one by one, by a table, and in parts: a step apart from the operators that it stands for at most.
    @Test(arguments: [1, 7, 64, 255, 256, 511, 1300], [true, false]) func softmaxOfBytes(count: Int, isSigned: Bool) throws {
        var graph = FusionGraph()
        let x = try graph.input([3, 5, count])
        func zero(_ value: Int) throws -> ValueID {
            graph.constant(isSigned ? try Tensor(scalar: Int8(value - 128)) : try Tensor(scalar: UInt8(value)))
        }
        let (scale, middle) = (try graph.scalar(1 / 100), try zero(120))
        let bytes = graph.node("QuantizeLinear", x, scale, middle)
        let numbers = graph.node("DequantizeLinear", bytes, try graph.scalar(1 / 20), middle)
        let softmax = graph.node("Softmax", numbers, attributes: NodeAttributes(["axis": .int(-1)]))
        let (step, least) = (Float(3) / Float(count) / 255, try zero(0))
        let stepID = try graph.scalar(step)
        let rounded = graph.node("QuantizeLinear", softmax, stepID, least)
        let y = graph.node("DequantizeLinear", rounded, stepID, least)
        let (fused, written, counts) = try graph.results(y, threads: ThreadPool(threadCount: 2))
        #expect(counts["QLinearSoftmax"] == 1)
        for (found, expected) in zip(try fused.array(of: Float.self), try written.array(of: Float.self)) {
            #expect(abs(found - expected) <= 1.01 * step)
        }
    }

    /// Probabilities of equal scores, among which are halves of a step, are rounded as the quotient of float32 is.
    @Test func equalScores() throws {
        for count in 1...300 {
            var graph = FusionGraph()
            let x = try graph.input([count])
            let (scale, middle) = (try graph.scalar(1 / 20), graph.constant(try Tensor(scalar: UInt8(128))))
            let (step, least) = (try graph.scalar(1 / 255), graph.constant(try Tensor(scalar: UInt8(0))))
            // Scores so near to one another that they are the same byte.
            let near = graph.node("Mul", x, try graph.scalar(1e-4))
            let numbers = graph.node("DequantizeLinear", graph.node("QuantizeLinear", near, scale, middle), scale, middle)
            let softmax = graph.node("Softmax", numbers, attributes: NodeAttributes(["axis": .int(-1)]))
            let y = graph.node("DequantizeLinear", graph.node("QuantizeLinear", softmax, step, least), step, least)
            let (fused, _, counts) = try graph.results(y, threads: ThreadPool(threadCount: 1))
            #expect(counts["QLinearSoftmax"] == 1)
            let expected = (1 / Float(count) / (1 / 255)).rounded(.toNearestOrEven) * (1 / 255)
            try expectEqual(fused, [Float](repeating: expected, count: count))
        }
    }
}
