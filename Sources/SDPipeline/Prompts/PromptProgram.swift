/// Both prompts of a run, with what the text encoders get at every step.
struct PromptProgram: Sendable {
    /// A prompt whose text may change over the steps.
    struct Line: Sendable {
        /// How much it counts.
        let weight: Double
        /// The last step of each stage, from 1, and its place among ``PromptProgram/texts``.
        let stages: [(lastStep: Int, text: Int)]

        func text(at step: Int) -> Int { (stages.first { step <= $0.lastStep } ?? stages[stages.count - 1]).text }
    }

    /// The syntax that the prompts are read by, ``PromptSyntax/a1111`` or ``PromptSyntax/plain``.
    let syntax: PromptSyntax
    /// Different texts, in the order of their first use: the negative prompt's, then the prompt's.
    private(set) var texts: [PromptTokens] = []
    private(set) var negative = Line(weight: 1, stages: [])
    /// One or more, combined by `AND`.
    private(set) var positives: [Line] = []
    /// How many of ``texts`` are the negative prompt's.
    private(set) var negativeTextCount = 0
    /// A text whose states are mixed into those of the last of ``texts``, the prompt's only one, and how much of it.
    private(set) var blend: (text: PromptTokens, share: Float)?

    /// - Parameters:
    ///   - syntax: ``PromptSyntax/automatic`` takes the grammar where one of the prompts has syntax.
    ///   - steps: of the run, those of a refiner included.
    ///   - earlier: steps of the pass before, where this is a second one.
    /// - Throws: ``PipelineError`` for a prompt that the grammar can't read.
    init(
        prompt: String, negativePrompt: String, syntax: PromptSyntax, steps: Int, after earlier: Int = 0,
        tokenizers: [PromptTokenizer]
    ) throws {
        self.syntax = syntax.resolved(prompt: prompt, negativePrompt: negativePrompt)
        let steps = max(steps, 1)
        for (text, isNegative) in [(negativePrompt, true), (prompt, false)] {
            var known: [String: Int] = [:]
            let parsed =
                self.syntax == .plain
                ? ParsedPrompt(literal: text, steps: steps)
                : try ParsedPrompt(text, steps: steps, isNegative: isNegative, after: earlier)
            let lines = parsed.parts.map { part in
                Line(
                    weight: part.weight,
                    stages: part.stages.map { stage in
                        let index = known[stage.text] ?? texts.count
                        if index == texts.count {
                            texts.append(
                                self.syntax == .plain ? tokenizers.encode(literal: text) : tokenizers.encode(stage.pieces))
                            known[stage.text] = index
                        }
                        return (stage.lastStep, index)
                    })
            }
            if isNegative { (negative, negativeTextCount) = (lines[0], texts.count) } else { positives = lines }
        }
    }

    /// Adds a prompt whose states are mixed in.
    ///
    /// - Throws: ``PipelineError`` for a share outside of 0 to 1, and where one of the prompts isn't a single text.
    mutating func mix(_ blend: PromptBlend, steps: Int, tokenizers: [PromptTokenizer]) throws {
        guard (0...1).contains(blend.share) else {
            throw PipelineError(
                "The share of the other prompt is \(blend.share), expected a number from 0 to 1.", kind: .invalidRequest)
        }
        let other = try PromptProgram(
            prompt: blend.prompt, negativePrompt: "", syntax: syntax, steps: steps, tokenizers: tokenizers)
        for program in [self, other] where program.isComposed || program.texts.count != program.negativeTextCount + 1 {
            throw PipelineError(
                "Prompts that are mixed are one text each, and one of them has AND, editing or alternation.",
                kind: .invalidRequest)
        }
        self.blend = other.texts.last.map { ($0, Float(blend.share)) }
    }

    /// Whether several prompts are combined, or one with another weight than 1: the negative prompt is needed whatever the guidance scale.
    var isComposed: Bool { positives.count > 1 || positives[0].weight != 1 }

    /// Tokens of the longest text, start and end included, before it was cut.
    func tokenCount(isNegative: Bool) -> Int {
        (isNegative ? texts[..<negativeTextCount] : texts[negativeTextCount...]).map(\.count).max() ?? 0
    }
}

extension PromptSyntax {
    /// What ``automatic`` stands for.
    func resolved(prompt: String, negativePrompt: String) -> PromptSyntax {
        guard self == .automatic else { return self }
        return Self.isUsed(in: prompt, isNegative: false) || Self.isUsed(in: negativePrompt, isNegative: true) ? .a1111 : .plain
    }
}
