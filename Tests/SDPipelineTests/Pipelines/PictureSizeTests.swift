import Foundation
import SDPipeline
import TestSupport
import Testing

@Suite struct PictureSizeTests {
    static let emoji = RepositoryRoot.url.appendingPathComponent("Models/emoji")

    /// The multiple is the VAE's factor times what the U-Net's levels halve by.
    @Test func nearestSizes() throws {
        let sizes = try PipelineConfiguration(modelFolder: Self.emoji).sizes
        #expect(sizes.multiple == 16 && sizes.defaultWidth == 64 && sizes.fixedWidth == nil)
        let expected = [1: 16, 16: 16, 23: 16, 24: 32, 70: 64, 72: 80, 16376: 16384, 20000: 16384, -5: 16]
        for (size, nearest) in expected {
            #expect(sizes.nearestWidth(to: size) == nearest && sizes.nearestHeight(to: size) == nearest, "\(size)")
        }
    }

    /// A height and a width, as diffusers takes them too; of an autoencoder the height counts.
    @Test func takesHeightAndWidth() throws {
        let folder = try TemporaryFolder()
        let model = folder.url.appendingPathComponent("model")
        try FileManager.default.copyItem(at: Self.emoji, to: model)
        for (part, size, pair) in [("unet", 16, "[12, 20]"), ("vae_decoder", 64, "[64, 64]")] {
            let file = model.appendingPathComponent("\(part)/config.json")
            let text = try String(contentsOf: file, encoding: .utf8)
            try Data(text.replacing("\"sample_size\": \(size)", with: "\"sample_size\": \(pair)").utf8).write(to: file)
        }
        let sizes = try PipelineConfiguration(modelFolder: model).sizes
        #expect(sizes.defaultHeight == 48 && sizes.defaultWidth == 80)
    }

    /// Every size that the check passes is one that the graphs take, and the neighbours that it names pass it.
    @Test func takesEverySizeThatPasses() throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.emoji)
        for width in 1...100 {
            let request = GenerationRequest(prompt: "", width: width, height: 48, steps: 1, guidanceScale: 1)
            if width % 16 == 0 {
                #expect(try pipeline.generate(request).images.first?.width == width)
                continue
            }
            let error = #expect(throws: PipelineError.self) { try pipeline.configuration.plan(for: request) }
            let message = try #require(error?.message)
            let named = message[try #require(message.range(of: "such as ")).upperBound...].split(whereSeparator: {
                !$0.isNumber
            })
            #expect(!named.isEmpty)
            for size in named.compactMap({ Int($0) }) {
                #expect(abs(size - width) < 16)
                var other = request
                other.width = size
                _ = try pipeline.configuration.plan(for: other)
            }
        }
    }

    /// A graph that was exported for one size takes that alone, and makes it where none is asked for.
    @Test func takesTheFixedSizeAlone() throws {
        let folder = try TemporaryFolder()
        let copy = folder.url.appendingPathComponent("model")
        let manager = FileManager.default
        try manager.copyItem(at: Self.emoji, to: copy)
        let fixed = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/not-finite/unet-fixed.onnx")
        try manager.removeItem(at: copy.appendingPathComponent("unet/model.onnx"))
        try manager.copyItem(at: fixed, to: copy.appendingPathComponent("unet/model.onnx"))
        let configuration = try PipelineConfiguration(modelFolder: copy)
        #expect(configuration.sizes.fixedWidth == 96 && configuration.sizes.fixedHeight == 80)
        #expect(try configuration.plan(for: GenerationRequest(prompt: "x")).latentShape == [1, 4, 20, 24])
        #expect(
            try configuration.plan(for: GenerationRequest(prompt: "x"), startingFrom: (64, 64)).latentShape
                == [1, 4, 20, 24])
        let error = #expect(throws: PipelineError.self) {
            try configuration.plan(for: GenerationRequest(prompt: "x", width: 64))
        }
        #expect(error?.message == "The width is 64, expected 96, for which alone the model was exported.")
    }
}
