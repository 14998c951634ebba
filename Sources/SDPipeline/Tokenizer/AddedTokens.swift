/// A token that is found in the text before it is split into words: the special tokens, and those that a folder adds to its
/// vocabulary (such as the concepts of textual inversion).
struct AddedToken: Sendable, Equatable {
    var content: String
    /// Whether white space before or after the token in the text belongs to it.
    var stripsLeft = false
    var stripsRight = false
    /// Whether the token counts only as a word of its own.
    var isSingleWord = false
    /// Whether the token is looked for in the normalised text (so in any case) and not in the text as it is given.
    var isNormalized = false
    /// Whether the token has a task, as beginning and end do.
    var isSpecial = false
}

/// A part of a text between added tokens, or one of these.
enum AddedTokenPiece {
    case token(AddedToken)
    case text(ArraySlice<Unicode.Scalar>)
}

/// Splits text at added tokens, as the tokenizers library does (`AddedVocabulary`).
struct AddedTokenSplitter: Sendable {
    private let tokens: [AddedToken]
    private let trie: AddedTokenTrie

    /// - Parameter spelling: what a token looks like in the texts that will be split.
    init(_ tokens: [AddedToken], spelling: (AddedToken) -> [Unicode.Scalar]) {
        self.tokens = tokens
        trie = AddedTokenTrie(tokens.map(spelling))
    }

    /// The pieces of a text, in order: the first match counts, and of those that start at one place the longest.
    func split(_ text: ArraySlice<Unicode.Scalar>) -> [AddedTokenPiece] {
        var pieces: [AddedTokenPiece] = []
        var textStart = text.startIndex
        var place = text.startIndex
        while place < text.endIndex {
            guard let match = trie.longestMatch(at: place, in: text) else {
                place += 1
                continue
            }
            let token = tokens[match.token]
            var (start, end) = (place, match.end)
            place = match.end
            if token.isSingleWord {
                let before = text[..<start].last.map(CharacterClass.isWordCharacter) ?? false
                let after = text[end...].first.map(CharacterClass.isWordCharacter) ?? false
                if before || after { continue }
            }
            if token.stripsLeft {
                while start > textStart, CharacterClass.kind(text[start - 1]) == .separator { start -= 1 }
            }
            if token.stripsRight {
                while end < text.endIndex, CharacterClass.kind(text[end]) == .separator { end += 1 }
            }
            if textStart < start { pieces.append(.text(text[textStart..<start])) }
            pieces.append(.token(token))
            textStart = end
        }
        if textStart < text.endIndex { pieces.append(.text(text[textStart...])) }
        return pieces
    }
}

/// Splits text at added tokens, as transformers' tokenizers in Python do (`PreTrainedTokenizer.tokenize`).
struct PythonAddedTokenSplitter: Sendable {
    private let tokens: [AddedToken]
    private let trie: AddedTokenTrie

    init(_ tokens: [AddedToken]) {
        self.tokens = tokens
        trie = AddedTokenTrie(tokens.map { Array($0.content.unicodeScalars) })
    }

    /// The pieces of a text, in order: the first match counts, and of those that start at one place the longest.
    func split(_ text: ArraySlice<Unicode.Scalar>) -> [AddedTokenPiece] {
        var pieces: [AddedTokenPiece] = []
        var textStart = text.startIndex
        var place = text.startIndex
        while place < text.endIndex {
            guard let match = trie.longestMatch(at: place, in: text) else {
                place += 1
                continue
            }
            if textStart < place { pieces.append(.text(text[textStart..<place])) }
            pieces.append(.token(tokens[match.token]))
            place = match.end
            textStart = place
        }
        if textStart < text.endIndex { pieces.append(.text(text[textStart...])) }
        applyFlags(to: &pieces)
        return pieces
    }

    /// Lets tokens take the white space that is theirs, and turns those that stand inside a word back into text.
    private func applyFlags(to pieces: inout [AddedTokenPiece]) {
        for index in pieces.indices {
            guard case .token(let token) = pieces[index] else { continue }
            let hasLeft = index > 0
            let hasRight = index + 1 < pieces.count
            if token.stripsRight, hasRight, case .text(let right) = pieces[index + 1] {
                pieces[index + 1] = .text(right.drop(while: CharacterClass.isPythonSpace))
            }
            if token.stripsLeft, hasLeft, case .text(var left) = pieces[index - 1] {
                while let last = left.last, CharacterClass.isPythonSpace(last) { left.removeLast() }
                pieces[index - 1] = .text(left)
            }
            guard token.isSingleWord else { continue }
            let left = hasLeft ? Self.scalars(of: pieces[index - 1]) : []
            let right = hasRight ? Self.scalars(of: pieces[index + 1]) : []
            if let last = left.last, last != " " {
                pieces[index - 1] = .text(left + token.content.unicodeScalars)
                pieces[index] = .text([])
            } else if let first = right.first, first != " " {
                pieces[index + 1] = .text(ArraySlice(token.content.unicodeScalars) + right)
                pieces[index] = .text([])
            }
        }
    }

    private static func scalars(of piece: AddedTokenPiece) -> ArraySlice<Unicode.Scalar> {
        switch piece {
        case .text(let text): text
        case .token(let token): ArraySlice(token.content.unicodeScalars)
        }
    }
}
