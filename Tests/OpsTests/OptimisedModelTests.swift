import Foundation
import GraphRuntime
import ONNXLoader
import Ops
import Testing

/// Graphs of Stable Diffusion as ONNX Runtime's optimiser rewrites them (Tests/References/optimised_models.py), with its results on the
/// plain graphs.
@Suite struct OptimisedModelTests {
    private static let folder: URL = {
        let environment = ProcessInfo.processInfo.environment
        let cache = environment["SD_ONNX_TEST_CACHE"] ?? NSHomeDirectory() + "/.cache/sd-onnx"
        return URL(fileURLWithPath: cache).appendingPathComponent("optimised-models")
    }()

    @Test(arguments: [true, false]) func equalThePlainGraphs(optimize: Bool) throws {
        let cases = try BackendTestCase.find(in: Self.folder)
        #expect(cases.count >= 20, "run python Tests/References/optimised_models.py, which writes them")
        let runner = BackendTestRunner(
            library: StandardOperators.library,
            options: SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 2)))
        for testCase in cases {
            let verdict = try runner.run(testCase, within: MatchTolerance(relative: 0, absolute: 0, ofLargest: 2e-5))
            #expect(verdict == .passed, "\(testCase.name)")
        }
    }
}
