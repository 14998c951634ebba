import Foundation
import SDPipeline
import Testing

/// `generate --from` of pictures in which more than the model took part: adapters, ControlNets, and second passes with networks.
@Suite struct ReplayedPartsTests {
    private static let controls = Program.cache.appendingPathComponent("controls")
    private static let model = controls.appendingPathComponent("sd1/model").path
    private static let first = controls.appendingPathComponent("sd1/control-0").path
    private static let second = controls.appendingPathComponent("sd1/control-1/model.onnx").path

    private func bytes(_ url: URL) throws -> [UInt8] { [UInt8](try Data(contentsOf: url)) }

    /// A folder with the files that pictures are made with.
    private func folder() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        let manager = FileManager.default
        try manager.copyItem(
            at: Program.emoji.appendingPathComponent("lora/night.safetensors"), to: folder["night.safetensors"])
        try manager.copyItem(at: URL(filePath: UpscaleTests.network), to: folder["rgb.onnx"])
        let pixels = (0..<3 * 64 * 64).map { (index: Int) -> UInt8 in (index / 3 % 64 / 16).isMultiple(of: 2) ? 240 : 20 }
        try PNGFile.write(RGBImage(width: 64, height: 64, pixels: pixels), to: folder["lines.png"])
        return folder
    }

    /// Makes a picture, and makes it again by its name and what is given beside it.
    private func expectTheSame(_ options: [String], beside: [String] = [], in folder: TemporaryFolder) throws {
        let made = try Program.run(
            ["generate", "--steps", "3", "-s", "9"] + options + ["-o", "x-%d.png", "--json"], in: folder)
        #expect(made.code == 0, "\(made.messages)")
        let file = try #require((try made.json()["files"] as? [String])?.last)
        let remade = try Program.run(["generate", "--from", file] + beside + ["-o", "y.png"], in: folder)
        #expect(remade.code == 0, "\(remade.messages)")
        #expect(remade.messages.contains("Byte for byte the same as \(file)."), "\(remade.messages)")
        #expect(try bytes(folder["y.png"]) == bytes(URL(filePath: file)))
    }

    @Test(arguments: [
        ["a fox", "--lora", "night.safetensors"], ["a fox", "--lora", "night.safetensors:0.7:0.2", "-b", "2"],
        ["a (fox:1.2) <lora:night:0.5>", "--lora-dir", "."],
        ["an owl <lora:night:0.25>", "--lora", "night.safetensors:0.5", "--lora-dir", "."],
        ["a fox", "--hires", "2"], ["a fox", "--hires", "1.5", "--hires-strength", "0.4", "--hires-steps", "5", "-b", "3"],
        [
            "a fox", "--hires", "1.5", "--hires-upscaler", "latent-bicubic-antialiased", "--scheduler", "euler a", "--rng",
            "cuda",
        ],
        ["a fox", "--hires", "2", "--hires-upscaler", "rgb.onnx", "--hires-strength", "0.5"],
        ["a fox", "--hires", "2", "--hires-upscaler", "lanczos", "--batch-seeds", "shared", "-b", "2"],
        ["a fox", "--hires-width", "112", "--hires-upscaler", "nearest", "--hires-scheduler", "dpm++ 2m karras"],
        [
            "a fox", "--hires-width", "144", "--hires-height", "96", "--hires-prompt", "an owl, \"red\" <lora:night:0.5>",
            "--hires-negative-prompt", "gray", "--hires-cfg-scale", "2.5", "--lora-dir", ".",
        ],
        [
            "an [owl:fox:1.5] <lora:night:0.6>", "--lora-dir", ".", "--hires", "2", "--variation-seed", "5",
            "--variation-strength",
            "0.3",
        ],
        ["a fox", "--freeu", "1.1,1.2,0.9,0.2", "--hires", "1.5"],
    ]) func makesTheSameFile(options: [String]) throws { try expectTheSame(options, in: folder()) }

    @Test func makesTheSameFileWithControlNets() throws {
        let folder = try folder()
        let one = ["a fox", "-m", Self.model, "--control", Self.first, "--control-image", "lines.png"]
        try expectTheSame(one, beside: ["-m", Self.model, "--control", Self.first], in: folder)
        let two =
            one + [
                "--control", Self.second, "--control-image", "lines.png", "--control-strength", "0.8", "--control-strength",
                "-0.5",
                "--control-end", "0.75", "--control-preprocess", "canny:50,150.5", "--control-preprocess", "none", "--hires",
                "1.5",
            ]
        try expectTheSame(two, beside: ["-m", Self.model, "--control", Self.first, "--control", Self.second], in: folder)
        let missing = try Program.run(["generate", "--from", "x-1.png", "-m", Self.model, "-o", "z.png"], in: folder)
        #expect(
            missing.code == 1
                && missing.messages.contains(
                    "was made with the ControlNet \"control-0\": give its file or folder with --control."),
            "\(missing.messages)")
        try FileManager.default.removeItem(at: folder["lines.png"])
        let picture = try Program.run(
            [
                "generate", "--from", "x-1.png", "-m", Self.model, "--control", Self.first, "--control", Self.second, "-o",
                "z.png",
            ],
            in: folder)
        #expect(
            picture.code == 1 && picture.messages.contains("was made from \"lines.png\" (SHA-256 ")
                && picture.messages.contains("give it with --control-image."), "\(picture.messages)")
        #expect(!folder.names.contains("z.png"))
    }

    /// Files that aren't there any more, or are others now, are asked for by the option that takes them.
    @Test func saysWhichFileIsMissing() throws {
        let folder = try folder()
        let made = try Program.run(
            [
                "generate", "a fox", "--steps", "2", "--lora", "night.safetensors", "--hires", "1.5", "--hires-upscaler",
                "rgb.onnx",
                "--hires-strength", "0.5", "-o", "x.png",
            ], in: folder)
        #expect(made.code == 0, "\(made.messages)")
        let network = try bytes(folder["rgb.onnx"])
        try Data("another".utf8).write(to: folder["rgb.onnx"])
        let changed = try Program.run(["generate", "--from", "x.png", "-o", "y.png"], in: folder)
        #expect(
            changed.code == 1 && changed.messages.contains("x.png was made from \"rgb.onnx\" (SHA-256 ")
                && changed.messages.contains("give it with --hires-upscaler."), "\(changed.messages)")
        try Data(network).write(to: folder["other.onnx"])
        let given = try Program.run(
            ["generate", "--from", "x.png", "--hires-upscaler", "other.onnx", "-o", "y.png"], in: folder)
        #expect(given.code == 0, "\(given.messages)")
        #expect(try PNGFile.read(folder["x.png"]) == PNGFile.read(folder["y.png"]))
        try FileManager.default.moveItem(at: folder["night.safetensors"], to: folder["day.safetensors"])
        let lora = try Program.run(
            ["generate", "--from", "x.png", "--hires-upscaler", "other.onnx", "-o", "z.png"], in: folder)
        #expect(
            lora.code == 1 && lora.messages.contains("x.png was made from \"night.safetensors\" (SHA-256 ")
                && lora.messages.contains("give it with --lora FILE."), "\(lora.messages)")
    }

    /// What is given beside the picture comes first, also where the picture says what it goes with.
    @Test func otherOptionsComeFirst() throws {
        let folder = try folder()
        _ = try Program.run(["generate", "a fox", "--steps", "2", "-s", "9", "--hires", "2", "-o", "x.png"], in: folder)
        let other = try Program.run(
            ["generate", "--from", "x.png", "--hires-strength", "0.3", "-o", "y.png", "--json"], in: folder)
        #expect(other.code == 0, "\(other.messages)")
        let hires = try #require(try other.json()["hires"] as? [String: Any])
        #expect(hires["strength"] as? Double == 0.3 && hires["scale"] as? Double == 2)
    }
}
