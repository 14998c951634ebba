import Foundation
import SDPipeline
import Testing

@Suite struct SchedulersTests {
    private static let quick = ["--steps", "2", "--cfg-scale", "4", "--seed", "7", "--quiet"]

    @Test func listsAllSchedulers() throws {
        let outcome = try Program.run(["schedulers"], in: TemporaryFolder())
        #expect(outcome.code == 0 && outcome.messages.isEmpty)
        let entries = try Program.run(["schedulers", "list", "--json"], in: TemporaryFolder())
        #expect(entries.code == 0)
        for descriptor in SchedulerRegistry.standard.descriptors {
            #expect(outcome.text.contains(descriptor.className) && entries.text.contains(descriptor.paper))
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
        #expect(try PNGFile.read(folder["x.png"]).width == 640)
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
    ]) func refusesWrongOptions(arguments: [String], part: String) throws {
        try expectUsageError(arguments, saying: part)
    }

    /// An option that a scheduler doesn't have is named.
    @Test(arguments: [
        (["--scheduler", "ddim", "--sigmas", "karras"], "no option use_karras_sigmas"),
        (["--scheduler", "euler", "--eta", "0.5"], "no option eta"),
        (["--scheduler", "ddim", "--timesteps", "9,5"], "no option timesteps"),
        (["--scheduler", "heun", "--sigmas", "ays"], "no option sigmas ays"),
        (["--scheduler", "ipndm", "--timestep-spacing", "leading"], "no option timestep_spacing"),
    ]) func refusesOptionsOfOthers(options: [String], part: String) throws {
        try expectFailure(["generate", "x"] + options, saying: part)
    }

    @Test func comparesSchedulers() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            ["generate", "a fox", "--scheduler", "euler, heun", "-o", "x.png", "--json"] + Self.quick, in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        #expect(outcome.text.contains("\"unet_evaluations\" : 2") && outcome.text.contains("\"unet_evaluations\" : 3"))
        #expect(try PNGFile.read(folder["x.png"]).width > 128)
    }

    @Test func showsTheWay() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            ["generate", "a fox", "--save-steps", "way", "--strip", "strip.png", "-o", "x.png"] + Self.quick, in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder["way"].path).sorted()
        #expect(names == ["step-000.png", "step-001.png", "step-002.png"])
        // The last picture on the way is the result.
        #expect(try PNGFile.read(folder["way/step-002.png"]) == PNGFile.read(folder["x.png"]))
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

    /// A latent consistency model comes with its own scheduler.
    @Test func usesTheSchedulerOfAConsistencyModel() throws {
        let folder = try TemporaryFolder()
        let model = Program.cache.appendingPathComponent("models/lcm-optimum")
        let outcome = try Program.run(
            ["generate", "a fox", "-m", model.path, "--json", "-o", "x.png"] + Self.quick, in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        #expect(try outcome.json()["scheduler"] as? String == "LCMScheduler")
    }
}
