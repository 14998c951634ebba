/// Building a tokenizer out of what a folder's files say.
extension CLIPTokenizer {
    /// What CLIP's tokenizers use where no file names a token.
    private static let defaults: [SpecialTokenRole: String] = [
        .beginning: "<|startoftext|>", .end: "<|endoftext|>", .unknown: "<|endoftext|>", .padding: "<|endoftext|>",
    ]

    /// Ids are stored as 32-bit integers by some text encoders' graphs.
    private static let idRange = 0...Int(Int32.max)

    init(_ folder: TokenizerFolder) throws(TokenizerError) {
        var tokensByID = try Self.tokensByID(folder)
        var added = try Self.addedTokens(folder, tokensByID: &tokensByID)
        var addedIDs: [String: Int] = [:]
        for (id, token) in added { addedIDs[token.content] = id }

        // Special tokens that are in no file yet get the ids after the vocabulary's size.
        var special = folder.specialTokens
        for (role, text) in Self.defaults where special.roles[role] == nil {
            special.roles[role] = AddedToken(content: text, isSpecial: true)
        }
        let specialTokens = SpecialTokenRole.allCases.compactMap { special.roles[$0] } + special.additional
        var nextID = Set(folder.vocabulary.keys).union(addedIDs.keys).count
        for token in specialTokens where !token.content.isEmpty && addedIDs[token.content] == nil {
            let id: Int
            if let known = folder.vocabulary[token.content] {
                id = known
            } else {
                id = nextID
                nextID += 1
                if let other = tokensByID.updateValue(token.content, forKey: id) {
                    throw .malformed(
                        path: folder.vocabularyFile,
                        reason: "\"\(other)\" has the id \(id), which the special token \"\(token.content)\" was to get")
                }
            }
            addedIDs[token.content] = id
            added.append((id, token))
        }

        func specialToken(_ role: SpecialTokenRole) throws(TokenizerError) -> SpecialToken {
            guard let token = special.roles[role], let id = addedIDs[token.content] else {
                throw .malformed(
                    path: "tokenizer_config.json", reason: "it or special_tokens_map.json has an empty \(role.rawValue)")
            }
            return SpecialToken(text: token.content, id: id)
        }
        beginningToken = try specialToken(.beginning)
        endToken = try specialToken(.end)
        paddingToken = try specialToken(.padding)
        unknownToken = try specialToken(.unknown)
        maximumLength = folder.maximumLength
        configuration = folder.configuration
        vocabulary = folder.vocabulary
        vocabularySize = nextID
        specialTexts = Set(
            specialTokens.map(\.content)
                + (folder.convention == .transformers5 ? added.map(\.token).filter(\.isSpecial).map(\.content) : []))
        let additional = special.additional.map(\.content).filter { addedIDs[$0, default: 0] >= folder.vocabulary.count }
        separateTexts = Set(addedIDs.keys).subtracting(specialTexts).union(additional)
        convention = folder.convention
        lowercases = folder.lowercases
        addedTokens = added.map(\.token)
        words = WordTokenizer(folder.convention, addedTokens: addedTokens, lowercases: lowercases)
        self.addedIDs = addedIDs
        self.tokensByID = tokensByID
        do {
            encoder = try BytePairEncoder(
                vocabulary: folder.vocabulary, merges: folder.merges, finishesPasses: folder.convention == .transformers4)
        } catch {
            throw .malformed(
                path: folder.mergesFile,
                reason: "merge \(error.merge + 1) needs \"\(error.token)\", which \(folder.vocabularyFile) doesn't have")
        }
    }

    private static func tokensByID(_ folder: TokenizerFolder) throws(TokenizerError) -> [Int: String] {
        guard !folder.vocabulary.isEmpty else {
            throw .malformed(path: folder.vocabularyFile, reason: "it has no tokens")
        }
        var tokens: [Int: String] = [:]
        tokens.reserveCapacity(folder.vocabulary.count)
        for (token, id) in folder.vocabulary {
            guard idRange.contains(id) else {
                throw .malformed(
                    path: folder.vocabularyFile,
                    reason: "\"\(token)\" has the id \(id), one of 0 to \(idRange.upperBound) was expected")
            }
            if let other = tokens.updateValue(token, forKey: id) {
                let pair = [other, token].sorted()
                throw .malformed(
                    path: folder.vocabularyFile, reason: "\"\(pair[0])\" and \"\(pair[1])\" have the same id \(id)")
            }
        }
        return tokens
    }

    /// The added tokens by id, in the order of ids; those that are not in the vocabulary are put into `tokensByID`.
    private static func addedTokens(
        _ folder: TokenizerFolder, tokensByID: inout [Int: String]
    ) throws(TokenizerError) -> [(id: Int, token: AddedToken)] {
        var ids: [String: Int] = [:]
        var added = folder.addedTokens.filter { !$0.token.content.isEmpty }.sorted { $0.id < $1.id }
        for index in added.indices {
            let (id, token) = added[index]
            guard idRange.contains(id) else {
                throw .malformed(
                    path: folder.addedTokensFile,
                    reason: "\"\(token.content)\" has the id \(id), one of 0 to \(idRange.upperBound) was expected")
            }
            let other = tokensByID.updateValue(token.content, forKey: id)
            if let other, other != token.content {
                throw .malformed(
                    path: folder.addedTokensFile,
                    reason: "\"\(token.content)\" has the id \(id), which \"\(other)\" has already")
            }
            // The vocabulary's own id of the same text is no contradiction.
            if folder.convention == .transformers5, let known = folder.vocabulary[token.content] { added[index].id = known }
            if let known = ids.updateValue(id, forKey: token.content) {
                throw .malformed(
                    path: folder.addedTokensFile, reason: "\"\(token.content)\" has the id \(id), but also the id \(known)")
            }
        }
        return added
    }
}
