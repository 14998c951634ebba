/// The name of an output file, perhaps with a place for a number: `out.png`, `out-%03d.png`.
///
/// With `%d` or `%0Nd` the pictures are numbered from 1. Without it one picture has the plain name, and of several
/// the first has the plain name and the others a number before the extension, as stable-diffusion.cpp names them:
/// `out.png`, `out_2.png`, `out_3.png`. `%%` is a percent sign.
public struct OutputPattern: Sendable, Equatable {
    /// Why a name can't be used. `description` is one sentence for a person.
    public struct PatternError: Error, Sendable, Equatable, CustomStringConvertible {
        /// The name as it was given.
        public let pattern: String
        /// Why it can't be used, as a part of a sentence.
        public let reason: String
        public var description: String {
            "The output name \"\(pattern)\" can't be used: \(reason); write it like out.png or out-%03d.png."
        }
    }

    private static let largestWidth = 18

    private let before: String
    private let after: String
    /// The number of digits, filled with zeros; nil without a place for a number.
    private let width: Int?

    /// Whether the name has a place for a number.
    public var isNumbered: Bool { width != nil }

    /// - Throws: ``PatternError`` for an empty name, more than one number, or anything else behind a percent sign.
    public init(_ pattern: String) throws {
        guard !pattern.isEmpty else { throw PatternError(pattern: pattern, reason: "it is empty") }
        guard !pattern.unicodeScalars.contains("\0") else {
            throw PatternError(pattern: pattern, reason: "it has a zero character")
        }
        var parts = [""]
        var width: Int?
        var rest = pattern[...]
        while let character = rest.popFirst() {
            guard character == "%" else {
                parts[parts.count - 1].append(character)
                continue
            }
            if rest.first == "%" {
                rest.removeFirst()
                parts[parts.count - 1].append("%")
                continue
            }
            let digits = rest.prefix { ("0"..."9").contains($0) }
            rest = rest.dropFirst(digits.count)
            let isPlain = digits.isEmpty || (digits.first == "0" && digits.count > 1)
            guard rest.popFirst() == "d", isPlain, let count = Int("0" + digits), count <= Self.largestWidth else {
                throw PatternError(
                    pattern: pattern, reason: "only %d and %03d may stand for the picture's number (%% for a percent sign)")
            }
            guard width == nil else { throw PatternError(pattern: pattern, reason: "it has more than one place for a number") }
            width = count
            parts.append("")
        }
        before = parts[0]
        after = parts.count > 1 ? parts[1] : ""
        self.width = width
    }

    /// The name of a picture.
    /// - Parameter number: 1 for the first.
    public func path(number: Int) -> String {
        if let width {
            let digits = String(number)
            return before + String(repeating: "0", count: max(0, width - digits.count)) + digits + after
        }
        if number <= 1 { return before }
        let nameStart = before.lastIndex(of: "/").map { before.index(after: $0) } ?? before.startIndex
        // A dot at the start of a name hides a file, it begins no extension.
        guard let dot = before[nameStart...].lastIndex(of: "."), dot > nameStart else { return "\(before)_\(number)" }
        return "\(before[..<dot])_\(number)\(before[dot...])"
    }
}
