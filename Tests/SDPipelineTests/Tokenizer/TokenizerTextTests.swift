import Foundation
import SDPipeline
import Testing

/// 5,000 lines of text against transformers' CLIPTokenizer, see Tests/References/tokenizer.py.
@Suite struct TokenizerTextTests {
    private func check(_ tokenizer: CLIPTokenizer, column: Int) throws {
        let lines = try JSONDecoder().decode([String].self, from: TokenizerFixtures.data("tokenizer-text.json"))
        let readable = try JSONDecoder().decode([[[Int]]].self, from: TokenizerFixtures.data("tokenizer-ids.json"))
        let hashes = String(decoding: try TokenizerFixtures.data("tokenizer-hashes.txt"), as: UTF8.self)
            .split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines.count == 5000)
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
                    Issue.record("line \(number + 1), \(lines[number].debugDescription): not transformers' ids, but \(ids)")
                }
            }
        }
        #expect(wrong == 0)
        print(
            "tokenizer, \(tokenizer.vocabularySize) tokens: \(lines.count - wrong) of \(lines.count) lines have"
                + " transformers' ids (\(count) ids in \(time))")
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

    @Test func theEmbeddedVocabularyGivesTransformersIDs() throws {
        try check(CLIPTokenizer(folder: TokenizerFixtures.emoji), column: 0)
    }

    @Test func openAIsVocabularyGivesTransformersIDs() throws {
        let folder = TokenizerFixtures.openAI
        guard FileManager.default.fileExists(atPath: folder.appending(path: "vocab.json").path) else {
            Issue.record("There is no \(folder.path): run Tools/fetch-clip-vocabulary.sh once, which writes it.")
            return
        }
        let clock = ContinuousClock()
        let start = clock.now
        let tokenizer = try CLIPTokenizer(folder: folder)
        print("tokenizer: OpenAI's vocabulary loaded in \(clock.now - start)")
        #expect(tokenizer.vocabularySize == 49408)
        #expect(tokenizer.maximumLength == 77)
        #expect(tokenizer.encode("a photo of a cat") == [49406, 320, 1125, 539, 320, 2368, 49407])
        try check(tokenizer, column: 1)
    }

    @Test(arguments: ["a", "ab", "A1", "'", "Σ", "e\u{301}", "中", "\u{301}", "\u{0}", "<|endoftext|>", "Σ\u{345}\u{301}"])
    func aMegabyteTakesLittleMoreThanLinearTime(unit: String) throws {
        let tokenizer = try CLIPTokenizer(folder: TokenizerFixtures.emoji)
        let clock = ContinuousClock()
        let text = String(repeating: unit, count: 1_000_000 / unit.utf8.count)
        let start = clock.now
        let ids = tokenizer.encode(text)
        let time = clock.now - start
        #expect(ids.count >= 2)
        // A quadratic merge of a million symbols would take hours.
        #expect(time < .seconds(30), "\(unit.debugDescription) took \(time)")
        print("tokenizer: 1 MB of \(unit.debugDescription) in \(time), \(ids.count) ids")
    }
}
