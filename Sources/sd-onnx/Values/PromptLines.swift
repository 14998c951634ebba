import ArgumentParser
import Foundation
import ONNXLoader
import SDPipeline

/// Prompts from a file or standard input: a line for each, either the prompt itself or a JSON object of options by their long names.
enum PromptLines {
    /// A line that isn't empty, as the options that it stands for.
    struct Line {
        /// From 1.
        let number: Int
        let arguments: [String]
        /// Flags that the line says are off.
        let unsetFlags: [String]
    }

    private static let largestSize = 1 << 26
    private static let mostLines = 100_000
    /// Options of the whole run.
    private static let others: Set<String> = [
        "prompts", "from", "grid", "xy", "help", "version", "json", "quiet", "help-hidden", "experimental-dump-help",
    ]

    /// - Parameter path: `-` for standard input.
    /// - Throws: ``CommandFailure`` with the line that can't be read.
    static func read(_ path: String) throws -> [Line] {
        let title = title(path)
        let bytes: [UInt8]
        do {
            bytes = try BoundedFile.read(
                URL(fileURLWithPath: path == "-" ? "/dev/stdin" : path), limit: largestSize, takesPipes: true)
        } catch {
            throw CommandFailure("\(title) can't be read: \(error.reason).")
        }
        let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
        let rows = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        var lines: [Line] = []
        for (index, row) in rows.enumerated() {
            guard let line = String(validating: row, as: UTF8.self)?.trimmingCharacters(in: .whitespacesAndNewlines) else {
                throw CommandFailure("\(title), line \(index + 1): it isn't UTF-8 text.")
            }
            guard !line.contains("\0") else { throw CommandFailure("\(title), line \(index + 1): it has a zero character.") }
            if line.isEmpty { continue }
            do {
                let (given, unset) = line.hasPrefix("{") ? try options(line) : (["--prompt=\(line)"], [])
                lines.append(Line(number: index + 1, arguments: given, unsetFlags: unset))
            } catch {
                throw CommandFailure("\(title), line \(index + 1): \(error.reason).")
            }
        }
        guard !lines.isEmpty else { throw CommandFailure("\(title) has no prompt: all of its lines are empty.") }
        guard lines.count <= mostLines else {
            throw CommandFailure("\(title) has \(lines.count) prompts, expected \(mostLines) at most.")
        }
        return lines
    }

    /// What messages call the file.
    static func title(_ path: String) -> String { path == "-" ? "Standard input" : path }

    /// The options that a line gives, and the flags that it says are off.
    private static func options(_ line: String) throws(JSONText.FormatError) -> (given: [String], unset: [String]) {
        let object: [String: OptionValue]
        do { object = try JSONText.decode([String: OptionValue].self, from: Array(line.utf8)) } catch let error
            as JSONText.FormatError
        {
            throw error
        } catch {
            throw JSONText.FormatError(reason: "it isn't a JSON object of texts, numbers, lists of numbers, true and false")
        }
        guard case .text? = object["prompt"] else { throw JSONText.FormatError(reason: "it has no \"prompt\" with a text") }
        var (arguments, unset): ([String], [String]) = ([], [])
        for (key, value) in object.sorted(by: { $0.key < $1.key }) {
            let name = key.replacing("_", with: "-")
            guard name.wholeMatch(of: /[A-Za-z][A-Za-z0-9-]*/) != nil, !others.contains(name) else {
                throw JSONText.FormatError(reason: "\"\(key.prefix(80))\" is no option of one prompt")
            }
            switch value {
            case .none: continue
            case .flag(let isSet):
                guard OptionValues.flags.contains(name) else {
                    throw JSONText.FormatError(reason: "\"\(key)\" is \(isSet), expected a text, a number or a list of numbers")
                }
                if isSet { arguments.append("--\(name)") } else { unset.append("--\(name)") }
            case .text(let text):
                guard !text.contains("\0") else { throw JSONText.FormatError(reason: "\"\(key)\" has a zero character") }
                // Behind an equals sign an empty value is none.
                arguments += text.isEmpty ? ["--\(name)", ""] : ["--\(name)=\(text)"]
            case .list(let texts): arguments.append("--\(name)=\(texts.joined(separator: ","))")
            }
        }
        return (arguments, unset)
    }

    private enum OptionValue: Decodable {
        case none
        case flag(Bool)
        case text(String)
        case list([String])

        init(from decoder: any Decoder) throws {
            if let list = try? [Number](from: decoder) {
                self = .list(list.map(\.text))
                return
            }
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .none
            } else if let flag = try? container.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? Number(from: decoder) {
                self = .text(number.text)
            } else {
                self = .text(try container.decode(String.self))
            }
        }
    }

    /// A number as an option has it: whole ones without a point, up to 2⁶⁴.
    private struct Number: Decodable {
        let text: String

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let value = try? container.decode(Int64.self) {
                text = "\(value)"
            } else if let value = try? container.decode(UInt64.self) {
                text = "\(value)"
            } else {
                text = "\(try container.decode(Double.self))"
            }
        }
    }
}
