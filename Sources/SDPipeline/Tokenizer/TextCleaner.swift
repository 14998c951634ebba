/// The cleaning that comes before CLIP's word pattern in transformers 4: its `BasicTokenizer` with `strip_accents=False` and
/// `do_split_on_punc=False`, which `CLIPTokenizer` uses where ftfy is not installed.
struct TextCleaner: Sendable {
    let lowercases: Bool

    /// The words of a text, in order: without control characters, in normalisation form C, and in lower case.
    func words(in text: ArraySlice<Unicode.Scalar>) -> [[Unicode.Scalar]] {
        CanonicalComposition.compose(cleaned(text), .v14)
            .split(whereSeparator: CharacterClass.isPythonSpace)
            .map { lowercases ? Self.lowercased(Array($0)) : Array($0) }
    }

    /// Drops U+0000, U+FFFD and what is a control character other than tab and line ends, makes the latter and every
    /// space separator a plain space, and puts spaces around ideographs.
    private func cleaned(_ text: ArraySlice<Unicode.Scalar>) -> [Unicode.Scalar] {
        var output: [Unicode.Scalar] = []
        output.reserveCapacity(text.count)
        for scalar in text {
            switch scalar.value {
            case 0x20...0x7e:
                output.append(scalar)
            case 0x09, 0x0a, 0x0d:
                output.append(" ")
            case 0xfffd:
                continue
            default:
                if CharacterClass.isControl(scalar) { continue }
                if scalar.properties.generalCategory == .spaceSeparator {
                    output.append(" ")
                } else if CharacterClass.isIdeograph(scalar) {
                    output.append(contentsOf: [" ", scalar, " "])
                } else {
                    output.append(scalar)
                }
            }
        }
        return output
    }

    /// Python's `str.lower()`: the full lower-case mapping of every character by itself, and final sigma by its
    /// neighbours (the Unicode Standard, section 3.13, condition Final_Sigma of table 3-17).
    static func lowercased(_ word: [Unicode.Scalar]) -> [Unicode.Scalar] {
        var output: [Unicode.Scalar] = []
        output.reserveCapacity(word.count)
        for (index, scalar) in word.enumerated() {
            switch scalar.value {
            case 0..<0x41, 0x5b..<0x80: output.append(scalar)
            case 0x41...0x5a: output.append(Unicode.Scalar(UInt8(truncatingIfNeeded: scalar.value | 0x20)))
            case 0x3a3: output.append(isFinalSigma(at: index, in: word) ? "\u{3c2}" : "\u{3c3}")
            default: output.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
            }
        }
        return output
    }

    private static func isFinalSigma(at index: Int, in word: [Unicode.Scalar]) -> Bool {
        let before = word[..<index].last { !CharacterClass.isCaseIgnorable($0) }
        let after = word[(index + 1)...].first { !CharacterClass.isCaseIgnorable($0) }
        return before.map(CharacterClass.isCased) ?? false && !(after.map(CharacterClass.isCased) ?? false)
    }
}
