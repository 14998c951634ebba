/// One value of a scheduler's configuration, as it is in `scheduler_config.json` or is given on the command line.
public enum SchedulerValue: Sendable, Equatable, CustomStringConvertible {
    /// JSON's `null`, Python's `None`.
    case absent
    /// True or false.
    case flag(Bool)
    /// A whole number.
    case integer(Int)
    /// A number with a fraction or an exponent.
    case number(Double)
    /// A text.
    case text(String)
    /// A list of numbers.
    case numbers([Double])
    /// Something that no scheduler takes (an object, a list of texts); the text names it for messages.
    case other(String)

    public var description: String {
        switch self {
        case .absent: "null"
        case .flag(let value): String(value)
        case .integer(let value): String(value)
        case .number(let value): String(value)
        case .text(let value): "\"\(value)\""
        case .numbers(let values): "a list of \(values.count) numbers"
        case .other(let what): what
        }
    }

    /// The value as a number, where it is one.
    var asNumber: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
}

extension SchedulerValue: Decodable {
    private struct AnyKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .absent
        } else if let value = try? container.decode(Bool.self) {
            self = .flag(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            // JSON has no infinity: one is written as a text, see `encode(to:)`.
            self =
                switch value {
                case "Infinity": .number(.infinity)
                case "-Infinity": .number(-.infinity)
                default: .text(value)
                }
        } else if let list = try? container.decode([SchedulerValue].self) {
            let numbers = list.compactMap(\.asNumber)
            self = numbers.count == list.count ? .numbers(numbers) : .other("a list of other things than numbers")
        } else if (try? decoder.container(keyedBy: AnyKey.self)) != nil {
            self = .other("an object")
        } else {
            self = .other("a number beyond double precision")
        }
    }
}

extension SchedulerValue: Encodable {
    /// As in a configuration file; an infinity, which JSON doesn't have, as a text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .absent: try container.encodeNil()
        case .flag(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value) where value.isFinite: try container.encode(value)
        case .number(let value): try container.encode(value < 0 ? "-Infinity" : "Infinity")
        case .text(let value), .other(let value): try container.encode(value)
        case .numbers(let values): try container.encode(values)
        }
    }
}
