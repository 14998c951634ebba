import Foundation

/// CLIP's tokenizer: byte-level byte-pair encoding over normalised, lower-case words (Radford et al. 2021).
///
/// Gives the ids of transformers' `CLIPTokenizer` of version 5 (tokenizers 0.23), or of version 4 (the one in Python, with ftfy
/// absent, on Python 3.11's Unicode 14.0), as ``TokenizerConvention`` says. A folder says how long a text may be and which tokens are
/// special; `do_lower_case` is not asked, since transformers lower-cases whatever it says.
///
/// The ids of added tokens are those that the folder states, also where transformers 5 would number them anew since one is left out.
public struct CLIPTokenizer: Sendable {
    /// The most ids that the text encoder takes, `model_max_length`; nil where the folder states none.
    public let maximumLength: Int?
    /// The token before every text.
    public let beginningToken: SpecialToken
    /// The token after every text.
    public let endToken: SpecialToken
    /// The token that fills up a text to a length.
    public let paddingToken: SpecialToken
    /// The token that stands for one that the vocabulary lacks.
    public let unknownToken: SpecialToken
    /// The number of tokens, added ones included.
    public let vocabularySize: Int

    /// A token with a task, and its id.
    public struct SpecialToken: Sendable, Equatable {
        /// The token as it is written.
        public let text: String
        /// Its id.
        public let id: Int
    }

    /// Whose ids the tokenizer gives.
    public let convention: TokenizerConvention

    let encoder: BytePairEncoder
    var words: WordTokenizer
    var addedIDs: [String: Int]
    /// Those that come first count where several look alike.
    var addedTokens: [AddedToken]
    let lowercases: Bool
    let vocabulary: [String: Int]
    let tokensByID: [Int: String]
    let specialTexts: Set<String>
    /// The added tokens that decoding sets apart with spaces.
    let separateTexts: Set<String>
    let configuration: TokenizerConfiguration

    /// Loads a tokenizer from a folder as transformers or diffusers save it.
    ///
    /// Reads `vocab.json` and `merges.txt`, or `tokenizer.json` where those are absent; for lengths, special and added tokens
    /// `tokenizer_config.json`, and where that has no `added_tokens_decoder`, also `special_tokens_map.json`,
    /// `added_tokens.json` and the added tokens of `tokenizer.json`. Special tokens that no file names are CLIP's.
    ///
    /// - Parameters:
    ///   - folder: the folder of the files.
    ///   - convention: whose ids the tokenizer gives.
    /// - Throws: ``TokenizerError`` if a file is missing, is not what its name says, or contradicts another.
    public init(folder: URL, convention: TokenizerConvention = .transformers5) throws {
        try self.init(TokenizerFolder(folder, convention: convention))
    }

    /// The tokenizer with tokens added, as transformers' `add_tokens` adds texts: in version 5 they match in any letter case.
    ///
    /// - Parameter areWords: whether they count only as words of their own (`single_word`).
    func adding(_ tokens: [(text: String, id: Int)], areWords: Bool) -> CLIPTokenizer {
        var result = self
        for (text, id) in tokens {
            result.addedIDs[text] = id
            result.addedTokens.append(
                AddedToken(content: text, isSingleWord: areWords, isNormalized: convention == .transformers5))
        }
        result.words = WordTokenizer(convention, addedTokens: result.addedTokens, lowercases: lowercases)
        return result
    }

    /// The ids of a text between the beginning and the end token.
    ///
    /// - Parameters:
    ///   - text: any text.
    ///   - length: at most this many ids are given (the text loses its last ones, or its first ones where the folder says
    ///     `truncation_side` left); nil for no limit.
    public func encode(_ text: String, truncatedTo length: Int? = nil) -> [Int] {
        framed(tokens(in: text).map(\.id), truncatedTo: length)
    }

    /// Exactly `length` ids of a text, truncated or filled up with the padding token (after the text, or before it where the
    /// folder says `padding_side` left), and a mask that has 1 for the text and 0 for the filling.
    public func encode(_ text: String, paddedTo length: Int) -> (ids: [Int], attentionMask: [Int]) {
        let (ids, mask, _) = encodeCounting(text, paddedTo: length)
        return (ids, mask)
    }

    /// As ``encode(_:paddedTo:)``, with the number of ids, beginning and end included, that the whole text has.
    func encodeCounting(_ text: String, paddedTo length: Int) -> (ids: [Int], attentionMask: [Int], count: Int) {
        let all = tokens(in: text).map(\.id)
        let ids = framed(all, truncatedTo: length)
        let missing = max(0, length - ids.count)
        let filling = Array(repeating: paddingToken.id, count: missing)
        let ones = Array(repeating: 1, count: ids.count)
        let zeros = Array(repeating: 0, count: missing)
        return configuration.paddingSide == .right
            ? (ids + filling, ones + zeros, all.count + 2) : (filling + ids, zeros + ones, all.count + 2)
    }

    /// Ids between the beginning and the end token, at most `length` with these.
    private func framed(_ ids: [Int], truncatedTo length: Int?) -> [Int] {
        guard let length, ids.count + 2 > length else { return [beginningToken.id] + ids + [endToken.id] }
        let room = max(0, length - 2)
        let kept = configuration.truncationSide == .right ? ids.prefix(room) : ids.suffix(room)
        return Array(([beginningToken.id] + kept + [endToken.id]).prefix(max(0, length)))
    }

    /// The token texts of a text, without beginning and end token: `a photo` gives `a</w>`, `photo</w>`.
    public func tokenize(_ text: String) -> [String] {
        tokens(in: text).map(\.text)
    }

    /// The text of ids: bytes that are no UTF-8 become U+FFFD, and word ends become spaces.
    ///
    /// `clean_up_tokenization_spaces` counts in `transformers4` alone, as in transformers. Added tokens are set apart with spaces.
    ///
    /// - Parameters:
    ///   - ids: ids of the vocabulary.
    ///   - skippingSpecialTokens: whether beginning, end, padding and other special tokens are left out.
    /// - Throws: ``TokenizerError/unknownID(_:vocabularySize:)`` for an id that no token has.
    public func decode(_ ids: [Int], skippingSpecialTokens: Bool = false) throws -> String {
        var parts: [String] = []
        var bytes: [UInt8] = []
        func finishPart() {
            let text = String(decoding: bytes, as: UTF8.self).replacingOccurrences(of: BytePairEncoder.endOfWord, with: " ")
            let trimmed = Self.trimmed(text)
            if !trimmed.isEmpty { parts.append(trimmed) }
            bytes.removeAll()
        }
        for id in ids {
            guard let token = tokensByID[id] else {
                throw TokenizerError.unknownID(id, vocabularySize: vocabularySize)
            }
            if skippingSpecialTokens, specialTexts.contains(token) { continue }
            if separateTexts.contains(token) {
                finishPart()
                parts.append(token)
                continue
            }
            for scalar in token.unicodeScalars {
                if let byte = ByteAlphabet.byte(of: scalar) {
                    bytes.append(byte)
                } else {
                    bytes.append(contentsOf: String(scalar).utf8)
                }
            }
        }
        finishPart()
        let text = parts.joined(separator: " ")
        return configuration.cleansUpSpaces && convention == .transformers4 ? Self.cleanedUp(text) : text
    }

    /// The ids of a text without beginning and end token.
    func contentIDs(of text: String) -> [Int] { tokens(in: text).map(\.id) }

    /// The id of a token as the vocabulary writes it; nil where it has none.
    func id(ofToken token: String) -> Int? { vocabulary[token] }

    private func tokens(in text: String) -> [(text: String, id: Int)] {
        var tokens: [(text: String, id: Int)] = []
        for piece in words.pieces(of: text) {
            switch piece {
            case .token(let token): tokens.append((token.content, id(of: token.content)))
            case .word(let word): appendTokens(of: word, to: &tokens)
            }
        }
        return tokens
    }

    private func appendTokens(of word: ArraySlice<Unicode.Scalar>, to tokens: inout [(text: String, id: Int)]) {
        let text = String(String.UnicodeScalarView(word))
        switch convention {
        case .transformers5:
            for symbol in encoder.encode(Array(text.utf8)) {
                let token = encoder.token(symbol)
                tokens.append(token.id.map { (token.text, $0) } ?? (unknownToken.text, unknownToken.id))
            }
        case .transformers4:
            if WordSplitter.marks.contains(text) { return tokens.append((text, id(of: text))) }
            for symbol in encoder.encode(Array(text.utf8)) {
                let token = encoder.token(symbol)
                tokens.append((token.text, addedIDs[token.text] ?? token.id ?? unknownToken.id))
            }
        }
    }

    private func id(of token: String) -> Int {
        addedIDs[token] ?? vocabulary[token] ?? unknownToken.id
    }

    private static func trimmed(_ text: String) -> String {
        let scalars = text.unicodeScalars
        guard let first = scalars.firstIndex(where: { !CharacterClass.isPythonSpace($0) }),
            let last = scalars.lastIndex(where: { !CharacterClass.isPythonSpace($0) })
        else { return "" }
        return String(scalars[first...last])
    }

    /// transformers' `clean_up_tokenization`: joins punctuation and contractions with the word before them.
    private static func cleanedUp(_ text: String) -> String {
        let pairs = [
            (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" 's", "'s"),
            (" 've", "'ve"), (" 're", "'re"),
        ]
        return pairs.reduce(text) { $0.replacingOccurrences(of: $1.0, with: $1.1, options: .literal) }
    }
}
