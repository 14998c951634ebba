import Foundation
import GraphRuntime
import SDPipeline
import TestSupport
import Testing

/// Models whose answers aren't finite numbers (Tests/References/not_finite_models.py): no picture, but the node that began it.
@Suite struct NotFiniteTests {
    static let fixtures = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/not-finite")
    static let model = RepositoryRoot.url.appendingPathComponent("Models/emoji")

    /// The embedded model with another graph in the place of one.
    private func pipeline(_ component: String, _ file: String, in folder: TemporaryFolder) throws -> StableDiffusionPipeline {
        let manager = FileManager.default
        let copy = folder.url.appendingPathComponent(UUID().uuidString)
        try manager.createDirectory(at: copy, withIntermediateDirectories: true)
        for name in try manager.contentsOfDirectory(atPath: Self.model.path) where name != component {
            try manager.createSymbolicLink(
                at: copy.appendingPathComponent(name), withDestinationURL: Self.model.appendingPathComponent(name))
        }
        let replaced = copy.appendingPathComponent(component)
        try manager.createDirectory(at: replaced, withIntermediateDirectories: true)
        try manager.copyItem(
            at: Self.model.appendingPathComponent("\(component)/config.json"),
            to: replaced.appendingPathComponent("config.json"))
        try manager.copyItem(
            at: Self.fixtures.appendingPathComponent("\(file).onnx"), to: replaced.appendingPathComponent("model.onnx"))
        return try StableDiffusionPipeline(modelFolder: copy)
    }

    @Test(arguments: [
        ("vae_decoder", "vae_decoder-nan", "NaN begin at Log-17 \"/decoder/mid/Log\""),
        (
            "vae_decoder", "vae_decoder-overflow",
            "infinities begin at Exp-17 \"/decoder/up/Exp\", whose output \"overflow\" has them although its inputs are finite, "
                + "and Sub-17 \"/decoder/up/Sub\" makes NaN of them"
        ),
        ("vae_decoder", "vae_decoder-one", "infinities begin at Div-17 \"/decoder/Div\""),
        ("vae_decoder", "vae_decoder-weight", "the file's own constant \"weight\" has NaN"),
        ("unet", "unet-overflow", "infinities begin at Exp-17 \"/time/Exp\""),
        ("text_encoder", "text_encoder-nan", "NaN begin at Div-17 \"/layers.0/norm/Div\""),
    ]) func namesTheNode(component: String, file: String, part: String) throws {
        let folder = try TemporaryFolder()
        let pipeline = try pipeline(component, file, in: folder)
        for guidance in [1.0, 5] {
            let request = GenerationRequest(prompt: "a fox", steps: 2, guidanceScale: guidance, batchCount: 2)
            let error = #expect(throws: PipelineError.self) { try pipeline.generate(request) }
            #expect(error?.kind == .notFinite(component: component))
            #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
            #expect(error?.message.contains("in float32") == true)
        }
        // Also where the file is gone, from the optimised graph.
        try FileManager.default.removeItem(at: folder.url)
        let error = #expect(throws: PipelineError.self) {
            try pipeline.generate(GenerationRequest(prompt: "a fox", steps: 2))
        }
        #expect(error?.kind == .notFinite(component: component))
        #expect(error?.message.contains("optimised graph alone") == false && error?.message.contains("a second run") == false)
    }

    @Test func namesTheNodeOfTheEncoder() throws {
        let folder = try TemporaryFolder()
        let pipeline = try pipeline("vae_encoder", "vae_encoder-nan", in: folder)
        let image = try RGBImage(width: 64, height: 64, pixels: [UInt8](repeating: 200, count: 3 * 64 * 64))
        let request = GenerationRequest(prompt: "a fox", steps: 2, initialImage: image)
        let error = #expect(throws: PipelineError.self) { try pipeline.generate(request) }
        #expect(error?.kind == .notFinite(component: "vae_encoder"))
        #expect(error?.message.contains("NaN begin at Sqrt-17 \"/encoder/down/Sqrt\"") == true)
        expectError("NaN begin at Sqrt-17 \"/encoder/down/Sqrt\"") {
            try LatentCodec(pipeline.configuration.folder).encode(image)
        }
    }

    /// Pictures on the way, and live ones, too.
    @Test func refusesPreviews() throws {
        let folder = try TemporaryFolder()
        let pipeline = try pipeline("vae_decoder", "vae_decoder-nan", in: folder)
        var request = GenerationRequest(prompt: "a fox", steps: 4)
        request.previewInterval = 1
        expectError("NaN begin at") { try pipeline.generate(request) }
        request.previewInterval = nil
        for method in [LivePreview.Method.vae, .linear] {
            request.livePreview = LivePreview(interval: 1, method: method)
            var shown = 0
            let error = #expect(throws: PipelineError.self) {
                try pipeline.generate(request) { progress in
                    if case .preview = progress { shown += 1 }
                    return true
                }
            }
            #expect(error?.kind == .notFinite(component: "vae_decoder") && shown == 0)
        }
    }

    /// Where the arithmetic of guidance and scheduler overflows, the message says so, or names the node of the U-Net.
    @Test(arguments: [3e37, 3e38]) func refusesAnOverflowOfGuidance(scale: Double) throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
        let error = #expect(throws: PipelineError.self) {
            try pipeline.generate(GenerationRequest(prompt: "a fox", steps: 5, guidanceScale: scale))
        }
        guard case .notFinite? = error?.kind else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(error?.message.contains("a smaller guidance scale") == true)
    }

    /// Graphs that aren't optimised and those that spare memory are watched in the same way.
    @Test func watchesEveryKindOfSession() throws {
        let folder = try TemporaryFolder()
        let configuration = try pipeline("vae_decoder", "vae_decoder-overflow", in: folder).configuration
        for (optimize, savesMemory) in [(false, false), (true, true)] {
            let pipeline = try StableDiffusionPipeline(configuration, optimize: optimize, savesMemory: savesMemory)
            let error = #expect(throws: PipelineError.self) {
                try pipeline.generate(GenerationRequest(prompt: "a fox", steps: 1))
            }
            #expect(error?.message.contains("/decoder/up/Exp") == true)
        }
    }
}
