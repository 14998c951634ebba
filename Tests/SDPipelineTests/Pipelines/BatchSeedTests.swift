import Foundation
import SDPipeline
import TestSupport
import Testing

/// Batches in which each picture has a generator of its own, against diffusers with a list of generators
/// (Tests/References/batch_seeds.py).
@Suite struct BatchSeedTests {
    struct Entry: Decodable {
        let scheduler: String
        let schedulerOptions: [String: SchedulerValue]
        let prompt: String
        let steps: Int
        let strength: Double?
        let guidanceScale: Double
        let seed: UInt64
        let batch: Int
        let column: Int
    }

    static let fixtures = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures")
    static let model = RepositoryRoot.url.appendingPathComponent("Models/emoji")

    private func crop(_ image: RGBImage, column: Int) throws -> RGBImage {
        let rows = (0..<64).flatMap { row -> ArraySlice<UInt8> in
            let start = (row * image.width + 64 * column) * 3
            return image.pixels[start..<start + 64 * 3]
        }
        return try RGBImage(width: 64, height: 64, pixels: rows)
    }

    @Test func samePicturesAsDiffusers() throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let folder = Self.fixtures.appendingPathComponent("batch-seeds")
        let entries = try decoder.decode([Entry].self, from: Data(contentsOf: folder.appendingPathComponent("index.json")))
        let strip = try PNGFile.read(folder.appendingPathComponent("pictures.png"))
        let apple = try crop(PNGFile.read(Self.fixtures.appendingPathComponent("pictures/DDIMScheduler-apple.png")), column: 0)
        #expect(entries.count >= 11)
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
        for entry in entries {
            var request = GenerationRequest(
                prompt: entry.prompt, steps: entry.steps, guidanceScale: entry.guidanceScale, seed: entry.seed,
                batchCount: entry.batch, scheduler: entry.scheduler, schedulerOverrides: entry.schedulerOptions)
            if let strength = entry.strength { (request.initialImage, request.strength) = (apple, strength) }
            let result = try pipeline.generate(request)
            #expect(result.seeds == (0..<UInt64(entry.batch)).map { entry.seed &+ $0 })
            for (index, image) in result.images.enumerated() {
                let expected = try crop(strip, column: entry.column + index)
                expectClose(
                    image.pixels, expected.pixels, shape: [expected.height, expected.width, 3], within: 2,
                    "\(entry.scheduler) \(entry.prompt) picture \(index) of \(entry.batch)")
            }
            // Each picture can be made again alone.
            for index in 1..<entry.batch {
                request.seed = entry.seed &+ UInt64(index)
                request.batchCount = 1
                let alone = try #require(pipeline.generate(request).images.first)
                #expect(alone == result.images[index], "\(entry.scheduler) picture \(index) alone")
            }
        }
    }

    @Test func seedsWrapAround() {
        #expect(BatchSeeds.consecutive.seeds(first: .max - 1, count: 4) == [.max - 1, .max, 0, 1])
        #expect(BatchSeeds.shared.seeds(first: 5, count: 3) == [5, 5, 5])
        #expect(BatchSeeds.consecutive.seeds(first: 5, count: -1).isEmpty)
    }
}
