import Foundation
import SDPipeline
import TestSupport
import Testing

/// How well texts fit pictures, against transformers' CLIPModel and open_clip (Tests/References/clip_similarity.py).
@Suite struct CLIPModelTests {
    struct Similarities: Decodable {
        struct Case: Decodable, CustomTestStringConvertible {
            struct Picture: Decodable {
                let file: String
                let cosines: [Double]
                let shares: [Double]
            }

            let folder: String
            let configuration: String?
            let visual: String?
            let logitScale: Double
            let pictures: [Picture]

            var testDescription: String { folder + (configuration.map { "/\($0)" } ?? "") }
        }

        let texts: [String]
        let cases: [Case]
    }

    static let fixtures = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/clip")
    static let tokenizer = RepositoryRoot.url.appendingPathComponent("Models/emoji/tokenizer")

    static func similarities() throws -> Similarities {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(
            Similarities.self, from: Data(contentsOf: fixtures.appendingPathComponent("similarities.json")))
    }

    /// A fixture's folder with the tokenizer that it lacks.
    private static func model(_ name: String, in folder: TemporaryFolder) throws -> URL {
        let url = folder.url.appendingPathComponent(name)
        try FileManager.default.copyItem(at: fixtures.appendingPathComponent(name), to: url)
        for file in ["vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"] {
            try FileManager.default.copyItem(at: tokenizer.appendingPathComponent(file), to: url.appendingPathComponent(file))
        }
        return url
    }

    /// A case's model; towers with the configuration and the picture's tower that it names.
    private static func model(_ example: Similarities.Case, in folder: TemporaryFolder) throws -> URL {
        let url = try model(example.folder, in: folder)
        func replace(_ name: String, with other: String?) throws {
            guard let other, other != name else { return }
            let target = url.appendingPathComponent(name)
            try? FileManager.default.removeItem(at: target)
            try FileManager.default.moveItem(at: url.appendingPathComponent(other), to: target)
        }
        try replace("open_clip_config.json", with: example.configuration)
        try replace("visual.onnx", with: example.visual)
        return url
    }

    /// One graph with both towers, two graphs, and open_clip's towers with each way to prepare pictures.
    @Test(arguments: try similarities().cases) func comparesAsItsOrigin(example: Similarities.Case) throws {
        let texts = try Self.similarities().texts
        #expect(example.pictures.count == 10)
        let folder = try TemporaryFolder()
        let clip = try CLIPModel(folder: Self.model(example, in: folder))
        if example.folder == "one" {
            #expect(abs(try #require(clip.logitScale) - example.logitScale) < 1e-4)
        } else {
            #expect(clip.logitScale == nil)
        }
        let vectors = try texts.map { try clip.embedding(of: $0) }
        for picture in example.pictures {
            // As PIL's `convert("RGB")` reads it.
            let image = try PNGFile.read(Self.fixtures.appendingPathComponent(picture.file), alpha: .dropped)
            let vector = try clip.embedding(of: image)
            let cosines = vectors.map { CLIPModel.cosine(vector, $0) }
            expectClose(cosines, picture.cosines, within: Tolerance(absolute: 1e-4), picture.file)
            let shares = CLIPModel.shares(cosines, logitScale: example.logitScale)
            expectClose(shares, picture.shares, within: Tolerance(absolute: 1e-4), picture.file)
        }
    }

    /// Folders for towers, a tokenizer beside the text's, and preprocessing beside the picture's.
    @Test func findsTowersInFolders() throws {
        let folder = try TemporaryFolder()
        let example = try #require(try Self.similarities().cases.first { $0.configuration == "shortest.json" })
        let flat = try CLIPModel(folder: Self.model(example, in: folder))
        let url = folder.url.appendingPathComponent("folders")
        for name in ["textual", "visual"] {
            let target = url.appendingPathComponent(name)
            try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
            try FileManager.default.copyItem(
                at: Self.fixtures.appendingPathComponent("towers/\(name).onnx"), to: target.appendingPathComponent("model.onnx")
            )
        }
        for file in ["vocab.json", "merges.txt"] {
            try FileManager.default.copyItem(
                at: Self.tokenizer.appendingPathComponent(file), to: url.appendingPathComponent("textual/\(file)"))
        }
        try Data(#"{"size": [40, 40]}"#.utf8).write(to: url.appendingPathComponent("visual/preprocess_cfg.json"))
        let nested = try CLIPModel(folder: url)
        #expect(try nested.embedding(of: "a fox") == flat.embedding(of: "a fox"))
        let image = try PNGFile.read(Self.fixtures.appendingPathComponent("pictures/1.png"))
        #expect(try nested.embedding(of: image) == flat.embedding(of: image))
    }

    @Test func sharesAddUp() {
        #expect(CLIPModel.shares([0.2, 0.2], logitScale: 100) == [0.5, 0.5])
        #expect(CLIPModel.shares([], logitScale: 100).isEmpty)
        let far = CLIPModel.shares([1, -1], logitScale: 1e6)
        #expect(far == [1, 0])
    }

    @Test func refusesWhatIsNoModel() throws {
        let folder = try TemporaryFolder()
        let manager = FileManager.default
        expectError("has no graph of CLIP: expected model.onnx with both towers, or text_model.onnx and vision_model.onnx.") {
            _ = try CLIPModel(folder: folder.url)
        }
        let one = try Self.model("one", in: folder)
        let graph = one.appendingPathComponent("model.onnx")
        let preprocessing = one.appendingPathComponent("preprocessor_config.json")
        try Data(#"{"size": 7, "crop_size": 7}"#.utf8).write(to: preprocessing)
        let small = try CLIPModel(folder: one)
        expectError("The image tower failed") { _ = try small.embedding(of: RGBImage(width: 1, height: 1, pixels: [1, 2, 3])) }
        try manager.removeItem(at: preprocessing)
        expectError("has no preprocessor_config.json") { _ = try CLIPModel(folder: one) }
        try Data(#"{"size": 40, "crop_size": 40}"#.utf8).write(to: preprocessing)
        // Another graph than CLIP's, and one that is cut off.
        try manager.removeItem(at: graph)
        try manager.copyItem(at: RepositoryRoot.url.appendingPathComponent("Models/emoji/text_encoder/model.onnx"), to: graph)
        expectError("has no value text_embeds, expected a CLIP model's graph.") { _ = try CLIPModel(folder: one) }
        try Data(Data(contentsOf: Self.fixtures.appendingPathComponent("one/model.onnx")).prefix(1000)).write(to: graph)
        expectError("model.onnx") { _ = try CLIPModel(folder: one) }
        try manager.removeItem(at: one.appendingPathComponent("vocab.json"))
        expectError("has no tokenizer") { _ = try CLIPModel(folder: one) }
        // Towers with settings that make no sense.
        let towers = try Self.model("towers", in: folder)
        let file = towers.appendingPathComponent("open_clip_config.json")
        for (text, sentence) in [
            ("[]", "isn't a JSON object."),
            ("{\"preprocess_cfg\": {\"size\": 0}}", "size is 0, expected one or two whole numbers from 1 to 4096."),
            ("{\"preprocess_cfg\": {\"std\": [0, 1, 1]}}", "std is a list or an object, expected numbers other than 0."),
            ("{\"preprocess_cfg\": {\"mean\": [0, 1]}}", "mean is a list or an object, expected a list of 3 numbers."),
            ("{\"preprocess_cfg\": {\"resize_mode\": \"crop\"}}", "resize_mode is crop, expected shortest, longest or squash."),
            ("{\"preprocess_cfg\": {\"interpolation\": 3}}", "interpolation is 3, expected bicubic, bilinear or random."),
        ] {
            try Data(text.utf8).write(to: file)
            expectError(sentence) { _ = try CLIPModel(folder: towers) }
        }
    }
}
