import Foundation
import SDPipeline
import TestSupport
import Testing

/// Masks, other VAEs and refiners on the command line. What they compute is judged in SDPipelineTests.
@Suite struct MaskTests {
    /// A folder with a picture of 64×64 pixels, a mask of a disc, one that is black, and one of another shape.
    private func folder() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        let pixels = (0..<3 * 64 * 64).map { (index: Int) -> UInt8 in UInt8(index / 3 % 64 * 3) }
        try PNGFile.write(RGBImage(width: 64, height: 64, pixels: pixels), to: folder["start.png"])
        func mask(_ name: String, width: Int, _ isWhite: (Int, Int) -> Bool) throws {
            var values: [UInt8] = []
            for position in 0..<64 * width {
                values += [UInt8](repeating: isWhite(position % width, position / width) ? 255 : 0, count: 3)
            }
            try PNGFile.write(RGBImage(width: width, height: 64, pixels: values), to: folder[name])
        }
        try mask("disc.png", width: 64) { x, y in (x - 32) * (x - 32) + (y - 32) * (y - 32) < 200 }
        try mask("black.png", width: 64) { _, _ in false }
        try mask("narrow.png", width: 32) { _, _ in true }
        return folder
    }

    static let wrongOptions: [([String], Int32, String)] = [
        (["--mask", "disc.png"], 64, "--mask needs a picture to start from"),
        (["--outpaint", "16,0,0,0"], 64, "--outpaint needs a picture to start from"),
        (["--resize", "fit"], 64, "--resize needs a picture to start from"),
        (["-i", "start.png", "--mask", "narrow.png"], 1, "The mask has 32x64 pixels, expected 64x64"),
        (["-i", "start.png", "--mask", "black.png"], 1, "The mask marks nothing to repaint"),
        (["-i", "start.png", "--mask", "no.png"], 1, "no.png can't be read"),
        (["-i", "start.png", "--mask", "disc.png", "--mask-blur", "-1"], 64, "expected 0 to 1024 pixels"),
        (["-i", "start.png", "--mask", "disc.png", "--only-masked", "-1"], 64, "expected a whole number"),
        (
            ["-i", "start.png", "--mask", "disc.png", "--mask-content", "x"], 64,
            "expected one of original, noise, nothing, fill"
        ),
        (["-i", "start.png", "--mask", "disc.png", "--only-masked", "4", "--outpaint", "1,1,1,1"], 64, "give one"),
        (["-i", "start.png", "--invert-mask"], 64, "--invert-mask needs a mask"),
        (["-i", "start.png", "--only-masked", "4"], 64, "--only-masked needs a mask"),
        (["-i", "start.png", "--outpaint", "0,0,0,0"], 1, "one of them above 0"),
        (["-i", "start.png", "--outpaint", "1,2,3"], 64, "expected 4 whole numbers"),
        (["--vae", "/nowhere"], 1, "/nowhere doesn't exist"),
        (["--vae", "."], 1, "has neither vae_decoder/model.onnx nor model.onnx"),
        (["--refiner-start", "0.5"], 64, "--refiner-start needs a refiner"),
        (["--refiner", "/nowhere"], 1, "There is no model folder /nowhere"),
        (["--refiner", "/nowhere", "--refiner-start", "1"], 64, "expected a number between 0 and 1"),
        (["--original-size", "3"], 64, "expected a width and a height"), (["--crop", "1"], 64, "expected 2 whole numbers"),
    ]

    @Test(arguments: wrongOptions) func refuses(options: [String], code: Int32, part: String) throws {
        let folder = try folder()
        let outcome = try Program.run(["generate", "a fox", "--steps", "2", "-o", "x.png"] + options, in: folder)
        #expect(outcome.code == code && outcome.messages.contains(part), "\(outcome.messages)")
        #expect(!folder.names.contains("x.png"))
    }

    /// The embedded model is no refiner, and its latents are no refiner's.
    @Test func refusesOtherModelsAsRefiner() throws {
        let outcome = try Program.run(["generate", "a fox", "--refiner", Program.emoji.path], in: TemporaryFolder())
        #expect(
            outcome.code == 1 && outcome.messages.contains("expected a refiner of Stable Diffusion XL"), "\(outcome.messages)")
    }

    /// Under a mask of the whole picture that begins with nothing, or with noise, no picture matters; and the two differ.
    @Test func forgetsWhatIsUnderTheMask() throws {
        let folder = try TemporaryFolder()
        func write(_ name: String, _ value: UInt8) throws {
            let image = try RGBImage(width: 64, height: 64, pixels: [UInt8](repeating: value, count: 3 * 64 * 64))
            try PNGFile.write(image, to: folder[name])
        }
        try write("dark.png", 30)
        try write("light.png", 220)
        try write("all.png", 255)
        var results: [RGBImage] = []
        for (content, start) in [("nothing", "dark"), ("nothing", "light"), ("noise", "dark"), ("original", "dark")] {
            let outcome = try Program.run(
                [
                    "generate", "a fox", "--steps", "5", "-s", "1", "-i", "\(start).png", "--mask", "all.png", "--strength",
                    "0.7",
                    "--mask-content", content, "-o", "\(content).png",
                ], in: folder)
            #expect(outcome.code == 0, "\(outcome.messages)")
            results.append(try PNGFile.read(folder["\(content).png"]))
        }
        #expect(results[0] == results[1] && results[0] != results[2] && results[0] != results[3] && results[2] != results[3])
    }

    /// What isn't masked stays, to the byte, where only the mask's surroundings are made; the record says everything.
    @Test func keepsWhatIsNotMasked() throws {
        let folder = try folder()
        let options = [
            "-i", "start.png", "--mask", "disc.png", "--only-masked", "6", "--mask-blur", "1.5", "--mask-content", "fill",
            "--strength", "0.9",
        ]
        let outcome = try Program.run(
            ["generate", "a fox", "--steps", "4", "-s", "1", "-o", "x.png", "--json"] + options, in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        let (start, made) = (try PNGFile.read(folder["start.png"]), try PNGFile.read(folder["x.png"]))
        let source = try PictureSource(contentsOf: folder["disc.png"])
        let mask = try PictureMask(source).blurred(radius: 1.5)
        var changed = 0
        for position in mask.values.indices {
            let isSame = (0..<3).allSatisfy { made.pixels[3 * position + $0] == start.pixels[3 * position + $0] }
            #expect(isSame || mask.values[position] != 0, "pixel \(position)")
            changed += isSame ? 0 : 1
        }
        #expect(changed > 200)
        let record = try #require(try GenerationRecord(png: [UInt8](Data(contentsOf: folder["x.png"]))))
        #expect(record.mask?.name == "disc.png" && record.mask?.sha256.count == 64)
        #expect(record.maskBlur == 1.5 && record.onlyMasked == 6 && record.maskContent == "fill" && record.strength == 0.9)
        #expect(record.parameters.contains("Inpaint area: Only masked") && record.parameters.contains("Mask blur: 1.5"))
    }

    @Test func paintsRoomAround() throws {
        let folder = try folder()
        let outcome = try Program.run(
            ["generate", "a fox", "--steps", "2", "-o", "x.png", "-i", "start.png", "--outpaint", "16,0,32,16", "--json"],
            in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        let made = try PNGFile.read(folder["x.png"])
        #expect(made.width == 112 && made.height == 80)
        #expect(try outcome.json()["outpaint"] as? [Int] == [16, 0, 32, 16])
    }

    /// Sizes that models are told have no effect on those that aren't told any.
    @Test func saysThatSizesAreUnused() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.run(["generate", "a fox", "--steps", "1", "--crop", "0,8", "-o", "x.png"], in: folder)
        #expect(outcome.code == 0 && outcome.messages.contains("Sizes and crops of pictures have no effect"))
    }

    /// Models that take a picture, or a mask, are timed over one, and their tokenizers are found.
    @Test(arguments: ["sdxl-refiner", "sd1-inpaint", "sdxl-inpaint"]) func timesModelsThatTakePictures(name: String) throws {
        let model = Program.cache.appendingPathComponent("families/\(name)/model")
        let folder = try TemporaryFolder()
        let outcome = try Program.run(["bench", model.path, "--steps", "2", "--json", "b.json"], in: folder)
        #expect(outcome.code == 0 && outcome.text.contains("U-Net"), "\(outcome.messages)")
        let tokens = try Program.run(["tokenize", "-m", model.path, "a fox"], in: folder)
        #expect(tokens.code == 0 && tokens.text.split(separator: " ").count > 2, "\(tokens.messages)")
    }
}
