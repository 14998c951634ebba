import Foundation
import SDPipeline
import Testing

/// `--prompt-syntax`, `--clip-skip` and `tokenize --prompt`.
@Suite struct PromptTests {
    private func picture(_ options: [String], in folder: TemporaryFolder) throws -> [UInt8] {
        let outcome = try Program.run(
            ["generate", "-s", "3", "--steps", "2", "-o", "x.png", "--quiet"] + options, in: folder)
        try #require(outcome.code == 0, "\(outcome.messages)")
        return try PNGFile.read(folder["x.png"]).pixels
    }

    /// What a prompt is worth can be said in several ways.
    @Test(arguments: [
        (["a fox"], ["a fox", "--prompt-syntax", "a1111"]),
        (["a fox"], ["a fox", "--prompt-syntax", "plain"]),
        (["a fox"], ["a fox", "--clip-skip", "1"]),
        (["a fox"], ["[a fox:an owl:2]"]),
        (["an owl"], ["[a fox:an owl:0]"]),
        (["a fox"], ["[a fox|a fox]"]),
        (["a fox"], ["a fox :1.0", "--prompt-syntax", "a1111"]),
        (["(a fox)", "--prompt-syntax", "plain"], ["\\(a fox\\)"]),
        (["((fox))"], ["(fox:1.21)"]),
    ]) func sameAs(first: [String], second: [String]) throws {
        let folder = try TemporaryFolder()
        let pictures = try [first, second].map { try picture($0, in: folder) }
        #expect(pictures[0] == pictures[1])
    }

    @Test(arguments: [
        ["a (fox:1.3)"], ["a fox BREAK an owl"], ["a fox AND an owl"], ["[a fox:an owl:1]"], ["[a fox|an owl]"],
        ["a fox", "--clip-skip", "2"], ["a fox", "-n", "(rain:1.5)"], ["\\(a fox\\)"],
    ]) func differsFromPlain(options: [String]) throws {
        let folder = try TemporaryFolder()
        #expect(try picture(options, in: folder) != picture(["a fox"], in: folder))
    }

    @Test func showsHowAPromptIsRead() throws {
        let folder = try TemporaryFolder()
        let text = try Program.run(["tokenize", "--prompt", "a (fox:1.2) [on|in]", "--steps", "2"], in: folder)
        #expect(
            text.text == """
                syntax a1111, 2 steps
                step 1: "a ", "fox" ×1.2, " on"
                  chunk 1: 4 of 30 tokens
                       320  a</w>
                       622  fo ×1.2
                       343  x</w> ×1.2
                       \(try id("on", folder))  on</w>
                step 2: "a ", "fox" ×1.2, " in"
                  chunk 1: 4 of 30 tokens
                       320  a</w>
                       622  fo ×1.2
                       343  x</w> ×1.2
                       \(try id("in", folder))  in</w>

                """)
        let plain = try Program.run(["tokenize", "--prompt", "a fox"], in: folder)
        #expect(plain.text.hasPrefix("syntax plain, 20 steps\nsteps 1 to 20: \"a fox\"\n  chunk 1: 3 of 30 tokens\n"))
        let json = try Program.run(["tokenize", "--prompt", "a fox :2 AND b", "--json"], in: folder)
        let reading = try JSONDecoder().decode(PromptReading.self, from: json.output)
        #expect(reading.syntax == "a1111" && reading.parts.map(\.weight) == [2, 1])
        #expect(reading.parts[0].stages[0].encodings[0].chunks[0].ids.prefix(5) == [2046, 320, 622, 343, 2047])
        let negative = try Program.run(["tokenize", "--prompt", "--negative", "a AND b"], in: folder)
        #expect(negative.text.hasPrefix("syntax plain"))
    }

    private func id(_ word: String, _ folder: TemporaryFolder) throws -> String {
        String(try Program.run(["tokenize", word], in: folder).text.split(separator: " ")[1])
    }

    @Test func fails() throws {
        try expectUsageError(["generate", "x", "--prompt-syntax", "comfy"], saying: "expected one of auto, a1111, plain")
        try expectUsageError(["generate", "x", "--clip-skip", "0"], saying: "expected a whole number from 1 to 1000")
        try expectUsageError(["tokenize", "x", "--steps", "3"], saying: "need --prompt")
        try expectUsageError(["tokenize", "x", "--prompt", "--pad"], saying: "choose one")
        try expectFailure(["generate", "x", "--clip-skip", "4"], saying: "the text encoder has 3 layers: expected 1 to 3")
        try expectFailure(
            ["generate", String(repeating: "(", count: 100_000)], saying: "more than 500 brackets inside one another")
        try expectFailure(["generate", "(fox:1.2.3)"], saying: "weight \"1.2.3\", expected a number such as 1.2")
        try expectFailure(
            ["generate", "(fox:340000000000000000000000000000000000000)", "--steps", "1"],
            saying: "aren't finite numbers: weights nearer to 1")
    }
}
