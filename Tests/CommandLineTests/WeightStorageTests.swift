import Foundation
import Testing

/// How weights are kept in memory and beside the model.
@Suite struct WeightStorageTests {
    /// Whose weights are in single precision, as the file has them.
    private static let model = Program.cache.appendingPathComponent("families/sd1/model").path

    private func picture(_ options: [String], in folder: TemporaryFolder) throws -> Data {
        let outcome = try Program.run(
            ["generate", "a fox", "-m", Self.model, "--steps", "2", "--seed", "4", "-o", "-"] + options, in: folder)
        try #require(outcome.code == 0, "\(outcome.messages)")
        return outcome.output
    }

    /// Packed weights of a folder give the picture that those give which a run packs itself, also where a file is broken.
    @Test func panelCache() throws {
        let folder = try TemporaryFolder()
        let expected = try picture([], in: folder)
        let cache = ["--panel-cache", "kept/panels"]
        #expect(try picture(cache, in: folder) == expected)
        let panels = folder["kept/panels"]
        let names = try FileManager.default.contentsOfDirectory(atPath: panels.path).sorted()
        try #require(names.count > 20 && names.allSatisfy { $0.hasSuffix(".panels") })
        let file = panels.appendingPathComponent(names[7])
        var broken = try Data(contentsOf: file)
        broken[broken.count - 3] ^= 8
        try broken.write(to: file)
        #expect(try picture(cache, in: folder) == expected)
        // Padding may have other bytes.
        #expect(try Data(contentsOf: file) != broken)
        #expect(try picture(cache + ["--precision", "bf16"], in: folder) == picture(["--precision", "bf16"], in: folder))
        #expect(try FileManager.default.contentsOfDirectory(atPath: panels.path).count >= names.count)
    }

    @Test func optionsThatContradictEachOther() throws {
        for (arguments, sentence) in [
            (
                ["generate", "x", "--panel-cache", "p", "--low-memory"],
                "--panel-cache keeps packed weights, and --low-memory packs none"
            ),
            (["bench", "m.onnx", "--panel-cache", "p", "--no-optimize"], "--panel-cache is for optimised graphs"),
            (["generate", "x", "--panel-cache", ""], "--panel-cache is a folder, found an empty name."),
            (["generate", "x", "--weights", "int8", "--low-memory"], "--weights int8 keeps weights in memory"),
            (
                ["run", "m.onnx", "--weights", "int4", "--no-optimize", "--output-dir", "o"],
                "--weights int4 is for optimised graphs"
            ),
            (["generate", "x", "--weights", "int2"], "expected one of stored, int8, int4."),
        ] {
            try expectUsageError(arguments, saying: sentence)
        }
    }

    @Test func foldersThatTakeNothing() throws {
        let folder = try TemporaryFolder()
        try Data([1]).write(to: folder["file"])
        for (path, sentence) in [
            ("file", "The folder file can't hold packed weights: it is a file, expected a folder"),
            ("file/panels", "The folder file/panels can't hold packed weights: it can't be made"),
        ] {
            let outcome = try Program.run(
                ["generate", "a fox", "-m", Program.emoji.path, "--steps", "1", "-o", "p.png", "--panel-cache", path],
                in: folder)
            #expect(outcome.code == 1 && outcome.messages.contains(sentence), "\(outcome.messages)")
        }
        #expect(folder.names == ["file"])
    }
}
