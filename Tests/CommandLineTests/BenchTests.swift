import Foundation
import Testing

@Suite struct BenchTests {
    private static func fixture(_ name: String) -> String { Program.fixtures.appendingPathComponent(name).path }

    private func check(_ report: [String: Any], iterations: Int) throws {
        #expect(
            Set(report.keys) == ["median_ms", "mean_ms", "load_ms", "peak_bytes", "iterations", "operators", "interpreter"])
        for key in ["median_ms", "mean_ms", "load_ms"] { #expect(try #require(report[key] as? Double) > 0) }
        #expect(report["iterations"] as? Int == iterations)
        #expect(try #require(report["peak_bytes"] as? Int) > 0)
        let operators = try #require(report["operators"] as? [[String: Any]])
        #expect(!operators.isEmpty)
        for row in operators {
            #expect(Set(row.keys) == ["type", "calls", "total_ms", "share", "gflops"])
            #expect(try #require(row["calls"] as? Int) >= 1)
        }
        let interpreter = try #require(report["interpreter"] as? [String: Double])
        #expect(Set(interpreter.keys) == ["total_ms", "share", "us_per_call"])
        #expect(interpreter.values.allSatisfy { $0 >= 0 } && (interpreter["share"] ?? 1) < 1)
        let shares = operators.compactMap { $0["share"] as? Double }
        #expect(abs(shares.reduce(0, +) - 1) < 1e-6 && shares == shares.sorted(by: >))
    }

    @Test func timesAModel() throws {
        let folder = try TemporaryFolder()
        let model = Program.emoji.appendingPathComponent("vae_decoder/model.onnx").path
        let outcome = try Program.run(
            [
                "bench", model, "--shape", "latent_sample=1,4,8,8", "--iterations", "3", "--warmup", "0", "--threads", "1",
                "--json", "b.json",
            ],
            in: folder)
        #expect(outcome.code == 0 && outcome.messages.isEmpty, "\(outcome.messages)")
        let lines = outcome.text.split(separator: "\n")
        #expect(lines.first?.split(separator: " ").joined(separator: " ") == "operator calls total ms share GFLOP/s")
        #expect(lines.contains { $0.hasPrefix("Conv") } && lines.contains { $0.hasPrefix("interpreter") })
        #expect(lines.last?.hasPrefix("median ") == true && lines.last?.contains("over 3 runs") == true)
        let content = try Data(contentsOf: folder["b.json"])
        try check(try #require(try JSONSerialization.jsonObject(with: content) as? [String: Any]), iterations: 3)
        #expect(folder.names == ["b.json"])
    }

    @Test func printsJSON() throws {
        let outcome = try Program.run(
            ["bench", Self.fixture("names.onnx"), "--iterations", "2", "--json", "-", "--no-optimize"], in: TemporaryFolder())
        #expect(outcome.code == 0)
        #expect(outcome.lines == ["The input \"a\" is declared as [n, 3] and taken as [1, 3]."])
        try check(try outcome.json(), iterations: 2)
        let sequence = try Program.run(
            ["bench", Self.fixture("sequence.onnx"), "--shape", "a=5", "--json", "-"], in: TemporaryFolder())
        #expect(sequence.code == 0)
    }

    @Test(arguments: [
        (["--shape", "a"], "expected NAME and its extents"), (["--shape", "a=x"], "expected NAME and its extents"),
        (["--shape", "a=2,-3"], "expected NAME and its extents"), (["--shape", "a=2,,3"], "expected NAME and its extents"),
        (["--shape", "a=2", "--shape", "a=3"], "The shape of \"a\" is given twice"),
        (["--iterations", "0"], "from 1 to 1000000"),
        (["--iterations", "-1"], "from 1 to 1000000"), (["--warmup", "-1"], "from 0 to 1000000"),
        (["--json", ""], "--json is empty"),
    ]) func refusesWrongOptions(options: [String], part: String) throws {
        try expectUsageError(["bench", "m.onnx"] + options, saying: part)
    }

    @Test(arguments: [
        ("names.onnx", ["--shape", "z=2"], "--shape names \"z\""), ("names.onnx", ["--shape", "a=2,4"], "found float32[2, 4]"),
        ("names.onnx", ["--shape", "a="], "found float32[]"), ("names.onnx", ["--shape", "a=99999999999,3"], "GB of memory"),
        ("names.onnx", ["--shape", "a=9223372036854775807,9"], "too many elements"),
        ("names.onnx", ["--json", "no/x.json"], "there is no folder"),
        ("names.onnx", ["--json", "."], "it is a folder"), ("unranked.onnx", [], "add --shape a=2,4,64,64"),
        ("string.onnx", [], "is of type string"), ("unknown.onnx", [], "NoSuchOperator"), ("no.onnx", [], "No such file"),
    ]) func fails(model: String, options: [String], part: String) throws {
        try expectFailure(["bench", Self.fixture(model)] + options, saying: part)
    }
}
