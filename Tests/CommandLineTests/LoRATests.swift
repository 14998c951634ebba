import Foundation
import SDPipeline
import Testing

/// `--lora`, `--lora-dir`, and `inspect` of an adapter, with the embedded model's own.
@Suite struct LoRATests {
    private static let folder = Program.emoji.appendingPathComponent("lora")
    private static let night = folder.appendingPathComponent("night.safetensors")

    private func picture(_ options: [String], in folder: TemporaryFolder) throws -> [UInt8] {
        let outcome = try Program.run(
            ["generate", "-s", "3", "--steps", "3", "-o", "x.png", "--quiet"] + options, in: folder)
        try #require(outcome.code == 0, "\(outcome.messages)")
        return try PNGFile.read(folder["x.png"]).pixels
    }

    /// The style is that of night: dark, whatever the prompt's background.
    @Test(arguments: ["an owl", "a red apple on a yellow background"]) func drawsByNight(prompt: String) throws {
        let folder = try TemporaryFolder()
        let options = ["--steps", "15", "--cfg-scale", "4"]
        let (day, night) = (
            try picture([prompt] + options, in: folder), try picture([prompt, "--lora", Self.night.path] + options, in: folder)
        )
        func mean(_ pixels: [UInt8], _ channel: Int) -> Double {
            let values = stride(from: channel, to: pixels.count, by: 3).map { Double(pixels[$0]) }
            return values.reduce(0, +) / Double(values.count)
        }
        for channel in 0..<2 { #expect(mean(night, channel) < 0.6 * mean(day, channel)) }
    }

    /// The pictures in the README are those that the program makes.
    @Test func readmeShowsItsOwnPictures() throws {
        let sheet = try PNGFile.read(Program.root.appendingPathComponent("docs/images/night.png"))
        let folder = try TemporaryFolder()
        for (row, options) in [[], ["--lora", Self.night.path]].enumerated() {
            let outcome = try Program.run(
                ["generate", "an owl", "--seed", "2", "--steps", "25", "--cfg-scale", "5", "-o", "x.png"] + options, in: folder)
            try #require(outcome.code == 0, "\(outcome.messages)")
            let owl = try PNGFile.read(folder["x.png"])
            var largest = 0
            for line in 0..<64 {
                for column in 0..<64 * 3 {
                    let shown = sheet.pixels[((136 * row + 2 * line) * sheet.width + 2 * (column / 3)) * 3 + column % 3]
                    largest = max(largest, abs(Int(shown) - Int(owl.pixels[line * 64 * 3 + column])))
                }
            }
            #expect(largest <= 2)
        }
    }

    /// What counts the same can be said in several ways.
    @Test func sameWeights() throws {
        let folder = try TemporaryFolder()
        let plain = try picture(["a fox"], in: folder)
        let half = try picture(["a fox", "--lora", "\(Self.night.path):0.5"], in: folder)
        #expect(half != plain)
        // Weights that lie in memory are packed, where others of this model aren't: colours may be rounded in another way.
        let nothing = try picture(["a fox", "--lora", "\(Self.night.path):0"], in: folder)
        #expect(zip(nothing, plain).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
        #expect(try picture(["a fox", "--lora", "\(Self.night.path):0.5:0"], in: folder) == half)
        let tagged = ["--lora-dir", Self.folder.path]
        #expect(try picture(["a fox<lora:night:0.5>"] + tagged, in: folder) == half)
        #expect(try picture(["<lora:night:1:0.5>a fox"] + tagged, in: folder) == half)
        #expect(try picture(["a fox<lora:night:0.25>", "--lora", "\(Self.night.path):0.25"], in: folder) == half)
        #expect(try picture(["a fox<lora:night:0.25><lora:night:0.25>"] + tagged, in: folder) == half)
        #expect(try picture(["a fox"] + tagged, in: folder) == plain)
    }

    /// Lines have tags and weights of their own.
    @Test func linesOfPrompts() throws {
        let folder = try TemporaryFolder()
        try """
        a fox <lora:night:0.5>
        a fox
        {"prompt": "a fox", "lora": "\(Self.night.path):0.5"}
        """.write(to: folder["list.txt"], atomically: true, encoding: .utf8)
        let made = try Program.run(
            ["generate", "--prompts", "list.txt", "-o", "%n.png", "--lora-dir", Self.folder.path, "-s", "3", "--steps", "2"],
            in: folder)
        try #require(made.code == 0, "\(made.messages)")
        let pictures = try (1...3).map { try PNGFile.read(folder["\($0).png"]).pixels }
        #expect(pictures[0] != pictures[1])
        #expect(pictures[0] == pictures[2])
    }

    @Test func picturesSayTheirAdapters() throws {
        let folder = try TemporaryFolder()
        let made = try Program.run(
            ["generate", "a fox", "-s", "3", "--steps", "2", "-o", "x.png", "--lora", "\(Self.night.path):0.5", "--json"],
            in: folder)
        try #require(made.code == 0, "\(made.messages)")
        let record = try #require(try GenerationRecord(png: [UInt8](Data(contentsOf: folder["x.png"]))))
        let adapter = try #require(record.loras?.first)
        #expect((adapter.name, adapter.weight, adapter.textWeight) == ("night", 0.5, 0.5))
        #expect(record.parameters.hasPrefix("a fox <lora:night:0.5>\n"))
        #expect(record.parameters.contains("Lora hashes: \"night: \(adapter.shortHash)\""))
        let list = try #require(try made.json()["loras"] as? [[String: Any]])
        #expect(list.first?["short_hash"] as? String == adapter.shortHash)
    }

    @Test func inspectShowsWhatItIs() throws {
        let folder = try TemporaryFolder()
        let text = try Program.run(["inspect", Self.night.path], in: folder)
        #expect(text.code == 0 && text.text.contains("night") && text.text.contains("LoCon"), "\(text.text)\(text.messages)")
        let json = try Program.run(["inspect", Self.night.path, "--json"], in: folder).json()
        #expect(json["ranks"] as? [Int] == [4])
        #expect(json["family"] as? String == "a model with states of 160 numbers")
        #expect((json["tags"] as? [Any])?.count == 20)
        try expectUsageError(["inspect", Self.night.path, "--graph"], saying: "--json is for adapters")
    }

    @Test func refusals() throws {
        let folder = try TemporaryFolder()
        let generate = ["generate", "a fox", "--steps", "1", "-o", "x.png"]
        func fails(_ options: [String], _ message: String) throws {
            try expectFailure(generate + options, saying: message, in: folder)
            #expect(folder.names.isEmpty)
        }
        try fails(["--lora", "nothing.safetensors"], "nothing.safetensors can't be read: No such file or directory.")
        try fails(["--lora-dir", "nowhere"], "nowhere isn't a folder, expected one with LoRAs.")
        try expectFailure(
            ["generate", "a fox <lora:day:1>", "--lora-dir", Self.folder.path],
            saying: "names the LoRA \"day\", which isn't in",
            in: folder)
        try expectFailure(
            ["generate", "a <lora:night:x>", "--lora-dir", Self.folder.path], saying: "has the weight \"x\", expected a number",
            in: folder)
        try expectUsageError(
            generate + ["--lora", "a.safetensors:much"],
            saying: "expected FILE.safetensors:WEIGHT with a number, found \"much\"")
        try expectUsageError(generate + ["--lora", "a.safetensors", "--lora", "a.safetensors:2"], saying: "is given twice")
    }
}
