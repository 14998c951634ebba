import Foundation
import SDPipeline
import Testing

/// `upscale`, and `generate --hires`. What they compute is judged in SDPipelineTests.
@Suite struct UpscaleTests {
    static let fixtures = Program.root.appendingPathComponent("Tests/SDPipelineTests/Fixtures/upscale")
    static let picture = fixtures.appendingPathComponent("picture.png")
    static let network = fixtures.appendingPathComponent("rgb.onnx").path

    /// The network's factor, with the transparency of the picture.
    @Test func enlargesPictures() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            ["upscale", Self.picture.path, "--model", Self.network, "-o", "x.png", "--tile", "24", "--tile-overlap", "3"],
            in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        #expect(outcome.messages.contains("53×38 became 212×152 pixels."), "\(outcome.messages)")
        let (image, opacity) = try PictureSource(contentsOf: folder["x.png"]).decodedWithOpacity()
        let expected = try PNGFile.read(Self.fixtures.appendingPathComponent("rgb.png"))
        #expect(zip(image.pixels, expected.pixels).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
        let before = try #require(try PictureSource(contentsOf: Self.picture).decodedWithOpacity().opacity)
        let after = try #require(opacity)
        #expect(after.count == 16 * before.count)
        // In the middle of each pixel of before, nearly as before.
        for index in before.indices {
            let place = (index / 53 * 4 + 2) * 212 + index % 53 * 4 + 2
            #expect(abs(Int(after[place]) - Int(before[index])) <= 24)
        }
        let piped = try Program.run(["upscale", Self.picture.path, "-m", Self.network, "-o", "-", "--quiet"], in: folder)
        #expect(try PNGFile.decode([UInt8](piped.output)).width == 212 && piped.messages.isEmpty)
    }

    /// A factor of one's own, an opaque picture, and a network of bytes' range.
    @Test func takesOptions() throws {
        let folder = try TemporaryFolder()
        try PNGFile.write(PNGFile.read(Self.picture), to: folder["opaque.png"])
        let outcome = try Program.run(
            [
                "upscale", "opaque.png", "-m", Self.fixtures.appendingPathComponent("last.onnx").path, "--white", "255",
                "--scale",
                "1.5", "--tile", "0", "-o", "x.png",
            ], in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        let source = try PictureSource(contentsOf: folder["x.png"])
        #expect((source.width, source.height) == (80, 57))
        #expect(try source.decodedWithOpacity().opacity == nil)
    }

    @Test func refusesWhatIsNoNetwork() throws {
        let folder = try TemporaryFolder()
        func failure(_ arguments: [String]) throws -> String {
            let outcome = try Program.run(["upscale"] + arguments + ["-o", "x.png"], in: folder)
            #expect(outcome.code == 1 && folder.names.isEmpty, "\(outcome.messages)")
            return outcome.messages
        }
        for (name, sentence) in [
            ("refused-fraction.onnx", "expected a picture that is a whole number of times larger."),
            ("refused-vector.onnx", "expected a picture that is a whole number of times larger."),
            ("refused-two.onnx", "expected a super-resolution network's one picture."),
            ("refused-channels.onnx", "expected pictures: [N, 3, height, width]"), ("none.onnx", "doesn't exist"),
            ("cases.json", "cases.json"),
        ] {
            let messages = try failure([Self.picture.path, "-m", Self.fixtures.appendingPathComponent(name).path])
            #expect(messages.contains(sentence), "\(name): \(messages)")
        }
        #expect(try failure(["none.png", "-m", Self.network]).contains("none.png can't be read"))
        #expect(try failure([Self.network, "-m", Self.network]).contains("expected a PNG or JPEG picture."))
        #expect(
            try failure([Self.picture.path, "-m", Self.network, "--tile", "16"]).contains(
                "Tiles of 16 pixels overlap by 16 on each side, which leaves nothing of them"))
        for (arguments, sentence) in [
            (["upscale", "a.png"], "Missing expected argument '--model"),
            (["upscale", "a.png", "-m", "x", "--scale", "0"], "expected a number above 0, up to 64."),
            (["upscale", "a.png", "-m", "x", "--white", "2"], "expected one of 1, 255."),
            (["upscale", "a.png", "-m", "x", "--tile", "-1"], "expected a whole number from 0 to 8192."),
            (["upscale", "a.png", "-m", "x", "-o", "x.jpg"], "--output"),
            (["generate", "x", "--hires-strength", "1"], "--hires-strength is for a second pass: --hires SCALE asks for one."),
            (["generate", "x", "--hires-prompt", "y"], "--hires-prompt is for a second pass: --hires SCALE asks for one."),
            (
                ["generate", "x", "--hires", "2", "--hires-height", "64"],
                "--hires and --hires-height both say how large the picture becomes: give one."
            ),
            (["generate", "x", "--hires", "2", "--hires-scheduler", "eulr"], "There is no scheduler"),
            (["generate", "x", "--hires", "0.5"], "expected a number from 1 to 16."),
            (["generate", "x", "--hires", "2", "--hires-upscaler", "esrgan"], "expected one of latent, latent-antialiased"),
            (["generate", "x", "--hires", "2", "--init-img", "a.png"], "--hires is for pictures from a prompt alone"),
            (["generate", "x", "--hires", "2", "--refiner", "r"], "--hires and --refiner both add a second pass: give one."),
        ] {
            try expectUsageError(arguments, saying: sentence)
        }
        let missing = try Program.run(
            ["generate", "x", "--hires", "2", "--hires-upscaler", "none.onnx", "-o", "y.png"], in: folder)
        #expect(missing.code == 1 && missing.messages.contains("none.onnx doesn't exist, expected a super-resolution network."))
        #expect(folder.names.isEmpty)
    }

    /// What is asked for is in the record, and in the text that other programs read.
    @Test func recordsSecondPasses() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            [
                "generate", "a fox", "--steps", "4", "-s", "3", "--hires", "1.5", "--hires-strength", "0.5", "--hires-steps",
                "3",
                "--hires-upscaler", Self.network, "-o", "x.png", "--save-steps", "steps", "--json",
            ], in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        let image = try PNGFile.read(folder["x.png"])
        #expect((image.width, image.height) == (96, 96))
        #expect(try PNGFile.read(folder["steps/step-000.png"]).width == 64)
        #expect(try PNGFile.read(folder["steps/step-007.png"]) == image)
        let hires = try #require(try outcome.json()["hires"] as? [String: Any])
        #expect(hires["upscaler"] as? String == "rgb.onnx" && hires["width"] as? Int == 96 && hires["steps"] as? Int == 3)
        let record = try #require(try GenerationRecord(png: [UInt8](Data(contentsOf: folder["x.png"]))))
        #expect(
            record.parameters.contains("Size: 64x64, ") && record.parameters.contains(", Denoising strength: 0.5, ")
                && record.parameters.contains("Hires upscale: 1.5, Hires steps: 3, Hires upscaler: rgb"), "\(record.parameters)"
        )
        let settings = PictureSettings(record.infotext)
        #expect(
            settings.hiresScale == 1.5 && settings.hiresStrength == 0.5 && settings.hiresSteps == 3 && settings.strength == nil)
    }

    /// A picture of AUTOMATIC1111's web interface that was enlarged.
    @Test func makesPicturesOfOtherProgramsAgain() throws {
        let folder = try TemporaryFolder()
        let start =
            "a fox\nSteps: 3, Sampler: Euler a, Schedule type: Automatic, CFG scale: 3.5, Seed: 7, Size: 64x64, RNG: CPU, "
        func write(_ name: String, _ end: String) throws {
            try PNGFile.write(
                RGBImage(width: 1, height: 1, pixels: [0, 0, 0]), to: folder[name],
                text: [PNGText(key: "parameters", text: start + end + ", Version: v1.10.1")])
        }
        try write("a.png", "Denoising strength: 0.6, Hires upscale: 2, Hires steps: 2, Hires upscaler: Latent (nearest-exact)")
        let made = try Program.run(["generate", "--from", "a.png", "-o", "b.png"], in: folder)
        #expect(made.code == 0, "\(made.messages)")
        let same = try Program.run(
            [
                "generate", "a fox", "--steps", "3", "--scheduler", "Euler a Uniform", "--cfg-scale", "3.5", "-s", "7", "--rng",
                "cpu-a1111",
                "--prompt-syntax", "a1111", "--hires", "2", "--hires-strength", "0.6", "--hires-steps", "2", "--hires-upscaler",
                "latent-nearest-exact", "-o", "c.png",
            ], in: folder)
        #expect(same.code == 0, "\(same.messages)")
        #expect(try PNGFile.read(folder["b.png"]) == PNGFile.read(folder["c.png"]))
        #expect(try PNGFile.read(folder["b.png"]).width == 128)
        try write("d.png", "Denoising strength: 0.6, Hires upscale: 2, Hires upscaler: R-ESRGAN 4x+")
        let missing = try Program.run(["generate", "--from", "d.png", "-o", "e.png"], in: folder)
        #expect(
            missing.code == 1
                && missing.messages.contains(
                    "d.png was enlarged by \"R-ESRGAN 4x+\": give the network as --hires-upscaler MODEL.onnx."),
            "\(missing.messages)")
        let given = try Program.run(
            ["generate", "--from", "d.png", "--hires-upscaler", Self.network, "-o", "e.png"], in: folder)
        #expect(given.code == 0, "\(given.messages)")
        #expect(try PNGFile.read(folder["e.png"]).width == 128)
        try write("f.png", "Denoising strength: 0.6, Hires resize: 100x128, Hires upscaler: Latent")
        let resized = try Program.run(["generate", "--from", "f.png", "-o", "g.png"], in: folder)
        #expect(resized.code == 0, "\(resized.messages)")
        let image = try PNGFile.read(folder["g.png"])
        #expect((image.width, image.height) == (96, 128))
        #expect(try Program.run(["generate", "--from", "f.png", "--hires", "1.5", "-o", "h.png"], in: folder).code == 0)
        #expect(try PNGFile.read(folder["h.png"]).width == 96)
        try write(
            "i.png",
            "Denoising strength: 0.6, Hires sampler: DPM++ 2M, Hires schedule type: Karras, Hires prompt: \"an owl, red\", Hires negative prompt: gray, Hires upscale: 1.5, Hires CFG Scale: 2, Hires upscaler: Nearest"
        )
        let own = try Program.run(["generate", "--from", "i.png", "-o", "j.png"], in: folder)
        #expect(own.code == 0 && !own.messages.contains("Hires"), "\(own.messages)")
        let typed = try Program.run(
            [
                "generate", "a fox", "--steps", "3", "--scheduler", "Euler a Uniform", "--cfg-scale", "3.5", "-s", "7", "--rng",
                "cpu-a1111", "--prompt-syntax", "a1111", "--hires", "1.5", "--hires-strength", "0.6", "--hires-upscaler",
                "nearest", "--hires-scheduler", "dpm++ 2m karras", "--hires-prompt", "an owl, red", "--hires-negative-prompt",
                "gray", "--hires-cfg-scale", "2", "-o", "k.png",
            ], in: folder)
        #expect(typed.code == 0, "\(typed.messages)")
        #expect(try PNGFile.read(folder["j.png"]) == PNGFile.read(folder["k.png"]))
    }
}
