/// A prompt as the text encoders get it.
struct PromptTokens: Sendable, Equatable {
    /// What a text encoder takes at once.
    struct Chunk: Sendable, Equatable {
        /// Token ids, start and end included, cut or filled up to what the text encoder takes.
        let ids: [Int]
        /// What the states of each are multiplied by; empty for 1.
        var weights: [Float] = []
    }

    /// For each text encoder, one or more chunks.
    let rows: [[Chunk]]
    /// Tokens, start and end included, before the prompt was cut; of the encoder for which there are most.
    let count: Int

    /// Chunks; of each encoder as many.
    var chunkCount: Int { rows.map(\.count).max() ?? 0 }
}

/// The tokenizer of one text encoder.
struct PromptTokenizer: Sendable {
    let tokenizer: CLIPTokenizer
    /// Tokens that the text encoder takes, start and end included.
    let limit: Int
    /// Words that were learned, those of the longest names first.
    private(set) var words: [LearnedWord] = []
    /// With the learned words' names as added tokens, wherever they are in a text, which then have a word's first id.
    private(set) var literalTokenizer: CLIPTokenizer
    /// The same, where names are words of their own; without them by version 4, whose splitter takes punctuation for a part of a word.
    private(set) var grammarTokenizer: CLIPTokenizer

    /// A word with vectors of its own.
    struct LearnedWord: Sendable {
        let name: String
        /// The tokens of its name, which stand for it in a prompt.
        let nameIDs: [Int]
        /// The ids of its vectors.
        let ids: Range<Int>
    }

    /// - Throws: ``PipelineError`` or ``TokenizerError`` with the file that is missing or malformed.
    init(_ part: ModelFamily.TextEncoderPart, in folder: ModelFolder, convention: TokenizerConvention) throws {
        tokenizer = try CLIPTokenizer(folder: folder.tokenizer(part.tokenizer), convention: convention)
        (literalTokenizer, grammarTokenizer) = (tokenizer, tokenizer)
        let positions = try folder.configuration(of: part.folder)?.optionalInt("max_position_embeddings", in: 3...65536)
        limit = min(tokenizer.maximumLength ?? .max, positions ?? 77)
        guard limit >= 3 else {
            throw PipelineError("\(folder.url.path): the text encoder takes \(limit) tokens, expected 3 or more.")
        }
    }

    /// Adds words that were learned, each with so many vectors.
    ///
    /// - Throws: ``PipelineError`` for a name without a token, of another word, and for more vectors than a prompt may have tokens.
    mutating func learn(_ learned: [(name: String, vectors: Int)]) throws {
        var next = TokenEmbeddings.firstID
        for (name, count) in learned {
            let ids = tokenizer.contentIDs(of: name)
            guard !ids.isEmpty, !words.contains(where: { $0.nameIDs == ids }) else {
                throw PipelineError(
                    "The embedding's name \"\(name.shortened(to: 80))\" \(ids.isEmpty ? "has no token" : "has the tokens of another's"), expected one that can be told from others "
                        + "in a prompt.", kind: .invalidRequest)
            }
            guard count <= limit - 2 else {
                throw PipelineError(
                    "The embedding \(name.shortened(to: 80)) has \(count) vectors, and the text encoder takes \(limit - 2) tokens at once.",
                    kind: .invalidRequest)
            }
            words.append(LearnedWord(name: name, nameIDs: ids, ids: next..<next + count))
            next += count
        }
        words.sort { $0.nameIDs.count > $1.nameIDs.count }
        let names = words.map { (text: $0.name, id: $0.ids.lowerBound) }
        literalTokenizer = tokenizer.adding(names, areWords: false)
        if tokenizer.convention == .transformers5 { grammarTokenizer = tokenizer.adding(names, areWords: true) }
    }
}

extension PromptTokenizer {
    /// The learned word whose first id this is.
    func word(beginningWith id: Int) -> LearnedWord? { words.first { $0.ids.first == id } }
}

extension [PromptTokenizer] {
    /// A prompt as it is written, cut to one chunk.
    func encode(literal prompt: String) -> PromptTokens {
        if contains(where: { !$0.words.isEmpty }) {
            let encoded = map { $0.chunk(literal: prompt) }
            return PromptTokens(rows: encoded.map { [$0.chunk] }, count: (encoded.map(\.tokenCount).max() ?? 0) + 2)
        }
        let encoded = map { $0.tokenizer.encodeCounting(prompt, paddedTo: $0.limit) }
        return PromptTokens(rows: encoded.map { [.init(ids: $0.ids)] }, count: encoded.map(\.count).max() ?? 0)
    }

    /// A text of the grammar, in as many chunks as it needs.
    func encode(_ pieces: [ParsedPrompt.Piece]) -> PromptTokens {
        var rows = map { $0.chunks(of: pieces) }
        // Tokenizers of one model have one vocabulary; where they don't, the shorter text is filled up.
        let count = rows.map(\.chunks.count).max() ?? 0
        for index in indices {
            rows[index].chunks += repeatElement(self[index].emptyChunk, count: count - rows[index].chunks.count)
        }
        return PromptTokens(rows: rows.map(\.chunks), count: (rows.map(\.tokenCount).max() ?? 0) + 2)
    }

    /// What fills up prompts to the number of chunks that others have.
    var emptyChunk: PromptTokens { PromptTokens(rows: map { [$0.emptyChunk] }, count: 2) }
}
