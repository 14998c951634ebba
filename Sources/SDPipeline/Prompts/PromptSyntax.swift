/// How the text of a prompt is read.
public enum PromptSyntax: String, Sendable, CaseIterable, Codable {
    /// By the grammar where one of the two prompts contains syntax that means something in it, else literally.
    case automatic = "auto"
    /// By the grammar of AUTOMATIC1111's web interface: weights, breaks, `AND`, editing and alternation; long texts take several chunks.
    case a1111
    /// Literally, as diffusers does; what is too long for the text encoder is cut off.
    case plain

    /// Whether a text contains what the grammar takes as an instruction: an opening bracket, an escaped bracket or backslash, or one of the
    /// words `BREAK` and, outside of negative prompts, `AND`.
    ///
    /// A closing bracket alone stands for itself, and so do a bar and a colon outside of brackets.
    static func isUsed(in text: String, isNegative: Bool) -> Bool {
        let scalars = Array(text.unicodeScalars)
        var position = 0
        while position < scalars.count {
            switch scalars[position] {
            case "(", "[": return true
            case "\\":
                if position + 1 < scalars.count, "()[]\\".unicodeScalars.contains(scalars[position + 1]) { return true }
            case "A" where !isNegative && scalars.hasWord("AND", at: position): return true
            case "B" where scalars.hasWord("BREAK", at: position): return true
            default: break
            }
            position += 1
        }
        return false
    }

    /// Tags such as `<lora:style:0.8>`, up to three, which other programs take out of prompts, and which are text here.
    static func tags(in prompt: String) -> [String] {
        prompt.matches(of: /<[a-z]+:[^<>]*>/).prefix(3).map { String($0.output.prefix(60)) }
    }
}

extension [Unicode.Scalar] {
    /// Whether a word begins and ends at its own boundaries here, as `\bWORD\b` of Python's regular expressions.
    func hasWord(_ word: StaticString, at position: Int) -> Bool {
        let letters = Array(word.description.unicodeScalars)
        guard position + letters.count <= count, self[position..<position + letters.count].elementsEqual(letters) else {
            return false
        }
        let (before, after) = (position - 1, position + letters.count)
        return (before < 0 || !self[before].isWordCharacter) && (after >= count || !self[after].isWordCharacter)
    }
}

extension Unicode.Scalar {
    /// `\w` of Python's regular expressions: letters, numbers and the underscore.
    fileprivate var isWordCharacter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber, .letterNumber,
            .otherNumber:
            true
        default: self == "_"
        }
    }
}

extension Unicode.Scalar {
    /// `\s` of Python's regular expressions.
    var isBlank: Bool { CharacterClass.isPythonSpace(self) }
}
