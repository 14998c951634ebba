import Foundation
import SDPipeline
import Testing

/// Latents of prompts with weights, chunks, breaks, `AND`, editing, alternation and clip skip, against diffusers' pipelines over states that
/// are made by the rules (Tests/References/prompts.py).
@Suite struct PromptPictureTests {
    struct Case: Decodable, Sendable {
        let name: String
        let models: [String]
        let task: String
        let prompt: String
        let negativePrompt: String?
        let guidanceScale: Double
        let steps: Int
        let strength: Double?
        let seed: UInt64
        let batch: Int
        let width: Int
        let height: Int
        let scheduler: String?
        let schedulerOptions: [String: SchedulerValue]
        let image: String?
        let mask: String?
        let refiner: String?
        let refinerStart: Double?
        let clipSkip: Int?
        /// Files by names.
        let embeddings: [String: String]
        let latents: String
    }

    static let fixtures = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/prompts")
    static let families = TestCache.folder.appendingPathComponent("families")
    /// The same weights in graphs that ONNX Runtime's optimiser has rewritten, with normalisations that add (Tests/References/adapters.py).
    static let optimised = ["sd1/model": "sd1-optimised", "sd2/model": "sd2-optimised", "sdxl/model": "sdxl-optimised"]

    static let cases: [Case] = {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let file = fixtures.appendingPathComponent("cases.json")
        return (try? decoder.decode([Case].self, from: Data(contentsOf: file))) ?? []
    }()

    @Test func thereAreCases() { #expect(Self.cases.count == 33) }

    @Test(arguments: cases) func sameAsDiffusers(item: Case) throws {
        try expectSame(item, on: item.models.map { Self.families.appendingPathComponent($0) })
    }

    /// Layers and the table of embeddings are found there too.
    @Test(arguments: cases.filter { $0.clipSkip != nil || !$0.embeddings.isEmpty }) func sameOnOptimisedGraphs(item: Case)
        throws
    {
        let names = item.models.compactMap { Self.optimised[$0] }
        #expect(names.count == 1)
        try expectSame(item, on: names.map { TestCache.folder.appendingPathComponent("adapters/models/\($0)") })
    }

    private func expectSame(_ item: Case, on models: [URL]) throws {
        let expected = try NPYArray(contentsOf: Self.fixtures.appendingPathComponent(item.latents))
        for model in models {
            let configuration = try PipelineConfiguration(
                modelFolder: model,
                refiner: item.refiner.map { Self.families.appendingPathComponent($0) },
                embeddings: item.embeddings.map {
                    try TextualInversion(name: $0, contentsOf: Self.fixtures.appendingPathComponent($1))
                })
            var request = GenerationRequest(
                prompt: item.prompt, negativePrompt: item.negativePrompt, width: item.width, height: item.height,
                steps: item.steps, guidanceScale: item.guidanceScale, seed: item.seed, batchCount: item.batch,
                scheduler: item.scheduler, schedulerOverrides: item.schedulerOptions, refinerStart: item.refinerStart)
            request.promptSyntax = .a1111
            request.clipSkip = item.clipSkip
            if let image = item.image {
                request.initialImage = try PNGFile.read(Self.families.appendingPathComponent(image))
                request.strength = item.strength
            }
            if let mask = item.mask {
                let picture = try PictureSource(contentsOf: Self.families.appendingPathComponent(mask))
                request.inpainting = Inpainting(mask: try PictureMask(picture))
            }
            let result = try StableDiffusionPipeline(configuration).generate(request)
            #expect(result.latents.shape == expected.shape)
            let difference = Self.relativeDifference(result.latents.values, try expected.floats())
            // Half precision is held to what the families' tests hold it to: pictures, which latents of 3 % aren't far from.
            #expect(
                difference <= (model.path.contains("half") ? 3e-2 : 1e-4),
                "\(item.name) on \(model.path): latents differ by \(difference)")
        }
    }

    /// |a − b| / |b|.
    private static func relativeDifference(_ found: [Float], _ expected: [Float]) -> Double {
        let squares = zip(found, expected).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
        let norm = expected.reduce(0.0) { $0 + Double($1) * Double($1) }
        return (squares / norm).squareRoot()
    }
}
