import Foundation
import SDPipeline
import TestSupport
import Testing

/// What pictures of several programs say of themselves, against Tests/References/picture_texts.py.
@Suite struct PictureTextTests {
    struct References: Decodable {
        struct Text: Decodable {
            let text: String
            let prompt: String
            let negative: String
            let pairs: [[String]]
        }

        struct File: Decodable {
            let file: Data
            let texts: [String: String]
        }

        struct Foreign: Decodable {
            let source: PictureMetadata.Source
            let texts: [String: String]
            /// JSON of settings.
            let settings: String
        }

        let infotexts: [Text]
        let files: [File]
        let foreign: [Foreign]

        static func load() throws -> References {
            let file = RepositoryRoot.url.appendingPathComponent("Tests/References/picture-texts.json")
            return try JSONDecoder().decode(References.self, from: Data(contentsOf: file))
        }
    }

    private func picture(_ texts: [String: String]) throws -> [UInt8] {
        let image = try RGBImage(width: 2, height: 2, pixels: [UInt8](repeating: 0, count: 12))
        return try PNGFile.encode(image, text: texts.sorted { $0.key < $1.key }.map { PNGText(key: $0.key, text: $0.value) })
    }

    @Test func readsInfotexts() throws {
        let references = try References.load().infotexts
        #expect(references.count >= 14)
        for reference in references {
            let found = Infotext(parsing: reference.text)
            #expect(found.prompt == reference.prompt, "\(reference.text)")
            #expect(found.negativePrompt == reference.negative, "\(reference.text)")
            #expect(found.pairs.map { [$0.key, $0.value] } == reference.pairs, "\(reference.text)")
            // What was read is written so that it is read again.
            if !found.pairs.isEmpty { #expect(Infotext(parsing: found.text) == found, "\(found.text)") }
        }
    }

    @Test(arguments: [
        "", "plain", "a, b", "a: b", "two\nlines", "\"quoted\"", " spaces ", "back\\slash, \"x\"", "猫: é", "\"", "tab\t, \u{1}",
    ])
    func writesAnyValue(_ value: String) {
        let text = Infotext(
            prompt: "a\nb", negativePrompt: "c",
            pairs: [.init("One", "1"), .init("Two", value), .init("Three", value), .init("Four", "4")])
        #expect(Infotext(parsing: text.text) == text)
    }

    /// Texts of a megabyte and of nothing but separators are read; in time that grows with the square of their length, for hours.
    @Test(arguments: ["a", " ", ":", ",", "\"", "\\", "a:", "a b", "a: \"", "\n", "猫"])
    func readsHostileInfotexts(_ unit: String) {
        let text = Infotext(parsing: String(repeating: unit, count: 1 << 20))
        #expect(text.pairs.count <= 1)
    }

    @Test func readsTextsOfFiles() throws {
        let references = try References.load().files
        #expect(references.count >= 6)
        for reference in references {
            let metadata = try #require(try PictureMetadata([UInt8](reference.file)))
            #expect(Dictionary(metadata.texts.map { ($0.key, $0.text) }, uniquingKeysWith: { $1 }) == reference.texts)
            #expect(metadata.source == .automatic1111)
        }
    }

    @Test func readsOtherPrograms() throws {
        let references = try References.load().foreign
        #expect(references.count >= 11)
        for reference in references {
            let metadata = try #require(try PictureMetadata(picture(reference.texts)))
            #expect(metadata.source == reference.source && metadata.record == nil)
            let expected = try JSONDecoder().decode(PictureSettings.self, from: Data(reference.settings.utf8))
            #expect(metadata.settings == expected)
            if let scheduler = metadata.settings.scheduler { _ = try SchedulerRegistry.standard.find(scheduler) }
        }
    }

    @Test func fillsARequest() throws {
        let text = "a (fox)\nNegative prompt: rain\nSteps: 9, Sampler: Euler a, CFG scale: 3.5, Seed: 7, Size: 64x96, RNG: NV"
        var request = GenerationRequest(prompt: "", steps: 3, guidanceScale: 1)
        PictureSettings(Infotext(parsing: text)).fill(&request)
        #expect(request.prompt == "a (fox)" && request.negativePrompt == "rain" && request.steps == 9 && request.seed == 7)
        #expect(
            request.guidanceScale == 3.5 && request.width == 64 && request.height == 96 && request.noiseSource == .cudaA1111)
        #expect(request.scheduler == "Euler a Uniform" && request.promptSyntax == .a1111)
        let before = request
        PictureSettings().fill(&request)
        #expect(request.steps == before.steps && request.seed == before.seed && request.prompt == before.prompt)
    }

    /// The names that AUTOMATIC1111 has, written and read again by them alone.
    @Test(arguments: [
        ("euler a", "Euler a", "Automatic"), ("euler", "Euler", "Automatic"), ("DPM++ 2M Karras", "DPM++ 2M", "Automatic"),
        ("dpm++2m uniform", "DPM++ 2M", "Uniform"), ("dpmpp_2m_sde exponential", "DPM++ 2M SDE", "Exponential"),
        ("dpm++3m-sde exponential", "DPM++ 3M SDE", "Exponential"), ("dpm++2s-a karras", "DPM++ 2S a", "Karras"),
        ("dpm++sde karras", "DPM++ SDE", "Karras"), ("lms uniform", "LMS", "Automatic"), ("heun uniform", "Heun", "Automatic"),
        ("dpm2 karras", "DPM2", "Karras"), ("dpm2-a karras", "DPM2 a", "Karras"), ("ddim", "DDIM", "Automatic"),
        ("plms", "PLMS", "Automatic"), ("unipc", "UniPC", "Automatic"), ("lcm", "LCM", "Automatic"),
        ("euler sgm uniform", "Euler", "SGM Uniform"), ("euler kl optimal", "Euler", "KL Optimal"),
        ("euler ays", "Euler", "Align Your Steps"), ("euler simple", "Euler", "Simple"), ("euler beta", "Euler", "Beta"),
        ("deis", "DEIS", "Automatic"), ("restart uniform", "Restart", "Uniform"), ("restart karras", "Restart", "Karras"),
        ("dpm++2s", "dpm++2s", "Automatic"),
        ("dpm-fast", "DPM fast", "Automatic"),
    ]) func namesSamplersAsTheWebInterface(given: String, sampler: String, type: String) throws {
        let request = GenerationRequest(prompt: "x", steps: 4, guidanceScale: 1, scheduler: given)
        let pipeline = try StableDiffusionPipeline(modelFolder: RecordTests.model)
        let record = try #require(try pipeline.generate(request).records.first)
        let text = record.infotext
        #expect(text["Sampler"] == sampler)
        // What a sampler takes by itself may be said, too.
        let said = text["Schedule type"]
        #expect(said == type || type == "Automatic" && ["Uniform", "DDIM", "Karras"].contains(said), "\(said ?? "")")
        var again = request
        PictureSettings(Infotext(parsing: text.text)).fill(&again)
        #expect(try pipeline.generate(again).records.first?.schedulerClass == record.schedulerClass)
    }

    /// A sampler with noise levels that nobody knows, or that it hasn't, is taken with its own.
    @Test(arguments: [
        ("Euler a", "Align Your Steps GITS", "Euler a Uniform"), ("DDIM", "Karras", "DDIM"),
        ("DPM fast", "Uniform", "DPM fast"),
    ]) func takesSamplersWithoutTheirLevels(sampler: String, type: String, scheduler: String) {
        let settings = PictureSettings(
            Infotext(parsing: "a fox\nSteps: 9, Sampler: \(sampler), Schedule type: \(type), Seed: 7"))
        #expect(settings.scheduler == scheduler && settings.others["Schedule type"] == type)
        #expect(settings.others["Sampler"] == nil)
    }

    /// A few kilobytes that stand for a gigabyte, chunks cut off, and JSON that isn't any.
    @Test func readsHostileFiles() throws {
        let bomb = try References.load().files[0].file
        let bytes = [UInt8](bomb)
        for cut in stride(from: 0, to: bytes.count, by: 7) { _ = try? PictureMetadata(Array(bytes[..<cut])) }
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 0xFF
            _ = try? PictureMetadata(changed)
        }
        let deep = String(repeating: "[", count: 100_000)
        for text in [
            deep, "{\"1\":\(deep)}", "{}", "[]", "null", "{\"1\":{\"class_type\":\"KSampler\",\"inputs\":[]}}", "NaN", "1e999",
        ] {
            for key in ["prompt", "Comment", "invokeai_metadata", "sd-metadata"] {
                _ = try? PictureMetadata(picture([key: text, "Software": "NovelAI"]))
            }
            expectError("The picture's record can't be read: ") { _ = try PictureMetadata(picture(["sd-onnx": text])) }
        }
        expectError("The picture's graph of ComfyUI can't be read: it isn't JSON of nodes.") {
            _ = try PictureMetadata(picture(["prompt": "{}"]))
        }
        #expect(try PictureMetadata(picture(["Title": "x"])) == nil)
        #expect(try PictureMetadata([]) == nil)
        // A damaged record beside a text that can be read.
        #expect(try PictureMetadata(picture(["sd-onnx": "{", "parameters": "a fox"]))?.source == .automatic1111)
    }

    @Test func namesDifferences() throws {
        let request = GenerationRequest(prompt: "a fox", steps: 2, guidanceScale: 1, seed: .max)
        let record = try #require(
            try StableDiffusionPipeline(modelFolder: RecordTests.model).generate(request).records.first)
        #expect(try record.differences(from: record).isEmpty)
        var other = record
        (other.seed, other.modelHash, other.eta, other.promptTokens) = (1, "ab", 0.5, 99)
        let differences = try record.differences(from: other)
        #expect(differences.map(\.key) == ["eta", "model_hash", "seed"])
        #expect(differences.map(\.value) == [nil, record.modelHash, "18446744073709551615"])
        #expect(differences.map(\.other) == ["0.5", "ab", "1"])
    }
}
