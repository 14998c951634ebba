/// Splits words into the pieces that byte-pair encoding works on, by CLIP's pattern (Radford et al. 2021,
/// `SimpleTokenizer`), matched without regard to case:
///
///     <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
enum WordSplitter {
    /// The tokens that are never encoded byte by byte where the pattern finds them.
    static let marks = ["<|startoftext|>", "<|endoftext|>"]

    /// The alternatives that are spelled out, in their order.
    private static let literals = (marks + ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"])
        .map { Array($0.unicodeScalars) }

    /// The pieces of a word, in order; what the pattern doesn't match is left out.
    static func pieces(of word: [Unicode.Scalar]) -> [ArraySlice<Unicode.Scalar>] {
        var pieces: [ArraySlice<Unicode.Scalar>] = []
        var start = 0
        while start < word.count {
            let end: Int
            if let length = literalLength(at: start, in: word) {
                end = start + length
            } else {
                let kind = CharacterClass.kind(word[start])
                end =
                    kind == .number || kind == .separator
                    ? start + 1 : word[start...].firstIndex { CharacterClass.kind($0) != kind } ?? word.count
                if kind == .separator {
                    start = end
                    continue
                }
            }
            pieces.append(word[start..<end])
            start = end
        }
        return pieces
    }

    private static func literalLength(at start: Int, in word: [Unicode.Scalar]) -> Int? {
        guard word[start] == "'" || word[start] == "<" else { return nil }
        return literals.first { literal in
            literal.count <= word.count - start
                && zip(literal, word[start...]).allSatisfy { $0 == folded($1) }
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
