import Foundation
import SDPipeline
import Testing

/// Configuration files in their many forms, against transformers, and files that can't be used.
@Suite struct TokenizerFolderTests {
    struct Record: Decodable {
        struct Text: Decodable {
            let text: String
            let tokens: [String]
            let ids: [Int]
            let padded: [Int]
            let mask: [Int]
            /// Nil where the reference's own text is no text (added tokens taken for bytes).
            let decoded: String?
            let plain: String?
        }

        let name: String
        let files: [String: String]
        let size: Int
        let maximumLength: Int?
        let special: [Int]
        let length: Int
        let texts: [Text]
    }

    @Test(arguments: TokenizerConvention.allCases)
    func everyFormOfConfigurationGivesTransformersResults(convention: TokenizerConvention) throws {
        let records = try JSONDecoder().decode(
            [Record].self, from: TokenizerFixtures.data("tokenizer-folders.json", convention))
        #expect(records.count == 11)
        for record in records {
            let tokenizer = try TokenizerFixtures.withFolder(TokenizerFixtures.emojiFiles(adding: record.files)) {
                try CLIPTokenizer(folder: $0, convention: convention)
            }
            #expect(tokenizer.vocabularySize == record.size, "\(record.name)")
            #expect(tokenizer.maximumLength == record.maximumLength, "\(record.name)")
            let special = [
                tokenizer.beginningToken, tokenizer.endToken, tokenizer.paddingToken, tokenizer.unknownToken,
            ]
            #expect(special.map(\.id) == record.special, "\(record.name)")
            for text in record.texts {
                let place = "\(record.name): \(text.text.debugDescription)"
                #expect(tokenizer.tokenize(text.text) == text.tokens, "\(place)")
                #expect(tokenizer.encode(text.text) == text.ids, "\(place)")
                let padded = tokenizer.encode(text.text, paddedTo: record.length)
                #expect(padded.ids == text.padded, "\(place)")
                #expect(padded.attentionMask == text.mask, "\(place)")
                #expect(tokenizer.encode(text.text, truncatedTo: record.length).count <= record.length, "\(place)")
                if let decoded = text.decoded { #expect(try tokenizer.decode(text.ids) == decoded, "\(place)") }
                if let plain = text.plain {
                    #expect(try tokenizer.decode(text.ids, skippingSpecialTokens: true) == plain, "\(place)")
                }
            }
        }
    }

    /// The tokenizers library's file, with the embedded model's vocabulary and merges put in.
    private func document(
        of convention: TokenizerConvention = .transformers5, change: (inout [String: Any]) -> Void = { _ in }
    ) throws -> Data {
        let skeleton = try JSONSerialization.jsonObject(with: TokenizerFixtures.data("tokenizer-document.json", convention))
        var document = try #require(skeleton as? [String: Any])
        var model = try #require(document["model"] as? [String: Any])
        let files = try TokenizerFixtures.emojiFiles()
        model["vocab"] = try JSONSerialization.jsonObject(with: try #require(files["vocab.json"]))
        model["merges"] = String(decoding: try #require(files["merges.txt"]), as: UTF8.self)
            .split(separator: "\n").dropFirst().map { $0.split(separator: " ").map(String.init) }
        document["model"] = model
        change(&document)
        return try JSONSerialization.data(withJSONObject: document)
    }

    @Test(arguments: TokenizerConvention.allCases, TokenizerConvention.allCases)
    func aDocumentAloneGivesTheSameIDs(writer: TokenizerConvention, convention: TokenizerConvention) throws {
        let reference = try CLIPTokenizer(folder: TokenizerFixtures.emoji, convention: convention)
        let files = [
            "tokenizer.json": try document(of: writer),
            "tokenizer_config.json": try Data(
                contentsOf: TokenizerFixtures.emoji.appending(path: "tokenizer_config.json")),
        ]
        let texts = ["", "Smiling FACE!", "it's 123 <|endoftext|> ΑΣ 中文 e\u{301}"]
        let configured = try TokenizerFixtures.withFolder(files) { try CLIPTokenizer(folder: $0, convention: convention) }
        let alone = try TokenizerFixtures.withFolder(["tokenizer.json": document(of: writer)]) {
            try CLIPTokenizer(folder: $0, convention: convention)
        }
        #expect(configured.maximumLength == reference.maximumLength)
        #expect(alone.maximumLength == nil)
        #expect(alone.beginningToken == reference.beginningToken)
        #expect(alone.endToken == reference.endToken)
        for text in texts {
            #expect(configured.encode(text) == reference.encode(text))
            #expect(alone.encode(text) == reference.encode(text))
        }
    }

    @Test func aDocumentStatesItsLengthPaddingMergesAndCase() throws {
        let data = try document { document in
            document["truncation"] = ["max_length": 12, "strategy": "LongestFirst", "stride": 0] as [String: Any]
            document["padding"] = ["pad_token": "!", "pad_id": 0] as [String: Any]
            document["normalizer"] = ["type": "NFC"]
            document["post_processor"] = ["type": "RobertaProcessing", "sep": ["!", 0], "cls": ["?", 30]] as [String: Any]
            if var model = document["model"] as? [String: Any], let merges = model["merges"] as? [[String]] {
                model["merges"] = merges.map { $0.joined(separator: " ") }
                document["model"] = model
            }
        }
        let tokenizer = try TokenizerFixtures.withFolder(["tokenizer.json": data]) { try CLIPTokenizer(folder: $0) }
        #expect(tokenizer.maximumLength == 12)
        #expect(tokenizer.paddingToken.text == "!")
        #expect(tokenizer.endToken == tokenizer.paddingToken)
        #expect(tokenizer.beginningToken.text == "?")
        #expect(tokenizer.beginningToken.id == 30)
        // transformers 5 puts its own normaliser in the place of the document's.
        #expect(tokenizer.tokenize("Aa") == ["a", "a</w>"])
        let older = try TokenizerFixtures.withFolder(["tokenizer.json": data]) {
            try CLIPTokenizer(folder: $0, convention: .transformers4)
        }
        #expect(older.tokenize("Aa") == ["A", "a</w>"])
    }

    @Test func lengthsThatAreTooShortKeepTheFirstIDs() throws {
        let tokenizer = try CLIPTokenizer(folder: TokenizerFixtures.emoji)
        #expect(tokenizer.encode("red heart", truncatedTo: 2) == [2046, 2047])
        #expect(tokenizer.encode("red heart", truncatedTo: 1) == [2046])
        #expect(tokenizer.encode("red heart", truncatedTo: 0) == [])
        #expect(tokenizer.encode("red heart", truncatedTo: -1) == [])
        #expect(tokenizer.encode("red heart", paddedTo: -1).ids == [])
    }

    @Test func anUnknownIDIsRefused() throws {
        let tokenizer = try CLIPTokenizer(folder: TokenizerFixtures.emoji)
        for id in [-1, 2048, Int.max, Int.min] {
            #expect(throws: TokenizerError.unknownID(id, vocabularySize: 2048)) { try tokenizer.decode([0, id]) }
        }
    }

    @Test(arguments: [
        ("vocab.json", "", "it is empty, expected JSON"),
        ("vocab.json", "{\"a\": 0", "it isn't JSON"),
        ("vocab.json", String(repeating: "[", count: 100_000), "its values are nested more than 100 deep"),
        ("vocab.json", "[1, 2]", "its outermost value is not of the type object"),
        ("vocab.json", "{\"a\": \"0\"}", "\"a\" is not of the type number"),
        ("vocab.json", "{\"a\": true}", "\"a\" is not of the type number"),
        ("vocab.json", "{\"a\": null}", "\"a\" is null where number was expected"),
        ("vocab.json", "{\"a\": {}}", "\"a\" is not of the type number"),
        ("vocab.json", "{\"a\": 1.5}", "a number in it isn't a whole one of at most 64 bits"),
        ("vocab.json", "{\"a\": 99999999999999999999}", "a number in it isn't a whole one of at most 64 bits"),
        ("vocab.json", "{}", "it has no tokens"),
        ("vocab.json", "{\"a\": -1}", "\"a\" has the id -1, one of 0 to 2147483647 was expected"),
        ("vocab.json", "{\"a\": 4294967296}", "\"a\" has the id 4294967296, one of 0 to 2147483647 was expected"),
        ("vocab.json", "{\"a\": 7, \"b\": 7}", "\"a\" and \"b\" have the same id 7"),
        ("vocab.json", "{\"a\": 1}", "\"a\" has the id 1, which the special token \"<|startoftext|>\" was to get"),
        ("merges.txt", "#version: 0.2\ni n\na b c\n", "line 3 has 3 tokens, two were expected"),
        ("merges.txt", "#version: 0.2\ni n\nab\n", "line 3 has 1 tokens, two were expected"),
        ("merges.txt", "#version: 0.2\ni n\nq qqqqq\n", "merge 2 needs \"qqqqq\", which vocab.json doesn't have"),
        ("merges.txt", "#version: 0.2\ni n\nz q\n", "merge 2 needs \"zq\", which vocab.json doesn't have"),
        ("tokenizer_config.json", "nonsense", "it isn't JSON"),
        ("tokenizer_config.json", "[]", "its outermost value is not of the type object"),
        ("tokenizer_config.json", "{\"model_max_length\": -5}", "-5.0 is no length"),
        ("tokenizer_config.json", "{\"model_max_length\": 1}", "1.0 is no length"),
        ("tokenizer_config.json", "{\"model_max_length\": 77.5}", "77.5 is no length"),
        ("tokenizer_config.json", "{\"model_max_length\": \"77\"}", "\"model_max_length\" is not of the type number"),
        ("tokenizer_config.json", "{\"bos_token\": 5}", "\"bos_token\" is not of the type object"),
        ("tokenizer_config.json", "{\"bos_token\": {\"lstrip\": true}}", "\"bos_token\" has no \"content\""),
        ("tokenizer_config.json", "{\"bos_token\": \"\"}", "empty bos_token"),
        ("tokenizer_config.json", "{\"padding_side\": \"up\"}", "\"padding_side\""),
        ("tokenizer_config.json", "{\"added_tokens_decoder\": {\"x\": \"y\"}}", "\"x\" is no id"),
        ("tokenizer_config.json", "{\"added_tokens_decoder\": {\"-3\": \"y\"}}", "\"y\" has the id -3"),
        ("tokenizer_config.json", "{\"added_tokens_decoder\": {\"9999999999\": \"y\"}}", "\"y\" has the id 9999999999"),
        ("tokenizer_config.json", "{\"added_tokens_decoder\": {\"3\": \"y\"}}", "\"y\" has the id 3, which \"$\" has already"),
        (
            "tokenizer_config.json", "{\"added_tokens_decoder\": {\"3000\": \"y\", \"3001\": \"y\"}}",
            "\"y\" has the id 3001, but also the id 3000"
        ),
        ("special_tokens_map.json", "{\"pad_token\": [1]}", "\"pad_token\""),
        ("added_tokens.json", "{\"a b\": -1}", "\"a b\" has the id -1"),
    ])
    func aFileThatCantBeUsedIsRefused(name: String, content: String, reason: String) throws {
        let files = try TokenizerFixtures.emojiFiles().merging([name: Data(content.utf8)]) { _, new in new }
        try refused(files, name: name, reason: reason)
    }

    private func refused(_ files: [String: Data], name: String, reason: String) throws {
        try TokenizerFixtures.withFolder(files) { folder in
            do {
                _ = try CLIPTokenizer(folder: folder)
                Issue.record("\(name) was taken where \(reason) was expected")
            } catch let error as TokenizerError {
                guard case .malformed(let path, let found) = error else {
                    Issue.record("\(error)")
                    return
                }
                #expect(path == name || found.contains(name) || name == "special_tokens_map.json", "\(error)")
                #expect(found.contains(reason), "\(found) | \(reason)")
                #expect(!error.description.contains("\n"))
            }
        }
    }

    @Test func aDocumentOfAnotherKindIsRefused() throws {
        func changed(_ change: @escaping (inout [String: Any]) -> Void) throws -> Data {
            try document { document in
                var model = document["model"] as? [String: Any] ?? [:]
                change(&model)
                document["model"] = model
            }
        }
        let cases: [(Data, String)] = [
            (try changed { $0["type"] = "Unigram" }, "its model is Unigram, while CLIP's is BPE"),
            (try changed { $0["end_of_word_suffix"] = "@@" }, "its end_of_word_suffix is \"@@\", while CLIP's is \"</w>\""),
            (try changed { $0["end_of_word_suffix"] = nil }, "its end_of_word_suffix is absent, while CLIP's is \"</w>\""),
            (try changed { $0["merges"] = [["a"]] }, "merge 1 has 1 tokens, two were expected"),
            (try changed { $0["merges"] = [5] }, "\"model.merges.Index 0\""),
            (try changed { $0["merges"] = ["i n", "i zzzz"] }, "merge 2 needs \"zzzz\", which tokenizer.json doesn't have"),
            (try changed { $0["vocab"] = ["a": "b"] }, "\"model.vocab.a\" is not of the type number"),
            (Data("{}".utf8), "its outermost value has no \"model\""),
        ]
        for (data, reason) in cases {
            try refused(["tokenizer.json": data], name: "tokenizer.json", reason: reason)
        }
    }

    @Test func missingFilesAreNamed() throws {
        try TokenizerFixtures.withFolder([:]) { folder in
            let path = folder.appending(path: "vocab.json").path
            #expect(throws: TokenizerError.unreadable(path: "vocab.json", reason: "there is no \(path)")) {
                try CLIPTokenizer(folder: folder)
            }
        }
        var files = try TokenizerFixtures.emojiFiles()
        files["merges.txt"] = nil
        try TokenizerFixtures.withFolder(files) { folder in
            let path = folder.appending(path: "merges.txt").path
            #expect(throws: TokenizerError.unreadable(path: "merges.txt", reason: "there is no \(path)")) {
                try CLIPTokenizer(folder: folder)
            }
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            #expect(throws: TokenizerError.unreadable(path: "merges.txt", reason: "it is a folder, expected a file")) {
                try CLIPTokenizer(folder: folder)
            }
        }
    }

    @Test func aVocabularyWithoutSomeBytesGivesTheUnknownToken() throws {
        let vocabulary = "{\"a\":0,\"a</w>\":1,\"b</w>\":2,\"aa</w>\":3,\"<|startoftext|>\":4,\"<|endoftext|>\":5}"
        let files = ["vocab.json": vocabulary, "merges.txt": "#version: 0.2\r\na a</w>\r\n"].mapValues { Data($0.utf8) }
        let tokenizer = try TokenizerFixtures.withFolder(files) { try CLIPTokenizer(folder: $0) }
        #expect(tokenizer.tokenize("aa ab c") == ["aa</w>", "a", "b</w>", "<|endoftext|>"])
        #expect(tokenizer.encode("aa ab c") == [4, 3, 0, 2, 5, 5])
        let older = try TokenizerFixtures.withFolder(files) { try CLIPTokenizer(folder: $0, convention: .transformers4) }
        #expect(older.tokenize("aa ab c") == ["aa</w>", "a", "b</w>", "c</w>"])
        #expect(older.encode("aa ab c") == [4, 3, 0, 2, 5, 5])
    }
}
