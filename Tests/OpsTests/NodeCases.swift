import Foundation
import GraphRuntime
import ONNXLoader
import Ops
import Testing

/// The published test cases of ONNX's operators, as `Tests/References/onnx_node_cases.py` writes them, and those of
/// `Tests/References/ort_cases.py`, `microsoft_cases.py`, `traditional_ml_cases.py` and `numeric_cases.py`, whose results are ONNX Runtime's.
///
/// Every case runs with the optimizer on and off. One that isn't supported is listed in `Fixtures/node-cases-skipped.txt` with the
/// reason; a case that fails without being listed, and one that is listed but passes, fail the test. Cases of an opset beyond
/// ``StandardOperators/newestOpset`` count as standing there.
/// `SD_ONNX_NODE_CASES=PATTERN` runs the cases whose names match alone.
struct NodeCases {
    @Test func newestVersions() throws { try check("onnx-node-cases") }

    @Test func olderVersions() throws { try check("onnx-node-cases-older") }

    @Test func runtimeResults() throws { try check("ort-cases", script: "ort_cases.py") }

    @Test func microsoftOperators() throws { try check("microsoft-cases", script: "microsoft_cases.py") }

    @Test func edgeNumbers() throws { try check("numeric-cases", script: "numeric_cases.py") }

    @Test func traditionalML() throws { try check("traditional-ml-cases", script: "traditional_ml_cases.py") }

    private func check(_ folder: String, script: String = "onnx_node_cases.py") throws {
        let suite = try NodeCaseSuite(folder: folder, script: script)
        let report = suite.run()
        print(
            "\(folder): \(report.passed) passed, \(report.failed.count) failed, \(report.skipped) unsupported,"
                + " \(report.stale.count) listed as unsupported that pass")
        for (name, reason) in report.failed { print("  failed \(name): \(reason)") }
        for name in report.stale { print("  stale \(name)") }
        #expect(report.failed.isEmpty, "\(report.failed.count) cases of \(folder) fail")
        #expect(report.stale.isEmpty, "\(report.stale.count) cases of \(folder) are listed as unsupported and pass")
    }
}

/// One entry of a manifest.
struct NodeCase: Decodable {
    struct Operator: Decodable {
        let domain: String
        let name: String
    }

    struct File: Decodable {
        let file: String
        let name: String
    }

    let name: String
    let operators: [Operator]
    let opsets: [String: Int]
    let rtol: Double
    let atol: Double
    let inputs: [File]
    let outputs: [File]
    /// Where numbers of 16 bits are rounded, by default as a session does.
    let halfRounding: String?

    enum CodingKeys: String, CodingKey {
        case name, operators, opsets, rtol, atol, inputs, outputs
        case halfRounding = "half_rounding"
    }

    /// Operators whose results are random: their types and shapes alone are compared.
    private static let random: Set<String> = [
        "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial",
    ]

    /// Whether its operators are newer than those that this project knows.
    var isTooNew: Bool { opsets["", default: 0] > StandardOperators.newestOpset }

    /// Units in the last place of float16 and bfloat16 by which results may differ, beside the tolerances.
    ///
    /// The published results of attention round every intermediate to 16 bits, as does every node of a case of several; this
    /// project computes fused nodes in single precision and rounds once. Either is right, and they differ by the roundings of
    /// intermediates: a unit, or two where one lies beside a power of two. Casts, moves and all other single nodes have none.
    var halfUnits: Double { operators.count > 1 || operators.contains { $0.name == "Attention" } ? 2 : 0 }

    /// Whether every result is a sum over a whole signal. The published ones are summed in single precision, so that their error
    /// is relative to the largest result: what should be 0 is a unit in its last place.
    var isTransform: Bool { operators.contains { $0.domain.isEmpty && ["DFT", "STFT"].contains($0.name) } }

    var isRandom: Bool { operators.contains { $0.domain.isEmpty && Self.random.contains($0.name) } }
}

struct NodeCaseSuite {
    struct Report {
        var passed = 0
        var skipped = 0
        var failed: [(name: String, reason: String)] = []
        var stale: [String] = []
    }

    struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    private let folder: URL
    private let cases: [NodeCase]
    private let skipped: [String]
    private let threads = ThreadPool(threadCount: 2)

    /// - Throws: where the folder is missing, with the command that makes it.
    init(folder name: String, script: String) throws {
        let environment = ProcessInfo.processInfo.environment
        let cache = environment["SD_ONNX_TEST_CACHE"] ?? NSHomeDirectory() + "/.cache/sd-onnx"
        folder = URL(fileURLWithPath: cache).appendingPathComponent(name)
        guard let manifest = try? Data(contentsOf: folder.appendingPathComponent("manifest.json")) else {
            throw Problem(
                description: "no cases in \(folder.path): run python Tests/References/\(script), which writes them")
        }
        let all = try JSONDecoder().decode([NodeCase].self, from: manifest)
        cases = environment["SD_ONNX_NODE_CASES"].map { pattern in all.filter { matches($0.name, pattern) } } ?? all
        let list = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/node-cases-skipped.txt")
        skipped = try String(contentsOf: list, encoding: .utf8).split(separator: "\n")
            .filter { !$0.hasPrefix("#") }
            .compactMap { $0.split(separator: " ").first.map(String.init) }
    }

    func run() -> Report {
        var report = Report()
        for entry in cases {
            let isListed = entry.isTooNew || skipped.contains { matches(entry.name, $0) }
            do {
                for optimize in [true, false] {
                    do {
                        try run(entry, optimize: optimize)
                    } catch {
                        throw Problem(description: (optimize ? "" : "(optimizer off) ") + String(describing: error))
                    }
                }
                if isListed { report.stale.append(entry.name) } else { report.passed += 1 }
            } catch {
                if isListed { report.skipped += 1 } else { report.failed.append((entry.name, String(describing: error))) }
            }
        }
        return report
    }

    private func run(_ entry: NodeCase, optimize: Bool) throws {
        var options = SessionOptions(optimize: optimize, threads: threads)
        if let name = entry.halfRounding { options.halfRounding = try #require(HalfRounding(rawValue: name)) }
        let testCase = try #require(BackendTestCase.find(in: folder.appendingPathComponent(entry.name)).first)
        let tolerance = MatchTolerance(
            relative: entry.rtol, absolute: entry.atol, ofLargest: entry.isTransform ? Double(Float.ulpOfOne) : 0,
            halfUnits: entry.halfUnits)
        switch try BackendTestRunner(library: StandardOperators.library, options: options).run(testCase, within: tolerance) {
        case .passed: return
        case .skipped where entry.isRandom: return
        case .skipped(let reason), .failed(let reason): throw Problem(description: reason)
        }
    }
}

/// Whether a name is the pattern, in which `*` stands for anything.
private func matches(_ name: String, _ pattern: String) -> Bool {
    let parts = pattern.split(separator: "*", omittingEmptySubsequences: false)
    guard parts.count > 1, let first = parts.first, let last = parts.last else { return name == pattern }
    guard name.hasPrefix(first), name.hasSuffix(last), name.count >= first.count + last.count else { return false }
    var rest = name.dropFirst(first.count).dropLast(last.count)
    for part in parts.dropFirst().dropLast() where !part.isEmpty {
        guard let range = rest.range(of: part) else { return false }
        rest = rest[range.upperBound...]
    }
    return true
}
