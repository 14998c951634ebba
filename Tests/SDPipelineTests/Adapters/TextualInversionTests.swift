import Foundation
import SDPipeline
import TestSupport
import Testing

/// Textual inversion embeddings; the pictures that they make are in ``PromptPictureTests``.
@Suite struct TextualInversionTests {
    private static let fixtures = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/prompts")
    private static let families = TestCache.folder.appendingPathComponent("families")

    /// A file of a header and zeros.
    private static func file(_ header: String, length: UInt64? = nil, data: [UInt8] = []) -> [UInt8] {
        unsafe withUnsafeBytes(of: (length ?? UInt64(header.utf8.count)).littleEndian) { unsafe Array($0) } + Array(header.utf8)
            + data
    }

    private func refused(_ bytes: [UInt8], _ message: String, name: String = "x.safetensors") throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appending(path: name)
        try Data(bytes).write(to: url)
        #expect {
            try TextualInversion(name: "x", contentsOf: url)
        } throws: { error in
            let text = "\(error)"
            return text.contains(message) && text.contains(name) && text.utf8.count < 1000
        }
    }

    @Test func refusesHostileFiles() throws {
        let tensor = { (shape: String, offsets: String) in
            "{\"a\":{\"dtype\":\"F32\",\"shape\":\(shape),\"data_offsets\":\(offsets)}}"
        }
        let zeros = [UInt8](repeating: 0, count: 16)
        try refused([], "it has 0 bytes, expected a safetensors file")
        try refused(Self.file("{}", length: 1 << 60), "its header has 1152921504606846976 bytes by its first eight")
        try refused(Self.file("{}", length: .max), "expected at most 100000000")
        try refused(Self.file("{}", length: 3), "it is cut off")
        try refused(Self.file("{}"), "expected one, or clip_l and clip_g")
        try refused(Self.file("{"), "its header can't be read: it isn't JSON")
        try refused(Self.file("[1]"), "isn't one of a safetensors file")
        try refused(Self.file("{\"a\":{\"dtype\":\"F32\"}}"), "its header's \"a\" isn't a tensor")
        try refused(Self.file("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5]}}"), "isn't one of a safetensors file")
        try refused(Self.file("{\"a\":{\"b\":\"c\"}}"), "its header's \"a\" isn't a tensor")
        try refused(Self.file(String(repeating: "[", count: 100_000)), "nested more than 100 deep")
        try refused(
            Self.file(tensor("[1,4]", "[0,16]"), data: Array(zeros.dropLast())), "within the 15 bytes behind the header")
        try refused(Self.file(tensor("[1,4]", "[0,20]"), data: zeros), "expected a range of its size")
        try refused(Self.file(tensor("[1,4]", "[16,0]"), data: zeros), "expected a range of its size")
        try refused(Self.file(tensor("[1,4]", "[-16,0]"), data: zeros), "expected a range of its size")
        try refused(Self.file(tensor("[1,4]", "[0]"), data: zeros), "expected a range of its size")
        try refused(Self.file(tensor("[-1,-4]", "[0,16]"), data: zeros), "expected extents of 0 or more")
        try refused(
            Self.file(tensor("[4294967296,4294967296]", "[0,16]"), data: zeros),
            "expected extents of 0 or more that can be held")
        try refused(Self.file(tensor("[2305843009213693952]", "[0,0]"), data: zeros), "expected a range of its size")
        try refused(
            Self.file(tensor("[1,1,4]", "[0,16]"), data: zeros), "has the shape [1, 1, 4], expected [vectors, width] or [width]"
        )
        try refused(Self.file(tensor("[0,4]", "[0,0]")), "has the shape [0, 4], expected")
        try refused(
            Self.file(tensor("[1,4]", "[0,16]").replacing("F32", with: "Q4"), data: zeros), "has the type Q4, which isn't known"
        )
        try refused(
            Self.file(tensor("[1,2]", "[0,16]").replacing("F32", with: "I64"), data: zeros),
            "has the type I64, expected F32, F16, BF16 or F64")
        let two =
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}"
        try refused(Self.file(two, data: zeros), "overlaps another")
        try refused(Self.file(two.replacing("\"b\"", with: "\"a\""), data: zeros), "the key \"a\" is given twice")
        try refused(
            Self.file(two.replacing("[8,16]", with: "[12,20]"), data: zeros + [0, 0, 0, 0]),
            "it has the tensors a, b, expected one")
        for bits in [Float.nan.bitPattern, Float.infinity.bitPattern] {
            let data = (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt32($0))) } + zeros.dropLast(4)
            try refused(Self.file(tensor("[1,4]", "[0,16]"), data: data), "expected finite numbers")
        }
        // Pickles, by their name and by what is in them.
        for name in ["x.pt", "x.bin", "x.ckpt"] {
            try refused(Self.file("{}"), "a pickle of PyTorch, which runs code", name: name)
        }
        try refused([0x50, 0x4B, 3, 4, 20, 0, 0, 0, 0, 0], "a pickle of PyTorch, which runs code")
        #expect { try TextualInversion(name: "x", contentsOf: URL(fileURLWithPath: "/nowhere/x.safetensors")) } throws: {
            "\($0)".contains("/nowhere/x.safetensors can't be read: No such file")
        }
    }

    @Test(arguments: [
        ("sd1/model", "wide.safetensors", "vectors of shape [2, 48], and the model's text_encoder takes [n, 32]"),
        ("sd1/model", "pair.safetensors", "vectors of shape [2, 32] and [2, 48], and the model's text_encoder takes [n, 32]"),
        (
            "sdxl/model", "three.safetensors",
            "vectors of shape [3, 32], and the model's text_encoder takes [n, 32] (clip_l and clip_g"
        ),
    ]) func refusesAnotherFamily(model: String, file: String, message: String) throws {
        let embedding = try TextualInversion(name: "x", contentsOf: Self.fixtures.appendingPathComponent(file))
        #expect {
            try PipelineConfiguration(modelFolder: Self.families.appendingPathComponent(model), embeddings: [embedding])
        } throws: { "\($0)".contains(message) }
    }

    /// Without a file that says the width, the graph does.
    @Test func refusesAnotherWidthByTheGraph() throws {
        let embedding = try TextualInversion(name: "x", contentsOf: Self.fixtures.appendingPathComponent("wide.safetensors"))
        let model = Self.families.appendingPathComponent("old-script/model")
        let configuration = try PipelineConfiguration(modelFolder: model, embeddings: [embedding])
        #expect { try StableDiffusionPipeline(configuration) } throws: {
            "\($0)".contains("have the shape [2, 48], and the text encoder's token embeddings [2048, 32]")
        }
    }

    private static func configuration(
        _ names: [String], convention: TokenizerConvention = .transformers5
    ) throws -> PipelineConfiguration {
        let file = fixtures.appendingPathComponent("one.safetensors")
        return try PipelineConfiguration(
            modelFolder: families.appendingPathComponent("sd1/model"), tokenizer: convention,
            embeddings: names.map { try TextualInversion(name: $0, contentsOf: file) })
    }

    /// The tokens of a text; a learned word is its name.
    private static func tokens(_ text: String, _ syntax: PromptSyntax, _ configuration: PipelineConfiguration) throws
        -> [String]
    {
        let chunk = try configuration.reading(of: text, syntax: syntax).parts[0].stages[0].encodings[0].chunks[0]
        return chunk.tokens[1..<chunk.length + 1].map { $0.replacing(" [1]", with: "").lowercased() }
    }

    /// Literal prompts have learned words where transformers has added tokens: beside punctuation and within words, too
    /// (Tests/References/tokenizer.py).
    @Test(arguments: TokenizerConvention.allCases) func findsNamesAsTransformers(convention: TokenizerConvention) throws {
        let configuration = try Self.configuration(["<cat>", "my-toy", "Style-One", "my-toy-2"], convention: convention)
        let file = RepositoryRoot.url.appendingPathComponent("Tests/References/\(convention.rawValue)/tokenizer-words.json")
        let lines = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [[Any]])
        #expect(lines.count > 20)
        for line in lines {
            let (text, expected) = (try #require(line[0] as? String), try #require(line[1] as? [String]))
            #expect(try Self.tokens(text, .plain, configuration) == expected.map { $0.lowercased() }, "\(text)")
        }
    }

    /// The grammar finds names in any case, as words of their own or by their tokens, as AUTOMATIC1111's web interface does; and beside
    /// punctuation, which it joins with theirs.
    @Test func findsNamesBesidePunctuation() throws {
        let configuration = try Self.configuration(["<cat>", "my-toy"])
        for (text, expected) in [
            ("(a <cat>, b:1.2)", "a</w> <cat> ,</w> b</w>"), ("<cat>.", "<cat> .</w>"),
            ("a <cat>-my-toy!", "a</w> <cat> -</w> my-toy !</w>"),
            ("<CAT> my-toy", "<cat> my-toy"), ("My - Toy", "my-toy"), ("a<cat>b", "a</w> <cat> b</w>"),
        ] {
            let found = try Self.tokens(text, .a1111, configuration)
            #expect(found == expected.split(separator: " ").map(String.init), "\(text)")
        }
        #expect(try !Self.tokens("amy-toy", .a1111, configuration).contains("my-toy"))
    }

    /// No word of the grammar has another one's name in it.
    @Test(arguments: TokenizerConvention.allCases) func findsNoNamesWithinWords(convention: TokenizerConvention) throws {
        let names = ["cat", "fo", "a", "pa", "s"]
        let configuration = try Self.configuration(names, convention: convention)
        for text in ["concatenate", "fox", "can", "painting"] {
            let found = try configuration.reading(of: text, syntax: .a1111).parts[0].stages[0].encodings[0].chunks[0].tokens
            #expect(!found.contains { $0.hasSuffix(" [1]") }, "\(text)")
        }
        #expect(try Self.tokens("cat fo", .a1111, configuration) == ["cat", "fo"])
    }

    @Test func refusesNamesThatCannotBeTold() throws {
        let file = Self.fixtures.appendingPathComponent("one.safetensors")
        for (names, message) in [
            ([""], "has no token"), ([" "], "has no token"), (["a fox", "A  Fox"], "has the tokens of another's"),
        ] {
            let embeddings = try names.map { try TextualInversion(name: $0, contentsOf: file) }
            #expect {
                try PipelineConfiguration(
                    modelFolder: Self.families.appendingPathComponent("sd1/model"), embeddings: embeddings)
            } throws: { "\($0)".contains(message) }
        }
    }

    /// Where no word is in the prompts, they make the same latents; a learned word is found in literal prompts, too.
    @Test func changesNothingElse() throws {
        let model = Self.families.appendingPathComponent("sd1/model")
        let embedding = try TextualInversion(
            name: "my-toy", contentsOf: Self.fixtures.appendingPathComponent("three.safetensors"))
        func latents(_ prompt: String, _ embeddings: [TextualInversion], _ syntax: PromptSyntax = .automatic) throws -> [Float]
        {
            let configuration = try PipelineConfiguration(modelFolder: model, embeddings: embeddings)
            return try StableDiffusionPipeline(configuration).generate(
                GenerationRequest(prompt: prompt, width: 64, height: 64, steps: 2, seed: 1, promptSyntax: syntax)
            ).latents.values
        }
        #expect(try latents("a fox", []) == latents("a fox", [embedding]))
        #expect(try latents("a my-toy", []) != latents("a my-toy", [embedding]))
        #expect(try latents("a my-toy", [embedding], .plain) == latents("a my-toy", [embedding], .a1111))
    }
}
