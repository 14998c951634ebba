/// A prompt as the text encoders get it.
struct PromptTokens: Sendable, Equatable {
    /// For each text encoder, token ids, start and end included, cut or filled up to what it takes.
    let rows: [[Int]]
    /// Tokens, start and end included, before the prompt was cut; of the encoder for which there are most.
    let count: Int
}

/// The tokenizer of one text encoder.
struct PromptTokenizer: Sendable {
    let tokenizer: CLIPTokenizer
    /// Tokens that the text encoder takes, start and end included.
    let limit: Int

    /// - Throws: ``PipelineError`` or ``TokenizerError`` with the file that is missing or malformed.
    init(_ part: ModelFamily.TextEncoderPart, in folder: ModelFolder, convention: TokenizerConvention) throws {
        tokenizer = try CLIPTokenizer(folder: folder.tokenizer(part.tokenizer), convention: convention)
        let positions = try folder.configuration(of: part.folder)?.optionalInt("max_position_embeddings", in: 3...65536)
        limit = min(tokenizer.maximumLength ?? .max, positions ?? 77)
        guard limit >= 3 else {
            throw PipelineError("\(folder.url.path): the text encoder takes \(limit) tokens, expected 3 or more.")
        }
    }
}

extension [PromptTokenizer] {
    /// Each prompt is encoded here, and nowhere else.
    func encode(_ prompt: String) -> PromptTokens {
        let encoded = map { $0.tokenizer.encodeCounting(prompt, paddedTo: $0.limit) }
        return PromptTokens(rows: encoded.map(\.ids), count: encoded.map(\.count).max() ?? 0)
    }
}
