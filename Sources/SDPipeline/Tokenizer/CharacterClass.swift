/// What the tokenizer asks about a character, by the Unicode version that the reference tokenizer runs on.
///
/// Characters that were assigned later than Unicode 14.0 count as unassigned, as they do for the Python 3.11 that Debian 12
/// ships, so that ids don't depend on the Swift toolchain. Among older characters, categories and case mappings equal those
/// of 14.0 in everything that is asked here, but for the two that `isCased` and `isCaseIgnorable` name.
enum CharacterClass {
    private static let unicodeVersion = (major: 14, minor: 0)

    enum Kind {
        case letter, number, other, separator
    }

    /// The class in CLIP's word pattern under case-insensitive matching: `\p{L}`, `\p{N}`, anything but those and white
    /// space, or none of them. U+0345 is in none: it is no letter, but its case variants ι and Ι are.
    static func kind(_ scalar: Unicode.Scalar) -> Kind {
        switch scalar.value {
        case 0x61...0x7a, 0x41...0x5a: return .letter
        case 0x30...0x39: return .number
        case 0x20, 0x345: return .separator
        case 0x21..<0x7f: return .other
        default: break
        }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return .letter
        case .decimalNumber, .letterNumber, .otherNumber: return .number
        default: return scalar.properties.isWhitespace ? .separator : .other
        }
    }

    /// Whether the general category is one of Cc, Cf, Co, Cn (a string holds no Cs).
    static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0x7f { return scalar.value < 0x20 }
        let properties = scalar.properties
        switch properties.generalCategory {
        case .control, .format, .privateUse, .surrogate, .unassigned:
            return true
        default:
            guard let age = properties.age else { return true }
            return (age.major, age.minor) > unicodeVersion
        }
    }

    /// Whether Python's `str.isspace` holds: white space, or one of the information separators U+001C to U+001F.
    static func isPythonSpace(_ scalar: Unicode.Scalar) -> Bool {
        (0x1c...0x1f).contains(scalar.value) || scalar.properties.isWhitespace
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
