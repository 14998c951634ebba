/// How a prompt is read, down to the tokens that the text encoders get: for people and programs that look at it.
public struct PromptReading: Sendable, Equatable, Codable {
    /// What a text encoder takes at once.
    public struct Chunk: Sendable, Equatable, Codable {
        /// Token ids, start, end and filling included.
        public var ids: [Int]
        /// The token of each as the vocabulary writes it.
        public var tokens: [String]
        /// What the states of each are multiplied by.
        public var weights: [Float]
        /// How many of them are the text's own.
        public var length: Int
    }

    /// A text as one text encoder gets it.
    public struct Encoding: Sendable, Equatable, Codable {
        /// The text encoder's folder.
        public var encoder: String
        /// One or more.
        public var chunks: [Chunk]
    }

    /// A text that holds for some of the steps.
    public struct Stage: Sendable, Equatable, Codable {
        /// The first step that it holds for, from 1.
        public var firstStep: Int
        /// The last step that it holds for.
        public var lastStep: Int
        /// See ``ParsedPrompt/Stage/text``.
        public var text: String
        /// See ``ParsedPrompt/Stage/pieces``.
        public var pieces: [ParsedPrompt.Piece]
        /// For each text encoder.
        public var encodings: [Encoding]

        private enum CodingKeys: String, CodingKey {
            case text, pieces, encodings
            case firstStep = "first_step"
            case lastStep = "last_step"
        }
    }

    /// One of the prompts that `AND` combines.
    public struct Part: Sendable, Equatable, Codable {
        /// See ``ParsedPrompt/Part/weight``.
        public var weight: Double
        /// In the order of the steps.
        public var stages: [Stage]
    }

    /// `a1111` or `plain`.
    public var syntax: String
    /// Steps of the run.
    public var steps: Int
    /// One or more.
    public var parts: [Part]
}

extension PipelineConfiguration {
    /// Reads a prompt as a run would.
    ///
    /// - Parameters:
    ///   - prompt: the text as it was written.
    ///   - syntax: how it is read; by default by the grammar where it has syntax that means something.
    ///   - steps: of the run, 1 or more.
    ///   - isNegative: whether it is a negative prompt.
    /// - Throws: ``PipelineError`` for a prompt that the grammar can't read.
    public func reading(
        of prompt: String, syntax: PromptSyntax = .automatic, steps: Int = 20, isNegative: Bool = false
    ) throws -> PromptReading {
        let syntax =
            isNegative
            ? syntax.resolved(prompt: "", negativePrompt: prompt) : syntax.resolved(prompt: prompt, negativePrompt: "")
        let parsed =
            syntax == .plain
            ? ParsedPrompt(literal: prompt, steps: steps) : try ParsedPrompt(prompt, steps: steps, isNegative: isNegative)
        return PromptReading(
            syntax: syntax.rawValue, steps: steps,
            parts: parsed.parts.map { part in
                let firsts = [1] + part.stages.map { $0.lastStep + 1 }
                return PromptReading.Part(
                    weight: part.weight,
                    stages: zip(part.stages, firsts).map { stage, first in
                        let tokens =
                            syntax == .plain ? tokenizers.encode(literal: prompt) : tokenizers.encode(stage.pieces)
                        return PromptReading.Stage(
                            firstStep: first, lastStep: stage.lastStep, text: stage.text, pieces: stage.pieces,
                            encodings: tokens.rows.indices.map { encoding(tokens.rows[$0], of: $0) })
                    })
            })
    }

    private func encoding(_ chunks: [PromptTokens.Chunk], of index: Int) -> PromptReading.Encoding {
        let tokenizer = tokenizers[index].tokenizer
        return PromptReading.Encoding(
            encoder: family.textEncoders[index].folder,
            chunks: chunks.map { chunk in
                let end = chunk.ids.dropFirst().firstIndex(of: tokenizer.endToken.id) ?? chunk.ids.count
                return PromptReading.Chunk(
                    ids: chunk.ids, tokens: chunk.ids.map(tokenizers[index].text),
                    weights: chunk.weights.isEmpty ? chunk.ids.map { _ in 1 } : chunk.weights, length: end - 1)
            })
    }
}
