import Foundation
import GraphRuntime
import SDPipeline
import TestSupport
import Testing

/// The embedded model against diffusers' own pipeline over the same files (Tests/References/pictures.py).
@Suite struct DiffusersParityTests {
    struct Entry: Decodable {
        let scheduler: String
        let schedulerOptions: [String: SchedulerValue]?
        let prompt: String
        let negativePrompt: String?
        let steps: Int
        let guidanceScale: Double
        let seed: UInt64
        let width: Int
        let height: Int
        let batch: Int
        let file: String
        let column: Int
        let initialLatents: String?
        let finalLatents: String?

        var request: GenerationRequest {
            GenerationRequest(
                prompt: prompt, negativePrompt: negativePrompt ?? "", width: width, height: height, steps: steps,
                guidanceScale: guidanceScale, seed: seed, batchCount: batch, batchSeeds: .shared, scheduler: scheduler,
                schedulerOverrides: schedulerOptions ?? [:])
        }
    }

    static let folder = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/pictures")
    static let model = RepositoryRoot.url.appendingPathComponent("Models/emoji")

    static func entries() throws -> [Entry] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode([Entry].self, from: Data(contentsOf: folder.appendingPathComponent("index.json")))
    }

    /// No channel of any pixel differs by more than 2/255, for every scheduler, prompt, batch and size.
    @Test func samePicturesAsDiffusers() throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
        let entries = try Self.entries()
        #expect(entries.count >= 106)
        var worst: [String: Int] = [:]
        var differing: [String: Int] = [:]
        var pictures: [String: Int] = [:]
        for entry in entries {
            let strip = try PNGFile.read(Self.folder.appendingPathComponent(entry.file))
            let result = try pipeline.generate(entry.request)
            #expect(result.images.count == entry.batch)
            for (index, image) in result.images.enumerated() {
                let expected = crop(strip, x: (entry.column + index) * entry.width, width: entry.width)
                expectClose(
                    image.pixels, expected, shape: [entry.height, entry.width, 3], within: 2,
                    "\(entry.scheduler) \"\(entry.prompt)\" picture \(index) of \(entry.batch)")
                let differences = zip(image.pixels, expected).map { abs(Int($0) - Int($1)) }
                worst[entry.scheduler] = max(worst[entry.scheduler] ?? 0, differences.max() ?? 255)
                differing[entry.scheduler, default: 0] += differences.count { $0 > 0 }
                pictures[entry.scheduler, default: 0] += 1
            }
        }
        for scheduler in worst.keys.sorted() {
            print(
                "\(scheduler): \(pictures[scheduler] ?? 0) pictures, largest difference \(worst[scheduler] ?? 255)/255,",
                "\(differing[scheduler] ?? 0) channel values differ at all")
        }
    }

    /// With factors of products rounded to bfloat16, where the processor multiplies such, pictures stay close: one for each scheduler, and
    /// a batch for those that have one.
    @Test func closePicturesInBFloat16() throws { try checkPictures(.bfloat16, mostDeviation: 1.5, within: 16) }

    /// The same of factors rounded to bytes, which a batch is enough work for.
    @Test func closePicturesInBytes() throws { try checkPictures(.int8, mostDeviation: 3, within: 32) }

    /// How far a picture is from float32's in OpenVINO's bfloat16 (Tests/References/bfloat16_pictures.py), the root mean square of its
    /// values' differences.
    private struct Rounded: Decodable {
        let file: String
        let column: Int
        let deviations: [Double]
    }

    /// - Parameters:
    ///   - mostDeviation: of a picture's values, the root mean square; twice OpenVINO's where that is more, as it is with schedulers that
    ///     extrapolate from several evaluations, such as PNDM and LMS, which enlarge rounding.
    ///   - largest: of one value, enlarged likewise.
    private func checkPictures(_ precision: Precision, mostDeviation: Double, within largest: Double) throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model, precision: precision)
        let url = RepositoryRoot.url.appendingPathComponent("Tests/References/bfloat16-pictures.json")
        let rounded = try JSONDecoder().decode([Rounded].self, from: Data(contentsOf: url))
        var deviations: [Double] = []
        let entries = Dictionary(grouping: try Self.entries()) { "\($0.scheduler), \($0.batch)" }.values.compactMap(\.first)
        #expect(entries.count >= 24)
        for entry in entries {
            let strip = try PNGFile.read(Self.folder.appendingPathComponent(entry.file))
            let peer = try #require(rounded.first { $0.file == entry.file && $0.column == entry.column })
            for (index, image) in try pipeline.generate(entry.request).images.enumerated() {
                let bound = max(mostDeviation, 2 * peer.deviations[index])
                let expected = crop(strip, x: (entry.column + index) * entry.width, width: entry.width)
                let title = "\(entry.scheduler), picture \(index) of \(entry.batch)"
                expectClose(
                    image.pixels, expected, shape: [entry.height, entry.width, 3], within: Int(largest * bound / mostDeviation),
                    title)
                let differences = zip(image.pixels, expected).map { abs(Int($0) - Int($1)) }
                let squares = differences.reduce(0) { $0 + $1 * $1 }
                let deviation = (Double(squares) / Double(differences.count)).squareRoot()
                #expect(deviation <= bound, "\(title)")
                deviations.append(deviation)
            }
        }
        print("\(precision.rawValue): root mean square differences of pictures up to \(deviations.max() ?? 0)/255")
    }

    /// Runs that start from a picture, whose latents are a draw from the encoder's distribution.
    @Test func samePicturesFromAPicture() throws {
        struct Start: Decodable {
            let scheduler: String
            let schedulerOptions: [String: SchedulerValue]
            let prompt: String
            let steps: Int
            let strength: Double
            let guidanceScale: Double
            let seed: UInt64
            let batch: Int
            let column: Int
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let entries = try decoder.decode(
            [Start].self, from: Data(contentsOf: Self.folder.appendingPathComponent("image-to-image.json")))
        let apple = try PNGFile.read(Self.folder.appendingPathComponent("DDIMScheduler-apple.png"))
        let strip = try PNGFile.read(Self.folder.appendingPathComponent("image-to-image.png"))
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
        #expect(entries.count >= 6)
        for entry in entries {
            var request = GenerationRequest(
                prompt: entry.prompt, steps: entry.steps, guidanceScale: entry.guidanceScale, seed: entry.seed,
                batchCount: entry.batch, batchSeeds: .shared, scheduler: entry.scheduler,
                schedulerOverrides: entry.schedulerOptions)
            request.initialImage = try RGBImage(width: 64, height: 64, pixels: crop(apple, x: 0, width: 64))
            request.strength = entry.strength
            let result = try pipeline.generate(request)
            for (index, image) in result.images.enumerated() {
                let expected = crop(strip, x: (entry.column + index) * 64, width: 64)
                expectClose(
                    image.pixels, expected, shape: [64, 64, 3], within: 2, "\(entry.scheduler) \(entry.prompt) picture \(index)"
                )
            }
        }
    }

    @Test func sameLatentsAsDiffusers() throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
        let entries = try Self.entries().filter { $0.initialLatents != nil }
        #expect(!entries.isEmpty)
        for entry in entries {
            let initial = try NPYArray(contentsOf: Self.folder.appendingPathComponent(try #require(entry.initialLatents)))
            let expected = try NPYArray(contentsOf: Self.folder.appendingPathComponent(try #require(entry.finalLatents)))
                .floats()
            var generator = TorchGenerator(seed: entry.seed)
            try expectEqual(generator.randn(count: initial.shape.reduce(1, *)), initial.floats(), shape: initial.shape)
            var request = entry.request
            let drawn = try pipeline.generate(request)
            #expect(drawn.latents.shape == initial.shape)
            expectClose(
                drawn.latents.values, expected, shape: initial.shape, within: Tolerance(absolute: 5e-3),
                "\(entry.scheduler) latents")
            // Given latents take the place of the seed's noise.
            request.initialLatents = try Latents(initial.floats(), shape: initial.shape)
            request.seed += 1
            if entry.scheduler != "DDPMScheduler" {
                try expectEqual(pipeline.generate(request).latents.values, drawn.latents.values, shape: initial.shape)
            }
        }
    }

    /// The same run twice gives the same bytes; with another number of threads it differs by no more than 1/255.
    @Test func repeatsItself() throws {
        let request = GenerationRequest(
            prompt: "a red apple on a blue background", steps: 12, guidanceScale: 5, seed: 3, batchCount: 2, scheduler: "DDPM")
        let reference = try StableDiffusionPipeline(modelFolder: Self.model, threads: ThreadPool(threadCount: 2)).generate(
            request)
        for threads in [2, 1, 3, 4] {
            let pipeline = try StableDiffusionPipeline(modelFolder: Self.model, threads: ThreadPool(threadCount: threads))
            for _ in 0..<2 {
                let result = try pipeline.generate(request)
                expectClose(
                    result.images.flatMap(\.pixels), reference.images.flatMap(\.pixels), shape: [2, 64, 64, 3],
                    within: threads == 2 ? 0 : 1, "\(threads) threads")
            }
        }
    }

    private func crop(_ image: RGBImage, x: Int, width: Int) -> [UInt8] {
        (0..<image.height).flatMap { row -> ArraySlice<UInt8> in
            let start = (row * image.width + x) * 3
            return image.pixels[start..<start + width * 3]
        }
    }
}
