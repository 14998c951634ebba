import Foundation
import SDPipeline
import TestSupport
import Testing

@Suite struct GenerateTests {
    private static let quick = ["--steps", "2", "--cfg-scale", "4", "--seed", "7"]

    /// From any folder the embedded model is found; a file and standard output get the same bytes, twice.
    @Test func writesFilesAndStandardOutput() throws {
        let folder = try TemporaryFolder()
        let toFile = try Program.run(["generate", "a fox", "-o", "fox.png", "--json"] + Self.quick, in: folder)
        #expect(toFile.code == 0)
        let answer = try toFile.json()
        let keys = [
            "batch_count", "batch_seeds", "cfg_scale", "files", "half_rounding", "height", "instruction_set", "low_memory",
            "model", "model_hash", "negative_prompt", "negative_prompt_tokens", "number", "optimize", "precision", "program",
            "prompt", "prompt_cut", "prompt_tokens", "scheduler", "scheduler_class", "scheduler_overrides",
            "scheduler_settings", "seconds", "seed", "seeds", "steps", "threads", "token_limit", "tokenizer", "version",
            "width",
        ]
        #expect(answer.keys.sorted() == keys)
        #expect(answer["files"] as? [String] == [folder["fox.png"].path])
        #expect(
            answer["seed"] as? Int == 7 && answer["width"] as? Int == 64 && answer["scheduler"] as? String == "ddim")
        #expect(answer["scheduler_class"] as? String == "DDIMScheduler" && answer["prompt_cut"] as? Bool == false)
        let seconds = try #require(answer["seconds"] as? [String: Any])
        #expect(Set(seconds.keys) == ["text_encoder", "unet", "unet_evaluations", "scheduler", "vae_decoder", "total"])

        let image = try PNGFile.read(folder["fox.png"])
        #expect(image.width == 64 && image.height == 64)
        let toOutput = try Program.run(["generate", "-p", "a fox", "-o", "-", "--quiet"] + Self.quick, in: folder)
        #expect(toOutput.code == 0 && toOutput.messages.isEmpty)
        #expect(toOutput.output == (try Data(contentsOf: folder["fox.png"])))
        #expect(folder.names == ["fox.png"])
    }

    @Test func sparingMemoryGivesTheSamePicture() throws {
        let folder = try TemporaryFolder()
        for options in [
            ["-o", "a.png", "--save-latents", "a.npy"], ["-o", "b.png", "--save-latents", "b.npy", "--low-memory"],
        ] {
            #expect(try Program.run(["generate", "a fox"] + options + Self.quick, in: folder).code == 0)
        }
        // Weights that aren't packed are multiplied in another order where pixels are few.
        let latents = try ["a", "b"].map { try NPYArray(contentsOf: folder["\($0).npy"]).floats() }
        expectClose(latents[1], latents[0], shape: [1, 4, 16, 16], within: Tolerance(ofLargest: 2e-5))
        let pixels = try ["a", "b"].map { try PNGFile.read(folder["\($0).png"]).pixels }
        expectClose(pixels[1], pixels[0], shape: [64, 64, 3], within: 1)
    }

    /// Pictures say where halves were rounded, where that isn't the default.
    @Test func recordsHalfRounding() throws {
        let folder = try TemporaryFolder()
        for place in ["outputs", "nodes"] {
            let outcome = try Program.run(
                ["generate", "a fox", "--half-rounding", place, "-o", "\(place).png", "--json"] + Self.quick, in: folder)
            #expect(outcome.code == 0, "\(outcome.messages)")
            #expect(try outcome.json()["half_rounding"] as? String == place)
            let entries = PNGText.entries(in: [UInt8](try Data(contentsOf: folder["\(place).png"])))
            #expect(entries.contains { $0.text.contains("Half rounding: nodes") } == (place == "nodes"))
        }
    }

    /// Pairs of bfloat16 give a picture of their own, which says so.
    @Test func roundsFactors() throws {
        let folder = try TemporaryFolder()
        for (precision, name) in [("fp32", "a"), ("bf16", "b")] {
            let outcome = try Program.run(
                ["generate", "a fox", "--precision", precision, "-o", "\(name).png", "--save-latents", "\(name).npy", "--json"]
                    + Self.quick, in: folder, environment: ["SD_ONNX_CPU": "avx2+bf16"])
            #expect(outcome.code == 0)
            #expect(try outcome.json()["precision"] as? String == precision)
            let text = PNGText.entries(in: [UInt8](try Data(contentsOf: folder["\(name).png"]))).map(\.text).joined()
            #expect(text.contains("Precision: bf16") == (precision == "bf16"))
        }
        let latents = try ["a", "b"].map { try NPYArray(contentsOf: folder["\($0).npy"]).floats() }
        let scale = latents[0].reduce(0) { max($0, abs($1)) }
        let difference = zip(latents[0], latents[1]).reduce(0) { max($0, abs($1.0 - $1.1)) }
        // Where the machine has no vectors for the kernels, OpenBLAS multiplies, in single precision.
        #expect(difference < 0.1 * scale)
        let bench = try Program.run(
            [
                "bench", Program.emoji.path, "--component", "unet", "--iterations", "1", "--warmup", "0", "--precision", "bf16",
                "--json", "-",
            ], in: folder, environment: ["SD_ONNX_CPU": "avx2+bf16"])
        let report = try bench.json()
        #expect(report["precision"] as? String == "bf16")
        let hasVectors = (report["machine"] as? [String: Any])?["instruction_set"] as? String == "avx2"
        #expect(bench.text.contains("\"pre-packed bf16 GEMM\"") == hasVectors)
        #expect(bench.text.contains("\"bf16 panels\"") == hasVectors)
        #expect((difference > 0) == hasVectors)
    }

    /// The options reach the pipeline: the same picture as diffusers' (Tests/References/pictures.py).
    @Test func samePictureAsDiffusers() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            [
                "generate", "a red apple on a blue background", "--steps", "20", "--cfg-scale", "4", "--seed", "0",
                "--scheduler",
                "DDPMScheduler", "-o", "apple.png",
            ], in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        let found = try PNGFile.read(folder["apple.png"])
        let strip = try PNGFile.read(
            Program.root.appendingPathComponent("Tests/SDPipelineTests/Fixtures/pictures/DDPMScheduler-apple.png"))
        // The reference is the first picture of a strip.
        try expectClose(found.pixels, strip.column(0, width: 64).pixels, shape: [64, 64, 3], within: 2)
    }

    @Test(arguments: [
        ("out-%03d.png", ["out-001.png", "out-002.png"]), ("out.png", ["out.png", "out_2.png"]),
        ("100%%.png", ["100%.png", "100%_2.png"]),
    ]) func numbersFiles(pattern: String, names: [String]) throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(["generate", "a fox", "-b", "2", "-o", pattern] + Self.quick, in: folder)
        #expect(outcome.code == 0 && outcome.output.isEmpty)
        #expect(folder.names == names)
        let pictures = try names.map { try PNGFile.read(folder[$0]) }
        #expect(pictures[0] != pictures[1])
    }

    @Test func takesSizes() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(["generate", "x", "-W", "96", "-H", "32", "-o", "x.png"] + Self.quick, in: folder)
        #expect(outcome.code == 0)
        let image = try PNGFile.read(folder["x.png"])
        #expect(image.width == 96 && image.height == 32)
    }

    /// Any text is a prompt, such as one that looks like an option, is empty, or is far too long.
    @Test func takesAnyPrompt() throws {
        let long = String(repeating: "fox ", count: 3000)
        let warning =
            "The prompt has 6000 tokens; the text encoder takes 30, the rest is cut off (the prompt syntax a1111 takes all, in chunks)."
        for (prompt, message) in [("", nil), ("🦊 e\u{301}", nil), ("--steps", nil), (long, warning)] {
            let folder = try TemporaryFolder()
            let outcome = try Program.run(["generate", "--prompt", prompt, "-o", "x.png"] + Self.quick, in: folder)
            #expect(outcome.code == 0, "\(outcome.messages)")
            #expect(message.map { $0 == outcome.lines.first ?? "" } ?? (outcome.lines.count == 3))
        }
        let invalid = try Program.shell(
            "\"$P\" generate \"$(printf '\\377\\376 fox')\" --steps 1 -o x.png", in: TemporaryFolder())
        #expect(invalid.code == 0)
    }

    /// Noise given as a file is the same as the seed's, whatever the seed; the saved latents are diffusers' own.
    @Test func latentsRoundTrip() throws {
        let folder = try TemporaryFolder()
        var generator = TorchGenerator(seed: 7)
        let noise = try NPYArray(floats: generator.randn(count: 4 * 16 * 16), shape: [1, 4, 16, 16])
        try noise.write(to: folder["noise.npy"])
        let drawn = try Program.run(["generate", "a fox", "-o", "a.png", "--save-latents", "a.npy"] + Self.quick, in: folder)
        let given = try Program.run(
            [
                "generate", "a fox", "-o", "b.png", "--save-latents", "b.npy", "--init-latents", "noise.npy", "--steps", "2",
                "--cfg-scale", "4", "--seed", "99",
            ], in: folder)
        #expect(drawn.code == 0 && given.code == 0)
        try expectEqual(PNGFile.read(folder["a.png"]).pixels, PNGFile.read(folder["b.png"]).pixels)
        #expect(try Data(contentsOf: folder["a.npy"]) == Data(contentsOf: folder["b.npy"]))
        #expect(try NPYArray(contentsOf: folder["a.npy"]).shape == [1, 4, 16, 16])

        let pictures = Program.root.appendingPathComponent("Tests/SDPipelineTests/Fixtures/pictures")
        let initial = pictures.appendingPathComponent("DDIMScheduler-apple-1-initial.npy").path
        let outcome = try Program.run(
            [
                "generate", "a red apple on a blue background", "--steps", "20", "--cfg-scale", "4", "--scheduler", "ddim",
                "--init-latents", initial, "--save-latents", "final.npy", "-o", "c.png",
            ], in: folder)
        #expect(outcome.code == 0)
        let expected = try NPYArray(contentsOf: pictures.appendingPathComponent("DDIMScheduler-apple-1-final.npy")).floats()
        let found = try NPYArray(contentsOf: folder["final.npy"]).floats()
        expectClose(found, expected, shape: [1, 4, 16, 16], within: Tolerance(absolute: 5e-3))
    }

    @Test func drawsSeeds() throws {
        let folder = try TemporaryFolder()
        let seeds = try ["-1", "-1", "18446744073709551615"].map { seed in
            let outcome = try Program.run(["generate", "x", "--steps", "1", "--seed", seed, "--json", "--quiet"], in: folder)
            return try #require(try outcome.json()["seed"] as? NSNumber).uint64Value
        }
        #expect(seeds[0] != seeds[1] && seeds[0] <= UInt32.max && seeds[2] == .max)
        #expect(folder.names == ["output.png"])
    }

    /// The picture carries the settings that it was made with.
    @Test func describesPictures() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(["generate", "a fox", "-n", "rain", "-o", "x.png"] + Self.quick, in: folder)
        #expect(outcome.code == 0)
        let content = String(decoding: try Data(contentsOf: folder["x.png"]), as: Unicode.ASCII.self)
        #expect(
            content.contains(
                "a fox\nNegative prompt: rain\nSteps: 2, Sampler: DDIM, Schedule type: Automatic, CFG scale: 4, Seed: 7, Size: 64x64, Model hash: "
            ))
    }

    @Test func printsPlainLinesOfProgress() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(["generate", "a fox", "-o", "x.png"] + Self.quick, in: folder)
        #expect(outcome.lines.count == 3)
        #expect(outcome.lines[0].hasPrefix("Steps 1/2, ") && outcome.lines[1].hasPrefix("Steps 2/2, "))
        #expect(outcome.lines[2].contains("x.png (seed 7, ddim): "))
        #expect(!outcome.messages.contains("\r") && !outcome.messages.contains("\u{1B}"))
    }

    /// On a terminal the bar redraws one line.
    @Test func drawsABarOnATerminal() throws {
        let folder = try TemporaryFolder()
        let command = "\\\"$P\\\" generate 'a fox' -o x.png " + Self.quick.joined(separator: " ")
        #if os(Linux)
            let outcome = try Program.shell("script -qec \"\(command)\" /dev/null", in: folder)
        #else
            let outcome = try Program.shell("script -q /dev/null sh -c \"\(command)\"", in: folder)
        #endif
        let shown = outcome.text
        #expect(outcome.code == 0 && folder.names == ["x.png"])
        #expect(shown.hasPrefix("\r\u{1B}[KSteps [.....") && shown.contains("\r\u{1B}[KSteps [####"))
        #expect(shown.contains("steps/s") && shown.contains("0:0") && shown.contains(" left"))
    }
}
