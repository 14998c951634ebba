import Foundation
import Testing

/// Tests/References/backend_cases.py.
@Suite struct VerifyTests {
    private static let folder = Program.fixtures.appendingPathComponent("verify")
    private static func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    @Test(arguments: [[], ["--no-optimize"]]) func passes(options: [String]) throws {
        let outcome = try Program.run(["verify", Self.path("cases")] + options, in: TemporaryFolder())
        #expect(outcome.code == 0 && outcome.messages.isEmpty, "\(outcome.messages)")
        let names = ["deeper/bfloat16", "deeper/tolerance", "flat", "optionals", "sequences", "sets", "types"]
        #expect(outcome.text == names.map { "PASS \($0)\n" }.joined() + "7 passed, 0 failed, 0 skipped\n")
    }

    /// A folder may be a case itself, and there may be several.
    @Test func takesCases() throws {
        let folders = ["cases/types", "cases/deeper", "cases/flat/"].map(Self.path)
        let outcome = try Program.run(["verify"] + folders, in: TemporaryFolder())
        #expect(outcome.code == 0, "\(outcome.messages)")
        #expect(outcome.text.hasPrefix("PASS types\nPASS bfloat16\nPASS tolerance\nPASS flat\n4 passed"))
    }

    @Test func saysWhatIsWrong() throws {
        let expected = [
            ("another_input", "FAIL", "there is input_2.pb, and the model has 2 inputs"), ("cut_off", "FAIL", "input_0.pb: "),
            ("elements", "FAIL", "of the output \"c\" 1 of 3 elements differs, first at [1]: found 22.0, expected 22.5"),
            ("empty_file", "FAIL", "input_0.pb: the file is empty"), ("garbage", "FAIL", "input_0.pb: "),
            ("huge", "FAIL", "shape [1152921504606846976]"), ("infinity", "FAIL", "found 11.0, expected inf"),
            ("map", "SKIP", "\"a\" is of type map from uint8 to float32"),
            ("missing_input", "FAIL", "has no file for the input \"b\""),
            ("missing_output", "FAIL", "has 0 files of outputs, and the model has 1"),
            ("no_model", "FAIL", "model.onnx is missing"), ("random", "SKIP", "drawn at random"),
            ("same_name", "FAIL", "two files of test_data_set_0 are for \"a\""),
            ("shape", "FAIL", "is float32[3], expected float32[1, 3]"), ("type", "FAIL", "is float32[3], expected float64[3]"),
            ("unknown", "SKIP", "aren't implemented: org.example.NoSuchOperator-1"),
        ]
        let outcome = try Program.run(["verify", Self.path("wrong")], in: TemporaryFolder())
        #expect(outcome.code == 1 && outcome.messages == "Error: 13 of 16 cases fail.\n")
        let lines = outcome.text.split(separator: "\n")
        #expect(lines.count == 17 && lines.last == "0 passed, 13 failed, 3 skipped")
        for (line, (name, word, part)) in zip(lines, expected) {
            #expect(line.hasPrefix("\(word) \(name): ") && line.contains(part), "\(line)")
        }
    }

    @Test func printsJSON() throws {
        let outcome = try Program.run(
            ["verify", Self.path("wrong/shape"), Self.path("wrong/map"), Self.path("cases/flat"), "--json"],
            in: TemporaryFolder())
        #expect(outcome.code == 1)
        let report = try outcome.json()
        #expect(["passed", "failed", "skipped"].map { report[$0] as? Int } == [1, 1, 1])
        let cases = try #require(report["cases"] as? [[String: String]])
        #expect(cases.map { $0["name"] } == ["shape", "map", "flat"])
        #expect(cases.map { $0["status"] } == ["failed", "skipped", "passed"])
        #expect(cases[0]["reason"] == "the output \"c\" is float32[3], expected float32[1, 3]" && cases[2]["reason"] == nil)
    }

    /// The tolerances of the command line stand above those of a case and of the standard.
    @Test func takesTolerances() throws {
        let cases = [
            ("cases/deeper/tolerance", ["--rtol", "0.001"], 1), ("cases/deeper/tolerance", ["--atol", "0.001"], 0),
            ("cases/deeper/bfloat16", ["--rtol", "0.001"], 1), ("wrong/elements", ["--rtol", "0.03"], 0),
            ("wrong/elements", ["--atol", "0.5"], 0), ("cases/types", ["--rtol", "0", "--atol", "0"], 0),
        ]
        for (name, options, code) in cases {
            let outcome = try Program.run(["verify", Self.path(name)] + options, in: TemporaryFolder())
            #expect(outcome.code == code, "\(name) \(options): \(outcome.text)")
        }
    }

    @Test func refuses() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(at: folder["empty"], withIntermediateDirectories: true)
        // A link back to a folder above doesn't lead anywhere.
        try FileManager.default.createSymbolicLink(at: folder["empty/loop"], withDestinationURL: folder.url)
        try expectFailure(["verify", "empty"], saying: "empty has no case: expected folders with model.onnx", in: folder)
        try expectFailure(["verify", "no"], saying: "no isn't a folder that can be read", in: folder)
        try expectUsageError(["verify"], saying: "Missing expected argument")
        try expectUsageError(["verify", ""], saying: "A folder's name is empty")
        try expectUsageError(["verify", ".", "--rtol", "-1"], saying: "expected 0 or more")
        try expectUsageError(["verify", ".", "--atol", "nan"], saying: "expected a number")
    }
}
