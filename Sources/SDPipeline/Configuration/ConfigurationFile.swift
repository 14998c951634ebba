import Foundation

/// A JSON object as exporters write it beside a model, with accessors that say which file and key were wrong.
struct ConfigurationFile {
    let url: URL
    private let values: [String: Any]

    /// - Throws: ``PipelineError`` where the file is missing, isn't JSON or isn't an object.
    init(contentsOf url: URL) throws(PipelineError) {
        self.url = url
        let data: Data
        do { data = try Data(contentsOf: url) } catch {
            throw PipelineError("\(url.path) can't be read: \(error.localizedDescription)")
        }
        guard let values = (try? JSONSerialization.jsonObject(with: data)) as? [String: Any] else {
            throw PipelineError("\(url.path) isn't a JSON object")
        }
        self.values = values
    }

    /// The value of `key`; nil where it is missing or null.
    func optionalInt(_ key: String, in range: ClosedRange<Int>) throws(PipelineError) -> Int? {
        guard let value = values[key], !(value is NSNull) else { return nil }
        guard let number = value as? NSNumber, let integer = Int(exactly: number.doubleValue), range.contains(integer) else {
            throw PipelineError(
                "\(url.path): \(key) is \(value), expected a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return integer
    }

    func optionalDouble(_ key: String) throws(PipelineError) -> Double? {
        guard let value = values[key], !(value is NSNull) else { return nil }
        guard let number = value as? NSNumber, number.doubleValue.isFinite else {
            throw PipelineError("\(url.path): \(key) is \(value), expected a number")
        }
        return number.doubleValue
    }

    func optionalString(_ key: String) throws(PipelineError) -> String? {
        guard let value = values[key], !(value is NSNull) else { return nil }
        guard let text = value as? String else { throw PipelineError("\(url.path): \(key) is \(value), expected a string") }
        return text
    }

    /// How many elements the list `key` has; nil where it is missing.
    func optionalCount(_ key: String) throws(PipelineError) -> Int? {
        guard let value = values[key], !(value is NSNull) else { return nil }
        guard let list = value as? [Any] else { throw PipelineError("\(url.path): \(key) is \(value), expected a list") }
        return list.count
    }
}
