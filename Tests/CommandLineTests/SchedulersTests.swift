import Foundation
import SDPipeline
import TestSupport
import Testing

@Suite struct SchedulersTests {
    private static let pictures = Program.root.appendingPathComponent("Tests/SDPipelineTests/Fixtures/pictures")
    private static let quick = ["--steps", "2", "--cfg-scale", "4", "--seed", "7", "--quiet"]

    @Test func listsAllSchedulers() throws {
        let outcome = try Program.run(["schedulers"], in: TemporaryFolder())
        #expect(outcome.code == 0 && outcome.messages.isEmpty)
        let entries = try Program.run(["schedulers", "list", "--json"], in: TemporaryFolder())
        #expect(entries.code == 0)
        // Long lines are wrapped.
        let text = outcome.text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        for descriptor in SchedulerRegistry.standard.descriptors {
            #expect(text.contains(descriptor.className) && text.contains(descriptor.paper))
            #expect(entries.text.contains(descriptor.paper))
        }
    }

    @Test func showsTimestepsAndDrawsThem() throws {
        let folder = try TemporaryFolder()
        for file in ["x.svg", "x.png"] {
            let outcome = try Program.run(
                ["schedulers", "show", "DPM++ 2M Karras", "--steps", "5", "--json", "--plot", file], in: folder)
            #expect(outcome.code == 0, "\(outcome.messages)")
            let answer = try outcome.json()
            #expect(answer["class_name"] as? String == "DPMSolverMultistepScheduler")
            #expect((answer["timesteps"] as? [Double])?.count == 5 && (answer["sigmas"] as? [Double])?.count == 6)
        }
        #expect(try String(contentsOf: folder["x.svg"], encoding: .utf8).contains("</svg>"))
        let drawing = try PNGFile.read(folder["x.png"])
        #expect(drawing.width == 640)
        // The title is text in the drawing too.
        let title = drawing.pixels[3 * 640 * 12..<3 * 640 * 22]
        #expect(title.contains { $0 < 64 })
        let table = try Program.run(["schedulers", "show", "euler", "--timesteps", "999,500,10"], in: folder)
        #expect(table.code == 0 && table.text.contains("  beta_end 0.012\n"))
    }

    @Test(arguments: [
        (["schedulers", "show", "eulr"], "Did you mean euler"),
        (["schedulers", "show", "euler", "--plot", "x.gif"], "ends with .svg"),
        (["generate", "x", "--scheduler", "euler,nope"], "There is no scheduler \"nope\""),
        (["generate", "x", "--sigmas", "wavy"], "expected one of beta, exponential"),
        (["generate", "x", "--timesteps", "5", "--sigmas", "karras"], "give one"),
        (["generate", "x", "--every", "2"], "needs --save-steps or --strip"),
        (["generate", "x", "--scheduler", "euler", "--compare-schedulers"], "give one"),
        (["schedulers", "show", "euler", "--strength", "1.5"], "from 0 to 1"),
        (
            ["generate", "x", "--fast", "--cache", "deep:2"],
            "--fast decides how evaluations are saved, and --cache does so too"
        ),
        (["generate", "x", "--fast", "--cfg-interval", "0,0.5"], "and --cfg-interval does so too: give one"),
    ]) func refusesWrongOptions(arguments: [String], part: String) throws {
        try expectUsageError(arguments, saying: part)
    }

    /// Of several schedulers each is fast in its own way, and of all of them those are left out that can't be.
    @Test(arguments: [
        (["--scheduler", "euler,euler-a", "--fast"], false), (["--compare-schedulers", "--fast"], true),
        (["--compare-schedulers", "--cache", "forecast"], true),
    ]) func comparesFastSettings(options: [String], leavesOut: Bool) throws {
        let folder = try TemporaryFolder()
        let made = try Program.run(["generate", "a fox", "--steps", "3", "--seed", "1", "-o", "x.png"] + options, in: folder)
        #expect(made.code == 0, "\(made.messages)")
        #expect(made.messages.contains(" is left out. ") == leavesOut, "\(made.messages)")
        #expect(folder.names == ["x.png"])
    }

    /// An option that a scheduler doesn't have is named.
    @Test(arguments: [
        (["--scheduler", "ddim", "--sigmas", "karras"], "no option use_karras_sigmas"),
        (["--scheduler", "euler", "--eta", "0.5"], "no option eta"),
        (["--scheduler", "ddim", "--timesteps", "9,5"], "no option timesteps"),
        (["--scheduler", "ddim", "--sigmas", "ays", "--steps", "9"], "no option sigmas ays"),
        (["--scheduler", "ipndm", "--timestep-spacing", "leading"], "no option timestep_spacing"),
        (["--scheduler", "ddim", "--s-churn", "3"], "no option s_churn"),
        (["--scheduler", "dpm++sde", "--s-tmin", "3"], "no option s_tmin"),
        (["--scheduler", "euler", "--s-churn", "-3"], "expected a number of at least 0"),
    ]) func refusesOptionsOfOthers(options: [String], part: String) throws {
        try expectFailure(["generate", "x"] + options, saying: part)
    }

    /// A run over a given picture takes the last steps: as many evaluations as in diffusers' image-to-image.
    @Test func showsWhatStrengthLeaves() throws {
        func shown(_ arguments: [String]) throws -> [Double] {
            let outcome = try Program.run(["schedulers", "show", "--steps", "10", "--json"] + arguments, in: TemporaryFolder())
            #expect(outcome.code == 0, "\(outcome.messages)")
            return try #require(try outcome.json()["timesteps"] as? [Double])
        }
        let all = try shown(["ddim"])
        #expect(all.count == 10)
        #expect(try shown(["ddim", "--strength", "0.55"]) == Array(all.suffix(5)))
        #expect(try shown(["ddim", "--strength", "0"]).isEmpty)
        #expect(try shown(["heun", "--strength", "0.5"]).count == 9)
    }

    @Test func reportsUnknownKeys() throws {
        let folder = try TemporaryFolder()
        let model = try folder.model { try $0.set("beta_begin", 1, in: "scheduler/scheduler_config.json") }
        for arguments in [
            ["schedulers", "show", "ddim"], ["generate", "a fox", "--steps", "1"],
            ["generate", "a fox", "--steps", "1", "--scheduler", "ddim,euler"],
        ] {
            let outcome = try Program.run(arguments + ["-m", model.path], in: folder)
            #expect(outcome.code == 0)
            #expect(outcome.messages.contains("No scheduler knows these keys of scheduler_config.json: beta_begin."))
        }
    }

    @Test func addsNoiseBack() throws {
        let folder = try TemporaryFolder()
        let plain = ["generate", "a fox", "--scheduler", "euler"] + Self.quick
        for (name, options) in [
            ("none", []), ("some", ["--s-churn", "1", "--s-noise", "1.01"]),
            ("outside", ["--s-churn", "1", "--s-tmin", "0.001", "--s-tmax", "0.002"]),
        ] {
            #expect(try Program.run(plain + options + ["-o", "\(name).png"], in: folder).code == 0)
        }
        let pictures = try ["none", "some", "outside"].map { try PNGFile.read(folder["\($0).png"]) }
        #expect(pictures[0] != pictures[1] && pictures[0] == pictures[2])
    }

    @Test func comparesSchedulers() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            ["generate", "a fox", "--scheduler", "euler, heun", "-o", "x.png", "--json"] + Self.quick, in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        #expect(outcome.text.contains("\"unet_evaluations\" : 2") && outcome.text.contains("\"unet_evaluations\" : 3"))
        #expect(try PNGFile.read(folder["x.png"]).width > 128)
        try expectFailure(
            ["generate", "a fox", "--scheduler", "euler,heun", "--init-latents", "x.png"], saying: "x.png", in: folder)
    }

    @Test func showsTheWay() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            ["generate", "a fox", "--save-steps", "way", "--strip", "strip.png", "-o", "x.png"] + Self.quick, in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder["way"].path).sorted()
        #expect(names == ["step-000.png", "step-001.png", "step-002.png"])
        // The last picture on the way is the result.
        try expectEqual(PNGFile.read(folder["way/step-002.png"]).pixels, PNGFile.read(folder["x.png"]).pixels)
        #expect(try PNGFile.read(folder["strip.png"]).width > 3 * 64)
    }

    @Test func dissolvesAPicture() throws {
        let folder = try TemporaryFolder()
        let gray = try RGBImage(width: 16, height: 16, pixels: [UInt8](repeating: 128, count: 768))
        try PNGFile.write(gray, to: folder["gray.png"])
        let arguments = ["noise", "gray.png", "--timesteps", "999,0", "-o"]
        #expect(try Program.run(arguments + ["strip.png"], in: folder).code == 0)
        #expect(try Program.run(arguments + ["%d.png"], in: folder).code == 0)
        func deviation(_ name: String) throws -> Double {
            let values = try PNGFile.read(folder[name]).pixels.map { Double($0) - 128 }
            return (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot()
        }
        // √(1 − ᾱ) is 0.03 at timestep 0, of 127.5 a unit; at the last timestep the noise fills the range.
        #expect(try deviation("1.png") < 6)
        #expect(try deviation("2.png") > 70)
    }

    /// The latents of the first picture of a strip that diffusers made, with noise and decoded, as diffusers' VAE has them.
    @Test func dissolvesLatentsAsDiffusers() throws {
        let strip = try PNGFile.read(Self.pictures.appendingPathComponent("DDIMScheduler-apple.png"))
        let folder = try TemporaryFolder()
        try PNGFile.write(strip.column(0, width: 64), to: folder["apple.png"])
        let arguments = ["noise", "apple.png", "--latent", "--timesteps", "0,250,500,999", "--seed", "3", "-o", "%d.png"]
        let outcome = try Program.run(arguments, in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        let expected = try PNGFile.read(Self.pictures.appendingPathComponent("noised.png"))
        for number in 0..<4 {
            let found = try PNGFile.read(folder["\(number + 1).png"])
            let wanted = try expected.column(number, width: 64).pixels
            expectClose(found.pixels, wanted, shape: [64, 64, 3], within: 2, "picture \(number)")
        }
    }

    /// The last steps over a picture of that size: the fewer, the nearer to it.
    @Test func startsFromAPicture() throws {
        let folder = try TemporaryFolder()
        let apple = try PNGFile.read(Self.pictures.appendingPathComponent("DDIMScheduler-apple.png")).column(0, width: 64)
        try PNGFile.write(apple, to: folder["apple.png"])
        let arguments = ["generate", "a fox", "--init-img", "apple.png", "--steps", "20", "--seed", "7", "-o", "x.png"]
        func difference(_ strength: String) throws -> Int {
            let outcome = try Program.run(arguments + ["--strength", strength, "--save-steps", strength], in: folder)
            #expect(outcome.code == 0, "\(outcome.messages)")
            return zip(try PNGFile.read(folder["x.png"]).pixels, apple.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
        }
        let slight = try difference("0.1")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder["0.1"].path).count == 3)
        #expect(try difference("0.9") > 2 * slight)
        try expectFailure(arguments + ["--scheduler", "pndm"], saying: "can't start in the middle", in: folder)
        try expectFailure(arguments + ["--strength", "0.01"], saying: "leaves none of 20 steps", in: folder)
        try expectUsageError(["generate", "a fox", "--strength", "0.5"], saying: "needs a picture to start from")
    }

    @Test func saysWhatLatentsNeed() throws {
        let folder = try TemporaryFolder()
        try PNGFile.write(RGBImage(width: 15, height: 16, pixels: [UInt8](repeating: 9, count: 720)), to: folder["x.png"])
        // Resized to the nearest multiples of the VAE's factor.
        #expect(try Program.run(["noise", "x.png", "--latent", "-o", "y-%d.png"], in: folder).code == 0)
        let first = try PNGFile.read(folder["y-1.png"])
        #expect(first.width == 16 && first.height == 16)
        let model = try folder.model { try $0.remove("vae_encoder/model.onnx") }
        try expectFailure(
            ["noise", "x.png", "--latent", "-o", "y.png", "-m", model.path], saying: "has no vae_encoder/model.onnx", in: folder
        )
    }

    /// A latent consistency model comes with its own scheduler.
    @Test func usesTheSchedulerOfAConsistencyModel() throws {
        let folder = try TemporaryFolder()
        let model = Program.cache.appendingPathComponent("models/lcm-optimum")
        let outcome = try Program.run(
            ["generate", "a fox", "-m", model.path, "--json", "-o", "x.png"] + Self.quick, in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        #expect(try outcome.json()["scheduler"] as? String == "lcm")
    }
}

extension RGBImage {
    /// One of the pictures that stand side by side.
    func column(_ number: Int, width: Int) throws -> RGBImage {
        let rows = (0..<height).flatMap { row -> ArraySlice<UInt8> in
            let start = 3 * (row * self.width + number * width)
            return pixels[start..<start + 3 * width]
        }
        return try RGBImage(width: width, height: height, pixels: rows)
    }
}
