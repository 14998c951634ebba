import ArgumentParser
import Foundation
import SDPipeline

/// Readings of options' values that say what was expected where a value is none of it.
enum OptionValues {
    struct Expectation: Error, CustomStringConvertible {
        let description: String
    }

    /// Options of one picture that are on or off, by their long names without hyphens before them.
    static let flags: Set<String> = ["control-guess", "fast", "invert-mask", "low-memory", "safety-checker", "strip-metadata"]

    static func whole(_ range: ClosedRange<Int>) -> @Sendable (String) throws -> Int {
        { text in
            guard let number = Int(text), range.contains(number) else {
                let limits =
                    range.upperBound == .max
                    ? "of \(range.lowerBound) or more" : "from \(range.lowerBound) to \(range.upperBound)"
                throw Expectation(description: "expected a whole number \(limits).")
            }
            return number
        }
    }

    /// A number of bytes as `500MB` or `1.5G`, in powers of 1024.
    static func byteCount(_ text: String) throws -> Int {
        let expectation = Expectation(description: "expected a size such as 500MB or 8GB.")
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let units = ["": 0, "b": 0, "k": 10, "kb": 10, "m": 20, "mb": 20, "g": 30, "gb": 30, "t": 40, "tb": 40]
        guard let number = Double(digits), let shift = units[text.dropFirst(digits.count).lowercased()],
            let bytes = Int(exactly: (number * Double(1 << shift)).rounded())
        else { throw expectation }
        return bytes
    }

    /// One of a few words.
    static func choice<Choice: RawRepresentable<String> & CaseIterable>(_ text: String) throws -> Choice {
        guard let choice = Choice(rawValue: text) else {
            let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw Expectation(description: "expected one of \(known).")
        }
        return choice
    }

    /// How the VAE is tiled.
    static func tiling(_ text: String) throws -> VAETiling {
        switch text {
        case "auto": return .automatic
        case "on": return .on
        case "off": return .off
        default:
            guard let pixels = Int(text), pixels > 0 else {
                throw Expectation(description: "expected auto, on, off or a tile's side in pixels such as 512.")
            }
            return .pixels(pixels)
        }
    }

    /// The word of a choice, as it was typed.
    static func word<Choice: RawRepresentable<String> & CaseIterable & SendableMetatype>(
        of kind: Choice.Type
    ) -> @Sendable (String) throws -> String {
        { text in
            let choice: Choice = try choice(text)
            return choice.rawValue
        }
    }

    /// A number that single precision holds.
    static func number(_ text: String) throws -> Double {
        guard let number = Double(text), Float(number).isFinite else {
            throw Expectation(description: "expected a number such as 7.5.")
        }
        return number
    }

    /// A number from 0 to 1.
    static func share(_ text: String) throws -> Double {
        guard let number = Double(text), (0...1).contains(number) else {
            throw Expectation(description: "expected a number from 0 to 1.")
        }
        return number
    }

    /// Numbers with commas between them.
    static func numbers(_ text: String) throws -> [Double] {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        let values = parts.compactMap { Double($0.trimmingCharacters(in: .whitespaces)) }
        guard values.count == parts.count, values.allSatisfy(\.isFinite) else {
            throw Expectation(description: "expected numbers such as 999,750,500.")
        }
        return values
    }

    /// Whole numbers of 0 or more with commas between them, a certain count of them.
    static func list(of count: Int, example: String) -> @Sendable (String) throws -> [Int] {
        { text in
            let parts = text.split(separator: ",", omittingEmptySubsequences: false)
            let values = parts.compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
            guard values.count == parts.count, values.count == count, values.allSatisfy({ $0 >= 0 }) else {
                throw Expectation(description: "expected \(count) whole numbers of pixels such as \(example).")
            }
            return values
        }
    }

    /// A width and a height as `1024x768`.
    static func size(_ text: String) throws -> PixelSize {
        let parts = text.lowercased().split(whereSeparator: { "x×".contains($0) }).compactMap { Int($0) }
        guard parts.count == 2, parts.allSatisfy({ $0 > 0 }) else {
            throw Expectation(description: "expected a width and a height such as 1024x768.")
        }
        return PixelSize(width: parts[0], height: parts[1])
    }

    /// A file's or folder's name; `~` that the shell has left at its start is the person's folder.
    static func path(_ text: String) throws -> String {
        guard !ArgumentBytes.haveChanged(in: text) else {
            throw Expectation(description: "expected a name in UTF-8, found bytes that aren't.")
        }
        return HomeFolder.expanding(text)
    }

    /// A seed as people type it; -1 becomes one that is drawn.
    static func seed(_ text: String) throws -> Seed {
        if text == "-1" { return .drawn() }
        guard let value = UInt64(text) else {
            throw Expectation(description: "expected a whole number from 0 to \(UInt64.max), or -1 for a drawn one.")
        }
        return Seed(value: value)
    }

    /// `NAME=FILE.npy`, split at the first `=` after the name's first character.
    static func namedFile(_ text: String) throws -> NamedFile {
        guard let (name, path) = split(text) else { throw Expectation(description: "expected NAME=FILE.npy.") }
        return NamedFile(name: name, path: try self.path(path))
    }

    /// `NAME=FILE.npy`, or `FILE.npz` without a name, which stands for all of the archive's arrays.
    static func namedFileOrArchive(_ text: String) throws -> NamedFile {
        if !text.contains("="), text.lowercased().hasSuffix(".npz") { return NamedFile(name: "", path: try path(text)) }
        return try namedFile(text)
    }

    /// `NAME=FILE.safetensors`, split likewise.
    static func namedEmbedding(_ text: String) throws -> NamedFile {
        guard let (name, path) = split(text) else { throw Expectation(description: "expected NAME=FILE.safetensors.") }
        return NamedFile(name: name, path: try self.path(path))
    }

    /// `NAME=2,4,64,64`; nothing after the `=` is the shape of a scalar.
    static func namedShape(_ text: String) throws -> NamedShape {
        let expectation = Expectation(description: "expected NAME and its extents, such as sample=2,4,64,64.")
        guard let (name, list) = split(text, emptyTail: true) else { throw expectation }
        let parts = list.isEmpty ? [] : list.split(separator: ",", omittingEmptySubsequences: false)
        let extents = parts.compactMap { Int($0) }
        guard extents.count == parts.count, extents.allSatisfy({ $0 >= 0 }) else { throw expectation }
        return NamedShape(name: name, extents: extents)
    }

    private static func split(_ text: String, emptyTail: Bool = false) -> (String, String)? {
        guard let position = text.dropFirst().firstIndex(of: "=") else { return nil }
        let tail = text[text.index(after: position)...]
        guard text.first != "=", emptyTail || !tail.isEmpty else { return nil }
        return (String(text[..<position]), String(tail))
    }
}

struct Seed {
    let value: UInt64

    /// Below 2^32, so that every other program takes it too.
    static func drawn() -> Seed { Seed(value: UInt64(UInt32.random(in: .min ... .max))) }
}

/// What a run writes its outputs as.
enum ValueFormat: String, CaseIterable {
    case npy
    case npz
    case pb
}

struct NamedFile {
    let name: String
    let path: String
}

struct NamedShape {
    let name: String
    let extents: [Int]
}

extension Sequence<String> {
    /// The first element that came before.
    var firstDuplicate: String? {
        var seen: Set<String> = []
        return first { !seen.insert($0).inserted }
    }
}
