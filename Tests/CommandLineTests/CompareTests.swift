import Foundation
import SDPipeline
import TestSupport
import Testing

@Suite struct CompareTests {
    private static let vae = Program.emoji.appendingPathComponent("vae_decoder/model.onnx").path
    private static let shape = ["--shape", "latent_sample=1,4,8,8"]

    /// Tests/References/command_line_models.py: what Tools/dump-intermediates.py writes for names.onnx.
    @Test func equalsONNXRuntime() throws {
        let reference = Program.fixtures.appendingPathComponent("names-dump").path
        let model = Program.fixtures.appendingPathComponent("names.onnx").path
        let outcome = try Program.run(["compare", model, "--reference", reference, "--json"], in: TemporaryFolder())
        #expect(outcome.code == 0, "\(outcome.messages)")
        let comparisons = try #require(try outcome.json()["comparisons"] as? [[String: Any]])
        #expect(comparisons.compactMap { $0["run"] as? String } == ["node by node", "optimised"])
        #expect(comparisons.allSatisfy { $0["compared"] as? Int == 3 && $0["differing"] as? Int == 0 })
    }

    /// A reference that rounded what a run keeps in float32 is no other, and values that the model doesn't name aren't dumped.
    @Test func roundsAsTheReference() throws {
        let folder = try TemporaryFolder()
        let half = Program.fixtures.appendingPathComponent("half")
        let model = half.appendingPathComponent("model.onnx").path
        let arguments = ["compare", model, "--reference", half.appendingPathComponent("dump").path, "--dump", "own"]
        let outcome = try Program.run(arguments + ["--json"], in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        let comparisons = try #require(try outcome.json()["comparisons"] as? [[String: Any]])
        #expect(comparisons.map { $0["compared"] as? Int } == [2, 2])
        let index = try JSONSerialization.jsonObject(with: Data(contentsOf: folder["own/index.json"])) as? [String: Any]
        #expect((index?["values"] as? [String: String])?.keys.sorted() == ["a", "y"])
        let other = try Program.run(arguments.prefix(4) + ["--half-rounding", "nodes"], in: folder)
        #expect(other.code == 1 && other.messages.contains("\"by\""), "\(other.messages)")
    }

    /// A copy of the values with one changed: the node that computes it is named, though later ones are right.
    @Test func findsAnInjectedDifference() throws {
        let folder = try TemporaryFolder()
        let dumped = try Program.run(["compare", Self.vae, "--dump", "own"] + Self.shape, in: folder)
        #expect(dumped.code == 0, "\(dumped.messages)")
        let same = try Program.run(["compare", Self.vae, "--reference", "own"], in: folder)
        #expect(same.code == 0 && same.text.contains("0 differ"), "\(same.messages)")
        let index = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: folder["own/index.json"])) as? [String: Any])
        let values = try #require(index["values"] as? [String: String])
        let name = "/decoder/mid_block/resnets.1/conv1/Conv_output_0"
        let file = folder["own"].appendingPathComponent(try #require(values[name]))
        let array = try NPYArray(contentsOf: file)
        var floats = try array.floats()
        floats[5] += 10 * (floats.map { abs($0) }.max() ?? 1)
        try NPYArray(floats: floats, shape: array.shape).write(to: file)
        let other = try Program.run(["compare", Self.vae, "--reference", "own", "--no-optimize"], in: folder)
        #expect(other.code == 1 && other.text.contains("1 differ"))
        #expect(other.messages.contains("the first node that differs is Conv-18 \"/decoder/mid_block/resnets.1/conv1/Conv\""))
        #expect(other.messages.contains("element 5 is"))
    }

    @Test func holdsTheOptimizerAgainstTheFile() throws {
        let outcome = try Program.run(["compare", Self.vae, "--no-optimize", "--json"] + Self.shape, in: TemporaryFolder())
        #expect(outcome.code == 0, "\(outcome.messages)")
        let comparisons = try #require(try outcome.json()["comparisons"] as? [[String: Any]])
        #expect(comparisons.count == 1 && comparisons[0]["run"] as? String == "optimised")
        #expect(try #require(comparisons[0]["compared"] as? Int) > 40)
    }

    /// A name from a file can't command the terminal.
    @Test func namesAreText() throws {
        let folder = try TemporaryFolder()
        let model = try Data(contentsOf: Program.fixtures.appendingPathComponent("names.onnx"))
        var bytes = [UInt8](model)
        let (old, new) = (Array("x/y:0".utf8), Array("x\u{1B}y:0".utf8))
        for start in bytes.indices.dropLast(old.count) where bytes[start..<start + old.count].elementsEqual(old) {
            bytes.replaceSubrange(start..<start + old.count, with: new)
        }
        try Data(bytes).write(to: folder["m.onnx"])
        for command in [
            ["inspect", "m.onnx", "--graph"], ["bench", "m.onnx", "--by", "node"], ["compare", "m.onnx", "--no-optimize"],
        ] {
            let outcome = try Program.run(command, in: folder)
            #expect(outcome.code == 0 && !outcome.text.contains("\u{1B}") && !outcome.messages.contains("\u{1B}"))
        }
        #expect(try Program.run(["inspect", "m.onnx", "--graph"], in: folder).text.contains("x\u{FFFD}y:0"))
    }

    @Test(arguments: [
        ([], "There is nothing to compare with"), (["--reference", ""], "--reference is empty"),
        (["--reference", "d", "--shape", "a=1"], "leave out one"),
        (["--reference", "d", "--dump", "./d"], "give them different folders"),
        (["--dump", "d", "--tolerance", "-1"], "expected 0 or more"),
        (["--dump", "d", "--shape", "a=1", "--input", "a=x.npy"], "The input \"a\" is given twice"),
    ]) func refusesWrongOptions(options: [String], part: String) throws {
        try expectUsageError(["compare", "m.onnx"] + options, saying: part)
    }

    @Test func fails() throws {
        let names = Program.fixtures.appendingPathComponent("names.onnx").path
        try expectFailure(["compare", names, "--reference", "no"], saying: "has no index.json")
        try expectFailure(["compare", "no.onnx", "--dump", "d"], saying: "No such file")
        try expectFailure(
            ["compare", Self.vae, "--reference", Program.fixtures.appendingPathComponent("names-dump").path],
            saying: "a dump of another model")
    }
}

@Suite struct ProfiledRunTests {
    @Test func runWritesAProfile() throws {
        let folder = try TemporaryFolder()
        let fixtures = Program.fixtures
        let arrays = ["a", "b"].flatMap { ["-i", "\($0)=\(fixtures.appendingPathComponent("\($0).npy").path)"] }
        let outcome = try Program.run(
            ["run", fixtures.appendingPathComponent("names.onnx").path, "--output-dir", "out", "--profile", "p.json"] + arrays,
            in: folder)
        #expect(outcome.code == 0 && folder.names == ["out", "p.json"], "\(outcome.messages)")
        let report = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: folder["p.json"])) as? [String: Any])
        #expect((report["operators"] as? [[String: Any]])?.count == 3 && report["iterations"] as? Int == 1)
    }

    @Test func runKeepsAProfileFromOutputs() throws {
        let folder = try TemporaryFolder()
        let fixtures = Program.fixtures
        let arrays = ["a", "b"].flatMap { ["-i", "\($0)=\(fixtures.appendingPathComponent("\($0).npy").path)"] }
        for (profile, part) in [("out", "where an output goes"), ("./out/", "a file's name is expected")] {
            let outcome = try Program.run(
                ["run", fixtures.appendingPathComponent("names.onnx").path, "--output-dir", "out", "--profile", profile]
                    + arrays,
                in: folder)
            #expect(outcome.code == 1 && outcome.messages.contains(part), "\(outcome.messages)")
        }
        #expect(folder.names.isEmpty)
    }

    @Test func generateWritesAProfileAndPreviews() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            [
                "generate", "a fox", "--seed", "1", "--steps", "4", "-o", "fox.png", "--profile", "p.json", "--preview",
                "live.png",
                "--preview-every", "2",
            ], in: folder)
        #expect(outcome.code == 0 && folder.names == ["fox.png", "live.png", "p.json"], "\(outcome.messages)")
        let report = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: folder["p.json"])) as? [String: Any])
        let parts = try #require((report["parts"] as? [String: Any])?["parts"] as? [[String: Any]])
        #expect(parts.compactMap { $0["name"] as? String }.contains("U-Net step 4"))
        try expectEqual(PNGFile.read(folder["live.png"]).pixels, PNGFile.read(folder["fox.png"]).pixels)
    }

    @Test(arguments: [
        (["--profile", ""], "--profile is empty"), (["--profile", "-"], "--profile is -, expected a file"),
        (["--preview", "-"], "--preview is -, expected a file"), (["--preview-every", "2"], "--preview-every needs --preview"),
        (["--preview-with", "vae"], "--preview-with needs --preview"),
        (["--preview", "x", "--preview-with", "magic"], "vae, linear"),
        (["--preview-terminal"], "needs a terminal"),
        (["--scheduler", "ddim,euler", "--preview", "x.png"], "--preview takes one scheduler"),
    ]) func refusesWrongOptions(options: [String], part: String) throws {
        try expectUsageError(["generate", "x"] + options, saying: part)
    }

    @Test(arguments: [
        (["--preview", "output.png"], "Two outputs have the name"), (["--strip", "output.png"], "Two outputs have the name"),
        (["--preview", "no/x.png"], "there is no folder"),
        (["--profile", "."], "it is a folder"),
    ]) func fails(options: [String], part: String) throws {
        try expectFailure(["generate", "x"] + options, saying: part)
    }
}
