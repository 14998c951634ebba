import Foundation
import SDPipeline
import Testing

/// 5,400 lines of text against the CLIPTokenizer of transformers 5 and 4, see Tests/References/tokenizer.py.
@Suite struct TokenizerTextTests {
    private func check(_ tokenizer: CLIPTokenizer, column: Int) throws {
        let convention = tokenizer.convention
        let lines = try JSONDecoder().decode([String].self, from: TokenizerFixtures.data("tokenizer-text.json"))
        let readable = try JSONDecoder().decode([[[Int]]].self, from: TokenizerFixtures.data("tokenizer-ids.json", convention))
        let hashes = String(decoding: try TokenizerFixtures.data("tokenizer-hashes.txt", convention), as: UTF8.self)
            .split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines.count == 5400)
        #expect(hashes.count == lines.count)

        let clock = ContinuousClock()
        var wrong = 0
        var count = 0
        let start = clock.now
        let encoded = lines.map { tokenizer.encode($0) }
        let time = clock.now - start
        for (number, ids) in encoded.enumerated() {
            count += ids.count
            if number < readable.count {
                #expect(ids == readable[number][column], "line \(number + 1): \(lines[number].debugDescription)")
            }
            if hash(ids) != hashes[number][column] {
                wrong += 1
                if wrong <= 10 {
                    Issue.record(
                        "line \(number + 1), \(lines[number].debugDescription): not the ids of \(convention), but \(ids)")
                }
            }
        }
        #expect(wrong == 0)
        print(
            "tokenizer, \(tokenizer.vocabularySize) tokens: \(lines.count - wrong) of \(lines.count) lines have"
                + " the ids of \(convention) (\(count) ids in \(time))")
    }

    private func hash(_ ids: [Int]) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for id in ids {
            for shift in stride(from: 0, to: 32, by: 8) {
                hash = (hash ^ UInt64(id >> shift & 0xff)) &* 0x100_0000_01b3
            }
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    @Test(arguments: TokenizerConvention.allCases)
    func theEmbeddedVocabularyGivesTransformersIDs(convention: TokenizerConvention) throws {
        try check(CLIPTokenizer(folder: TokenizerFixtures.emoji, convention: convention), column: 0)
    }

    @Test(arguments: TokenizerConvention.allCases)
    func openAIsVocabularyGivesTransformersIDs(convention: TokenizerConvention) throws {
        let folder = TokenizerFixtures.openAI
        guard FileManager.default.fileExists(atPath: folder.appending(path: "vocab.json").path) else {
            Issue.record("There is no \(folder.path): run Tools/fetch-clip-vocabulary.sh once, which writes it.")
            return
        }
        let clock = ContinuousClock()
        let start = clock.now
        let tokenizer = try CLIPTokenizer(folder: folder, convention: convention)
        print("tokenizer: OpenAI's vocabulary loaded in \(clock.now - start)")
        #expect(tokenizer.vocabularySize == 49408)
        #expect(tokenizer.maximumLength == 77)
        #expect(tokenizer.encode("a photo of a cat") == [49406, 320, 1125, 539, 320, 2368, 49407])
        try check(tokenizer, column: 1)
    }

    /// Kinds of text for which the two differ, in words.
    @Test func theDefaultIsTransformers5() throws {
        let tokenizer = try CLIPTokenizer(folder: TokenizerFixtures.emoji)
        let older = try CLIPTokenizer(folder: TokenizerFixtures.emoji, convention: .transformers4)
        #expect(tokenizer.convention == .transformers5)
        let differing = ["猫が好き", "一只猫", "👩\u{200d}🚀", "a\u{200b}b", "\u{feff}cat", "ΟΔΟΣ", "a\u{7}b", "a\u{ffd}\u{fffd}"]
        for text in differing { #expect(tokenizer.encode(text) != older.encode(text), "\(text.debugDescription)") }
        for text in ["a fox", "It's 12", "CAFÉ cafe\u{301}", "🦊", "кошка"] {
            #expect(tokenizer.encode(text) == older.encode(text), "\(text)")
        }
        #expect(older.encode("ab") == older.encode("a\u{200b}b"))
    }

    @Test(arguments: ["a", "ab", "A1", "'", "Σ", "e\u{301}", "中", "\u{301}", "\u{0}", "<|endoftext|>", "Σ\u{345}\u{301}"])
    func encodesAMegabyte(unit: String) throws {
        let clock = ContinuousClock()
        let text = String(repeating: unit, count: 1_000_000 / unit.utf8.count)
        for convention in TokenizerConvention.allCases {
            let tokenizer = try CLIPTokenizer(folder: TokenizerFixtures.emoji, convention: convention)
            let start = clock.now
            let ids = tokenizer.encode(text)
            let time = clock.now - start
            // A quadratic merge of a million symbols would take hours.
            #expect(ids.count >= 2)
            print("tokenizer: 1 MB of \(unit.debugDescription) in \(time), \(ids.count) ids of \(convention)")
        }
    }
}
