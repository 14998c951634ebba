import NIOCore
import SDPipeline

/// The fields of a request to OpenAI's API, of JSON or of a form, in which every value is a text.
enum OpenAIFields {
    case json(RequestFields)
    case form(MultipartForm)

    func text(_ name: String, atMost limit: Int = 1000) throws -> String? {
        switch self {
        case .json(let fields): return try fields.text(name, atMost: limit)
        case .form(let form):
            guard let text = form.text(name) else { return nil }
            guard text.count <= limit else {
                throw APIError.invalid(name, "\(name) has \(text.count) characters, at most \(limit) are accepted.")
            }
            return text
        }
    }

    func integer(_ name: String, in range: ClosedRange<Int>) throws -> Int? {
        switch self {
        case .json(let fields): return try fields.integer(name, in: range)
        case .form(let form):
            guard let text = form.text(name), !text.isEmpty else { return nil }
            guard let number = Int(text), range.contains(number) else {
                throw APIError.invalid(
                    name,
                    "\(name) is \"\(text.prefix(40))\", expected a whole number from \(range.lowerBound) to \(range.upperBound)."
                )
            }
            return number
        }
    }

    func number(_ name: String, in range: ClosedRange<Double>) throws -> Double? {
        switch self {
        case .json(let fields): return try fields.number(name, in: range)
        case .form(let form):
            guard let text = form.text(name), !text.isEmpty else { return nil }
            guard let number = Double(text), range.contains(number) else {
                throw APIError.invalid(
                    name,
                    "\(name) is \"\(text.prefix(40))\", expected a number from \(range.lowerBound) to \(range.upperBound).")
            }
            return number
        }
    }

    /// See ``AdapterFields``.
    func adapters(_ name: String, _ store: AdapterStore) throws -> [AdapterWeight] {
        switch self {
        case .json(let fields): return try AdapterFields.read(fields, name, store)
        case .form: return try AdapterFields.read(try text(name, atMost: 4000) ?? "", field: name, store)
        }
    }

    func flag(_ name: String) throws -> Bool? {
        switch self {
        case .json(let fields): return try fields.flag(name)
        case .form(let form):
            guard let text = form.text(name)?.lowercased(), !text.isEmpty else { return nil }
            guard ["true", "false", "1", "0"].contains(text) else {
                throw APIError.invalid(name, "\(name) is \"\(text.prefix(40))\", expected true or false.")
            }
            return text == "true" || text == "1"
        }
    }
}
