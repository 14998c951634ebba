import Foundation
import GraphRuntime
import SDPipeline
import TestSupport
import Testing

/// Every family of models at tiny sizes, for every task that it has, against diffusers' own pipelines over the same weights
/// (Tests/References/families.py).
@Suite struct FamilyParityTests {
    /// One picture, or batch, that diffusers made; paths are relative to ``root``.
    struct Case: Decodable, Sendable {
        struct Tolerance: Decodable {
            /// Of the largest difference, relative to the largest value.
            let latents: Double
            /// Of 255.
            let picture: Int
        }

        let model: String
        let name: String
        let task: String
        let prompt: String
        let negativePrompt: String?
        let guidanceScale: Double
        let steps: Int
        let strength: Double?
        let seed: UInt64
        let generators: String
        let batch: Int
        let width: Int
        let height: Int
        let scheduler: String?
        let schedulerOptions: [String: SchedulerValue]
        let image: String?
        let mask: String?
        let originalSize: [Int]?
        let cropsCoordsTopLeft: [Int]?
        let targetSize: [Int]?
        let aestheticScore: Double?
        let negativeAestheticScore: Double?
        let refiner: String?
        let refinerStart: Double?
        let vae: String?
        let safetyChecker: Bool?
        /// With a safety checker, the pictures that became black.
        let flagged: [Bool]?
        let latents: String
        let pictures: [String]
        let tolerance: Tolerance
    }

    static let root = TestCache.folder.appendingPathComponent("families")

    static let families: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
        return names.filter { FileManager.default.fileExists(atPath: root.appendingPathComponent("\($0)/cases.json").path) }
            .sorted()
    }()

    private static func cases(_ family: String) throws -> [Case] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        struct File: Decodable { let cases: [Case] }
        return try decoder.decode(File.self, from: Data(contentsOf: root.appendingPathComponent("\(family)/cases.json"))).cases
    }

    private static func request(_ item: Case) throws -> GenerationRequest {
        func file(_ path: String) -> URL { root.appendingPathComponent(path) }
        var request = GenerationRequest(
            prompt: item.prompt, negativePrompt: item.negativePrompt, width: item.width, height: item.height, steps: item.steps,
            guidanceScale: item.guidanceScale, seed: item.seed, batchCount: item.batch,
            batchSeeds: item.generators == "each" ? .consecutive : .shared, scheduler: item.scheduler,
            schedulerOverrides: item.schedulerOptions)
        request.refinerStart = item.refinerStart
        request.checksSafety = item.safetyChecker ?? false
        if let image = item.image {
            request.initialImage = try PNGFile.read(file(image))
            request.strength = item.strength
        }
        if let mask = item.mask {
            request.inpainting = Inpainting(mask: try PictureMask(PictureSource(contentsOf: file(mask))))
        }
        func size(_ list: [Int]?) -> PixelSize? { list.map { PixelSize(width: $0[1], height: $0[0]) } }
        request.pictureSizes.original = size(item.originalSize)
        request.pictureSizes.target = size(item.targetSize)
        if let crop = item.cropsCoordsTopLeft { request.pictureSizes.crop = PixelPoint(x: crop[1], y: crop[0]) }
        if let score = item.aestheticScore { request.pictureSizes.aestheticScore = score }
        if let score = item.negativeAestheticScore { request.pictureSizes.negativeAestheticScore = score }
        return request
    }

    @Test func thereAreFamilies() throws {
        #expect(Self.families.count == 26, "\(Self.families)")
        let cases = try Self.families.flatMap(Self.cases)
        #expect(cases.count == 269 && Set(cases.map(\.task)) == ["text", "picture", "inpaint"])
    }

    @Test(arguments: families) func sameAsDiffusers(family: String) throws {
        let cases = try Self.cases(family)
        for (parts, items) in Dictionary(grouping: cases, by: { [$0.model, $0.refiner, $0.vae] }) {
            func folder(_ path: String?) -> URL? { path.map { Self.root.appendingPathComponent($0) } }
            let configuration = try PipelineConfiguration(
                modelFolder: folder(parts[0]), vae: folder(parts[2]), refiner: folder(parts[1]))
            let pipeline = try StableDiffusionPipeline(configuration)
            for item in items {
                let result = try pipeline.generate(Self.request(item))
                let expected = try NPYArray(contentsOf: Self.root.appendingPathComponent(item.latents))
                #expect(result.latents.shape == expected.shape, "\(family) \(item.name)")
                expectClose(
                    result.latents.values, try expected.floats(), shape: expected.shape,
                    within: Tolerance(ofLargest: item.tolerance.latents), "\(family) \(item.name)")
                #expect(result.images.count == item.pictures.count)
                #expect(result.flagged == item.flagged, "\(family) \(item.name)")
                let marks = item.flagged?.map(Optional.some) ?? Array(repeating: nil, count: item.batch)
                #expect(result.records.map(\.isFlagged) == marks)
                for (image, file) in zip(result.images, item.pictures) {
                    let picture = try PNGFile.read(Self.root.appendingPathComponent(file))
                    #expect((image.width, image.height) == (picture.width, picture.height))
                    expectClose(
                        image.pixels, picture.pixels, shape: [picture.height, picture.width, 3], within: item.tolerance.picture,
                        "\(family) \(item.name)")
                }
            }
        }
    }
}
