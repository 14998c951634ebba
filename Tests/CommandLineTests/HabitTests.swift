import Foundation
import SDPipeline
import TestSupport
import Testing

/// What people type who know other programs of this field, and what they get wrong.
@Suite struct HabitTests {
    private static let quick = ["--seed", "7", "--quiet"]

    @Test func takesTheNamesOfOtherPrograms() throws {
        let folder = try TemporaryFolder()
        let own = try Program.run(
            [
                "generate", "--prompt", "a fox", "--negative-prompt", "rain", "--scheduler", "euler", "--steps", "2",
                "--cfg-scale", "4", "--width", "96", "--height", "64", "--batch-count", "2", "--output", "a.png",
            ] + Self.quick, in: folder)
        #expect(own.code == 0, "\(own.messages)")
        let others = [
            [
                "generate", "-p", "a fox", "--negative", "rain", "--sampler", "euler", "--num-inference-steps", "2",
                "--guidance-scale", "4", "-W", "96", "-H", "64", "--batch-size", "2", "--out", "b.png",
            ],
            [
                "txt2img", "a fox", "--neg-prompt", "rain", "--sampling-method", "euler", "--sampling-steps", "2", "--cfg", "4",
                "--W", "96", "--H", "64", "--num-images", "2", "--output-path", "b.png", "--model-path", Program.emoji.path,
            ],
        ]
        for arguments in others {
            let outcome = try Program.run(arguments + Self.quick, in: folder)
            #expect(outcome.code == 0, "\(outcome.messages)")
            for suffix in ["", "_2"] {
                try expectEqual(PNGFile.read(folder["a\(suffix).png"]).pixels, PNGFile.read(folder["b\(suffix).png"]).pixels)
            }
        }
        let again = ["--steps", "4"] + Self.quick
        let own2 = ["generate", "a fox", "--init-img", "a.png", "--strength", "0.5", "-o", "c.png"]
        #expect(try Program.run(own2 + again, in: folder).code == 0)
        for option in ["-i", "--init-image", "--image"] {
            let outcome = try Program.run(
                ["img2img", "a fox", option, "a.png", "--denoising-strength", "0.5", "-o", "d.png"] + again, in: folder)
            #expect(outcome.code == 0, "\(outcome.messages)")
            try expectEqual(PNGFile.read(folder["c.png"]).pixels, PNGFile.read(folder["d.png"]).pixels)
        }
    }

    /// A value that looks like one of these names stays a value.
    @Test func keepsValuesThatLookLikeOptions() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(["generate", "-p", "--sampler", "--steps", "1", "--json"] + Self.quick, in: folder)
        #expect(try outcome.json()["prompt"] as? String == "--sampler")
    }

    /// Nothing behind an equals sign is an empty value, and not the next argument.
    @Test func takesEmptyValues() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            ["generate", "a fox", "--negative-prompt=", "--steps=1", "--json"] + Self.quick, in: folder)
        #expect(try outcome.json()["negative_prompt"] as? String == "")
        #expect(try outcome.json()["steps"] as? Int == 1)
        try expectUsageError(["generate", "a fox", "--steps=", "3"], saying: "The value '' is invalid for '--steps <steps>'")
        try expectUsageError(["generate", "a fox", "--quiet="], saying: "Unexpected argument ''")
        let afterTheEnd = try Program.run(["generate", "--steps=1", "--json"] + Self.quick + ["--", "--x="], in: folder)
        #expect(try afterTheEnd.json()["prompt"] as? String == "--x=")
    }

    /// What is suggested for what nobody has, and where nothing comes near, nothing.
    @Test(arguments: [
        (["generat", "x"], "Did you mean 'generate'?"), (["genrate", "x"], "Did you mean 'generate'?"),
        (["inspct", "x"], "Did you mean 'inspect'?"), (["tokenise", "x"], "Did you mean 'tokenize'?"),
        (["compre", "x"], "Did you mean 'compare'?"), (["sheduler"], "Did you mean 'schedulers'?"),
        (["a fox"], "Pictures are made by 'sd-onnx generate \"a fox\"'."),
        (["-p", "a fox"], "Pictures are made by 'sd-onnx generate \"a fox\"'."), (["list"], nil), (["-v"], nil),
        (["--versoin"], "Did you mean '--version'?"), (["generate", "x", "--stps", "3"], "Did you mean '--steps'?"),
        (["generate", "x", "--setps", "3"], "Did you mean '--steps'?"),
        (["generate", "x", "--cfg_scale", "3"], "Did you mean '--cfg-scale'?"),
        (["generate", "x", "--negativeprompt", "a"], "Did you mean '--negative-prompt'?"),
        (["generate", "x", "--seeds", "3"], "Did you mean '--seed'?"),
        (["generate", "x", "--init-im", "3"], "Did you mean '--init-img'?"),
        (["generate", "x", "--low-mem"], "Did you mean '--low-memory'?"),
        (["generate", "x", "--loras", "foo"], "Did you mean '--lora'?"),
        (["generate", "x", "--gpu"], nil), (["generate", "x", "--w", "64"], nil),
        (["generate", "x", "--hires-scal", "2"], "Did you mean '--hires-scale'?"), (["generate", "x", "--fp16"], nil),
        (["generate", "x", "-v"], nil),
        (["inspect", "x", "--weight"], "Did you mean '--weights'?"),
        (["bench", "compre", "a", "b"], "Did you mean 'bench compare'?"),
        (["bench", "compare", "a", "b", "--treshold", "3"], "Did you mean '--threshold'?"),
        (["schedulers", "shw", "euler"], "Did you mean 'schedulers show'?"),
        (["schedulers", "euler"], "Did you mean 'schedulers show euler'?"),
        (["schedulers", "show", "euler", "--plt", "x.svg"], "Did you mean '--plot'?"),
        (["generate", "x", "--scheduler", "karras"], "noise levels are chosen beside it, with --sigmas karras."),
        (["generate", "x", "--scheduler", "foo"], nil), (["generate", "x", "--scheduler", "zzzzz"], nil),
        (["generate", "x", "--scheduler", "hen"], "Did you mean heun?"),
    ]) func suggestsWhatMakesSense(arguments: [String], suggestion: String?) throws {
        let outcome = try Program.run(arguments, in: TemporaryFolder())
        #expect(outcome.code == 64)
        let first = try #require(outcome.lines.first)
        #expect(first.hasPrefix("Error: "))
        if let suggestion { #expect(first.contains(suggestion)) } else { #expect(!first.contains("Did you mean")) }
        #expect(outcome.lines.dropFirst().contains { $0.hasPrefix("Usage: sd-onnx") })
    }

    @Test func saysItsVersion() throws {
        let outcome = try Program.run(["--version"], in: TemporaryFolder())
        #expect(outcome.code == 0 && outcome.messages.isEmpty)
        let lines = outcome.text.split(separator: "\n")
        #expect(lines.first == "sd-onnx \(ProgramVersion.current)")
        let parts = lines.dropFirst().map { $0.split(separator: " ") }
        #expect(parts.map { $0.first } == ["instruction", "OpenBLAS", "protobuf-c", "libpng", "libjpeg-turbo"])
        #expect(["plain", "avx2", "avx512"].contains(parts.first?.last ?? ""))
        for line in parts.dropFirst() { #expect(line[1].contains(".") && line[1].first?.isNumber == true) }
    }

    /// The shell reads ~ only at the start of a word.
    @Test func takesThePersonsFolder() throws {
        let folder = try TemporaryFolder()
        let home = ["HOME": folder.url.path]
        try FileManager.default.createSymbolicLink(at: folder["model"], withDestinationURL: Program.emoji)
        let quick = ["generate", "x", "--steps", "1", "-o"]
        for (arguments, environment) in [
            (["~/a.png", "--model=~/model"], home), (["b.png"], home.merging(["SD_ONNX_MODEL": "~/model"]) { $1 }),
        ] {
            let outcome = try Program.run(quick + arguments + Self.quick, in: folder, environment: environment)
            #expect(outcome.code == 0, "\(outcome.messages)")
        }
        #expect(folder.names == ["a.png", "b.png", "model"])
    }

    /// Lines fit the terminal, or 100 columns elsewhere; words that are longer than a line stay whole.
    @Test func schedulersFitTheWidth() throws {
        let folder = try TemporaryFolder()
        for arguments in [["schedulers"], ["schedulers", "show", "dpm++2m karras", "--steps", "3"]] {
            let outcome = try Program.run(arguments, in: folder)
            let lines = outcome.text.split(separator: "\n")
            #expect(outcome.code == 0 && lines.count > 3 && lines.allSatisfy { $0.count <= 100 })
        }
        #if os(Linux)
            let shown = try Program.shell("script -qec 'stty cols 80; \"$P\" schedulers' /dev/null", in: folder)
            // Without what makes the heading bold.
            let lines = shown.text.replacing(/\u{1B}\[[0-9]*m/, with: "").split(separator: "\r\n")
            #expect(shown.code == 0 && lines.count > 20 && lines.allSatisfy { $0.count <= 80 })
            #expect(shown.text.contains("also called"))
        #endif
        let karras = try Program.run(["schedulers", "show", "dpm++2m karras", "--steps", "3"], in: folder)
        #expect(karras.text.hasPrefix("DPMSolverMultistepScheduler, use_karras_sigmas true: "))
    }
}
