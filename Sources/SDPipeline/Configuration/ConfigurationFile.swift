import Foundation
import ONNXLoader

/// A JSON object as exporters write it beside a model, with accessors that say which file and key were wrong.
struct ConfigurationFile: Sendable {
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

    /// The height and width that `key` is: one number for both, or a list of the two, as diffusers takes them; nil where it is missing.
    func optionalSize(_ key: String, in range: ClosedRange<Int>) throws(PipelineError) -> (height: Int, width: Int)? {
        guard let value = stated(key) else { return nil }
        let numbers = numbers(key)?.compactMap { Int(exactly: $0) }.filter(range.contains) ?? []
        switch (value, numbers.count) {
        case (.number, 1): return (numbers[0], numbers[0])
        case (.list(let elements), 2) where elements.count == 2: return (numbers[0], numbers[1])
        default:
            throw wrong(
                key, value, expected: "a whole number from \(range.lowerBound) to \(range.upperBound), or a height and a width")
        }
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

    func optionalFlag(_ key: String) throws(PipelineError) -> Bool? {
        guard let value = stated(key) else { return nil }
        guard case .flag(let flag) = value else { throw wrong(key, value, expected: "true or false") }
        return flag
    }

    /// The numbers of the list `key`, `count` of them; nil where it is missing.
    func optionalDoubles(_ key: String, count: Int) throws(PipelineError) -> [Double]? {
        guard let value = stated(key) else { return nil }
        if case .list(let elements) = value, elements.count == count {
            let numbers = elements.compactMap {
                if case .number(let number) = $0, number.isFinite { number } else { nil as Double? }
            }
            if numbers.count == count { return numbers }
        }
        throw wrong(key, value, expected: "a list of \(count) numbers")
    }

    /// The numbers of the list `key`, or the one that it is; nil for all else.
    func numbers(_ key: String) -> [Double]? {
        switch values[key] {
        case .number(let number)?: return [number]
        case .list(let elements)?:
            let numbers = elements.compactMap { if case .number(let number) = $0 { number } else { nil as Double? } }
            return numbers.count == elements.count ? numbers : nil
        default: return nil
        }
    }

    /// The whole numbers of the object `key` by their names; nil where it is missing.
    ///
    /// - Parameter names: what a number alone stands for, as older files have it.
    func optionalInts(
        _ key: String, in range: ClosedRange<Int>, numberStandsFor names: [String]
    ) throws(PipelineError) -> [String: Int]? {
        guard let value = stated(key) else { return nil }
        let members: [String: Value] =
            switch value {
            case .object(let members): members
            case .number: Dictionary(uniqueKeysWithValues: names.map { ($0, value) })
            default: throw wrong(key, value, expected: "an object of whole numbers")
            }
        var result: [String: Int] = [:]
        for (name, member) in members {
            if case .absent = member { continue }
            guard case .number(let number) = member, let integer = Int(exactly: number), range.contains(integer) else {
                throw wrong(key, member, expected: "whole numbers from \(range.lowerBound) to \(range.upperBound)")
            }
            result[name] = integer
        }
        return result
    }

    /// Whether the list `key` names a library and a class, as components of a pipeline do: `[null, null]` stands for none.
    func namesComponent(_ key: String) -> Bool {
        guard case .list(let elements)? = values[key] else { return false }
        return elements.contains { if case .text = $0 { true } else { false } }
    }

    /// Whether there is something at `key`.
    func has(_ key: String) -> Bool { values[key] != nil }

    /// How many elements the list `key` has, one to `largest`; nil where it is missing.
    func optionalCount(_ key: String, atMost largest: Int) throws(PipelineError) -> Int? {
        guard let value = stated(key) else { return nil }
        guard case .list(let elements) = value, (1...largest).contains(elements.count) else {
            throw wrong(key, value, expected: "a list of 1 to \(largest) elements")
        }
        return elements.count
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
    private enum Value: Decodable, Sendable, CustomStringConvertible {
        case absent
        case flag(Bool)
        case number(Double)
        case text(String)
        case list([Value])
        case object([String: Value])

        init(from decoder: any Decoder) throws {
            if var list = try? decoder.unkeyedContainer() {
                var elements: [Value] = []
                while !list.isAtEnd { elements.append(try list.decode(Value.self)) }
                self = .list(elements)
                return
            }
            guard let value = try? decoder.singleValueContainer() else {
                self = .object([:])
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
                self = .object((try? value.decode([String: Value].self)) ?? [:])
            }
        }

        var description: String {
            switch self {
            case .absent: "null"
            case .flag(let flag): "\(flag)"
            case .number(let number): Int(exactly: number).map(String.init) ?? "\(number)"
            case .text(let text): "\"\(text.prefix(80))\""
            case .list(let elements): "a list of \(elements.count) elements"
            case .object: "an object"
            }
        }
    }
}
