import Foundation
import GraphRuntime
import Ops
import TestSupport
import Testing

/// RegexFullMatch against ONNX Runtime, whose expressions are RE2's (Tests/References/regular_expressions.py).
@Suite struct RegularExpressionTests {
    private struct Expected: Decodable {
        struct Entry: Decodable {
            let pattern: String
            /// Places in ``texts``; nil where the pattern isn't one.
            let matches: [Int]?
        }

        let texts: [String]
        let patterns: [Entry]
    }

    private func matches(_ pattern: String, _ texts: [String]) throws -> [Bool] {
        let result = try run(
            "RegexFullMatch", version: 20, attributes: NodeAttributes(["pattern": .string(pattern)]),
            inputs: [try Tensor(strings: texts, shape: Shape([texts.count]))])
        return try result[0].array(of: Bool.self)
    }

    @Test func matchesAsRE2() throws {
        let file = URL(fileURLWithPath: #filePath)
            .appendingPathComponent("../../References/regular-expressions.json").standardizedFileURL
        let expected = try JSONDecoder().decode(Expected.self, from: Data(contentsOf: file))
        #expect(expected.patterns.count > 500)
        for entry in expected.patterns {
            guard let places = entry.matches else {
                expectError("isn't a regular expression") { try matches(entry.pattern, [""]) }
                continue
            }
            let found = try matches(entry.pattern, expected.texts)
            #expect(found.indices.filter { found[$0] } == places, "\(entry.pattern)")
        }
    }

    /// Patterns for which looking for one way after another takes time that doubles with each letter.
    @Test(arguments: [
        "(a*)*b", "(a|a)*b", "(a|aa)+b", "(a?){1000}a{1000}b", "(.*)(.*)(.*)(.*)(.*)[^a]b", "((((){1000}){1000}){1000}){1000}b",
    ])
    func timeGrowsWithTheText(pattern: String) throws {
        #expect(try matches(pattern, [String(repeating: "a", count: 2000), "b"]).first == false)
    }

    @Test func refusals() {
        let wrong = [
            (String(repeating: "(", count: 300), "groups are nested more than 250 times"),
            ("(((a{100}){100}){100})", "the expression is too large"), ("(a)\\1", "\\1 isn't supported"),
            ("(?=a)", "groups that begin with (?= aren't supported"), ("\\p{Nowhere}", "the class \\p{Nowhere} isn't known"),
            ("a{1001}", "the repetition {1001} is out of range"), ("[b-a]", "the range b-a is empty"),
        ]
        for (pattern, reason) in wrong { expectError("isn't a regular expression: \(reason)") { try matches(pattern, [""]) } }
    }
}
