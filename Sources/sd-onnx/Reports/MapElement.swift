import GraphRuntime

/// A value of a map, as JSON has it: a number, a string, or null for what isn't finite.
enum MapElement: Encodable {
    case whole(Int)
    case number(Double)
    case text(String)
    case none

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .whole(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        case .none: try container.encodeNil()
        }
    }

    /// What a map holds, by its keys as text.
    static func content(of map: ValueMap) -> [String: MapElement] {
        var result: [String: MapElement] = [:]
        for index in 0..<map.count {
            guard let key = try? map.text(ofKey: index), let value = try? map.values.element(index) else { continue }
            result[key] = element(value)
        }
        return result
    }

    private static func element(_ tensor: Tensor) -> MapElement {
        if let text = tensor.strings?.first { return .text(text) }
        if let value = (try? tensor.integers())?.first { return .whole(value) }
        switch tensor.dtype {
        // As few digits as tell the number from others of its type.
        case .float32:
            guard let value = (try? tensor.array(of: Float.self))?.first, value.isFinite else { return .none }
            return Double("\(value)").map { .number($0) } ?? .none
        case .float64:
            guard let value = (try? tensor.array(of: Double.self))?.first, value.isFinite else { return .none }
            return .number(value)
        default: return .none
        }
    }
}
