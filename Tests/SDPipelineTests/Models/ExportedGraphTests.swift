import Foundation
import GraphRuntime
import ONNXLoader
import Ops
import SDPipeline
import Testing

/// Tiny exports of every family by every exporter (Tests/References/export_models.py) against ONNX Runtime's results on the same files:
/// with the optimizer on and off, and for both batch sizes and resolutions in one session.
@Suite struct ExportedGraphTests {
    struct Entry: Decodable {
        struct Case: Decodable {
            /// Paths of arrays by the names of inputs and outputs.
            let inputs: [String: String]
            let outputs: [String: String]
        }

        let family: String
        let exporter: String
        let component: String
        let opset: Int
        let path: String
        let relativeTolerance: Double
        let cases: [Case]

        var title: String { "\(family) \(exporter) opset \(opset) \(component)" }
    }

    static let folder = TestCache.folder.appendingPathComponent("models")

    static func entries() throws -> [Entry] {
        let manifest = folder.appendingPathComponent("manifest.json")
        let data = try #require(try? Data(contentsOf: manifest), "\(manifest.path) is missing: run Tools/setup-test-data.sh")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode([Entry].self, from: data)
    }

    @Test(arguments: [true, false]) func equalsONNXRuntime(optimize: Bool) throws {
        let entries = try Self.entries()
        #expect(entries.count >= 90)
        let threads = ThreadPool()
        var worst = (error: 0.0, title: "")
        var compared = 0
        for entry in entries {
            do {
                let errors = try Self.errors(of: entry, optimize: optimize, threads: threads)
                compared += errors.count
                let largest = errors.max() ?? .infinity
                #expect(largest <= entry.relativeTolerance, "\(entry.title): relative error \(largest)")
                if largest > worst.error, entry.relativeTolerance <= 1e-4 { worst = (largest, entry.title) }
            } catch {
                Issue.record("\(entry.title): \(error)")
            }
        }
        print(
            "Exported graphs, optimizer \(optimize ? "on" : "off"): \(entries.count) graphs, \(compared) outputs, largest relative error",
            worst.error, "in", worst.title)
    }

    /// For each output of each case the largest difference over the largest magnitude that ONNX Runtime computed.
    private static func errors(of entry: Entry, optimize: Bool, threads: ThreadPool) throws -> [Double] {
        let model = try ONNXModel(contentsOf: folder.appendingPathComponent(entry.path))
        let session = try Session(
            graph: model.graph, library: StandardOperators.library,
            options: SessionOptions(optimize: optimize, threads: threads))
        return try entry.cases.flatMap { testCase in
            var inputs: [String: Tensor] = [:]
            for (name, path) in testCase.inputs {
                let declared = session.inputs.first { $0.name == name }?.type
                inputs[name] = try NPYArray(contentsOf: folder.appendingPathComponent(path)).tensor(declaredAs: declared)
            }
            let outputs = try session.run(inputs)
            return try testCase.outputs.map { name, path in
                let expected = try NPYArray(contentsOf: folder.appendingPathComponent(path)).tensor()
                return try relativeError(try #require(outputs[name]), expected)
            }
        }
    }

    private static func relativeError(_ found: Tensor, _ expected: Tensor) throws -> Double {
        guard found.shape == expected.shape else { return .infinity }
        let a = try HalfPrecision.widen(found).array(of: Float.self)
        let b = try HalfPrecision.widen(expected).array(of: Float.self)
        let scale = b.reduce(0) { max($0, abs(Double($1))) }
        let largest = zip(a, b).reduce(0.0) { worst, pair in
            let difference = abs(Double(pair.0) - Double(pair.1))
            return difference.isNaN ? .infinity : max(worst, difference)
        }
        return largest / max(scale, .leastNormalMagnitude)
    }
}
