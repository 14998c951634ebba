/// A token that is found in the text before any cleaning and never split: the special tokens, and those that a folder adds
/// to its vocabulary (such as the concepts of textual inversion).
struct AddedToken: Sendable, Equatable {
    var content: String
    /// Whether white space before or after the token in the text belongs to it.
    var stripsLeft = false
    var stripsRight = false
    /// Whether the token counts only where a space or the text's end is on both sides.
    var isSingleWord = false
}

/// Splits text at added tokens, as transformers' slow tokenizers do (`PreTrainedTokenizer.tokenize`).
struct AddedTokenSplitter: Sendable {
    enum Piece {
        case token(AddedToken)
        case text([Unicode.Scalar])
    }

    private struct State {
        var next: [Unicode.Scalar: Int] = [:]
        var token: Int?
    }

    private let tokens: [AddedToken]
    private var trie = [State()]

    init(_ tokens: [AddedToken]) {
        self.tokens = tokens
        for (index, token) in tokens.enumerated() where !token.content.isEmpty {
            var state = 0
            for scalar in token.content.unicodeScalars {
                if let next = trie[state].next[scalar] {
                    state = next
                } else {
                    trie[state].next[scalar] = trie.count
                    state = trie.count
                    trie.append(State())
                }
            }
            trie[state].token = index
        }
    }

    /// The pieces of a text, in order: the first match counts, and of those that start at one place the longest.
    func split(_ text: [Unicode.Scalar]) -> [Piece] {
        var pieces: [Piece] = []
        var textStart = 0
        var place = 0
        while place < text.count {
            guard let match = longestMatch(at: place, in: text) else {
                place += 1
                continue
            }
            if textStart < place { pieces.append(.text(Array(text[textStart..<place]))) }
            pieces.append(.token(tokens[match.token]))
            place = match.end
            textStart = place
        }
        if textStart < text.count { pieces.append(.text(Array(text[textStart...]))) }
        applyFlags(to: &pieces)
        return pieces
    }

    private func longestMatch(at start: Int, in text: [Unicode.Scalar]) -> (token: Int, end: Int)? {
        var found: (token: Int, end: Int)?
        var state = 0
        var place = start
        while place < text.count, let next = trie[state].next[text[place]] {
            state = next
            place += 1
            if let token = trie[state].token { found = (token, place) }
        }
        return found
    }

    /// Lets tokens take the white space that is theirs, and turns those that stand inside a word back into text.
    private func applyFlags(to pieces: inout [Piece]) {
        for index in pieces.indices {
            guard case .token(let token) = pieces[index] else { continue }
            let hasLeft = index > 0
            let hasRight = index + 1 < pieces.count
            if token.stripsRight, hasRight, case .text(let right) = pieces[index + 1] {
                pieces[index + 1] = .text(Array(right.drop(while: CharacterClass.isPythonSpace)))
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
                pieces[index + 1] = .text(token.content.unicodeScalars + right)
                pieces[index] = .text([])
            }
        }
    }

    private static func scalars(of piece: Piece) -> [Unicode.Scalar] {
        switch piece {
        case .text(let text): text
        case .token(let token): Array(token.content.unicodeScalars)
        }
    }
}
