import Foundation
import SDPipeline
import TestSupport
import Testing

@Suite struct RunTests {
    private struct Entry: Decodable {
        struct Case: Decodable {
            let inputs: [String: String]
            let outputs: [String: String]
        }

        let family: String
        let exporter: String
        let component: String
        let path: String
        let cases: [Case]
    }

    private static func fixture(_ name: String) -> String { Program.fixtures.appendingPathComponent(name).path }
    private static let arrays = ["-i", "a=\(fixture("a.npy"))", "-i", "b=\(fixture("b.npy"))"]

    /// Exported graphs against ONNX Runtime's outputs on the same files (Tests/References/export_models.py).
    @Test(arguments: ["sd1", "sdxl", "inpaint"]) func equalsONNXRuntime(family: String) throws {
        let models = Program.cache.appendingPathComponent("models")
        let manifest = models.appendingPathComponent("manifest.json")
        let data = try #require(try? Data(contentsOf: manifest), "\(manifest.path) is missing: run Tools/setup-test-data.sh")
        let all = try JSONDecoder().decode([Entry].self, from: data)
        let entries = all.filter { $0.family == family && $0.exporter == "optimum" }
        #expect(entries.count >= 4)
        for entry in entries {
            let folder = try TemporaryFolder()
            let testCase = try #require(entry.cases.first)
            let inputs = testCase.inputs.flatMap { ["--input", "\($0)=\(models.appendingPathComponent($1).path)"] }
            let model = models.appendingPathComponent(entry.path).path
            let outcome = try Program.run(["run", model, "--output-dir", "out/of/this"] + inputs, in: folder)
            #expect(outcome.code == 0, "\(outcome.messages)")
            let files = try FileManager.default.contentsOfDirectory(atPath: folder["out/of/this"].path)
            #expect(files.count >= testCase.outputs.count)
            for (name, path) in testCase.outputs {
                let found = try NPYArray(contentsOf: folder["out/of/this/\(name).npy"])
                let expected = try NPYArray(contentsOf: models.appendingPathComponent(path))
                #expect(found.shape == expected.shape && found.dtype == expected.dtype)
                try expectClose(
                    found.floats(), expected.floats(), shape: expected.shape, within: Tolerance(ofLargest: 1e-4),
                    "\(family) \(entry.component) \(name)")
            }
        }
    }

    /// Outputs whose names can't be file names get others, and never each other's.
    @Test(arguments: [[], ["--no-optimize"]]) func namesFiles(options: [String]) throws {
        let folder = try TemporaryFolder()
        let arguments = ["run", Self.fixture("names.onnx"), "--output-dir", "out", "--json"] + Self.arrays + options
        let outcome = try Program.run(arguments, in: folder)
        #expect(outcome.code == 0 && outcome.messages.isEmpty)
        let outputs = try #require(try outcome.json()["outputs"] as? [[String: Any]])
        #expect(outputs.compactMap { $0["name"] as? String } == ["s", "x/y:0", "x_y:0"])
        let files = outputs.compactMap { $0["file"] as? String }
        #expect(files == ["s", "x_y_0", "x_y_0_2"].map { folder["out/\($0).npy"].path })
        #expect(outputs.allSatisfy { $0["type"] as? String == "float32" && $0["shape"] as? [Int] == [2, 3] })
        for (number, file) in files.enumerated() {
            let expected = try NPYArray(contentsOf: Program.fixtures.appendingPathComponent("names-output-\(number).npy"))
            #expect(try NPYArray(contentsOf: URL(fileURLWithPath: file)) == expected)
        }
    }

    @Test func reportsOutputs() throws {
        let folder = try TemporaryFolder()
        let arguments = ["run", Self.fixture("names.onnx"), "--output-dir", "out"] + Self.arrays
        let spoken = try Program.run(arguments, in: folder)
        #expect(spoken.text.split(separator: "\n").first == "s: float32[2, 3] in \(folder["out/s.npy"].path)")
        let silent = try Program.run(arguments + ["--quiet"], in: folder)
        #expect(silent.code == 0 && silent.output.isEmpty && silent.messages.isEmpty)
        let optional = try Program.run(
            ["run", Self.fixture("optional.onnx"), "--output-dir", "out", "-i", "a=\(Self.fixture("b.npy"))"], in: folder)
        #expect(optional.code == 0)
        #expect(
            try NPYArray(contentsOf: folder["out/s.npy"])
                == NPYArray(contentsOf: Program.fixtures.appendingPathComponent("b.npy")))
    }

    /// Tests/References/command_line_models.py: what ONNX Runtime and onnx's own evaluator make of a product beyond float16.
    @Test(arguments: ["outputs", "nodes"]) func roundsHalves(place: String) throws {
        let folder = try TemporaryFolder()
        let expected = try NPYArray(contentsOf: Program.fixtures.appendingPathComponent("half/\(place)-y.npy"))
        for options in [["--half-rounding", place], ["--half-rounding", place, "--no-optimize"], []] {
            let outcome = try Program.run(
                ["run", Self.fixture("half/model.onnx"), "--output-dir", "out", "-i", "x=\(Self.fixture("half/x.npy"))"]
                    + options,
                in: folder)
            #expect(outcome.code == 0, "\(outcome.messages)")
            #expect(try (NPYArray(contentsOf: folder["out/y.npy"]) == expected) == (place == "outputs" || !options.isEmpty))
        }
    }

    @Test(arguments: [
        (["-i", "a"], "expected NAME=FILE.npy"), (["-i", "a="], "expected NAME=FILE.npy"),
        (["-i", "=a.npy"], "expected NAME=FILE.npy"),
        (["-i", "a=x.npy", "-i", "a=y.npy"], "The input \"a\" is given twice"),
        (["--output-dir", ""], "--output-dir is empty"), (["--precision", "half"], "expected one of fp32, bf16"),
        (["--half-rounding", "never"], "expected one of outputs, nodes"),
        (["--precision", "bf16", "--no-optimize"], "leave out one"),
    ]) func refusesWrongOptions(options: [String], part: String) throws {
        try expectUsageError(["run", "m.onnx", "--output-dir", "out"] + options, saying: part)
    }

    @Test func refusesMissingOptions() throws {
        try expectUsageError(["run"], saying: "Missing expected argument '<model>'")
        try expectUsageError(["run", "m.onnx"], saying: "Missing expected argument '--output-dir <DIR>'")
    }

    @Test func failsWithoutFiles() throws {
        let folder = try TemporaryFolder()
        try Data("hello world, hello world".utf8).write(to: folder["text.onnx"])
        try NPYArray(dtype: .int64, shape: [3], data: [UInt8](repeating: 0, count: 24)).write(to: folder["integers.npy"])
        let names = Self.fixture("names.onnx")
        let one = Array(Self.arrays.prefix(2))
        let cases: [([String], String)] = [
            ([names], "add --input NAME=FILE.npy for \"a\" (float32[n, 3]), \"b\" (float32[3])"),
            ([names] + Self.arrays + ["-i", "z=integers.npy"], "the model has no input \"z\""),
            ([names] + one + ["-i", "b=integers.npy"], "is declared as float32[3], found int64[3]"),
            ([names] + one + ["-i", "b=\(Self.fixture("a.npy"))"], "is declared as float32[3], found float32[2, 3]"),
            ([names] + one + ["-i", "b=no.npy"], "can't be read"), (["no.onnx"], "No such file"), (["."], "found a folder"),
            (["text.onnx"], "text.onnx: "), ([Self.fixture("unknown.onnx")], "NoSuchOperator"),
            ([Self.fixture("sequence.onnx")] + one, "The output \"s\" is a sequence of float32"),
            ([Self.fixture("string.onnx")] + one, "The output \"s\" is a tensor of strings"),
            ([names, "--output-dir", "integers.npy"] + Self.arrays, "is a file, expected a folder"),
            ([names, "--output-dir", "integers.npy/x"] + Self.arrays, "is a file, expected a folder"),
        ]
        for (arguments, part) in cases {
            let output = arguments.contains("--output-dir") ? [] : ["--output-dir", "out"]
            try expectFailure(["run"] + arguments + output, saying: part, in: folder)
        }
    }
}
