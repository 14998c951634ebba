import Foundation
import SDPipeline
import TestSupport
import Testing

/// What `run` reads and writes beside .npy arrays, against the files of Tests/References/backend_cases.py.
@Suite struct ValueFileTests {
    private static let verify = Program.fixtures.appendingPathComponent("verify")
    private static let names = Program.fixtures.appendingPathComponent("names.onnx").path
    private static func archive(_ name: String) -> String { verify.appendingPathComponent("arrays/\(name)").path }

    /// Tensors of every type, sequences and optionals become the bytes that onnx itself writes.
    @Test(arguments: [
        ("types", 23, 0), ("sequences", 2, 0), ("sequences", 2, 1), ("optionals", 1, 0), ("optionals", 1, 1),
    ]) func writesMessages(name: String, inputCount: Int, set: Int) throws {
        let folder = try TemporaryFolder()
        let place = Self.verify.appendingPathComponent("cases/\(name)")
        let files = place.appendingPathComponent("test_data_set_\(set)")
        let model = place.appendingPathComponent("model.onnx").path
        let described = try Program.run(["inspect", model, "--json"], in: folder).json()
        let inputs = try #require((described["summary"] as? [String: Any])?["inputs"] as? [[String: Any]]).compactMap {
            $0["name"] as? String
        }
        #expect(inputs.count == inputCount)
        let given = inputs.enumerated().flatMap { ["-i", "\($1)=\(files.appendingPathComponent("input_\($0).pb").path)"] }
        let outcome = try Program.run(
            ["run", model, "--output-dir", "out", "--output-format", "pb", "--json"] + given, in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        let outputs = try #require(try outcome.json()["outputs"] as? [[String: Any]])
        for (index, output) in outputs.enumerated() {
            let found = try Data(contentsOf: URL(fileURLWithPath: try #require(output["file"] as? String)))
            let expected = try Data(contentsOf: files.appendingPathComponent("output_\(index).pb"))
            #expect(found == expected, "\(name) \(output["name"] ?? "")")
        }
    }

    @Test(arguments: [
        ["-i", "stored.npz"], ["-i", "deflated.npz"], ["-i", "a=deflated.npz", "-i", "b=single.npz"],
        ["-i", "a=stored.npz", "-i", "b=stored.npz"],
    ]) func readsArchives(options: [String]) throws {
        let folder = try TemporaryFolder()
        let given = options.map { option in
            guard let name = option.split(separator: "=").last, name.hasSuffix(".npz") else { return option }
            return option.dropLast(name.count) + Self.archive(String(name))
        }
        let outcome = try Program.run(["run", Self.names, "--output-dir", "out"] + given, in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        #expect(try NPYArray(contentsOf: folder["out/s.npy"]).floats() == [0.5, 2, 0, 3.5, 5, 3])
    }

    @Test func writesArchives() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            ["run", Self.names, "--output-dir", "out", "--output-format", "npz", "-i", Self.archive("stored.npz")], in: folder)
        #expect(outcome.code == 0 && outcome.text.hasPrefix("s: float32[2, 3] in "), "\(outcome.messages)")
        let archive = try NPZArchive(contentsOf: folder["out/outputs.npz"])
        #expect(archive.names == ["s", "x_y_0", "x_y_0_2"])
        #expect(try archive.array("x_y_0_2").floats() == [-0.5, 0, 4, 2.5, 3, 7])
    }

    @Test func makesUpInputs() throws {
        let folder = try TemporaryFolder()
        let arguments = ["run", Self.names, "--output-dir", "out", "--random-inputs", "7"]
        let first = try Program.run(arguments + ["--shape", "a=2,3", "--json"], in: folder)
        #expect(first.code == 0, "\(first.messages)")
        let report = try first.json()
        let inputs = try #require(report["random_inputs"] as? [[String: Any]])
        #expect(inputs.map { $0["name"] as? String } == ["a", "b"] && report["seed"] as? Int == 7)
        #expect(inputs.map { $0["shape"] as? [Int] } == [[2, 3], [3]])
        let values = try NPYArray(contentsOf: folder["out/s.npy"])
        _ = try Program.run(arguments + ["--shape", "a=2,3"], in: folder)
        #expect(try NPYArray(contentsOf: folder["out/s.npy"]) == values)
        _ = try Program.run(arguments.dropLast() + ["8", "--shape", "a=2,3"], in: folder)
        #expect(try NPYArray(contentsOf: folder["out/s.npy"]) != values)
        // What is given is used, and extents that nothing states are said.
        let second = try Program.run(arguments + ["-i", "b=\(Program.fixtures.path)/b.npy"], in: folder)
        #expect(second.text.hasPrefix("The input a is random: float32[1, 3] of seed 7\n"))
        #expect(second.messages == "The input \"a\" is declared as [n, 3] and taken as [1, 3].\n")
        let types = try Program.run(
            ["run", Self.verify.appendingPathComponent("cases/optionals/model.onnx").path, "--output-dir", "out"]
                + ["--output-format", "pb", "--random-inputs", "1"], in: folder)
        #expect(types.code == 0 && types.text.hasPrefix("The input o is random: an empty optional"), "\(types.messages)")
    }

    @Test func refuses() throws {
        let folder = try TemporaryFolder()
        let stored = try Data(contentsOf: URL(fileURLWithPath: Self.archive("stored.npz")))
        try stored.dropLast(30).write(to: folder["cut.npz"])
        try Data("no archive".utf8).write(to: folder["text.npz"])
        try Data([0x0A, 0xFF]).write(to: folder["cut.pb"])
        let b = ["-i", "b=\(Program.fixtures.path)/b.npy"]
        let cases: [([String], String)] = [
            (["-i", "cut.npz"], "it isn't a zip archive, or its end is missing"),
            (["-i", "text.npz"], "it isn't a zip archive"),
            (["-i", "no.npz"], "can't be read"),
            (["-i", "c=\(Self.archive("stored.npz"))"], "it has no array \"c\"; it has \"a\", \"b\""),
            (["-i", Self.archive("stored.npz")] + b, "The input \"b\" is given twice"),
            (["-i", Self.archive("single.npz")], "add --input NAME=FILE.npy for"),
            (["-i", "a=cut.pb"] + b, "cut.pb: "), (["-i", "a=no.pb"] + b, "can't open the file"),
        ]
        for (options, part) in cases {
            try expectFailure(["run", Self.names, "--output-dir", "out"] + options, saying: part, in: folder)
        }
        let sequence = Program.fixtures.appendingPathComponent("sequence.onnx").path
        try expectFailure(
            ["run", sequence, "--output-dir", "out", "-i", "a=\(Program.fixtures.path)/a.npy", "--output-format", "npz"],
            saying: "which a .npz file can't hold; expected a tensor of numbers: add --output-format pb")
        try expectFailure(
            ["bench", Self.names, "-i", "a=\(Self.verify.path)/cases/sequences/test_data_set_0/input_0.pb"],
            saying: "input_0.pb: TensorProto has two of segment")
        try expectUsageError(
            ["run", "m.onnx", "--output-dir", "o", "--output-format", "zip"], saying: "expected one of npy, npz, pb")
        try expectUsageError(["run", "m.onnx", "--output-dir", "o", "--shape", "a=1"], saying: "add --random-inputs")
        try expectUsageError(["run", "m.onnx", "--output-dir", "o", "--random-inputs", "x"], saying: "expected a whole number")
    }
}
