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

/// `generate --prompts` and `--embedding`.
@Suite struct PromptFileTests {
    @Test func makesAPictureOfEachLine() throws {
        let folder = try TemporaryFolder()
        let lines = """
            a fox

            {"prompt": "an owl", "seed": 18446744073709551615, "negative_prompt": "rain, \\"wet\\"", "cfg-scale": 4.5, "width": 32}
            {"prompt": "-a (crab:1.2)", "batch_count": 2, "scheduler": "euler", "low-memory": true, "fast": true, "json": null}
            """.replacing(", \"json\": null", with: "")
        try Data(lines.utf8).write(to: folder["list.txt"])
        let options = ["-s", "5", "--steps", "2", "--quiet"]
        let made = try Program.run(["generate", "--prompts", "list.txt", "-o", "%n-%s-%p.png"] + options, in: folder)
        #expect(made.code == 0, "\(made.messages)")
        let names = ["1-5-a-fox.png", "2-18446744073709551615-an-owl.png", "3-5-a-crab-1-2.png", "4-6-a-crab-1-2.png"]
        #expect(folder.names.filter { $0.hasSuffix(".png") }.sorted() == names)
        let single = try Program.run(
            [
                "generate", "an owl", "-s", "18446744073709551615", "-n", "rain, \"wet\"", "--cfg-scale", "4.5", "-W", "32",
                "-o", "x.png",
            ]
                + options.dropFirst(2), in: folder)
        #expect(single.code == 0, "\(single.messages)")
        #expect(try PNGFile.read(folder["x.png"]) == PNGFile.read(folder[names[1]]))
        let record = try GenerationRecord(png: [UInt8](Data(contentsOf: folder[names[3]])))
        #expect(record?.prompt == "-a (crab:1.2)" && record?.seed == 6 && record?.savesMemory == true)
        let piped = try Program.shell(
            "printf 'a fox\\na fox\\n' | \"$P\" generate --prompts - -o y.png --json -s 5 --steps 2", in: folder)
        #expect(piped.code == 0, "\(piped.messages)")
        #expect(try PNGFile.read(folder["y_2.png"]) == PNGFile.read(folder[names[0]]))
    }

    @Test func saysWhichLineIsWrong() throws {
        let folder = try TemporaryFolder()
        func refused(_ text: String, _ message: String, _ options: [String] = []) throws {
            try Data(text.utf8).write(to: folder["list.txt"])
            try expectFailure(["generate", "--prompts", "list.txt", "-o", "x.png"] + options, saying: message, in: folder)
        }
        try refused("a\n{\"prompt\": 1, \"steps\": \"x\"}", "list.txt, line 2: ")
        try refused("{\"prompt\": \"a\", \"colour\": 1}", "list.txt, line 1: ")
        try refused("{\"steps\": 1}", "list.txt, line 1: it has no \"prompt\"")
        try refused("{\"prompt\": \"a\", \"prompts\": \"b\"}", "\"prompts\" is no option of one prompt")
        try refused("{\"prompt\": \"a\", \"help\": true}", "\"help\" is no option of one prompt")
        try refused("{\"prompt\": \"a\"", "line 1: it isn't JSON")
        try refused("{\"prompt\": {}}", "isn't a JSON object of texts, numbers")
        for value in ["true", "false", "null"] { try refused("{\"prompt\": \(value)}", "it has no \"prompt\" with a text") }
        try refused("{\"prompt\": \"a\", \"negative_prompt\": true}", "\"negative_prompt\" is true, expected a text")
        try refused("{\"prompt\": \"a\", \"low_memory\": false}", "it switches --low-memory off", ["--low-memory"])
        // What only the model's files tell is found before the first picture, too.
        try refused("a\nb (c:1.2.3)", "list.txt, line 2: The prompt has the weight \"1.2.3\"")
        try refused("a\n{\"prompt\": \"a\", \"width\": 77}", "list.txt, line 2: ")
        try refused("a\n{\"prompt\": \"a\", \"output\": \"list.txt\"}", "list.txt")
        #expect(folder.names == ["list.txt"])
        try refused("\n  \n", "has no prompt: all of its lines are empty")
        try expectFailure(["generate", "--prompts", "/nowhere"], saying: "/nowhere can't be read")
        try expectUsageError(["generate", "a", "--prompts", "x"], saying: "--prompts and a prompt both say")
        try expectUsageError(["generate", "--prompts", "x", "-o", "-"], saying: "-o - is for one prompt")
        try expectUsageError(
            ["generate", "--prompts", "x", "--save-latents", "y.npy"], saying: "--save-latents is for one prompt")
        try expectFailure(["generate", "--embedding", "a=/nowhere", "a"], saying: "/nowhere can't be read")
        try expectUsageError(["generate", "--embedding", "a", "a"], saying: "expected NAME=FILE.safetensors")
    }
}
