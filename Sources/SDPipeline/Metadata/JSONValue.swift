import ONNXLoader

/// Any JSON value, of texts whose form is another program's.
package enum JSONValue: Codable, Sendable, Equatable {
    case null
    case flag(Bool)
    case whole(UInt64)
    case number(Double)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])

    /// The most bytes of a text: 4 MB, many times the largest graph that people draw.
    private static let largestSize = 1 << 22

    /// The value that a text stands for; nil where it isn't JSON, or is too large.
    init?(parsing text: String) {
        guard text.utf8.count <= Self.largestSize,
            let value = try? JSONText.decode(Self.self, from: Array(text.utf8))
        else { return nil }
        self = value
    }

    package init(from decoder: any Decoder) throws {
        if let object = try? decoder.container(keyedBy: Key.self) {
            var values: [String: JSONValue] = [:]
            for key in object.allKeys { values[key.stringValue] = try object.decode(JSONValue.self, forKey: key) }
            self = .object(values)
            return
        }
        if var list = try? decoder.unkeyedContainer() {
            var values: [JSONValue] = []
            while !list.isAtEnd { values.append(try list.decode(JSONValue.self)) }
            self = .list(values)
            return
        }
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let whole = try? container.decode(UInt64.self) {
            self = .whole(whole)
        } else {
            self = .number(try container.decode(Double.self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .flag(let flag): try container.encode(flag)
        case .whole(let whole): try container.encode(whole)
        case .number(let number): try container.encode(number)
        case .text(let text): try container.encode(text)
        case .list(let list): try container.encode(list)
        case .object(let object): try container.encode(object)
        }
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// A member of an object; nil for what is none, or null.
    subscript(key: String) -> JSONValue? {
        guard case .object(let values) = self, let value = values[key], value != .null else { return nil }
        return value
    }

    package var text: String? { if case .text(let text) = self { text } else { nil } }

    var list: [JSONValue]? { if case .list(let list) = self { list } else { nil } }

    var object: [String: JSONValue]? { if case .object(let object) = self { object } else { nil } }

    /// A number of 0 or more without a fraction.
    var whole: UInt64? {
        switch self {
        case .whole(let value): value
        case .number(let value): UInt64(exactly: value)
        default: nil
        }
    }

    /// A finite number.
    var number: Double? {
        switch self {
        case .whole(let value): Double(value)
        case .number(let value): value.isFinite ? value : nil
        default: nil
        }
    }

    /// A value that isn't a list or an object, as text.
    var plain: String? {
        switch self {
        case .null, .list, .object: nil
        case .flag(let flag): "\(flag)"
        case .whole(let value): "\(value)"
        case .number(let value): GenerationRecord.text(value)
        case .text(let text): text
        }
    }
}
