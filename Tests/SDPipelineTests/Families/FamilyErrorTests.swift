import Foundation
import SDPipeline
import TestSupport
import Testing

/// Requests and folders that don't fit together each have a sentence of their own.
@Suite struct FamilyErrorTests {
    private static func folder(_ name: String) -> URL { FamilyParityTests.root.appendingPathComponent("\(name)/model") }

    private static func message(_ body: () throws -> Void) -> String {
        let error = #expect(throws: PipelineError.self) { try body() }
        return error?.message ?? ""
    }

    @Test func refinersNeedAPicture() throws {
        let configuration = try PipelineConfiguration(modelFolder: Self.folder("sdxl-refiner"))
        #expect(configuration.familyName == "refiner of Stable Diffusion XL")
        let message = Self.message { _ = try configuration.plan(for: GenerationRequest(prompt: "a fox")) }
        #expect(message.contains("works on a picture"))
    }

    @Test func inpaintingModelsNeedAMask() throws {
        let configuration = try PipelineConfiguration(modelFolder: Self.folder("sdxl-inpaint"))
        #expect(configuration.isInpaintingModel)
        let message = Self.message {
            _ = try configuration.plan(for: GenerationRequest(prompt: "a fox"), startingFrom: (128, 128))
        }
        #expect(message.contains("9 channels") && message.contains("the request has no mask"))
    }

    @Test func refinersGoWithTheirModels() throws {
        let (sd, sdxl, refiner) = (Self.folder("sd1"), Self.folder("sdxl"), Self.folder("sdxl-refiner"))
        #expect(Self.message { _ = try PipelineConfiguration(modelFolder: sdxl, refiner: sd) }.contains("expected a refiner"))
        #expect(
            Self.message { _ = try PipelineConfiguration(modelFolder: sd, refiner: refiner) }.contains(
                "expected a Stable Diffusion XL model"))
        let both = try PipelineConfiguration(modelFolder: sdxl, refiner: refiner)
        for (start, part) in [
            (0.0001, "leaves none of the steps to the model"), (0.9999, "leaves none of the steps to it"),
            (0, "between 0 and 1"), (1, "between 0 and 1"), (.nan, "between 0 and 1"),
        ] {
            let request = GenerationRequest(prompt: "a fox", steps: 5, refinerStart: start)
            #expect(Self.message { _ = try both.plan(for: request) }.contains(part), "\(start)")
        }
        let alone = try PipelineConfiguration(modelFolder: sdxl)
        let request = GenerationRequest(prompt: "a fox", refinerStart: 0.5)
        #expect(Self.message { _ = try alone.plan(for: request) }.contains("there is no refiner"))
    }

    /// Transformers and others are refused by name, with what the folder has and what is known.
    @Test(arguments: [
        ("StableDiffusion3Pipeline", "Stable Diffusion 3"), ("FluxPipeline", "Flux"), ("ORTSanaPipeline", "Sana"),
        ("StableDiffusionUpscalePipeline", "an upscaler"), ("StableDiffusionDepth2ImgPipeline", "a depth map"),
        ("SomethingPipeline", "SomethingPipeline"),
    ]) func namesOtherFamilies(className: String, part: String) throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            at: folder.url.appendingPathComponent("transformer"), withIntermediateDirectories: true)
        try Data().write(to: folder.url.appendingPathComponent("transformer/model.onnx"))
        try Data("{\"_class_name\": \"\(className)\"}".utf8).write(to: folder.url.appendingPathComponent("model_index.json"))
        let message = Self.message { _ = try PipelineConfiguration(modelFolder: folder.url) }
        #expect(message.contains(part) && message.contains("with transformer;"), "\(message)")
        #expect(message.contains("StableDiffusionXLPipeline") && message.contains("LatentConsistencyModelPipeline"))
    }

    /// Guidance is off by default for what was distilled to need none, and notices say so.
    @Test(arguments: [
        ("sd1", 7.5, false), ("sd2", 7.5, false), ("sd-turbo", 1, true), ("sdxl", 5, false), ("sdxl-turbo", 1, true),
        ("lcm", 7.5, false), ("lcm-merged", 1, true),
    ]) func guidanceIsTheModels(name: String, scale: Double, isTold: Bool) throws {
        let configuration = try PipelineConfiguration(modelFolder: Self.folder(name))
        #expect(configuration.defaultGuidanceScale == scale)
        let plan = try configuration.plan(for: GenerationRequest(prompt: "a fox", steps: 4))
        #expect(plan.guidanceScale == scale && plan.notices.contains(.guidanceOff) == isTold)
        let stated = try configuration.plan(for: GenerationRequest(prompt: "a fox", steps: 4, guidanceScale: 3))
        #expect(stated.guidanceScale == 3 && !stated.notices.contains(.guidanceOff))
    }

    /// Folders without configuration files take the sizes from the graphs, and say which factor is assumed.
    @Test func readsFoldersWithoutConfiguration() throws {
        let plan = try PipelineConfiguration(modelFolder: Self.folder("old-script")).plan(
            for: GenerationRequest(prompt: "a fox"))
        #expect(plan.notices.contains(.scalingFactorAssumed(0.18215)))
        #expect(plan.latentShape[1] == 4)
    }

    @Test func refusesVAEsOfOtherChannels() throws {
        let folder = try TemporaryFolder()
        let other = folder.url.appendingPathComponent("vae")
        try FileManager.default.copyItem(at: Self.folder("vae-other"), to: other)
        let file = other.appendingPathComponent("vae_decoder/config.json")
        let text = try String(contentsOf: file, encoding: .utf8)
        try Data(text.replacing(/"latent_channels": *4/, with: "\"latent_channels\": 16").utf8).write(to: file)
        let message = Self.message { _ = try PipelineConfiguration(modelFolder: Self.folder("sd1"), vae: other) }
        #expect(message.contains("the U-Net takes 4 channels and the VAE") && message.contains("makes 16"), "\(message)")
    }

    /// A plan that lacks its picture would make another one, and another model would make something of its numbers.
    @Test func plansRunAsTheyWereMade() throws {
        let configuration = try PipelineConfiguration(modelFolder: Self.folder("sd1"))
        let pipeline = try StableDiffusionPipeline(configuration)
        let request = GenerationRequest(prompt: "a fox", steps: 2)
        var plan = try configuration.plan(for: request, startingFrom: (64, 64))
        #expect(Self.message { _ = try pipeline.generate(plan) }.contains("which it wasn't given"))
        let (small, right) = try (
            RGBImage(width: 32, height: 64, pixels: [UInt8](repeating: 9, count: 3 * 32 * 64)),
            RGBImage(width: 64, height: 64, pixels: [UInt8](repeating: 9, count: 3 * 64 * 64))
        )
        #expect(
            Self.message { try plan.setInitialImage(small) }.contains("32×64 pixels, and the plan was made for one of 64×64"))
        try plan.setInitialImage(right)
        #expect(try pipeline.generate(plan).images.count == 1)
        var text = try configuration.plan(for: request)
        #expect(Self.message { try text.setInitialImage(right) }.contains("the plan was made for none"))
        let other = try PipelineConfiguration(modelFolder: Self.folder("sd2")).plan(for: request)
        #expect(Self.message { _ = try pipeline.generate(other) }.contains("The plan was made for the model"))
    }
}
