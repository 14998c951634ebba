import Foundation
import ONNXLoader

/// Settings of a picture as text, in the form of AUTOMATIC1111's web interface: the prompt's lines, those of the negative prompt behind
/// `Negative prompt:`, and a last line of `Key: value` pairs. Read and written by its rules
/// (`modules/infotext_utils.py`, `parse_generation_parameters` and `quote`).
public struct Infotext: Sendable, Equatable {
    /// One setting.
    public struct Pair: Sendable, Equatable {
        /// Two characters or more: a letter, digit or `_`, and of these, spaces, `-` and `/`.
        public var key: String
        /// Any text, without the quotation marks that it may be written in.
        public var value: String

        /// A setting.
        public init(_ key: String, _ value: String) {
            self.key = key
            self.value = value
        }
    }

    /// Lines of the prompt.
    public var prompt: String
    /// Lines of the negative prompt; empty for none.
    public var negativePrompt: String
    /// The settings, in order.
    public var pairs: [Pair]

    /// The most bytes of a text that is read: 1 MB, many times the longest prompt.
    static let largestSize = 1 << 20
    /// A last line of fewer pairs is one of the prompt.
    private static let fewestPairs = 3
    private static let negativeStart = "Negative prompt:"

    /// Settings in parts.
    public init(prompt: String, negativePrompt: String = "", pairs: [Pair]) {
        self.prompt = prompt
        self.negativePrompt = negativePrompt
        self.pairs = pairs
    }

    /// The last value of a key; nil for none.
    public subscript(key: String) -> String? { pairs.last { $0.key == key }?.value }

    /// The whole text.
    public var text: String {
        let line = pairs.map { "\($0.key): \(Self.quoted($0.value))" }.joined(separator: ", ")
        return prompt + (negativePrompt.isEmpty ? "" : "\n\(Self.negativeStart) \(negativePrompt)") + "\n" + line
    }

    /// Reads a text. Any text is one: what has no settings is a prompt.
    ///
    /// - Parameter text: of which the first 1 MB counts.
    public init(parsing text: String) {
        let limited =
            text.utf8.count > Self.largestSize ? String(decoding: text.utf8.prefix(Self.largestSize), as: UTF8.self) : text
        var lines = Self.trimmed(limited).unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map {
            String($0)
        }
        pairs = lines.last.map(Self.pairs) ?? []
        if pairs.count >= Self.fewestPairs { lines.removeLast() } else { pairs = [] }
        var (prompt, negative): ([String], [String]) = ([], [])
        var isNegative = false
        for line in lines {
            var line = Self.trimmed(line)
            if line.hasPrefix(Self.negativeStart) {
                isNegative = true
                line = Self.trimmed(String(line.dropFirst(Self.negativeStart.count)))
            }
            // A line end follows what there is so far, so that empty lines at the start leave none.
            if isNegative {
                if !(negative.isEmpty && line.isEmpty) { negative.append(line) }
            } else if !(prompt.isEmpty && line.isEmpty) {
                prompt.append(line)
            }
        }
        self.prompt = prompt.joined(separator: "\n")
        negativePrompt = negative.joined(separator: "\n")
    }

    /// The pairs of a line: a key, a colon, and a JSON string or what comes before the next comma.
    private static func pairs(in line: String) -> [Pair] {
        let scalars = Array(line.unicodeScalars)
        var result: [Pair] = []
        var position = 0
        while let colon = scalars[position...].firstIndex(of: ":") {
            var start = colon
            while start > position, isOfKey(scalars[start - 1]) { start -= 1 }
            while start < colon, !isOfWord(scalars[start]) { start += 1 }
            guard colon - start >= 2 else {
                position = colon + 1
                continue
            }
            var begin = colon + 1
            while begin < scalars.count, scalars[begin].properties.isWhitespace { begin += 1 }
            let end = quotedEnd(scalars, from: begin) ?? scalars[begin...].firstIndex(of: ",") ?? scalars.count
            result.append(Pair(text(scalars[start..<colon]), unquoted(text(scalars[begin..<end]))))
            position = min(end + 1, scalars.count)
        }
        return result
    }

    /// The place behind a string in quotation marks that a comma or the line's end follows.
    private static func quotedEnd(_ scalars: [Unicode.Scalar], from begin: Int) -> Int? {
        guard begin < scalars.count, scalars[begin] == "\"" else { return nil }
        var position = begin + 1
        while position < scalars.count, scalars[position] != "\"" { position += scalars[position] == "\\" ? 2 : 1 }
        let end = position + 1
        guard position < scalars.count, position > begin + 1, end == scalars.count || scalars[end] == "," else { return nil }
        return end
    }

    private static func unquoted(_ text: String) -> String {
        guard text.utf8.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") else { return text }
        return (try? JSONText.decode(String.self, from: Array(text.utf8))) ?? text
    }

    /// What has a comma, a colon or a line end, or could be taken for something else, becomes a JSON string.
    private static func quoted(_ text: String) -> String {
        let isPlain =
            !text.unicodeScalars.contains { ",:\n".unicodeScalars.contains($0) } && !text.hasPrefix("\"")
            && trimmed(text) == text
        guard !isPlain else { return text }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        guard let json = try? encoder.encode(text) else { return text }
        return String(decoding: json, as: UTF8.self)
    }

    private static func isOfWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber, .letterNumber,
            .otherNumber:
            true
        default: scalar == "_"
        }
    }

    private static func isOfKey(_ scalar: Unicode.Scalar) -> Bool {
        scalar == " " || scalar == "-" || scalar == "/" || isOfWord(scalar)
    }

    private static func text(_ scalars: ArraySlice<Unicode.Scalar>) -> String { String(String.UnicodeScalarView(scalars)) }

    private static func trimmed(_ text: String) -> String { text.trimmingCharacters(in: .whitespacesAndNewlines) }
}
