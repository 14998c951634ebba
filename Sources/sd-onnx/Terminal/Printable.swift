/// Text that names from files may be in, such as those of a model's nodes: what would command the terminal becomes U+FFFD.
enum Printable {
    /// - Parameter sequences: escape sequences that stay.
    static func text(_ text: String, keeping sequences: [String] = []) -> String {
        guard text.unicodeScalars.contains(where: isCommand) else { return text }
        var result = String.UnicodeScalarView()
        var rest = text.unicodeScalars[...]
        while let scalar = rest.first {
            if let kept = sequences.first(where: { rest.starts(with: $0.unicodeScalars) }) {
                result.append(contentsOf: kept.unicodeScalars)
                rest = rest.dropFirst(kept.unicodeScalars.count)
            } else {
                result.append(isCommand(scalar) ? "\u{FFFD}" : scalar)
                rest = rest.dropFirst()
            }
        }
        return String(result)
    }

    /// As ``text(_:keeping:)``, on one line.
    static func line(_ text: String) -> String {
        Self.text(
            text.contains { $0.isNewline || $0 == "\t" } ? String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 }) : text)
    }

    /// Control characters but for tabs and ends of lines, and those that turn the direction of the text after them.
    private static func isCommand(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A: false
        case 0..<0x20, 0x7F..<0xA0, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
