import Foundation
import ONNXLoader

/// What the files of a tokenizer folder say, read and checked one by one.
struct TokenizerFolder {
    /// Larger files are no tokenizer's: the largest vocabularies in use are about 20 MB.
    private static let maximumFileSize = 268_435_456
    /// transformers 4 reads this many merges of `merges.txt` (OpenAI's vocabulary has as many) and no more.
    private static let maximumMergeCount = 48_894

    let convention: TokenizerConvention
    let vocabularyFile: String
    let vocabulary: [String: Int]
    let mergesFile: String
    let merges: [(String, String)]
    let addedTokensFile: String
    let addedTokens: [(id: Int, token: AddedToken)]
    let specialTokens: SpecialTokens
    let configuration: TokenizerConfiguration
    let maximumLength: Int?
    let lowercases: Bool

    init(_ folder: URL, convention: TokenizerConvention) throws(TokenizerError) {
        self.convention = convention
        let reader = Reader(folder: folder)
        let configuration = try reader.decode(TokenizerConfiguration.self, "tokenizer_config.json", orElse: .init())
        self.configuration = configuration

        let hasVocabulary = reader.has("vocab.json")
        let document = try reader.decode(
            TokenizerDocument?.self, "tokenizer.json", orElse: nil, unless: hasVocabulary && configuration.addedTokens != nil)
        if hasVocabulary || document == nil {
            vocabularyFile = "vocab.json"
            mergesFile = "merges.txt"
            vocabulary = try reader.decode([String: Int].self, "vocab.json")
            merges = try Self.merges(inText: try reader.text("merges.txt"), convention)
            lowercases = true
            maximumLength = configuration.maximumLength
        } else if let document {
            vocabularyFile = "tokenizer.json"
            mergesFile = "tokenizer.json"
            vocabulary = document.model.vocabulary
            merges = try Self.merges(in: document.model)
            lowercases = document.normalizer?.lowercases ?? false
            maximumLength =
                configuration.maximumLength ?? document.truncation?.maximumLength.flatMap(TokenizerConfiguration.length)
        } else {
            throw .unreadable(path: "vocab.json", reason: "no such file")
        }

        var special = configuration.specialTokens
        if let tokens = configuration.addedTokens {
            addedTokensFile = "tokenizer_config.json"
            addedTokens = tokens.map { ($0.id, $0.entry.addedToken) }
        } else {
            addedTokensFile = document == nil ? "added_tokens.json" : "tokenizer.json"
            special = special.overridden(
                by: try reader.decode(SpecialTokens.self, "special_tokens_map.json", orElse: .init()))
            let older = try reader.decode([String: Int].self, "added_tokens.json", orElse: [:])
            let newer = document?.addedTokens?.compactMap { entry in entry.id.map { ($0, entry.addedToken) } } ?? []
            let named = Set(newer.map(\.1.content))
            let specialTexts = Set((special.roles.values + special.additional).map(\.content))
            addedTokens =
                older.filter { !named.contains($0.key) }.map { content, id in
                    let isSpecial = specialTexts.contains(content)
                    return (id, AddedToken(content: content, isNormalized: !isSpecial, isSpecial: isSpecial))
                } + newer
        }
        if !hasVocabulary, let document { special = document.specialTokens.overridden(by: special) }
        specialTokens = special
    }

    private static func merges(
        inText text: String, _ convention: TokenizerConvention
    ) throws(TokenizerError) -> [(String, String)] {
        let lines = text.unicodeScalars.split(omittingEmptySubsequences: false) { $0 == "\n" }.enumerated()
        var merges: [(String, String)] = []
        let counted =
            switch convention {
            case .transformers5: lines.filter { !$1.starts(with: "#version".unicodeScalars) }
            // The first line is the version, whatever it says.
            case .transformers4: Array(lines.dropFirst().prefix(maximumMergeCount))
            }
        for (number, line) in counted {
            let fields = line.split(whereSeparator: CharacterClass.isPythonSpace).map { String($0) }
            if fields.isEmpty { continue }
            guard fields.count == 2 else {
                throw .malformed(
                    path: "merges.txt", reason: "line \(number + 1) has \(fields.count) tokens, two were expected")
            }
            merges.append((fields[0], fields[1]))
        }
        return merges
    }

    private static func merges(in model: TokenizerDocument.Model) throws(TokenizerError) -> [(String, String)] {
        let file = "tokenizer.json"
        if let type = model.type, type != "BPE" {
            throw .malformed(path: file, reason: "its model is \(type), while CLIP's is BPE")
        }
        guard model.endOfWordSuffix == BytePairEncoder.endOfWord else {
            let found = model.endOfWordSuffix.map { "\"\($0)\"" } ?? "absent"
            throw .malformed(
                path: file, reason: "its end_of_word_suffix is \(found), while CLIP's is \"\(BytePairEncoder.endOfWord)\"")
        }
        var merges: [(String, String)] = []
        merges.reserveCapacity(model.merges.count)
        for (number, merge) in model.merges.enumerated() {
            guard merge.tokens.count == 2 else {
                throw .malformed(
                    path: file, reason: "merge \(number + 1) has \(merge.tokens.count) tokens, two were expected")
            }
            merges.append((merge.tokens[0], merge.tokens[1]))
        }
        return merges
    }

    /// Reads files of one folder, with errors that name them.
    private struct Reader {
        let folder: URL

        func has(_ name: String) -> Bool {
            FileManager.default.fileExists(atPath: folder.appending(path: name).path)
        }

        func bytes(_ name: String) throws(TokenizerError) -> [UInt8] {
            let url = folder.appending(path: name)
            guard FileManager.default.fileExists(atPath: url.path) else {
                throw .unreadable(path: name, reason: "there is no \(url.path)")
            }
            do { return try BoundedFile.read(url, limit: TokenizerFolder.maximumFileSize) } catch {
                throw .unreadable(path: name, reason: error.reason)
            }
        }

        func text(_ name: String) throws(TokenizerError) -> String {
            let bytes = try bytes(name)
            if let found = ForeignFormat.placeholder(Array(bytes.prefix(ForeignFormat.headLength))) {
                throw .malformed(path: name, reason: "it is \(found.name): \(found.advice)")
            }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw .malformed(path: name, reason: "it isn't UTF-8 text")
            }
            let lines = text.replacingOccurrences(of: "\r\n", with: "\n").replacingOccurrences(of: "\r", with: "\n")
            return lines.trimmingCharacters(in: .whitespacesAndNewlines)
        }

        func decode<Value: Decodable>(
            _ type: Value.Type, _ name: String, orElse absent: Value, unless skipped: Bool = false
        ) throws(TokenizerError) -> Value {
            skipped || !has(name) ? absent : try decode(type, name)
        }

        func decode<Value: Decodable>(_ type: Value.Type, _ name: String) throws(TokenizerError) -> Value {
            let bytes = try bytes(name)
            do {
                return try JSONText.decode(type, from: bytes)
            } catch let error as JSONText.FormatError {
                throw .malformed(path: name, reason: error.reason)
            } catch let error as DecodingError {
                throw .malformed(path: name, reason: Self.reason(error))
            } catch {
                throw .malformed(path: name, reason: "it isn't JSON")
            }
        }

        private static func reason(_ error: DecodingError) -> String {
            func place(_ context: DecodingError.Context) -> String {
                let path = context.codingPath.map(\.stringValue).joined(separator: ".")
                return path.isEmpty ? "its outermost value" : "\"\(path)\""
            }
            switch error {
            case .typeMismatch(let type, let context): return "\(place(context)) is not of the type \(name(of: type))"
            case .valueNotFound(let type, let context): return "\(place(context)) is null where \(name(of: type)) was expected"
            case .keyNotFound(let key, let context): return "\(place(context)) has no \"\(key.stringValue)\""
            case .dataCorrupted(let context):
                guard context.codingPath.isEmpty else {
                    let detail = context.debugDescription
                    return "\(place(context)): " + (detail.hasSuffix(".") ? String(detail.dropLast()) : detail)
                }
                return "a number in it isn't a whole one of at most 64 bits"
            @unknown default: return "it isn't JSON"
            }
        }

        private static func name(of type: any Any.Type) -> String {
            switch type {
            case is Int.Type, is Double.Type: "number"
            case is String.Type: "string"
            case is Bool.Type: "boolean"
            case is [Any].Type: "list"
            default: "object"
            }
        }
    }
}
