import Foundation

/// What the grammar makes of a prompt for a run of so many steps.
public struct ParsedPrompt: Sendable, Equatable, Codable, CustomStringConvertible {
    /// A text of one weight, or a break.
    public struct Piece: Sendable, Equatable, Codable {
        /// The text without the grammar's brackets and backslashes; `BREAK` for a break.
        public var text: String
        /// What the states of its tokens are multiplied by; 1 for a break.
        public var weight: Double
        /// Whether the rest begins a new chunk.
        public var isBreak: Bool

        private enum CodingKeys: String, CodingKey {
            case text, weight
            case isBreak = "break"
        }
    }

    /// A text that holds for some of the steps.
    public struct Stage: Sendable, Equatable, Codable {
        /// The last step that it holds for, from 1; the next stage begins after it.
        public var lastStep: Int
        /// The text with its weights, and without what changes over the steps.
        public var text: String
        /// The same, taken apart.
        public var pieces: [Piece]

        private enum CodingKeys: String, CodingKey {
            case text, pieces
            case lastStep = "last_step"
        }
    }

    /// One of the prompts that `AND` combines.
    public struct Part: Sendable, Equatable, Codable {
        /// How much it counts (Liu et al., "Compositional Visual Generation with Composable Diffusion Models", 2022).
        public var weight: Double
        /// In the order of the steps; the last one's last step is the run's.
        public var stages: [Stage]
    }

    /// One or more.
    public var parts: [Part]

    /// The most prompts that `AND` may combine: each takes a run of the U-Net at every step.
    public static let mostParts = 64

    /// Reads a prompt by the grammar of AUTOMATIC1111's web interface.
    ///
    /// - Parameters:
    ///   - text: the prompt as it was written.
    ///   - steps: of the run, 1 or more.
    ///   - isNegative: whether it is a negative prompt, of which `AND` and a weight at the end are text.
    ///   - earlier: steps of the pass before, where this is a second one at a larger size: places of edits are counted on from these, and shares
    ///     of the steps from 1, as that program does.
    /// - Throws: ``PipelineError`` with what was found and what was expected.
    public init(_ text: String, steps: Int, isNegative: Bool = false, after earlier: Int = 0) throws {
        guard steps >= 1 else {
            throw PipelineError("The prompt is for \(steps) steps, expected 1 or more.", kind: .invalidRequest)
        }
        let texts = isNegative ? [(text, 1)] : try Self.split(text)
        parts = try texts.map { text, weight in
            Part(
                weight: weight,
                stages: try PromptTemplate(text).schedule(steps: steps, after: earlier).map {
                    Stage(lastStep: $0.lastStep, text: $0.text, pieces: try PromptEmphasis.pieces(of: $0.text))
                })
        }
    }

    /// The parts of a text with their weights and the breaks between them; editing and alternation are brackets like others to it.
    ///
    /// - Throws: ``PipelineError`` with what was found and what was expected.
    public static func pieces(of text: String) throws -> [Piece] { try PromptEmphasis.pieces(of: text) }

    /// A text that is taken literally.
    init(literal text: String, steps: Int) {
        parts = [
            Part(
                weight: 1, stages: [Stage(lastStep: steps, text: text, pieces: [Piece(text: text, weight: 1, isBreak: false)])])
        ]
    }

    /// The texts between `AND`s, with the weights at their ends: `a fox :1.2 AND an owl`.
    private static func split(_ text: String) throws -> [(text: String, weight: Double)] {
        let scalars = Array(text.unicodeScalars)
        var starts = [0]
        var ends: [Int] = []
        for position in scalars.indices where scalars[position] == "A" && scalars.hasWord("AND", at: position) {
            ends.append(position)
            starts.append(position + 3)
        }
        ends.append(scalars.count)
        guard starts.count <= mostParts else {
            throw PipelineError(
                "The prompt combines \(starts.count) prompts by AND, expected \(mostParts) at most.", kind: .invalidRequest)
        }
        return try zip(starts, ends).map { start, end in
            let part = withoutBlanksAtEnd(scalars[start..<end])
            guard let colon = part.lastIndex(of: ":") else { return (string(part), 1) }
            let number = string(part[(colon + 1)...]).trimmingCharacters(in: .whitespacesAndNewlines)
            guard number.wholeMatch(of: /[+-]?([0-9]+\.?|[0-9]*\.[0-9]+)/) != nil, let weight = Double(number) else {
                return (string(part), 1)
            }
            guard Float(weight).isFinite else {
                throw PipelineError(
                    "A part of the prompt has the weight \(number.shortened(to: 40)), expected a number that single precision holds.",
                    kind: .invalidRequest)
            }
            return (string(withoutBlanksAtEnd(part[..<colon])), weight)
        }
    }

    private static func withoutBlanksAtEnd(_ part: ArraySlice<Unicode.Scalar>) -> ArraySlice<Unicode.Scalar> {
        part.prefix(upTo: (part.lastIndex { !$0.isBlank } ?? part.startIndex - 1) + 1)
    }

    private static func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String { String(String.UnicodeScalarView(scalars)) }

    /// A line for each stage: the steps, and the pieces with weights other than 1 behind them.
    public var description: String {
        parts.map { part in
            var first = 1
            let lines = part.stages.map { stage in
                let pieces = stage.pieces.map {
                    $0.isBreak ? "BREAK" : "\"\($0.text)\"" + ($0.weight == 1 ? "" : " ×\(Float($0.weight))")
                }
                defer { first = stage.lastStep + 1 }
                return "steps \(first) to \(stage.lastStep): " + pieces.joined(separator: ", ")
            }
            return (parts.count == 1 && part.weight == 1 ? "" : "part ×\(Float(part.weight))\n") + lines.joined(separator: "\n")
        }.joined(separator: "\n")
    }
}
