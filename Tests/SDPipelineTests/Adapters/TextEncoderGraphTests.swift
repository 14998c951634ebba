import Foundation
import SDPipeline
import TestSupport
import Testing

/// What is found in a text encoder's graph is found whoever exported it: layers for the clip skip, and the table of token embeddings.
@Suite struct TextEncoderGraphTests {
    private static let exporters = ["torchscript-plain", "torchscript-sdpa", "optimum", "dynamo"]

    /// The same weights from every exporter make the same latents, and others than without the edit.
    @Test(arguments: ["sd1", "sd2"]) func sameFromEveryExporter(family: String) throws {
        let file = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/prompts/three.safetensors")
        let word = try TextualInversion(name: "my-toy", contentsOf: file)
        var plain: [[Float]] = []
        for (clipSkip, embeddings) in [(nil, []), (2, []), (nil, [word])] as [(Int?, [TextualInversion])] {
            let made = try Self.exporters.map { exporter in
                let folder = try TemporaryFolder()
                let model = try Self.model("\(family)-\(exporter)", in: folder.url)
                let configuration = try PipelineConfiguration(modelFolder: model, embeddings: embeddings)
                return try StableDiffusionPipeline(configuration).generate(
                    GenerationRequest(
                        prompt: "a my-toy", width: 64, height: 64, steps: 4, seed: 1, scheduler: "euler", clipSkip: clipSkip)
                ).latents.values
            }
            for other in made.dropFirst() {
                #expect(zip(made[0], other).allSatisfy { abs($0 - $1) < 1e-3 }, "\(family), clip skip \(clipSkip ?? 1)")
            }
            #expect(plain.allSatisfy { earlier in zip(earlier, made[0]).contains { abs($0 - $1) > 0.1 } })
            plain.append(made[0])
        }
    }

    /// The model sd1 of the families with another text encoder, of the same width.
    private static func model(_ name: String, in folder: URL) throws -> URL {
        let source = TestCache.folder.appendingPathComponent("families/sd1/model")
        let graph = TestCache.folder.appendingPathComponent("models/\(name)/text_encoder/model.onnx")
        try #require(
            FileManager.default.fileExists(atPath: graph.path), "\(graph.path) is missing: run Tools/setup-test-data.sh")
        let model = folder.appendingPathComponent("model")
        try FileManager.default.createDirectory(
            at: model.appendingPathComponent("text_encoder"), withIntermediateDirectories: true)
        for part in try FileManager.default.contentsOfDirectory(atPath: source.path) where part != "text_encoder" {
            try FileManager.default.createSymbolicLink(
                at: model.appendingPathComponent(part), withDestinationURL: source.appendingPathComponent(part))
        }
        try FileManager.default.createSymbolicLink(
            at: model.appendingPathComponent("text_encoder/model.onnx"), withDestinationURL: graph)
        return model
    }
}
