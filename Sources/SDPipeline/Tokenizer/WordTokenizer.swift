/// The road from a text to the pieces that byte-pair encoding works on, by one convention.
enum WordTokenizer: Sendable {
    /// transformers 5: the tokenizers library's added tokens, normaliser and pattern.
    case transformers5(raw: AddedTokenSplitter, normalized: AddedTokenSplitter)
    /// transformers 4: added tokens, `BasicTokenizer` and the pattern, in Python.
    case transformers4(added: PythonAddedTokenSplitter, cleaner: TextCleaner)

    enum Piece {
        /// An added token.
        case token(AddedToken)
        /// A piece of a word, to be encoded.
        case word(ArraySlice<Unicode.Scalar>)
    }

    /// - Parameters:
    ///   - addedTokens: those that come first count where several look alike.
    ///   - lowercases: whether `transformers4` makes the text lower-case; `transformers5` does always.
    init(_ convention: TokenizerConvention, addedTokens: [AddedToken], lowercases: Bool) {
        switch convention {
        case .transformers5:
            let tokens = addedTokens.filter(\.isSpecial) + addedTokens.filter { !$0.isSpecial }
            self = .transformers5(
                raw: AddedTokenSplitter(tokens.filter { !$0.isNormalized }) { Array($0.content.unicodeScalars) },
                normalized: AddedTokenSplitter(tokens.filter(\.isNormalized)) {
                    TextNormalizer.normalize(ArraySlice($0.content.unicodeScalars))
                })
        case .transformers4:
            self = .transformers4(
                added: PythonAddedTokenSplitter(addedTokens), cleaner: TextCleaner(lowercases: lowercases))
        }
    }

    /// The pieces of a text, in order.
    func pieces(of text: String) -> [Piece] {
        let scalars = ArraySlice(text.unicodeScalars)
        var pieces: [Piece] = []
        switch self {
        case .transformers5(let raw, let normalized):
            let splitter = WordSplitter(ignoresCase: false, cutsMarks: true)
            for piece in raw.split(scalars) {
                switch piece {
                case .token(let token): pieces.append(.token(token))
                case .text(let text):
                    for piece in normalized.split(ArraySlice(TextNormalizer.normalize(text))) {
                        pieces.append(contentsOf: Self.pieces(of: piece, splitter.pieces))
                    }
                }
            }
        case .transformers4(let added, let cleaner):
            let splitter = WordSplitter(ignoresCase: true, cutsMarks: false)
            for piece in added.split(scalars) {
                pieces.append(
                    contentsOf: Self.pieces(of: piece) { text in
                        cleaner.words(in: text).flatMap { splitter.pieces(of: ArraySlice($0)) }
                    })
            }
        }
        return pieces
    }

    private static func pieces(
        of piece: AddedTokenPiece, _ split: (ArraySlice<Unicode.Scalar>) -> [ArraySlice<Unicode.Scalar>]
    ) -> [Piece] {
        switch piece {
        case .token(let token): [.token(token)]
        case .text(let text): split(text).map(Piece.word)
        }
    }
}
