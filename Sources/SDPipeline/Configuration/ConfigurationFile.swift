import Foundation

/// A JSON object as exporters write it beside a model, with accessors that say which file and key were wrong.
struct ConfigurationFile {
    let url: URL
    private let values: [String: Value]

    /// - Throws: ``PipelineError`` where the file is missing, isn't JSON or isn't an object.
    init(contentsOf url: URL) throws(PipelineError) {
        self.url = url
        do { values = try JSONText.decode([String: Value].self, contentsOf: url) } catch let error as JSONText.FormatError {
            throw PipelineError("\(url.path) can't be used: \(error.reason).", kind: .malformedFile)
        } catch {
            throw PipelineError("\(url.path) isn't a JSON object.", kind: .malformedFile)
        }
    }

    /// The value of `key`; nil where it is missing or null.
    func optionalInt(_ key: String, in range: ClosedRange<Int>) throws(PipelineError) -> Int? {
        guard let value = stated(key) else { return nil }
        guard case .number(let number) = value, let integer = Int(exactly: number), range.contains(integer) else {
            throw wrong(key, value, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return integer
    }

    func optionalDouble(_ key: String) throws(PipelineError) -> Double? {
        guard let value = stated(key) else { return nil }
        guard case .number(let number) = value, number.isFinite else { throw wrong(key, value, expected: "a number") }
        return number
    }

    func optionalString(_ key: String) throws(PipelineError) -> String? {
        guard let value = stated(key) else { return nil }
        guard case .text(let text) = value else { throw wrong(key, value, expected: "a text") }
        return text
    }

    /// How many elements the list `key` has, one to `largest`; nil where it is missing.
    func optionalCount(_ key: String, atMost largest: Int) throws(PipelineError) -> Int? {
        guard let value = stated(key) else { return nil }
        guard case .list(let count) = value, (1...largest).contains(count) else {
            throw wrong(key, value, expected: "a list of 1 to \(largest) elements")
        }
        return count
    }

    private func stated(_ key: String) -> Value? {
        switch values[key] {
        case nil, .absent: nil
        case let value: value
        }
    }

    private func wrong(_ key: String, _ value: Value, expected: String) -> PipelineError {
        PipelineError("\(url.path): \(key) is \(value), expected \(expected).", kind: .malformedFile)
    }

    /// A JSON value as far as it matters here. Foundation's own parser doesn't tell `true` from 1.
    private enum Value: Decodable, CustomStringConvertible {
        case absent
        case flag(Bool)
        case number(Double)
        case text(String)
        case list(count: Int)
        case object

        init(from decoder: any Decoder) throws {
            if var list = try? decoder.unkeyedContainer() {
                var count = 0
                while !list.isAtEnd {
                    _ = try list.decode(Value.self)
                    count += 1
                }
                self = .list(count: count)
                return
            }
            guard let value = try? decoder.singleValueContainer() else {
                self = .object
                return
            }
            if value.decodeNil() {
                self = .absent
            } else if let flag = try? value.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? value.decode(Double.self) {
                self = .number(number)
            } else if let text = try? value.decode(String.self) {
                self = .text(text)
            } else {
                self = .object
            }
        }

        var description: String {
            switch self {
            case .absent: "null"
            case .flag(let flag): "\(flag)"
            case .number(let number): Int(exactly: number).map(String.init) ?? "\(number)"
            case .text(let text): "\"\(text.prefix(80))\""
            case .list(let count): "a list of \(count) elements"
            case .object: "an object"
            }
        }
    }
}
