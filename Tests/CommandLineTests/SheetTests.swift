import Foundation
import SDPipeline
import Testing

/// Several pictures as one sheet, a strip or numbered files.
@Suite struct SheetTests {
    static let quick = ["--steps", "2", "--cfg-scale", "3", "-s", "7"]

    private func picture(_ url: URL) throws -> RGBImage { try PNGFile.read(url) }

    /// The place of one picture in another, or nil.
    private func contains(_ sheet: RGBImage, _ image: RGBImage, x: Int, y: Int) -> Bool {
        guard x + image.width <= sheet.width, y + image.height <= sheet.height else { return false }
        return (0..<image.height).allSatisfy { row in
            let start = 3 * ((y + row) * sheet.width + x)
            return sheet.pixels[start..<start + 3 * image.width].elementsEqual(
                image.pixels[3 * row * image.width..<3 * (row + 1) * image.width])
        }
    }

    private func place(_ sheet: RGBImage, _ image: RGBImage) -> (x: Int, y: Int)? {
        for y in 0..<max(sheet.height - image.height + 1, 0) {
            for x in 0..<max(sheet.width - image.width + 1, 0) where contains(sheet, image, x: x, y: y) { return (x, y) }
        }
        return nil
    }

    /// Every cell is the picture that the command makes with these options alone.
    @Test func makesASheetOfTwoOptions() throws {
        let folder = try TemporaryFolder()
        let made = try Program.run(
            ["generate", "a fox", "--xy", "cfg-scale=1,4", "scheduler=euler,dpm++2m karras", "-o", "sheet.png", "--json"]
                + ["--steps", "2", "-s", "7"], in: folder)
        #expect(made.code == 0, "\(made.messages)")
        let sheet = try picture(folder["sheet.png"])
        var places: [(x: Int, y: Int)] = []
        for scheduler in ["euler", "dpm++2m karras"] {
            for scale in ["1", "4"] {
                let one = try Program.run(
                    [
                        "generate", "a fox", "--cfg-scale", scale, "--scheduler", scheduler, "--steps", "2", "-s", "7", "-o",
                        "x.png",
                    ],
                    in: folder)
                #expect(one.code == 0)
                places.append(try #require(place(sheet, picture(folder["x.png"])), "\(scheduler) \(scale)"))
            }
        }
        #expect(places[0].x == places[2].x && places[1].x == places[3].x && places[0].x < places[1].x)
        #expect(places[0].y == places[1].y && places[2].y == places[3].y && places[0].y < places[2].y)
        let entries = try #require(try JSONSerialization.jsonObject(with: made.output) as? [[String: Any]])
        #expect(entries.count == 4 && entries[1]["values"] as? [String: String] == ["cfg-scale": "4", "scheduler": "euler"])
        #expect(entries[3]["cfg_scale"] as? Double == 4 && entries[3]["scheduler"] as? String == "dpm++2m karras")
        #expect(try GenerationRecord(png: [UInt8](Data(contentsOf: folder["sheet.png"])))?.seed == 7)
        #expect(folder.names == ["sheet.png", "x.png"])
    }

    @Test(arguments: [
        "prompt=a fox,\"an owl, red\",\"say \"\"hi\"\"\"", "seed=1,2,3", "steps=1,2", "low_memory=true,false", "clip-skip=1,2",
        "variation-strength=0,0.5,1", "sigmas=karras,\"14.6,3.9,0\"", "negative-prompt=rain,snow ☔", "width=64,96",
        "fast=true,false",
    ]) func takesAnyOption(axis: String) throws {
        let folder = try TemporaryFolder()
        let prompt = axis.hasPrefix("prompt") ? [] : ["a fox"]
        let scheduler = axis.hasPrefix("sigmas") ? ["--scheduler", "euler"] : []
        let arguments = ["generate"] + prompt + scheduler + ["--xy", axis, "-o", "x.png"]
        let made = try Program.run(arguments + (axis.hasPrefix("steps") ? [] : ["--steps", "2"]), in: folder)
        #expect(made.code == 0, "\(made.messages)")
        #expect(folder.names == ["x.png"])
    }

    @Test func makesASheetOfABatch() throws {
        let folder = try TemporaryFolder()
        let made = try Program.run(
            ["generate", "a fox", "-b", "5", "--grid", "-o", "sheet.png", "--json"] + Self.quick, in: folder)
        #expect(made.code == 0, "\(made.messages)")
        #expect(try made.json()["files"] as? [String] == [folder["sheet.png"].resolvingSymlinksInPath().path])
        _ = try Program.run(["generate", "a fox", "-b", "5", "-o", "x-%d.png"] + Self.quick, in: folder)
        let sheet = try picture(folder["sheet.png"])
        for number in 1...5 { #expect(place(sheet, try picture(folder["x-\(number).png"])) != nil) }
        let piped = try Program.run(["generate", "a fox", "-b", "2", "--grid", "-o", "-"] + Self.quick, in: folder)
        #expect(piped.code == 0 && PNGText.entries(in: [UInt8](piped.output)).count == 2)
    }

    @Test func refusesSheetsThatMakeNoSense() throws {
        for (arguments, sentence) in [
            (["--xy", "cfg-scale"], "expected one or two options with values such as \"cfg-scale=3,5,7\""),
            (["--xy", "cfg-scale=1,,2"], "expected values with commas between them"),
            (["--xy", "prompt=\"a"], "expected values with commas between them"),
            (["--xy", "output=a,b"], "\"output\" is no option of a single picture."),
            (["--xy", "low-memory=1,2"], "low-memory is on or off"),
            (["--xy", "seed=1", "steps=2", "cfg-scale=3"], "--xy takes one or two options with their values, found 3."),
            (["--xy", "seed=1", "seed=2"], "--xy has \"seed\" twice"),
            (["--xy", "seed=1,2", "--grid"], "--grid and --xy both make a sheet"),
            (["--xy", "seed=1,2", "-b", "2"], "--xy makes one sheet, which doesn't go with --batch-count"),
            (["--grid", "-o", "x-%d.png"], "--grid makes one sheet, which doesn't go with %n, %s or %p in -o"),
            (["--grid", "--save-latents", "a.npy"], "which doesn't go with --save-latents"),
        ] {
            try expectUsageError(["generate", "x"] + arguments, saying: sentence)
        }
        // What is wrong with one of the pictures is known before the first is made.
        let folder = try TemporaryFolder()
        for (axis, sentence) in [
            ("cfg-scale=1,b", "cfg-scale b: The value 'b' is invalid"), ("foo=1,2", "foo 1: Unknown option '--foo'"),
            ("width=64,65", "width 65: "), ("scheduler=euler,nobody", "scheduler nobody: "),
        ] {
            let outcome = try Program.run(["generate", "x", "--xy", axis, "-o", "x.png"], in: folder)
            #expect(outcome.code == 1 && outcome.messages.contains(sentence), "\(outcome.messages)")
            #expect(outcome.lines.count == 1 && folder.names.isEmpty)
        }
    }

    /// The ends are what `generate` makes.
    @Test func interpolatesPrompts() throws {
        let folder = try TemporaryFolder()
        let made = try Program.run(
            ["interpolate", "a fox", "--to", "an owl", "--to", "a penguin", "--frames", "3", "-o", "f-%n.png", "--json"]
                + Self.quick,
            in: folder)
        #expect(made.code == 0, "\(made.messages)")
        #expect(folder.names == (1...5).map { "f-\($0).png" })
        for (name, prompt) in [("f-1.png", "a fox"), ("f-3.png", "an owl"), ("f-5.png", "a penguin")] {
            _ = try Program.run(["generate", prompt, "-o", "x.png"] + Self.quick, in: folder)
            #expect(try Data(contentsOf: folder["x.png"]) == Data(contentsOf: folder[name]))
        }
        let again = try Program.run(["generate", "--from", "f-2.png", "-o", "y.png"], in: folder)
        #expect(again.messages.contains("Byte for byte the same as f-2.png."), "\(again.messages)")
        let records = try JSONDecoder().decode([GenerationRecord].self, from: made.output)
        #expect(records.map(\.promptBlend?.share) == [nil, 0.5, nil, 0.5, nil])
    }

    /// The strip in the documentation is the one that its command makes.
    @Test func documentationShowsItsOwnStrip() throws {
        let folder = try TemporaryFolder()
        let made = try Program.run(
            [
                "interpolate", "a red apple on a blue background", "--to", "a yellow lemon on a green background", "--frames",
                "6",
                "--seed", "1", "--steps", "25", "--cfg-scale", "5", "-o", "strip.png",
            ], in: folder)
        try #require(made.code == 0, "\(made.messages)")
        let strip = try picture(folder["strip.png"])
        let shown = try picture(Program.root.appendingPathComponent("docs/images/interpolation.png"))
        try #require((shown.width, shown.height) == (2 * strip.width, 2 * strip.height))
        var largest = 0
        for index in strip.pixels.indices {
            let (pixel, channel) = (index / 3, index % 3)
            let other = shown.pixels[(2 * (pixel / strip.width) * shown.width + 2 * (pixel % strip.width)) * 3 + channel]
            largest = max(largest, abs(Int(strip.pixels[index]) - Int(other)))
        }
        #expect(largest <= 2)
    }

    @Test func interpolatesSeedsAsAStrip() throws {
        let folder = try TemporaryFolder()
        let made = try Program.run(
            ["interpolate", "a fox", "--to-seed", "9", "--frames", "3", "-o", "strip.png"] + Self.quick, in: folder)
        #expect(made.code == 0, "\(made.messages)")
        let strip = try picture(folder["strip.png"])
        var last = 0
        for options in [["-s", "7"], ["-s", "7", "--variation-seed", "9", "--variation-strength", "0.5"], ["-s", "9"]] {
            _ = try Program.run(["generate", "a fox", "--steps", "2", "--cfg-scale", "3", "-o", "x.png"] + options, in: folder)
            let found = try #require(place(strip, picture(folder["x.png"])))
            #expect(found.x > last)
            last = found.x
        }
        for (arguments, sentence) in [
            ([], "There is nothing to go to"), (["--to", "b", "--to-seed", "1", "--to-seed", "2"], "--to is given 1 times"),
            (["--to", "b", "--frames", "1"], "expected a whole number from 2 to 1000."),
            (["--to", "b", "-b", "2"], "--batch-count is an option of generate"),
        ] {
            try expectUsageError(["interpolate", "a"] + arguments, saying: sentence)
        }
        let refused = try Program.run(["interpolate", "a AND b", "--to", "c", "-o", "x.png"], in: folder)
        #expect(refused.code == 1 && refused.messages.contains("Prompts that are mixed are one text each"))
    }
}
