import Foundation
import NIOCore

/// The fields of a JSON object, read one by one: absent ones and `null` are nil, others than those that are asked for don't count, and a wrong one is
/// refused by its name.
struct RequestFields: Decodable {
    private let container: KeyedDecodingContainer<Name>
    private var prefix = ""
    /// What fields have that the object leaves out, as texts.
    private var defaults: [String: String] = [:]

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws { container = try decoder.container(keyedBy: Name.self) }

    /// - Throws: ``APIError`` 400 where it isn't JSON, 422 where it isn't an object.
    init(_ body: ByteBuffer) throws {
        guard body.readableBytes > 0 else {
            throw APIError(.unprocessableContent, "The request has no body, expected a JSON object.")
        }
        do {
            self = try JSONDecoder().decode(Self.self, from: Data(body.readableBytesView))
        } catch DecodingError.typeMismatch {
            throw APIError(.unprocessableContent, "The request's body is JSON of another kind, expected an object.")
        } catch {
            throw APIError(.badRequest, "The request's body isn't JSON.", code: "not_json")
        }
    }

    private func has(_ name: String) -> Bool {
        let key = Name(stringValue: name)
        return container.contains(key) && (try? container.decodeNil(forKey: key)) == false
    }

    /// The same fields, with others for those that are absent or null.
    func filled(with defaults: [String: String]) -> RequestFields {
        var result = self
        result.defaults = defaults
        return result
    }

    private func path(_ name: String) -> String { prefix + name }

    private func value<Value: Decodable>(_ name: String, _ type: Value.Type, expected: String) throws -> Value? {
        guard has(name) else { return nil }
        do { return try container.decode(type, forKey: Name(stringValue: name)) } catch {
            throw APIError.invalid(path(name), "\(path(name)) is of another type, expected \(expected).")
        }
    }

    /// A text of at most so many characters.
    func text(_ name: String, atMost limit: Int = 1000) throws -> String? {
        guard let text = try value(name, String.self, expected: "a text") ?? defaults[name] else { return nil }
        guard text.utf8.count <= 4 * limit, text.count <= limit else {
            throw APIError.invalid(path(name), "\(path(name)) has \(text.count) characters, at most \(limit) are accepted.")
        }
        return text
    }

    /// Whether a field is a text.
    func isText(_ name: String) -> Bool {
        has(name) && (try? container.decode(String.self, forKey: Name(stringValue: name))) != nil
    }

    /// A text of any length that the body may have, such as a picture.
    func longText(_ name: String) throws -> String? { try value(name, String.self, expected: "a text") }

    /// A whole number; a text of one and a number like 20.0 are taken, too.
    func integer(_ name: String, in range: ClosedRange<Int>) throws -> Int? {
        guard let number = try anyNumber(name, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        else {
            return nil
        }
        guard let whole = Int(exactly: number), range.contains(whole) else {
            throw APIError.invalid(
                path(name),
                "\(path(name)) is \(Self.text(number)), expected a whole number from \(range.lowerBound) to \(range.upperBound)."
            )
        }
        return whole
    }

    func number(_ name: String, in range: ClosedRange<Double>) throws -> Double? {
        let expected = "a number from \(Self.text(range.lowerBound)) to \(Self.text(range.upperBound))"
        guard let number = try anyNumber(name, expected: expected) else { return nil }
        guard range.contains(number) else {
            throw APIError.invalid(path(name), "\(path(name)) is \(Self.text(number)), expected \(expected).")
        }
        return number
    }

    private func anyNumber(_ name: String, expected: String) throws -> Double? {
        guard has(name) else { return defaults[name].flatMap { Double($0) } }
        let key = Name(stringValue: name)
        if let number = try? container.decode(Double.self, forKey: key) { return number }
        if let text = try? container.decode(String.self, forKey: key), let number = Double(text), number.isFinite {
            return number
        }
        throw APIError.invalid(path(name), "\(path(name)) is no number, expected \(expected).")
    }

    private static func text(_ number: Double) -> String { Int(exactly: number).map(String.init) ?? "\(number)" }

    /// True or false; 0 and 1 are taken, too.
    func flag(_ name: String) throws -> Bool? {
        guard has(name) else { return defaults[name].map { $0 == "true" } }
        let key = Name(stringValue: name)
        if let flag = try? container.decode(Bool.self, forKey: key) { return flag }
        if let number = try? container.decode(Double.self, forKey: key), number == 0 || number == 1 { return number == 1 }
        throw APIError.invalid(path(name), "\(path(name)) is of another type, expected true or false.")
    }

    func choice<Choice: RawRepresentable & CaseIterable>(_ name: String, _ type: Choice.Type) throws -> Choice?
    where Choice.RawValue == String {
        guard let text = try text(name) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            let known = Choice.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
            throw APIError.invalid(path(name), "\(path(name)) is \"\(text.prefix(40))\", expected one of \(known).")
        }
        return choice
    }

    /// A list of texts of any length.
    func texts(_ name: String, atMost limit: Int) throws -> [String]? {
        guard has(name) else { return nil }
        let problem = APIError.invalid(
            path(name), "\(path(name)) is of another type, expected a list of at most \(limit) texts.")
        guard var list = try? container.nestedUnkeyedContainer(forKey: Name(stringValue: name)) else { throw problem }
        var result: [String] = []
        while !list.isAtEnd {
            guard result.count < limit, let text = try? list.decode(String.self) else { throw problem }
            result.append(text)
        }
        return result
    }

    /// A list of objects.
    func objects(_ name: String, atMost limit: Int) throws -> [RequestFields]? {
        guard has(name) else { return nil }
        let problem = APIError.invalid(
            path(name), "\(path(name)) is of another type, expected a list of at most \(limit) objects.")
        guard var list = try? container.nestedUnkeyedContainer(forKey: Name(stringValue: name)) else { throw problem }
        var result: [RequestFields] = []
        while !list.isAtEnd {
            guard result.count < limit, var object = try? list.decode(RequestFields.self) else { throw problem }
            object.prefix = path(name) + ".\(result.count)."
            result.append(object)
        }
        return result
    }

    func object(_ name: String) throws -> RequestFields? {
        guard var object = try value(name, RequestFields.self, expected: "an object") else { return nil }
        object.prefix = path(name) + "."
        return object
    }

    /// The names of all fields, in no order.
    var names: [String] { container.allKeys.map(\.stringValue) }
}
