import Foundation
import GraphRuntime
import ONNXLoader
import Ops
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
        #expect(cases.count >= 50, "run python Tests/References/quantised_models.py, which writes them")
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
        ("static-perceptron-QDQ-u8u8", ["QLinearMatMul": 3]), ("dynamic-QInt8", ["MatMulInteger+scale": 3]),
        ("blocks-4", ["MatMulNBits+bias": 1, "MatMulNBits+residual": 1]),
        ("dynamic-conv", ["ConvInteger+scale": 4, "ConvInteger+bias": 4]),
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
}
