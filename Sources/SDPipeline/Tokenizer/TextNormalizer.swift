/// The cleaning that comes before CLIP's word pattern in transformers 5: the tokenizers library's `NFC`, `Replace(\s+, " ")` and
/// `Lowercase` in a row.
enum TextNormalizer {
    /// A text in normalisation form C, each run of white space as one space, and every character by itself in lower case.
    static func normalize(_ text: ArraySlice<Unicode.Scalar>) -> [Unicode.Scalar] {
        var output: [Unicode.Scalar] = []
        output.reserveCapacity(text.count)
        var isAfterSpace = false
        for scalar in CanonicalComposition.compose(Array(text), .v9) {
            let isSpace = CharacterClass.kind(scalar) == .separator
            defer { isAfterSpace = isSpace }
            switch scalar.value {
            case _ where isSpace: if !isAfterSpace { output.append(" ") }
            case 0..<0x41, 0x5b..<0x80: output.append(scalar)
            case 0x41...0x5a: output.append(Unicode.Scalar(UInt8(truncatingIfNeeded: scalar.value | 0x20)))
            default: output.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
            }
        }
        return output
    }
}
