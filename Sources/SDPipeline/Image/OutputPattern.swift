import Foundation

/// The name of an output file, perhaps with places for what a picture has: `out.png`, `out-%03d.png`, `%p-%s.png`.
///
/// `%d` or `%n` is the picture's number from 1, `%03d` and `%03n` with zeros before it; `%s` its seed; `%p` the prompt's words. `%%` is a percent
/// sign. A name that another picture of the run has got already has a number before its extension, as stable-diffusion.cpp names
/// pictures: `out.png`, `out_2.png`, `out_3.png`.
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

    /// What a name may say of a picture.
    public struct Picture: Sendable {
        /// 1 for the first of the run.
        public var number: Int
        /// See ``GenerationRecord/seed``.
        public var seed: UInt64
        /// What it shows.
        public var prompt: String

        /// A picture; each parameter is the property of its name.
        public init(number: Int, seed: UInt64 = 0, prompt: String = "") {
            self.number = number
            self.seed = seed
            self.prompt = prompt
        }
    }

    private enum Part: Sendable, Equatable {
        case text(String)
        /// With so many digits at least.
        case number(Int)
        case seed
        case words
    }

    private static let largestWidth = 18
    /// The longest `%p`, in characters of at most four bytes: names have 255.
    private static let longestWords = 50

    private let parts: [Part]

    /// Whether the name has a place for a number.
    public var isNumbered: Bool { parts.contains { if case .number = $0 { true } else { false } } }

    /// Whether the name has a place for a seed or a prompt.
    public var saysMore: Bool { parts.contains(.seed) || parts.contains(.words) }

    /// - Throws: ``PatternError`` for an empty name, more than one number, or anything else behind a percent sign.
    public init(_ pattern: String) throws {
        guard !pattern.isEmpty else { throw PatternError(pattern: pattern, reason: "it is empty") }
        guard !pattern.unicodeScalars.contains("\0") else {
            throw PatternError(pattern: pattern, reason: "it has a zero character")
        }
        var parts: [Part] = []
        var text = ""
        func add(_ part: Part) {
            if !text.isEmpty { parts.append(.text(text)) }
            parts.append(part)
            text = ""
        }
        var rest = pattern[...]
        while let character = rest.popFirst() {
            guard character == "%" else {
                text.append(character)
                continue
            }
            let digits = rest.prefix { ("0"..."9").contains($0) }
            rest = rest.dropFirst(digits.count)
            let isPlain = digits.isEmpty || (digits.first == "0" && digits.count > 1)
            switch rest.popFirst() {
            case "%" where digits.isEmpty: text.append("%")
            case "s" where digits.isEmpty: add(.seed)
            case "p" where digits.isEmpty: add(.words)
            case "d" where isPlain, "n" where isPlain:
                guard let count = Int("0" + digits), count <= Self.largestWidth else { fallthrough }
                guard !parts.contains(where: { if case .number = $0 { true } else { false } }) else {
                    throw PatternError(pattern: pattern, reason: "it has more than one place for a number")
                }
                add(.number(count))
            default:
                throw PatternError(
                    pattern: pattern,
                    reason:
                        "only %d, %n and %03d may stand for the picture's number, %s for its seed, %p for its prompt (%% for a percent sign)"
                )
            }
        }
        if !text.isEmpty { parts.append(.text(text)) }
        self.parts = parts
    }

    /// The name of a picture.
    ///
    /// - Parameter number: 1 for the first.
    public func path(number: Int) -> String {
        let name = parts.map { text(of: $0, Picture(number: number)) }.joined()
        return isNumbered || number <= 1 || name == "/dev/null" ? name : Self.numbered(name, number)
    }

    /// The names of all pictures of a run.
    public func paths(of pictures: [Picture]) -> [String] {
        var taken: [String: Int] = [:]
        var used: Set<String> = []
        return pictures.map { picture in
            let name = parts.map { text(of: $0, picture) }.joined()
            var path = name
            repeat {
                let count = taken[name, default: 0] + 1
                taken[name] = count
                // What is written there is gone, however often.
                if name == "/dev/null" { return name }
                path = count == 1 ? name : Self.numbered(name, count)
            } while !used.insert(path).inserted
            return path
        }
    }

    private func text(of part: Part, _ picture: Picture) -> String {
        switch part {
        case .text(let text): return text
        case .number(let width):
            let digits = String(picture.number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        case .seed: return String(picture.seed)
        case .words: return Self.words(picture.prompt)
        }
    }

    /// A prompt's letters and digits, with a hyphen for whatever is between them: `a (red:1.2) fox` is `a-red-1-2-fox`.
    static func words(_ prompt: String) -> String {
        var result = ""
        for scalar in prompt.lowercased().unicodeScalars {
            guard result.unicodeScalars.count < longestWords else { break }
            switch scalar.properties.generalCategory {
            case .lowercaseLetter, .uppercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
                .nonspacingMark, .spacingMark:
                result.unicodeScalars.append(scalar)
            default: if !result.isEmpty, result.last != "-" { result.append("-") }
            }
        }
        if result.last == "-" { result.removeLast() }
        return result.isEmpty ? "prompt" : result
    }

    private static func numbered(_ name: String, _ number: Int) -> String {
        let nameStart = name.lastIndex(of: "/").map { name.index(after: $0) } ?? name.startIndex
        // A dot at the start of a name hides a file, it begins no extension.
        guard let dot = name[nameStart...].lastIndex(of: "."), dot > nameStart else { return "\(name)_\(number)" }
        return "\(name[..<dot])_\(number)\(name[dot...])"
    }
}
