import Foundation
import SDPipeline
import Testing

/// `generate --from`, `--strip-metadata`, and `metadata`.
@Suite struct ReplayTests {
    private func bytes(_ url: URL) throws -> [UInt8] { [UInt8](try Data(contentsOf: url)) }

    private func start(_ folder: TemporaryFolder) throws {
        let pixels = (0..<3 * 70 * 50).map { UInt8($0 * 7 % 256) }
        try PNGFile.write(RGBImage(width: 70, height: 50, pixels: pixels), to: folder["start.png"])
        var mask = [UInt8](repeating: 0, count: 3 * 70 * 50)
        for index in 3000..<6000 { mask[index] = 255 }
        try PNGFile.write(RGBImage(width: 70, height: 50, pixels: mask), to: folder["mask.png"])
        var generator = TorchGenerator(seed: 3)
        try NPYArray(floats: generator.randn(count: 4 * 12 * 16), shape: [1, 4, 12, 16]).write(to: folder["noise.npy"])
    }

    /// The same file again, byte for byte, by nothing but its name.
    @Test(arguments: [
        ["a fox", "-n", "rain, \"wet\": cold", "--steps", "5", "--cfg-scale", "4.25", "-s", "18446744073709551615"],
        ["a fox", "--scheduler", "DPM++ 2M SDE Karras", "--steps", "4", "-s", "3", "-W", "96", "-H", "48"],
        ["", "--scheduler", "euler", "--sigmas", "ays", "--steps", "4", "--s-churn", "3", "--s-tmin", "0.1", "--s-tmax", "9"],
        ["a fox", "--scheduler", "euler", "--sigmas", "14.6,3.9,0.5,0"],
        ["a fox", "--scheduler", "ddpm", "--timesteps", "900,600,300,10", "--cfg-scale", "3", "-s", "2"],
        ["an owl", "--scheduler", "uni_pc_bh1", "--timestep-spacing", "trailing", "--steps", "3", "--low-memory", "-t", "1"],
        ["a fox", "--init-img", "start.png", "--strength", "0.6", "--steps", "6", "--resize", "fill"],
        ["a fox", "--init-img", "start.png", "--mask", "mask.png", "--mask-blur", "2", "--invert-mask", "--steps", "4"],
        ["a fox", "--init-img", "start.png", "--outpaint", "8,0,8,16", "--steps", "4"],
        ["a fox", "--init-latents", "noise.npy", "-W", "64", "-H", "48", "--steps", "3", "--scheduler", "plms"],
        ["-fox", "--scheduler", "euler a", "--steps", "3", "-b", "3", "-s", "9"],
        ["a fox", "--scheduler", "euler a", "--steps", "3", "-b", "3", "-s", "9", "--batch-seeds", "shared"],
        ["a (fox:1.3) AND an [owl:crab:0.5] :0.5", "-n", "[rain]", "--steps", "4", "-s", "9", "--clip-skip", "2"],
        ["a (fox:1.3)", "--prompt-syntax", "plain", "--steps", "3", "-s", "9", "--rng", "numpy", "--scheduler", "euler a"],
        [
            "a fox", "--rng", "cuda", "--variation-seed", "5", "--variation-strength", "0.3", "-b", "3", "--steps", "3", "-s",
            "9",
        ],
        ["a fox", "--rng", "cpu-a1111", "--init-img", "start.png", "--steps", "4", "--scheduler", "euler a", "-s", "1"],
    ]) func makesTheSameFile(options: [String]) throws {
        let folder = try TemporaryFolder()
        try start(folder)
        let (prompt, rest) = (options[0], Array(options.dropFirst()))
        let made = try Program.run(["generate", "--prompt", prompt] + rest + ["-o", "x-%d.png", "--json"], in: folder)
        #expect(made.code == 0, "\(made.messages)")
        let files = try #require(try made.json()["files"] as? [String])
        let file = try #require(files.last)
        let remade = try Program.run(["generate", "--from", file, "-o", "y.png"], in: folder)
        #expect(remade.code == 0, "\(remade.messages)")
        #expect(remade.messages.contains("Byte for byte the same as \(file)."), "\(remade.messages)")
        #expect(try bytes(folder["y.png"]) == bytes(URL(filePath: file)))
        #expect(folder.names.filter { $0.hasPrefix("y") } == ["y.png"])
    }

    @Test func otherOptionsComeFirst() throws {
        let folder = try TemporaryFolder()
        let made = try Program.run(
            ["generate", "a fox", "--steps", "3", "-s", "9", "--scheduler", "euler", "--s-churn", "2", "-o", "x.png"],
            in: folder)
        #expect(made.code == 0)
        let other = try Program.run(
            ["generate", "an owl", "--from", "x.png", "--steps", "2", "--scheduler", "ddim", "-o", "y.png", "--json"],
            in: folder)
        #expect(other.code == 0, "\(other.messages)")
        #expect(other.messages.contains("Not made as x.png was: "))
        #expect(other.messages.contains("prompt an owl (there a fox)") && other.messages.contains("steps 2 (there 3)"))
        let json = try other.json()
        #expect(json["scheduler"] as? String == "ddim" && json["seed"] as? Int == 9 && json["s_churn"] == nil)
        let silent = try Program.run(["generate", "--from", "x.png", "--quiet", "-o", "z.png"], in: folder)
        #expect(silent.code == 0 && silent.messages.isEmpty)
    }

    @Test func saysWhatAnotherModelChanges() throws {
        let folder = try TemporaryFolder()
        _ = try Program.run(["generate", "a fox", "--steps", "2", "-s", "9", "-o", "x.png"], in: folder)
        let model = try folder.model { copy in
            var data = try Data(contentsOf: Program.emoji.appendingPathComponent("unet/model.onnx"))
            // Padding that a reader skips: an unknown field.
            data.append(contentsOf: [0xFA, 0x3F, 0x01, 0x00])
            try copy.replace("unet/model.onnx", with: data)
        }
        let other = try Program.run(["generate", "--from", "x.png", "-m", model.path, "-o", "y.png"], in: folder)
        #expect(other.code == 0, "\(other.messages)")
        #expect(other.messages.contains("Not made as x.png was: ") && other.messages.contains("model_hash "))
    }

    @Test func stripsWhatPicturesSay() throws {
        let folder = try TemporaryFolder()
        let made = try Program.run(
            [
                "generate", "a fox", "--steps", "2", "-s", "9", "-o", "x.png", "--strip-metadata", "--save-steps", "s",
                "--strip",
                "strip.png",
            ], in: folder)
        #expect(made.code == 0, "\(made.messages)")
        for name in ["x.png", "strip.png", "s/step-001.png"] { #expect(PNGText.entries(in: try bytes(folder[name])).isEmpty) }
        let refused = try Program.run(["generate", "--from", "x.png", "-o", "y.png"], in: folder)
        #expect(
            refused.code == 1 && refused.messages.contains("x.png doesn't say how it was made: expected a text of sd-onnx, "))
        #expect(try Program.run(["metadata", "x.png"], in: folder).code == 1)
    }

    /// A picture that says how it saved evaluations may be made fast, or again as it was.
    @Test func replaysWithFastSettings() throws {
        let folder = try TemporaryFolder()
        let options = ["--steps", "3", "--seed", "1", "--scheduler", "euler-a", "-o", "x.png"]
        let made = try Program.run(["generate", "a fox", "--cache", "deep:2", "--cfg-interval", "0,0.9"] + options, in: folder)
        #expect(made.code == 0, "\(made.messages)")
        let fast = try Program.run(["generate", "--from", "x.png", "--fast", "-o", "y.png", "--json"], in: folder)
        #expect(fast.code == 0, "\(fast.messages)")
        #expect(try fast.json()["cache"] as? String == "deep:3:2")
        let again = try Program.run(["generate", "--from", "y.png", "-o", "z.png", "--json"], in: folder)
        #expect(try again.json()["cache"] as? String == "deep:3:2", "\(again.messages)")
    }

    @Test func readsOtherPrograms() throws {
        let folder = try TemporaryFolder()
        let image = try RGBImage(width: 2, height: 2, pixels: [UInt8](repeating: 0, count: 12))
        let text =
            "a (fox)\nNegative prompt: rain\nSteps: 3, Sampler: Euler a, Schedule type: Automatic, CFG scale: 3.5, Seed: 7, "
            + "Size: 64x96, Model hash: 0123456789, Model: other, ENSD: 31337, Version: v1.10.1"
        try PNGFile.write(image, to: folder["a.png"], text: [PNGText(key: "parameters", text: text)])
        let told = try Program.run(["metadata", "a.png"], in: folder)
        #expect(told.code == 0 && told.text.contains("made by          v1.10.1\nprompt           a (fox)\n"), "\(told.text)")
        #expect(told.text.contains("\nENSD             31337\n"))
        let json = try Program.run(["metadata", "a.png", "--json"], in: folder).json()
        #expect(json["source"] as? String == "a1111")
        #expect((json["settings"] as? [String: Any])?["cfg_scale"] as? Double == 3.5)
        #expect((json["texts"] as? [String: String]) == ["parameters": text])
        let made = try Program.run(["generate", "--from", "a.png", "-o", "b.png", "--json"], in: folder)
        #expect(made.code == 0, "\(made.messages)")
        let record = try made.json()
        #expect(record["rng"] as? String == "cuda-a1111" && record["height"] as? Int == 96 && record["seed"] as? Int == 7)
        #expect(
            made.messages.contains(
                "a.png was made by v1.10.1 with the model other [0123456789], this picture by sd-onnx \(ProgramVersion.current) with emoji: they may be alike, not the same."
            ), "\(made.messages)")
        #expect(made.messages.contains("Left out of a.png: ENSD: 31337, Version: v1.10.1."))
        try PNGFile.write(
            image, to: folder["c.png"], text: [PNGText(key: "parameters", text: text + ", Denoising strength: 0.5")])
        let missing = try Program.run(["generate", "--from", "c.png", "-o", "b.png"], in: folder)
        #expect(
            missing.code == 1
                && missing.messages.contains(
                    "c.png was made over another picture, which its file doesn't hold: give it with --init-img.")
        )
        #expect(try Program.run(["generate", "--from", "c.png", "-i", "a.png", "-o", "d.png"], in: folder).code == 0)
    }

    @Test func refusesWhatCantBeMadeAgain() throws {
        let folder = try TemporaryFolder()
        try start(folder)
        _ = try Program.run(["generate", "a fox", "--steps", "3", "-s", "9", "-i", "start.png", "-o", "x.png"], in: folder)
        try FileManager.default.removeItem(at: folder["start.png"])
        let missing = try Program.run(["generate", "--from", "x.png", "-o", "y.png"], in: folder)
        #expect(missing.code == 1)
        #expect(
            missing.messages.contains("x.png was made from \"start.png\" (SHA-256 ")
                && missing.messages.contains("and neither its folder nor this one has that file: give it with --init-img."))
        let clash = try Program.run(
            ["generate", "--from", "x.png", "-i", "mask.png", "--steps", "0", "-o", "y.png"], in: folder)
        #expect(clash.code == 64)
        let none = try Program.run(["generate", "--from", "none.png", "-o", "y.png"], in: folder)
        #expect(none.code == 1 && none.lines.count == 1)
        try Data("x".utf8).write(to: folder["text.png"])
        #expect(try Program.run(["metadata", "text.png"], in: folder).code == 1)
        try expectUsageError(
            ["generate", "x", "--variation-seed", "4"], saying: "--variation-seed has no effect without --variation-strength")
        try expectUsageError(
            ["generate", "x", "--rng", "dice"], saying: "expected one of torch, numpy, cuda, cpu-a1111, cuda-a1111.")
        try expectUsageError(["generate", "x", "--variation-strength", "2"], saying: "expected a number from 0 to 1.")
        let large = try Program.run(["generate", "x", "--rng", "numpy", "-s", "4294967296", "-o", "y.png"], in: folder)
        #expect(large.code == 1 && large.messages.contains("NumPy's generator takes no larger one."))
    }
}
