import Foundation
import Testing

@Suite struct TokenizeTests {
    private static func references<Value: Decodable>(_ name: String, as type: Value.Type) throws -> Value {
        try JSONDecoder().decode(type, from: Data(contentsOf: Program.root.appendingPathComponent("Tests/References/\(name)")))
    }

    /// The same ids as transformers' CLIPTokenizer (Tests/References/tokenizer.py), with the embedded and with OpenAI's vocabulary.
    @Test(arguments: [("transformers5", []), ("transformers4", ["--tokenizer", "transformers4"])])
    func sameIDsAsTransformers(convention: String, options: [String]) throws {
        let texts = try Self.references("tokenizer-text.json", as: [String].self)
        let ids = try Self.references("\(convention)/tokenizer-ids.json", as: [[[Int]]].self)
        let folder = try TemporaryFolder()
        let vocabulary = Program.cache.appendingPathComponent("clip-vocabulary")
        try #require(
            FileManager.default.fileExists(atPath: vocabulary.path),
            "\(vocabulary.path) is missing: run Tools/setup-test-data.sh")
        let large = try folder.model {
            try $0.remove("tokenizer")
            try FileManager.default.createSymbolicLink(
                at: $0.url.appendingPathComponent("tokenizer"), withDestinationURL: vocabulary)
        }
        // A zero character can't be in an argument.
        let numbers = ids.indices.filter { $0 % 40 == 3 && !texts[$0].unicodeScalars.contains("\0") }
        #expect(numbers.count >= 10)
        for number in numbers {
            for (model, expected) in [(Program.emoji, ids[number][0]), (large, ids[number][1])] {
                let outcome = try Program.run(
                    ["tokenize", "--model", model.path] + options + ["--", texts[number]], in: folder)
                #expect(outcome.code == 0 && outcome.messages.isEmpty)
                #expect(outcome.text == expected.map(String.init).joined(separator: " ") + "\n", "line \(number)")
            }
        }
    }

    @Test func padsAndExplains() throws {
        let folder = try TemporaryFolder()
        let padded = try Program.run(["tokenize", "--pad", "a fox"], in: folder)
        let ids = padded.text.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        #expect(ids.count == 32 && ids.prefix(5) == [2046, 320, 622, 343, 2047] && ids.suffix(27).allSatisfy { $0 == 2047 })
        let cut = try Program.run(["tokenize", "--pad", String(repeating: "fox ", count: 50)], in: folder)
        #expect(cut.text.split(separator: " ").count == 32 && cut.text.hasSuffix(" 2047\n"))
        let answer = try Program.run(["tokenize", "a fox", "--json"], in: folder).json()
        #expect(answer["ids"] as? [Int] == [2046, 320, 622, 343, 2047])
        #expect(answer["tokens"] as? [String] == ["a</w>", "fo", "x</w>"])
        #expect(answer["limit"] as? Int == 32)
        #expect(try Program.run(["tokenize", ""], in: folder).text == "2046 2047\n")
    }

    @Test func fails() throws {
        try expectUsageError(["tokenize"], saying: "Missing expected argument '<text>'")
        try expectUsageError(["tokenize", "a", "b"], saying: "Unexpected argument 'b'")
        try expectUsageError(["tokenize", "--tokenizer", "clip", "a"], saying: "expected one of transformers5, transformers4")
        try expectFailure(["tokenize", "--model", "/nowhere", "x"], saying: "There is no model folder /nowhere")
        let folder = try TemporaryFolder()
        let model = try folder.model { try $0.remove("tokenizer/vocab.json") }
        try expectFailure(["tokenize", "-m", model.path, "x"], saying: "vocab.json", in: folder)
    }
}
