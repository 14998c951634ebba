import Foundation
import SDPipeline
import TestSupport
import Testing

/// ControlNets and FreeU on the command line. What they compute is judged in SDPipelineTests.
@Suite struct ControlTests {
    private static let controls = Program.cache.appendingPathComponent("controls")
    private static let model = controls.appendingPathComponent("sd1/model").path
    private static let first = controls.appendingPathComponent("sd1/control-0").path
    private static let second = controls.appendingPathComponent("sd1/control-1/model.onnx").path

    /// A folder with two pictures.
    private func folder() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for (name, width) in [("a.png", 64), ("b.png", 96)] {
            let pixels = (0..<3 * 64 * width).map { (index: Int) -> UInt8 in
                (index / 3 % width / 16).isMultiple(of: 2) ? 240 : 20
            }
            try PNGFile.write(RGBImage(width: width, height: 64, pixels: pixels), to: folder[name])
        }
        return folder
    }

    static let wrongOptions: [([String], Int32, String)] = [
        (["--control", "x"], 64, "--control needs a picture that the ControlNet sees: --control-image"),
        (["--control-strength", "1"], 64, "--control-strength needs a picture"),
        (["--control-guess"], 64, "--control-guess needs a picture"),
        (
            ["--control", "x", "--control", "y", "--control-image", "a.png"], 64,
            "There are 2 of --control and 1 of --control-image"
        ),
        (
            ["--control-image", "a.png", "--control-strength", "1", "--control-strength", "2"], 64,
            "There are 2 of --control-strength and 1 of --control-image"
        ),
        (
            [
                "--control-image", "a.png", "--control-image", "a.png", "--control-image", "a.png", "--control-end", "1",
                "--control-end", "0.5",
            ], 64, "There are 2 of --control-end and 3 of --control-image"
        ),
        (["--control-image", "a.png", "--control-start", "0.5", "--control-end", "0.5"], 64, "expected a start below the end"),
        (["--control-image", "a.png", "--control-start", "1"], 64, "expected a start below the end"),
        (["--control-image", "a.png", "--control-start", "-0.1"], 64, "expected a number from 0 to 1"),
        (["--control-image", "a.png", "--control-strength", "nan"], 64, "expected a number such as 7.5"),
        (["--control-image", "a.png", "--control-strength", "1e60"], 64, "expected a number such as 7.5"),
        (
            ["--control-image", "a.png", "--control-preprocess", "depth"], 64,
            "expected none, canny, or canny with two thresholds"
        ),
        (["--control-image", "a.png", "--control-preprocess", "canny:200,100"], 64, "the lower first"),
        (["--control-image", "a.png", "--control-preprocess", "canny:5"], 64, "canny with two thresholds"),
        (["--control-image", "a.png", "--control-resize", "big"], 64, "expected one of fit, fill, stretch"),
        (["--control-image", "no.png"], 1, "no.png can't be read"),
        (["--control-image", "text.png"], 1, "text.png is"),
        (["--control-image", "a.png"], 1, "has no ControlNet of its own"),
        (["--control", "/nowhere", "--control-image", "a.png"], 1, "The ControlNet /nowhere doesn't exist"),
        (["--control", ".", "--control-image", "a.png"], 1, "has no model.onnx"),
        (["--control", "a.png", "--control-image", "a.png"], 1, "a.png"),
        (["--freeu", "1,2,3"], 64, "expected four numbers above 0"),
        (["--freeu", "1,2,3,0"], 64, "expected four numbers above 0"),
        (["--freeu", "1,2,nan,1"], 64, "expected four numbers above 0"),
    ]

    @Test(arguments: wrongOptions) func refuses(options: [String], code: Int32, part: String) throws {
        let folder = try folder()
        try Data("text".utf8).write(to: folder["text.png"])
        let outcome = try Program.run(
            ["generate", "a fox", "-m", Self.model, "--steps", "2", "-o", "out.png"] + options, in: folder)
        #expect(outcome.code == code, "\(outcome.messages)")
        #expect(outcome.messages.contains(part), "\(outcome.messages)")
        #expect(!FileManager.default.fileExists(atPath: folder["out.png"].path))
    }

    /// What was asked for is in the record and in the text that other programs read, and makes the same picture as the library.
    @Test func records() throws {
        let folder = try folder()
        let options = [
            "--control", Self.first, "--control-image", "a.png", "--control", Self.second, "--control-image", "b.png",
            "--control-strength", "0.8", "--control-strength", "-0.5", "--control-start", "0.25", "--control-preprocess",
            "canny:50,150.5", "--control-preprocess", "none", "--control-resize", "fit", "--freeu", "1.4,1.6,0.9,0.2",
        ]
        let outcome = try Program.run(
            ["generate", "a fox", "-m", Self.model, "--steps", "4", "--seed", "3", "-W", "64", "-H", "64", "--json"] + options,
            in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        let record = try #require(try GenerationRecord(png: [UInt8](Data(contentsOf: folder["output.png"]))))
        let controls = try #require(record.controls)
        #expect(controls.map(\.network) == ["control-0", "control-1"])
        #expect(
            controls.map(\.strength) == [0.8, -0.5] && controls.map(\.start) == [0.25, 0.25] && controls.map(\.end) == [1, 1])
        #expect(controls.map(\.preprocess) == ["canny:50,150.5", nil] && controls.map(\.resize) == ["fit", "fit"])
        #expect(controls.map(\.image?.name) == ["a.png", "b.png"] && controls.allSatisfy { $0.networkHash?.count == 64 })
        #expect(controls[0].networkHash != controls[1].networkHash)
        #expect(record.freeU == FreeU(b1: 1.4, b2: 1.6, s1: 0.9, s2: 0.2))
        let json = try outcome.json()
        #expect((json["controls"] as? [[String: Any]])?.count == 2 && json["freeu"] != nil)
        let text = record.parameters
        let hash = controls[0].networkHash?.prefix(8) ?? ""
        #expect(
            text.contains(
                "ControlNet 0: \"Module: canny, Model: control-0 [\(hash)], Weight: 0.8, Resize Mode: Resize and Fill, Threshold A: 50, Threshold B: 150.5, "
                    + "Guidance Start: 0.25, Guidance End: 1.0, Control Mode: Balanced, Image: a.png"), "\(text)")
        #expect(text.contains("FreeU: \"1.4,1.6,0.9,0.2\""), "\(text)")

        var request = GenerationRequest(prompt: "a fox", width: 64, height: 64, steps: 4, seed: 3)
        let networks = [Self.first, Self.second].map { URL(fileURLWithPath: $0) }
        request.controls = [
            Control(
                network: networks[0], image: try PNGFile.read(folder["a.png"]), resizeMode: .fit,
                preprocessing: .canny(low: 50, high: 150.5), strength: 0.8, start: 0.25),
            Control(
                network: networks[1], image: try PNGFile.read(folder["b.png"]), resizeMode: .fit, strength: -0.5, start: 0.25),
        ]
        request.freeU = record.freeU
        let pipeline = try StableDiffusionPipeline(modelFolder: URL(fileURLWithPath: Self.model))
        #expect(try pipeline.generate(request).images[0] == PNGFile.read(folder["output.png"]))
    }

    /// A network that fails, in the middle of a run, leaves no file.
    @Test func leavesNoFile() throws {
        let folder = try folder()
        let broken = Self.controls.appendingPathComponent("broken/nan").path
        let outcome = try Program.run(
            ["generate", "a fox", "-m", Self.model, "--steps", "2", "--control", broken, "--control-image", "a.png"], in: folder
        )
        #expect(
            outcome.code == 1 && outcome.messages.contains("The ControlNet nan answers numbers that aren't finite"),
            "\(outcome.messages)")
        #expect(!FileManager.default.fileExists(atPath: folder["output.png"].path))
    }

    /// The embedded model with FreeU.
    @Test func freeUOfTheEmbeddedModel() throws {
        let folder = try folder()
        let arguments = ["generate", "a fox", "--steps", "4", "--seed", "3", "--quiet"]
        let plain = try Program.run(arguments + ["-o", "plain.png"], in: folder)
        let changed = try Program.run(arguments + ["-o", "freeu.png", "--freeu", "1.1,1.2,0.9,0.2"], in: folder)
        #expect(plain.code == 0 && changed.code == 0, "\(plain.messages)\(changed.messages)")
        #expect(try PNGFile.read(folder["plain.png"]) != PNGFile.read(folder["freeu.png"]))
    }
}
