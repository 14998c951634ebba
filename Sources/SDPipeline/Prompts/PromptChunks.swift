/// Chunks of a prompt's tokens, cut as AUTOMATIC1111's web interface cuts them: each is full but for the last, unless a break ends it, or
/// a comma among its last tokens, behind which the next begins.
struct PromptChunks {
    /// How far before a chunk's end a comma may be that it is cut behind (`comma_padding_backtrack` there).
    static let backtrack = 20

    /// Tokens without start, end and filling.
    private(set) var contents: [[(id: Int, weight: Float)]] = []
    /// Tokens of the text, without those that fill up a chunk before the last one's end.
    private(set) var tokenCount = 0

    private let length: Int
    private var current: [(id: Int, weight: Float)] = []
    /// Behind the last comma of the current chunk.
    private var behindComma: Int?

    /// - Parameters:
    ///   - pieces: each with its token ids, those of a learned word together, which stay in one chunk.
    ///   - comma: the token of a comma at a word's end.
    ///   - length: tokens that a chunk takes, without start and end.
    init(_ pieces: [(ids: [[Int]], weight: Float, isBreak: Bool)], comma: Int?, length: Int) {
        self.length = length
        for piece in pieces {
            if piece.isBreak {
                finishChunk()
                continue
            }
            for ids in piece.ids {
                tokenCount += ids.count
                if ids.count == 1, ids[0] == comma {
                    behindComma = current.count + 1
                } else if current.count == length, let start = behindComma, current.count - (start - 1) <= Self.backtrack {
                    let moved = current[start...]
                    current.removeSubrange(start...)
                    finishChunk()
                    current = Array(moved)
                }
                if current.count + ids.count > length { finishChunk() }
                current += ids.map { ($0, piece.weight) }
            }
        }
        if !current.isEmpty || contents.isEmpty { finishChunk() }
    }

    private mutating func finishChunk() {
        contents.append(current)
        current = []
        behindComma = nil
    }
}

extension PromptTokenizer {
    /// Tokens of a chunk without start and end.
    private var length: Int { limit - 2 }

    /// The chunks of a text, and the tokens that it has, start and end not counted.
    func chunks(of pieces: [ParsedPrompt.Piece]) -> (chunks: [PromptTokens.Chunk], tokenCount: Int) {
        let encoded = pieces.map { piece in
            (ids: piece.isBreak ? [] : contentIDs(of: piece.text), weight: Float(piece.weight), isBreak: piece.isBreak)
        }
        let made = PromptChunks(encoded, comma: tokenizer.id(ofToken: ",</w>"), length: length)
        return (made.contents.map(chunk), made.tokenCount)
    }

    /// A text as it is written, in one chunk, and the tokens that it has, start and end not counted.
    func chunk(literal text: String) -> (chunk: PromptTokens.Chunk, tokenCount: Int) {
        let ids = literalTokenizer.contentIDs(of: text).flatMap { word(beginningWith: $0)?.ids ?? $0..<$0 + 1 }
        return (chunk(ids.prefix(length).map { ($0, 1) }), ids.count)
    }

    /// The ids of a text of the grammar: one of each token, and all of a learned word, which is where its name is a word of its own, beside
    /// punctuation too, or where the tokens of its name are.
    private func contentIDs(of text: String) -> [[Int]] {
        let ids = grammarTokenizer.contentIDs(of: text)
        guard !words.isEmpty else { return ids.map { [$0] } }
        var result: [[Int]] = []
        var position = 0
        while position < ids.count {
            if let word = word(beginningWith: ids[position]) {
                result.append(Array(word.ids))
                position += 1
            } else {
                let word = words.first { ids[position...].starts(with: $0.nameIDs) }
                result.append(word.map { Array($0.ids) } ?? [ids[position]])
                position += word?.nameIDs.count ?? 1
            }
        }
        return result
    }

    /// What people see of a token.
    func text(ofToken id: Int) -> String {
        tokenizer.tokensByID[id] ?? words.first { $0.ids.contains(id) }.map { "\($0.name) [\(id - $0.ids.lowerBound + 1)]" }
            ?? ""
    }

    /// Start and end alone.
    var emptyChunk: PromptTokens.Chunk { chunk([]) }

    /// The first end token is followed by the tokenizer's own filling.
    private func chunk(_ content: [(id: Int, weight: Float)]) -> PromptTokens.Chunk {
        let filling = length - content.count
        let ids = [tokenizer.beginningToken.id] + content.map(\.id) + [tokenizer.endToken.id]
        let weights = [1] + content.map(\.weight) + Array(repeating: Float(1), count: filling + 1)
        return PromptTokens.Chunk(
            ids: ids + Array(repeating: tokenizer.paddingToken.id, count: filling),
            weights: content.contains { $0.weight != 1 } ? weights : [])
    }
}
