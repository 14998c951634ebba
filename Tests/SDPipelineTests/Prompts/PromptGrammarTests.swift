import Foundation
import SDPipeline
import Testing

/// AUTOMATIC1111's grammar of prompts, against the examples of its documentation and other readers of it (Tests/References/prompts.py).
@Suite struct PromptGrammarTests {
    private enum Value: Decodable, Equatable {
        case text(String)
        case number(Double)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else {
                self = .text(try container.decode(String.self))
            }
        }
    }

    private struct References: Decodable {
        struct Documented: Decodable {
            let schedules: [String: [[Value]]]
            let emphasis: [String: [[Value]]]
        }

        let documented: Documented
        let schedules: [String: [[Value]]]
        let emphasis: [String: [[Value]]]
        /// Of each text, the chunks' ids and weights.
        let chunks: [String: [[[Double]]]]
    }

    private static func references() throws -> References {
        let file = RepositoryRoot.url.appendingPathComponent("Tests/References/prompts.json")
        return try JSONDecoder().decode(References.self, from: Data(contentsOf: file))
    }

    private static let emoji = RepositoryRoot.url.appendingPathComponent("Models/emoji")

    /// Schedules are those of negative prompts, which have no `AND` around them.
    private static func schedule(_ text: String, steps: Int) throws -> [[Value]] {
        try ParsedPrompt(text, steps: steps, isNegative: true).parts[0].stages.map {
            [.number(Double($0.lastStep)), .text($0.text)]
        }
    }

    /// The weights of a text that doesn't change over the steps.
    private static func emphasis(_ text: String) throws -> [[Value]] {
        var parts: [[Value]] = []
        for piece in try ParsedPrompt.pieces(of: text) {
            parts.append([.text(piece.text), .number(piece.isBreak ? -1 : piece.weight)])
        }
        return parts
    }

    @Test func documentedExamples() throws {
        let documented = try Self.references().documented
        #expect(documented.schedules.count == 14 && documented.emphasis.count == 6)
        for (text, expected) in documented.schedules { #expect(try Self.schedule(text, steps: 10) == expected, "\(text)") }
        for (text, expected) in documented.emphasis { #expect(try Self.emphasis(text) == expected, "\(text)") }
    }

    @Test func sameSchedulesAsTheGrammar() throws {
        let schedules = try Self.references().schedules
        #expect(schedules.count > 350 && schedules.values.count { $0.count > 1 } > 100)
        for (text, expected) in schedules { #expect(try Self.schedule(text, steps: 7) == expected, "\(text)") }
    }

    @Test func sameWeightsAsDiffusionPromptEmbedder() throws {
        let emphasis = try Self.references().emphasis
        #expect(emphasis.count > 400)
        for (text, expected) in emphasis { #expect(try Self.emphasis(text) == expected, "\(text)") }
    }

    /// Chunks of 75 tokens, by diffusion-prompt-embedder; it knows no rule for commas, of which these texts have none.
    @Test func sameChunksAsDiffusionPromptEmbedder() throws {
        let model = TestCache.folder.appendingPathComponent("families/sd1/model")
        let configuration = try PipelineConfiguration(modelFolder: model)
        let references = try Self.references().chunks
        #expect(references.values.contains { $0.count >= 2 })
        for (text, expected) in references {
            let chunks = try configuration.reading(of: text, syntax: .a1111).parts[0].stages[0].encodings[0].chunks
            #expect(chunks.count == expected.count, "\(text)")
            for (chunk, pair) in zip(chunks, expected) {
                let content = 1..<chunk.length + 1
                #expect(chunk.ids.count == 77 && chunk.ids[content].elementsEqual(pair[0].prefix(chunk.length).map { Int($0) }))
                // What fills up there is CLIP's own end token.
                #expect(pair[0].dropFirst(chunk.length).allSatisfy { $0 == 49407 })
                #expect(chunk.weights[1..<76].elementsEqual(pair[1].map { Float($0) }))
            }
        }
    }

    /// A comma among the last 20 tokens of a chunk ends it.
    @Test func cutsChunksAtCommas() throws {
        let model = TestCache.folder.appendingPathComponent("families/sd1/model")
        let configuration = try PipelineConfiguration(modelFolder: model)
        func lengths(_ text: String) throws -> [Int] {
            try configuration.reading(of: text, syntax: .a1111).parts[0].stages[0].encodings[0].chunks.map(\.length)
        }
        let word = { (count: Int) in String(repeating: "a ", count: count) }
        #expect(try lengths(word(75)) == [75])
        #expect(try lengths(word(76)) == [75, 1])
        // The comma is a token, too: the chunk's 56th here, and 55th.
        #expect(try lengths(word(55) + ", " + word(25)) == [56, 25])
        #expect(try lengths(word(54) + ", " + word(26)) == [75, 6])
        #expect(try lengths(word(74) + ", " + word(3)) == [75, 3])
        #expect(try lengths(word(75) + ", " + word(3)) == [75, 4])
        #expect(try lengths("a BREAK a a BREAK BREAK a") == [1, 2, 0, 1])
        #expect(try lengths("(a BREAK a a:1.2)") == [1, 2])
        #expect(try lengths("") == [0])
    }

    @Test func combinesPrompts() throws {
        func parts(_ text: String) throws -> [[String]] {
            try ParsedPrompt(text, steps: 4).parts.map { [$0.stages[0].text, "\($0.weight)"] }
        }
        #expect(
            try parts("a fox :1.2 AND an owl:.5 AND BRAND ANDY :-2 ") == [
                ["a fox", "1.2"], [" an owl", "0.5"], [" BRAND ANDY", "-2.0"],
            ])
        #expect(try parts("AND") == [["", "1.0"], ["", "1.0"]])
        #expect(try parts("a (fox:1.2) AND [a:b:.5]") == [["a (fox:1.2)", "1.0"], [" a", "1.0"]])
        #expect(try ParsedPrompt("a AND b :2", steps: 4, isNegative: true).parts.map(\.stages[0].text) == ["a AND b :2"])
        #expect(
            "\(try ParsedPrompt("[a:(b:2):2] AND c :3", steps: 4))" == """
                part ×1.0
                steps 1 to 2: "a"
                steps 3 to 4: "b" ×2.0
                part ×3.0
                steps 1 to 4: " c"
                """)
    }

    /// A number with a point is a share of the steps, also from 1 on.
    @Test(arguments: [
        ("[a:b:0.5]", 5), ("[a:b:.29]", 2), ("[a:b:1.0]", 10), ("[a:b:12]", 10), ("[a:b:1e999]", 10),
        ("[a:b:99999999999999999999]", 10),
        ("[a:b:0]", 0), ("[a:b:-3]", 0), ("[a:b:0.05]", 0), ("[a:b:+3]", 3), ("[a:b:2e0]", 2),
    ]) func changesAt(text: String, lastStep: Int) throws {
        let stages = try ParsedPrompt(text, steps: 10).parts[0].stages
        #expect(stages.first { $0.text == "a" }?.lastStep ?? 0 == lastStep)
    }

    /// Each is answered by a sentence, or read, in time that grows with its length.
    @Test func refusesWhatLeadsNowhere() throws {
        func refused(_ text: String, _ message: String) {
            #expect { try ParsedPrompt(text, steps: 20) } throws: { "\($0)".contains(message) }
        }
        let many = 100_000
        for bracket in ["(", "[", "((", "[(", "[a:"] {
            refused(String(repeating: bracket, count: many), "more than 500 brackets inside one another")
        }
        refused(
            "(" + String(repeating: "9", count: 50) + ":" + String(repeating: "9", count: 50) + ")",
            "expected a number that single precision holds")
        refused("(a:1.2.3)", "weight \"1.2.3\", expected a number such as 1.2")
        refused("a :" + String(repeating: "9", count: 400), "expected a number that single precision holds")
        refused(String(repeating: "a AND ", count: many), "combines 100001 prompts by AND, expected 64 at most")
        refused(
            String(repeating: "[a|b]", count: many) + String(repeating: "a", count: 3_000_000),
            "expected 50 million characters at most")
        #expect(
            try ParsedPrompt("(a:nan) (b:inf) (c:1e9)", steps: 2).parts[0].stages[0].pieces.map(\.weight).allSatisfy {
                $0 < 1.2
            })
        for text in [")", "]", ":", "a)", "()", "[:]", "\\(", " BREAK "] {
            let long = String(repeating: text, count: many)
            #expect(try ParsedPrompt(long, steps: 20).parts.count == 1)
        }
        #expect(
            try ParsedPrompt(String(repeating: "[a:b:1]", count: many), steps: 20).parts[0].stages.map(\.lastStep) == [1, 20])
    }
}
