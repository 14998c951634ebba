import Foundation
import SDPipeline
import TestSupport
import Testing

/// Previews through a small decoder beside the model's own.
@Suite struct PreviewDecoderTests {
    private static func folder(_ name: String) -> URL { FamilyParityTests.root.appendingPathComponent("\(name)/model") }

    /// The pictures on the way are those that the decoder makes as the model's VAE; the result stays the model's own.
    @Test(arguments: ["", "vae_decoder/model.onnx"]) func previewsThroughASmallDecoder(file: String) throws {
        let tiny = Self.folder("vae-tiny")
        var request = GenerationRequest(prompt: "a fox", width: 64, height: 96, steps: 3, seed: 3, scheduler: "ddim")
        let own = try StableDiffusionPipeline(modelFolder: Self.folder("sd1"))
        let plain = try own.generate(request)
        let url = file.isEmpty ? tiny : tiny.appendingPathComponent(file)
        request.livePreview = LivePreview(interval: 1, method: .decoder(url))
        var shown: [RGBImage] = []
        let result = try own.generate(request) { progress in
            if case .preview(_, _, let images) = progress { shown += images }
            return true
        }
        #expect(result.images == plain.images)
        request.livePreview = LivePreview(interval: 1, method: .vae)
        var expected: [RGBImage] = []
        _ = try StableDiffusionPipeline(PipelineConfiguration(modelFolder: Self.folder("sd1"), vae: tiny)).generate(request) {
            if case .preview(_, _, let images) = $0 { expected += images }
            return true
        }
        #expect(shown.count == 2 && shown == expected)
    }

    @Test func refusesDecodersOfOtherLatents() throws {
        let configuration = try PipelineConfiguration(modelFolder: Self.folder("sd1"))
        func error(_ url: URL) -> PipelineError? {
            var request = GenerationRequest(prompt: "a fox", steps: 1)
            request.livePreview = LivePreview(interval: 1, method: .decoder(url))
            return #expect(throws: PipelineError.self) { try configuration.plan(for: request) }
        }
        let other = error(Self.folder("vae-other-scale"))?.message ?? ""
        #expect(
            other.contains("4 channels for 2×2 pixels, expected the model's: latents of 4 channels for 4×4 pixels"), "\(other)")
        #expect(error(URL(fileURLWithPath: "/no/such/folder"))?.kind == .missingFile)
    }
}
