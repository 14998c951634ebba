import Foundation
import SDPipeline
import TestSupport
import Testing

/// Second passes at a larger size, against two of diffusers' pipelines (Tests/References/second_pass.py).
@Suite struct SecondPassTests {
    struct Case: Decodable, CustomTestStringConvertible {
        let model: String?
        let scheduler: String
        let schedulerOptions: [String: SchedulerValue]
        let prompt: String
        let negativePrompt: String?
        let steps: Int
        let guidanceScale: Double
        let seed: UInt64
        let batch: Int
        let width: Int
        let height: Int
        let scale: Double
        let strength: Double
        let hiresWidth: Int?
        let hiresHeight: Int?
        let hiresScheduler: String?
        let hiresPrompt: String?
        let hiresNegativePrompt: String?
        let hiresGuidanceScale: Double?
        let hiresSteps: Int?
        let upscaler: String
        let file: String

        var testDescription: String { file }
    }

    static let folder = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/second-pass")
    static let network = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/upscale/rgb.onnx")
    static let emoji = RepositoryRoot.url.appendingPathComponent("Models/emoji")

    static func cases() throws -> [Case] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode([Case].self, from: Data(contentsOf: folder.appendingPathComponent("cases.json")))
    }

    @Test(arguments: try cases()) func samePicturesAsDiffusers(example: Case) throws {
        let model = example.model.map { FamilyParityTests.root.appendingPathComponent("\($0)/model") } ?? Self.emoji
        var request = GenerationRequest(
            prompt: example.prompt, negativePrompt: example.negativePrompt, width: example.width, height: example.height,
            steps: example.steps, guidanceScale: example.guidanceScale, seed: example.seed, batchCount: example.batch,
            scheduler: example.scheduler, schedulerOverrides: example.schedulerOptions)
        let upscaler: SecondPass.Upscaler =
            switch example.upscaler {
            case "lanczos": .lanczos
            case "nearest": .nearest
            case "network": .network(Self.network)
            default: .latent(try #require(LatentUpscaling(rawValue: example.upscaler)))
            }
        var pass = SecondPass(
            scale: example.scale, strength: example.strength, steps: example.hiresSteps, upscaler: upscaler)
        (pass.width, pass.height) = (example.hiresWidth, example.hiresHeight)
        (pass.scheduler, pass.guidanceScale) = (example.hiresScheduler, example.hiresGuidanceScale)
        (pass.prompt, pass.negativePrompt) = (example.hiresPrompt, example.hiresNegativePrompt)
        request.secondPass = pass
        let result = try StableDiffusionPipeline(modelFolder: model).generate(request)
        let strip = try PNGFile.read(Self.folder.appendingPathComponent(example.file))
        #expect(result.images.count == example.batch && strip.height == result.images[0].height)
        #expect(result.images[0].width * example.batch == strip.width)
        for (number, image) in result.images.enumerated() {
            let expected = (0..<image.height).flatMap { row -> ArraySlice<UInt8> in
                let start = (row * strip.width + image.width * number) * 3
                return strip.pixels[start..<start + image.width * 3]
            }
            expectClose(image.pixels, expected, shape: [image.height, image.width, 3], within: 2, "picture \(number)")
        }
        let record = try #require(result.records.first?.secondPass)
        #expect(record.width == result.images[0].width && record.steps == example.hiresSteps)
        if pass.width == nil, pass.height == nil { #expect(record.scale == example.scale) }
        // What is written comes back.
        var restored = GenerationRequest(prompt: "")
        PictureSettings(try #require(result.records.first?.infotext)).fill(&restored)
        if example.upscaler != "network" {
            // Of schedulers, by another name.
            pass.scheduler = restored.secondPass?.scheduler
            #expect(restored.secondPass == pass && (pass.scheduler == nil) == (example.hiresScheduler == nil))
        }
    }

    /// Latents of a picture of another size are resized, in the place of the picture.
    @Test func startsFromResizedLatents() throws {
        struct Start: Decodable {
            let picture, prompt, file: String
            let seed: UInt64
            let steps, width, height: Int
            let strength: Double
        }
        let start = try JSONDecoder().decode(
            Start.self, from: Data(contentsOf: Self.folder.appendingPathComponent("start.json")))
        var request = GenerationRequest(
            prompt: start.prompt, width: start.width, height: start.height, steps: start.steps, guidanceScale: 4,
            seed: start.seed, scheduler: "ddim",
            initialImage: try PNGFile.read(Self.folder.appendingPathComponent(start.picture)), resizeMode: .latent,
            strength: start.strength)
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.emoji)
        let result = try pipeline.generate(request)
        let expected = try PNGFile.read(Self.folder.appendingPathComponent(start.file))
        expectClose(
            result.images[0].pixels, expected.pixels, shape: [start.height, start.width, 3], within: 2, "the picture")
        #expect(result.records[0].resize == "latent" && result.records[0].parameters.contains("Resize mode: latent"))
        // A picture with a mask is resized itself.
        request.inpainting = Inpainting(
            mask: try PictureMask(width: 80, height: 64, values: [UInt8](repeating: 255, count: 80 * 64)))
        let masked = try pipeline.generate(request).images[0]
        request.resizeMode = .stretch
        #expect(try pipeline.generate(request).images[0] == masked && masked != result.images[0])
    }

    /// A LoRA that the second pass's prompt names counts in it alone.
    @Test func readsTagsOfItsOwnPrompt() throws {
        let lora = try LoRA(contentsOf: Self.emoji.appendingPathComponent("lora/night.safetensors"), name: "night", weight: 0)
        let pipeline = try StableDiffusionPipeline(PipelineConfiguration(modelFolder: Self.emoji, loras: [lora]))
        var request = GenerationRequest(
            prompt: "a fox", steps: 4, guidanceScale: 3, seed: 5, scheduler: "ddim", promptSyntax: .a1111)
        let first = try pipeline.generate(request).images[0]
        request.secondPass = SecondPass(scale: 1.5, strength: 0.5, upscaler: .lanczos)
        request.secondPass?.prompt = "a fox <lora:night:0.8>"
        let result = try pipeline.generate(request)
        #expect(result.records[0].loras?.map(\.name) == ["night"])
        (request.secondPass, request.width, request.height, request.steps) = (nil, 96, 96, 8)
        (request.initialImage, request.strength) = (try first.resized(width: 96, height: 96), 0.5)
        let without = try pipeline.generate(request).images[0]
        request.prompt = "a fox <lora:night:0.8>"
        #expect(try pipeline.generate(request).images[0] == result.images[0] && without != result.images[0])
    }

    /// Over enlarged pictures the second pass is a run that starts from them, with ControlNets, FreeU and a prompt's weights as in the first.
    @Test func isARunOverTheEnlargedPicture() throws {
        let folder = TestCache.folder.appendingPathComponent("controls/sd1")
        let pipeline = try StableDiffusionPipeline(modelFolder: folder.appendingPathComponent("model"))
        let pixels = (0..<3 * 64 * 64).map { (index: Int) -> UInt8 in (index / 3 % 64 / 16).isMultiple(of: 2) ? 240 : 20 }
        var request = GenerationRequest(
            prompt: "a (fox:1.3)", negativePrompt: "rain", width: 64, height: 64, steps: 4, guidanceScale: 3, seed: 5,
            scheduler: "euler a")
        request.controls = [
            Control(
                network: folder.appendingPathComponent("control-0"), image: try RGBImage(width: 64, height: 64, pixels: pixels),
                strength: 0.8)
        ]
        request.freeU = FreeU(b1: 1.1, b2: 1.2, s1: 0.9, s2: 0.2)
        let first = try pipeline.generate(request).images[0]
        request.secondPass = SecondPass(scale: 1.5, strength: 0.5, upscaler: .lanczos)
        let both = try pipeline.generate(request).images[0]
        // Four steps of a share of one half are of a schedule of eight.
        (request.secondPass, request.width, request.height, request.steps) = (nil, 96, 96, 8)
        request.initialImage = try first.resized(width: 96, height: 96)
        request.strength = 0.5
        #expect(try pipeline.generate(request).images[0] == both)
        request.controls = []
        #expect(try pipeline.generate(request).images[0] != both)
    }

    /// A picture of a batch is the one that is made alone, and the steps tell how far both passes are.
    @Test func picturesOfABatchStandAlone() throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.emoji)
        var request = GenerationRequest(
            prompt: "a fox", steps: 4, guidanceScale: 3, seed: 5, batchCount: 3, scheduler: "euler a")
        request.noiseSource = .cpuA1111
        request.secondPass = SecondPass(strength: 0.5, steps: 3)
        var steps: [Int] = []
        let all = try pipeline.generate(request) { progress in
            if case .step(let completed, let total) = progress {
                #expect(total == 7)
                steps.append(completed)
            }
            return true
        }
        #expect(steps == Array(0...7) && all.timesteps.count == 7)
        (request.seed, request.batchCount) = (7, 1)
        #expect(try pipeline.generate(request).images[0] == all.images[2])
        // The variation counts in both passes.
        request.variation = SeedVariation(seed: 9, strength: 0.4)
        #expect(try pipeline.generate(request).images[0] != all.images[2])
    }

    /// Sizes lose fractions, and what is beyond a multiple of what the model takes.
    @Test(arguments: [(64, 64, 1.3, 80, 80), (96, 64, 1.5, 144, 96), (64, 64, 1.0, 64, 64), (64, 80, 1.99, 112, 144)])
    func roundsSizesDown(width: Int, height: Int, scale: Double, newWidth: Int, newHeight: Int) throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.emoji)
        var request = GenerationRequest(prompt: "", width: width, height: height, steps: 1, guidanceScale: 1)
        request.secondPass = SecondPass(scale: scale, strength: 0)
        let image = try pipeline.generate(request).images[0]
        #expect((image.width, image.height) == (newWidth, newHeight))
    }

    /// AUTOMATIC1111's own examples (`modules/prompt_parser.py`): shares from 1 on are of the second pass, and its numbers of steps go on.
    @Test(arguments: [
        ("a [b:.5] c", ["10: a b c"]), ("a [b:1.5] c", ["5: a  c", "10: a b c"]), ("[a:b:12]", ["2: a", "10: b"]),
        ("[a|b]", (1...10).map { "\($0): \($0 % 2 == 1 ? "a" : "b")" }),
    ]) func countsOnInPrompts(prompt: String, stages: [String]) throws {
        let parsed = try ParsedPrompt(prompt, steps: 10, after: 10)
        #expect(parsed.parts[0].stages.map { "\($0.lastStep): \($0.text)" } == stages)
    }

    @Test func refusesWhatCantBe() throws {
        let configuration = try PipelineConfiguration(modelFolder: Self.emoji)
        func refused(_ sentence: String, _ change: (inout GenerationRequest) throws -> Void) rethrows {
            var request = GenerationRequest(prompt: "a fox", steps: 4)
            request.secondPass = SecondPass()
            try change(&request)
            expectError(sentence) { try configuration.plan(for: request) }
        }
        refused("The second pass enlarges by 0.5, expected a number from 1 to 16.") { $0.secondPass?.scale = 0.5 }
        refused("The second pass enlarges by nan") { $0.secondPass?.scale = .nan }
        refused("The second pass has a strength of 1.5, expected a number from 0 to 1.") { $0.secondPass?.strength = 1.5 }
        refused("The second pass has 0 steps, expected 1 or more.") { $0.secondPass?.steps = 0 }
        refused("The second pass makes pictures of 0 pixels, expected 1 to ") { $0.secondPass?.width = 0 }
        refused("width") { $0.secondPass?.width = 8 }
        refused("There is no scheduler") { $0.secondPass?.scheduler = "none such" }
        refused("The guidance scale of the second pass is inf") { $0.secondPass?.guidanceScale = .infinity }
        refused("expected a super-resolution network.") { $0.secondPass?.upscaler = .network(URL(filePath: "/none.onnx")) }
        try refused("A second pass at a larger size is for pictures from a prompt alone") {
            $0.initialImage = try RGBImage(width: 64, height: 64, pixels: [UInt8](repeating: 0, count: 3 * 64 * 64))
        }
        refused("states the steps of the second one: give one.") {
            $0.scheduler = "euler"
            $0.timestepRequest = .sigmas([14.6, 3.9, 0.5, 0])
            $0.secondPass?.steps = 3
        }
        refused("which divides the schedule into more than the 1000 that the model was trained with") {
            $0.secondPass?.strength = 0.001
        }
    }
}
