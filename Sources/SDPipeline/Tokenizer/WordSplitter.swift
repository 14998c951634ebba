/// Splits text into the pieces that byte-pair encoding works on, by CLIP's pattern (Radford et al. 2021, `SimpleTokenizer`):
///
///     <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
struct WordSplitter: Sendable {
    /// The first two alternatives.
    static let marks = ["<|startoftext|>", "<|endoftext|>"]

    /// The alternatives that are spelled out, in their order.
    private static let literals = (marks + ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"])
        .map { Array($0.unicodeScalars) }

    /// Whether the pattern is matched without regard to case. U+0345 is then in no piece: it is no letter, but its case variants
    /// ι and Ι are.
    let ignoresCase: Bool
    /// Whether the two marks are cut at their word, as the tokenizers library's `ByteLevel` does where they aren't added tokens.
    let cutsMarks: Bool

    /// The pieces of a text, in order; what the pattern doesn't match is left out.
    func pieces(of text: ArraySlice<Unicode.Scalar>) -> [ArraySlice<Unicode.Scalar>] {
        var pieces: [ArraySlice<Unicode.Scalar>] = []
        var start = text.startIndex
        while start < text.endIndex {
            let end: Int
            if let length = literalLength(at: start, in: text) {
                end = start + length
                if cutsMarks, text[start] == "<" {
                    pieces += [text[start..<start + 2], text[start + 2..<end - 2], text[end - 2..<end]]
                    start = end
                    continue
                }
            } else {
                let kind = kind(text[start])
                end =
                    kind == .number || kind == .separator
                    ? start + 1 : text[start...].firstIndex { self.kind($0) != kind } ?? text.endIndex
                if kind == .separator {
                    start = end
                    continue
                }
            }
            pieces.append(text[start..<end])
            start = end
        }
        return pieces
    }

    private func kind(_ scalar: Unicode.Scalar) -> CharacterClass.Kind {
        ignoresCase && scalar.value == 0x345 ? .separator : CharacterClass.kind(scalar)
    }

    private func literalLength(at start: Int, in text: ArraySlice<Unicode.Scalar>) -> Int? {
        guard text[start] == "'" || text[start] == "<" else { return nil }
        return Self.literals.first { literal in
            literal.count <= text.endIndex - start
                && zip(literal, text[start...]).allSatisfy { $0 == (ignoresCase ? Self.folded($1) : $1) }
        }?.count
    }

    /// Simple case folding, as far as it leads to a letter of the literals: ASCII, and ſ (U+017F) to s.
    private static func folded(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar.value {
        case 0x41...0x5a: Unicode.Scalar(UInt8(truncatingIfNeeded: scalar.value | 0x20))
        case 0x17f: "s"
        default: scalar
        }
    }
}
