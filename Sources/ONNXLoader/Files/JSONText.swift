import Foundation

/// The one way in which JSON is read, from files, options and streams alike: bytes are checked before Foundation's decoder sees them.
///
/// The dialect is that of Python's `json` module, which writes what is read here: JSON with the constants `NaN`, `Infinity` and
/// `-Infinity`. They reach the decoder as strings, which it takes for numbers where a number is asked for; its own reader of JSON5 would
/// take them too, but ends the process on some texts that aren't UTF-8.
package enum JSONText {
    /// Why a text isn't read; `reason` completes a sentence that names the file.
    package struct FormatError: Error, Sendable, Equatable {
        package let reason: String

        package init(reason: String) { self.reason = reason }
    }

    /// The most bytes that a text has by default: 64 MB, many times the largest configuration.
    package static let largestSize = 1 << 26
    /// The deepest nesting of lists and objects; configurations have less than ten levels.
    package static let deepestNesting = 100

    /// Decodes a text.
    ///
    /// - Parameters:
    ///   - keys: how keys are turned into names of properties.
    /// - Throws: ``FormatError`` where the bytes aren't one JSON value, `DecodingError` where it isn't a `Value`.
    package static func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: [UInt8], keys: JSONDecoder.KeyDecodingStrategy = .useDefaultKeys
    ) throws -> Value {
        let data = try checked(bytes)
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = keys
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        do { return try decoder.decode(type, from: data) } catch let error as DecodingError {
            if isSyntaxError(error, in: data) { throw FormatError(reason: "it isn't JSON") }
            throw error
        }
    }

    /// Reads and decodes a file.
    ///
    /// - Parameter takesPipes: see ``BoundedFile/read(_:limit:takesPipes:)``.
    /// - Throws: as ``decode(_:from:keys:)``, and ``FormatError`` for a file that can't be read.
    package static func decode<Value: Decodable>(
        _ type: Value.Type, contentsOf url: URL, limit: Int = largestSize, takesPipes: Bool = false,
        keys: JSONDecoder.KeyDecodingStrategy = .useDefaultKeys
    ) throws -> Value {
        let bytes: [UInt8]
        do { bytes = try BoundedFile.read(url, limit: limit, takesPipes: takesPipes) } catch {
            throw FormatError(reason: error.reason)
        }
        return try decode(type, from: bytes, keys: keys)
    }

    /// The keys of an object in the order in which a text has them; none where there is no such object, or the text isn't read.
    ///
    /// - Parameter path: the keys that lead to it, from the text's own object on.
    package static func keys(ofObjectAt path: [String], in bytes: [UInt8]) -> [String] {
        var scanner = JSONScanner(bytes, watching: path)
        do { try scanner.scan() } catch { return [] }
        return scanner.watched
    }

    /// The decoder says the same of a text that isn't JSON and of a number that the type can't hold.
    private static func isSyntaxError(_ error: DecodingError, in data: Data) -> Bool {
        guard case .dataCorrupted(let context) = error, context.codingPath.isEmpty else { return false }
        return (try? JSONSerialization.jsonObject(with: data, options: [.fragmentsAllowed])) == nil
    }

    /// The text as the decoder takes it, once it is known to be UTF-8, not nested too deeply, and without keys given twice.
    private static func checked(_ bytes: [UInt8]) throws(FormatError) -> Data {
        if bytes.isEmpty { throw FormatError(reason: "it is empty, expected JSON") }
        if let found = ForeignFormat.placeholder(Array(bytes.prefix(ForeignFormat.headLength))) {
            throw FormatError(reason: "expected JSON, found \(found.name): \(found.advice)")
        }
        guard String(validating: bytes, as: UTF8.self) != nil else { throw FormatError(reason: "it isn't UTF-8 text") }
        // The decoder would take a zero for a sign of UTF-16.
        guard !bytes.contains(0) else { throw FormatError(reason: "it isn't JSON: it holds a zero byte") }
        let isMarked = bytes.starts(with: [0xEF, 0xBB, 0xBF])
        var scanner = JSONScanner(isMarked ? Array(bytes.dropFirst(3)) : bytes)
        try scanner.scan()
        return Data(scanner.output)
    }
}

/// Walks a text from token to token; what is wrong with the order of tokens is left to the decoder.
private struct JSONScanner {
    private static let constants = ["NaN", "Infinity", "-Infinity"].map { Array($0.utf8) }

    private let bytes: [UInt8]
    private var position = 0
    /// By open list or object, whether it is an object, and the keys that it has so far.
    private var isObject: [Bool] = []
    private var keys: [Set<String>] = []
    /// By open list or object, the key that came last.
    private var path: [String?] = []
    private let wanted: [String]?
    /// The keys of the object that is looked for, in their order.
    private(set) var watched: [String] = []
    /// The text with constants in quotes, up to `copied`.
    private var rewritten: [UInt8] = []
    private var copied = 0

    /// - Parameter path: to the object whose keys are looked for.
    init(_ bytes: [UInt8], watching path: [String]? = nil) { (self.bytes, wanted) = (bytes, path) }

    /// The text with constants in quotes, after ``scan()``.
    var output: [UInt8] { copied == 0 ? bytes : rewritten + bytes[copied...] }

    mutating func scan() throws(JSONText.FormatError) {
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""): try string()
            case UInt8(ascii: "{"): try enter(isObject: true)
            case UInt8(ascii: "["): try enter(isObject: false)
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                _ = (isObject.popLast(), keys.popLast(), path.popLast())
                position += 1
            case UInt8(ascii: "N"), UInt8(ascii: "I"), UInt8(ascii: "-"): constant()
            default: position += 1
            }
        }
    }

    private mutating func enter(isObject flag: Bool) throws(JSONText.FormatError) {
        guard isObject.count < JSONText.deepestNesting else {
            throw JSONText.FormatError(reason: "its values are nested more than \(JSONText.deepestNesting) deep")
        }
        isObject.append(flag)
        keys.append([])
        path.append(nil)
        position += 1
    }

    /// A string with its quotes; one that a colon follows is a key.
    private mutating func string() throws(JSONText.FormatError) {
        let start = position
        var end = start + 1
        var isPlain = true
        while end < bytes.count, bytes[end] != UInt8(ascii: "\"") {
            if bytes[end] == UInt8(ascii: "\\") {
                isPlain = false
                end += 1
            }
            end += 1
        }
        position = min(end + 1, bytes.count)
        guard isObject.last == true else { return }
        var next = position
        while next < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[next]) { next += 1 }
        guard next < bytes.count, bytes[next] == UInt8(ascii: ":") else { return }
        let text = bytes[start..<position]
        let key = isPlain ? nil : try? JSONDecoder().decode(String.self, from: Data(text))
        let name = key ?? String(decoding: text.dropFirst().dropLast(), as: UTF8.self)
        // Readers differ in which of two values they take.
        guard keys[keys.count - 1].insert(name).inserted else {
            throw JSONText.FormatError(reason: "the key \"\(name.prefix(80))\" is given twice: keep one of them")
        }
        if let wanted, path.count == wanted.count + 1, path.dropLast().elementsEqual(wanted) { watched.append(name) }
        path[path.count - 1] = name
    }

    private mutating func constant() {
        guard let word = Self.constants.first(where: { bytes[position...].starts(with: $0) }) else { return position += 1 }
        rewritten += bytes[copied..<position] + [UInt8(ascii: "\"")] + word + [UInt8(ascii: "\"")]
        position += word.count
        copied = position
    }
}
