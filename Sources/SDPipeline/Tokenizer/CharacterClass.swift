/// What the tokenizers ask about a character, by the Unicode versions that the reference tokenizers run on.
///
/// Characters that were assigned later count as unassigned, so that ids don't depend on the Swift toolchain. Among older
/// characters, categories and case mappings equal those of the references in everything that is asked here, but for the two
/// that `isCased` and `isCaseIgnorable` name.
enum CharacterClass {
    enum Kind {
        case letter, number, other, separator
    }

    /// The class in CLIP's word pattern: `\p{L}`, `\p{N}`, white space, or anything but those.
    static func kind(_ scalar: Unicode.Scalar) -> Kind {
        switch scalar.value {
        case 0x61...0x7a, 0x41...0x5a: return .letter
        case 0x30...0x39: return .number
        case 0x20: return .separator
        case 0x21..<0x7f: return .other
        default: break
        }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            return UnicodeVersion.v16.assigns(scalar) ? .letter : .other
        case .decimalNumber, .letterNumber, .otherNumber:
            return UnicodeVersion.v16.assigns(scalar) ? .number : .other
        default: return scalar.properties.isWhitespace ? .separator : .other
        }
    }

    /// Whether Python's `unicodedata` has the general category Cc, Cf, Co or Cn (a string holds no Cs).
    static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0x7f { return scalar.value < 0x20 }
        switch scalar.properties.generalCategory {
        case .control, .format, .privateUse, .surrogate, .unassigned: return true
        default: return !UnicodeVersion.v14.assigns(scalar)
        }
    }

    /// Whether Python's `str.isspace` holds: white space, or one of the information separators U+001C to U+001F.
    static func isPythonSpace(_ scalar: Unicode.Scalar) -> Bool {
        (0x1c...0x1f).contains(scalar.value) || scalar.properties.isWhitespace
    }

    /// Whether `\w` holds in a regular expression: letters, marks, decimal digits, connectors and joiners (UTS #18, annex C).
    static func isWordCharacter(_ scalar: Unicode.Scalar) -> Bool {
        let properties = scalar.properties
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
        default: return properties.isAlphabetic || properties.isJoinControl
        }
    }

    /// Whether BERT sets the character apart with spaces: CJK ideographs of the blocks that its tokenizer lists
    /// (Devlin et al. 2018, `BasicTokenizer`).
    static func isIdeograph(_ scalar: Unicode.Scalar) -> Bool {
        guard scalar.value >= 0x3400 else { return false }
        switch scalar.value {
        case 0x3400...0x4dbf, 0x4e00...0x9fff, 0xf900...0xfaff, 0x20000...0x2a6df, 0x2a700...0x2b73f, 0x2b740...0x2b81f,
            0x2b820...0x2ceaf, 0x2f800...0x2fa1f:
            return true
        default:
            return false
        }
    }

    /// The derived property Cased. U+0295 lost it after Unicode 14.0.
    static func isCased(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value == 0x295 || scalar.properties.isCased
    }

    /// The derived property Case_Ignorable. U+1171E lost it after Unicode 14.0.
    static func isCaseIgnorable(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value == 0x1171e || scalar.properties.isCaseIgnorable
    }
}
