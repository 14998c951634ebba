import Foundation

/// A token as configuration files write it: a string, or an object with flags.
struct TokenEntry: Decodable {
    let id: Int?
    private let content: AddedToken
    private let isNormalized: Bool?
    private let isSpecial: Bool?
    /// Whether the object says that it is a token, as those do that `tokenizer_config.json` has in the place of a string.
    private let hasType: Bool

    /// The token in a list of added ones: special only where the file says so.
    var addedToken: AddedToken {
        var token = content
        token.isSpecial = isSpecial ?? false
        token.isNormalized = isNormalized ?? !token.isSpecial
        return token
    }

    /// The token where the file gives it a task.
    var specialToken: AddedToken {
        var token = content
        token.isSpecial = true
        token.isNormalized = isNormalized ?? (hasType && isSpecial != true)
        return token
    }

    private enum Keys: String, CodingKey {
        case id, content, special, normalized
        case type = "__type"
        case stripsLeft = "lstrip"
        case stripsRight = "rstrip"
        case isSingleWord = "single_word"
    }

    init(from decoder: any Decoder) throws {
        if let content = try? decoder.singleValueContainer().decode(String.self) {
            (id, self.content, isNormalized, isSpecial, hasType) = (nil, AddedToken(content: content), nil, nil, false)
            return
        }
        let container = try decoder.container(keyedBy: Keys.self)
        id = try container.decodeIfPresent(Int.self, forKey: .id)
        isNormalized = try container.decodeIfPresent(Bool.self, forKey: .normalized)
        isSpecial = try container.decodeIfPresent(Bool.self, forKey: .special)
        hasType = container.contains(.type)
        content = AddedToken(
            content: try container.decode(String.self, forKey: .content),
            stripsLeft: try container.decodeIfPresent(Bool.self, forKey: .stripsLeft) ?? false,
            stripsRight: try container.decodeIfPresent(Bool.self, forKey: .stripsRight) ?? false,
            isSingleWord: try container.decodeIfPresent(Bool.self, forKey: .isSingleWord) ?? false)
    }
}

/// What a special token is for, in the order in which transformers gives ids to those that the vocabulary lacks.
enum SpecialTokenRole: String, CaseIterable {
    case beginning = "bos_token"
    case end = "eos_token"
    case unknown = "unk_token"
    case separator = "sep_token"
    case padding = "pad_token"
    case classification = "cls_token"
    case mask = "mask_token"
}

/// The special tokens that `special_tokens_map.json` and `tokenizer_config.json` name.
struct SpecialTokens: Decodable {
    var roles: [SpecialTokenRole: AddedToken] = [:]
    var additional: [AddedToken] = []

    init() {}

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: NamedKey.self)
        for role in SpecialTokenRole.allCases {
            let key = NamedKey(stringValue: role.rawValue)
            roles[role] = try container.decodeIfPresent(TokenEntry.self, forKey: key)?.specialToken
        }
        let key = NamedKey(stringValue: "additional_special_tokens")
        additional = try container.decodeIfPresent([TokenEntry].self, forKey: key)?.map(\.specialToken) ?? []
    }

    /// These tokens, with those of `other` in their place where it has some.
    func overridden(by other: SpecialTokens) -> SpecialTokens {
        var merged = self
        merged.roles.merge(other.roles) { _, new in new }
        merged.additional += other.additional.filter { !additional.contains($0) }
        return merged
    }

    struct NamedKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}

/// The part of `tokenizer_config.json` that concerns a CLIP tokenizer; every field may be absent.
struct TokenizerConfiguration: Decodable {
    enum Side: String, Decodable {
        case left, right
    }

    /// A length beyond any text model's; transformers writes 10³⁰ where there is no limit.
    private static let unlimited = 1_048_576.0

    /// The length if it is one that a text can be cut to.
    static func length(_ value: Int) -> Int? {
        value >= 2 && Double(value) <= unlimited ? value : nil
    }

    var specialTokens = SpecialTokens()
    /// The tokens by id, where the file has them; other files are not asked for them then.
    var addedTokens: [(id: Int, entry: TokenEntry)]?
    var maximumLength: Int?
    var paddingSide = Side.right
    var truncationSide = Side.right
    var cleansUpSpaces = false

    private enum Keys: String, CodingKey {
        case maximumLength = "model_max_length"
        case oldMaximumLength = "max_len"
        case addedTokens = "added_tokens_decoder"
        case paddingSide = "padding_side"
        case truncationSide = "truncation_side"
        case cleansUpSpaces = "clean_up_tokenization_spaces"
    }

    init() {}

    init(from decoder: any Decoder) throws {
        specialTokens = try SpecialTokens(from: decoder)
        let container = try decoder.container(keyedBy: Keys.self)
        if let entries = try container.decodeIfPresent([String: TokenEntry].self, forKey: .addedTokens) {
            addedTokens = try entries.map { key, entry in
                guard let id = Int(key) else {
                    throw DecodingError.dataCorruptedError(
                        forKey: .addedTokens, in: container, debugDescription: "\"\(key)\" is no id")
                }
                return (id, entry)
            }
        }
        let key = container.contains(.maximumLength) ? Keys.maximumLength : .oldMaximumLength
        if let length = try container.decodeIfPresent(Double.self, forKey: key), length <= Self.unlimited {
            guard let whole = Int(exactly: length), whole >= 2 else {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: container,
                    debugDescription: "\(length) is no length; a whole number from 2 on was expected")
            }
            maximumLength = whole
        }
        paddingSide = try container.decodeIfPresent(Side.self, forKey: .paddingSide) ?? .right
        truncationSide = try container.decodeIfPresent(Side.self, forKey: .truncationSide) ?? .right
        cleansUpSpaces = try container.decodeIfPresent(Bool.self, forKey: .cleansUpSpaces) ?? false
    }
}

/// The part of the tokenizers library's `tokenizer.json` that a CLIP tokenizer consists of.
struct TokenizerDocument: Decodable {
    struct Model: Decodable {
        let type: String?
        let vocabulary: [String: Int]
        let merges: [Merge]
        let endOfWordSuffix: String?
        let unknownToken: String?

        private enum CodingKeys: String, CodingKey {
            case type, merges
            case vocabulary = "vocab"
            case endOfWordSuffix = "end_of_word_suffix"
            case unknownToken = "unk_token"
        }
    }

    /// A merge, written as "a b" by older and as ["a", "b"] by newer versions.
    struct Merge: Decodable {
        let tokens: [String]

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                tokens = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
            } else {
                tokens = try container.decode([String].self)
            }
        }
    }

    /// A normalizer, or several in a row.
    struct Normalizer: Decodable {
        let type: String
        let normalizers: [Normalizer]?
        let lowercase: Bool?

        var lowercases: Bool {
            type == "Lowercase" || lowercase == true || normalizers?.contains(where: \.lowercases) == true
        }
    }

    /// What surrounds a text with its first and last token.
    struct PostProcessor: Decodable {
        let cls: Mark?
        let sep: Mark?

        /// A token and its id, written as ["</s>", 2].
        struct Mark: Decodable {
            let token: String

            init(from decoder: any Decoder) throws {
                var container = try decoder.unkeyedContainer()
                token = try container.decode(String.self)
            }
        }
    }

    struct Truncation: Decodable {
        let maximumLength: Int?

        private enum CodingKeys: String, CodingKey {
            case maximumLength = "max_length"
        }
    }

    struct Padding: Decodable {
        let token: String?

        private enum CodingKeys: String, CodingKey {
            case token = "pad_token"
        }
    }

    let model: Model
    let addedTokens: [TokenEntry]?
    let normalizer: Normalizer?
    let postProcessor: PostProcessor?
    let truncation: Truncation?
    let padding: Padding?

    private enum CodingKeys: String, CodingKey {
        case model, normalizer, truncation, padding
        case addedTokens = "added_tokens"
        case postProcessor = "post_processor"
    }

    /// The special tokens that the document itself names.
    var specialTokens: SpecialTokens {
        var tokens = SpecialTokens()
        tokens.roles[.beginning] = (postProcessor?.cls?.token).map(Self.special)
        tokens.roles[.end] = (postProcessor?.sep?.token).map(Self.special)
        tokens.roles[.unknown] = model.unknownToken.map(Self.special)
        tokens.roles[.padding] = (padding?.token).map(Self.special)
        return tokens
    }

    private static func special(_ content: String) -> AddedToken { AddedToken(content: content, isSpecial: true) }
}
