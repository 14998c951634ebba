import Foundation
import SDPipeline
import TestSupport
import Testing

/// Files that weren't made by who runs the program (Tests/References/command_line_models.py).
@Suite struct HostileFileTests {
    private static func fixture(_ name: String) -> String { Program.fixtures.appendingPathComponent(name).path }

    /// Models that exporters and editors leave behind run as in ONNX Runtime.
    @Test(arguments: ["output-twice", "initializer-twice", "external-up-down", "external-length-0"], [[], ["--no-optimize"]])
    func habits(name: String, options: [String]) throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            ["run", Self.fixture("habits/\(name).onnx"), "--output-dir", "out", "-i", "x=\(Self.fixture("habits/x.npy"))"]
                + options,
            in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        let files = name == "output-twice" ? ["y.npy", "y_2.npy"] : ["y.npy"]
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder["out"].path).sorted() == files)
        for (number, file) in files.enumerated() {
            let expected = try NPYArray(contentsOf: URL(fileURLWithPath: Self.fixture("habits/\(name)-output-\(number).npy")))
            try expectEqual(NPYArray(contentsOf: folder["out/\(file)"]).floats(), expected.floats(), shape: expected.shape)
        }
    }

    /// Whatever a model calls its outputs, their files are in the folder.
    @Test func namesStayInTheFolder() throws {
        let files = [".json", "_._\u{301}evil.npy", "_..npy", "_31m.npy", "__31m.npy", "_hidden.npy"]
        for arguments in [["run", "--output-dir", "a/b"], ["compare", "--dump", "a/b"]] {
            let folder = try TemporaryFolder()
            let outcome = try Program.run(
                [arguments[0], Self.fixture("hostile/names.onnx")] + arguments.dropFirst(), in: folder)
            #expect(outcome.code == 0, "\(outcome.messages)")
            #expect(folder.names == ["a"])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder["a"].path) == ["b"])
            let names = try FileManager.default.contentsOfDirectory(atPath: folder["a/b"].path).filter { $0 != "index.json" }
            #expect(names.count == 4 && names.allSatisfy { files.contains($0) }, "\(names)")
        }
    }

    /// The index of a dump names files of its own folder.
    @Test func indexStaysInTheFolder() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.copyItem(at: URL(fileURLWithPath: Self.fixture("names-dump")), to: folder["dump"])
        try FileManager.default.copyItem(at: URL(fileURLWithPath: Self.fixture("a.npy")), to: folder["a.npy"])
        for name in ["../a.npy", "x/\u{301}../../a.npy", ".a.npy", folder["a.npy"].path] {
            let index = ["model": "names.onnx", "inputs": ["a": name, "b": "b.npy"], "values": [:]] as [String: Any]
            try JSONSerialization.data(withJSONObject: index).write(to: folder["dump/index.json"])
            try expectFailure(
                ["compare", Self.fixture("names.onnx"), "--reference", "dump"], saying: "expected files of the same folder",
                in: folder)
        }
    }

    /// Folding stops at its budget, and a run that would take more than it may is refused before it takes anything.
    @Test func foldingStops() throws {
        let folder = try TemporaryFolder()
        let fold = Self.fixture("hostile/fold.onnx")
        let outcome = try Program.shell("ulimit -d 1500000; \"$P\" inspect '\(fold)' --optimized", in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        #expect(outcome.text.contains("Concat"))
        try expectFailure(
            ["run", fold, "--output-dir", "out", "--max-memory", "1GB"],
            saying: "expected at most 1073741824, the limit of a run", in: folder)
        try expectFailure(
            ["run", fold, "--output-dir", "out", "--max-memory", "1GB", "--no-optimize"],
            saying: "expected at most 1073741824, the limit of a run", in: folder)
    }

    @Test func sparseTensorsAreCounted() throws {
        let folder = try TemporaryFolder()
        let sparse = Self.fixture("hostile/sparse.onnx")
        let outcome = try Program.shell("ulimit -d 1000000; \"$P\" inspect '\(sparse)'", in: folder)
        #expect(outcome.code == 1)
        #expect(
            outcome.messages == "Error: \(sparse): loading takes more than 2147483648 bytes of memory, the limit of a load.\n")
    }

    @Test func errorsAreShort() throws {
        let folder = try TemporaryFolder()
        try expectFailure(
            ["inspect", Self.fixture("hostile/ranks.onnx")],
            saying: "tensor \"w\": a shape has 100000 axes, expected at most 64", in: folder)
    }

    @Test(arguments: ["x", "-1GB", "1XB", "", "1e30GB", "1 GB x"]) func refusesSizes(size: String) throws {
        try expectUsageError(["inspect", "m.onnx", "--max-memory", size], saying: "expected a size such as 500MB or 8GB")
    }

    /// What people name in the place of an exported pipeline.
    @Test func namesTheExportCommand() throws {
        let folder = try TemporaryFolder()
        func fails(_ model: String, _ text: String) throws {
            try expectFailure(["generate", "x", "-m", model, "-o", "x.png"], saying: text, in: folder)
        }
        try fails(
            "runwayml/stable-diffusion-v1-5",
            "on the Hugging Face Hub, export it first, with optimum-cli export onnx --model runwayml/stable-diffusion-v1-5 --task "
                + "text-to-image stable-diffusion-v1-5-onnx.")
        try Data("x".utf8).write(to: folder["sd.safetensors"])
        try fails("sd.safetensors", "is a checkpoint in one file, expected the folder of an exported pipeline")
        try fails("sd.safetensors", "from_single_file")
        try fails("none.ckpt", "optimum-cli export onnx --model FOLDER --task text-to-image FOLDER-onnx.")
        try fails(Program.emoji.appendingPathComponent("unet/model.onnx").path, "is one graph, expected a model folder")
        let diffusers = folder["diffusers"]
        try FileManager.default.createDirectory(at: diffusers.appendingPathComponent("unet"), withIntermediateDirectories: true)
        try Data("x".utf8).write(to: diffusers.appendingPathComponent("unet/diffusion_pytorch_model.safetensors"))
        try fails("diffusers/unet", "holds weights of one PyTorch model")
        try Data(#"{"_class_name": "StableDiffusionPipeline"}"#.utf8).write(
            to: diffusers.appendingPathComponent("model_index.json"))
        try Data("x".utf8).write(to: diffusers.appendingPathComponent("text_encoder"))
        try fails("diffusers", "has no text_encoder/model.onnx")
        try FileManager.default.removeItem(at: diffusers.appendingPathComponent("text_encoder"))
        try FileManager.default.copyItem(
            at: diffusers.appendingPathComponent("unet"), to: diffusers.appendingPathComponent("text_encoder"))
        try fails(
            "diffusers",
            "it is a diffusers folder with weights of PyTorch, which has to be exported first, with optimum-cli export")
    }

    /// A file that becomes shorter while it is used ends the run, and nothing else.
    @Test func truncatedModels() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.copyItem(at: Program.emoji, to: folder["model"])
        let running = try Program.start(
            ["generate", "a fox", "-m", "model", "--low-memory", "--steps", "500", "-o", "x.png"], in: folder)
        try running.waitForMessages()
        let truncated = unsafe truncate(folder["model/unet/model.onnx"].path, 100_000)
        #expect(truncated == 0)
        let outcome = try running.finish()
        #expect(outcome.code == 1)
        let sentence = "model/unet/model.onnx became shorter, or can't be read any more, while the model used it."
        #expect(outcome.lines.last?.hasSuffix(sentence) == true, "\(outcome.messages)")
        #expect(folder.names == ["model"])
    }
}
