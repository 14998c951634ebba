import Foundation
import SDPipeline
import TestSupport
import Testing

/// The generators beside torch's, against Tests/References/noise_sources.py.
@Suite struct NoiseSourceTests {
    struct References: Decodable {
        struct NumPy: Decodable {
            let seed: UInt32
            /// In hexadecimal, as C writes it.
            let calls: [[String]]
        }

        struct Words: Decodable {
            let counter: [UInt32]
            let key: [UInt32]
            let words: [UInt32]
        }

        struct CUDA: Decodable {
            let seed: String
            let calls: [[Float]]
        }

        let numpy: [NumPy]
        let philoxWords: [Words]
        let cudaPublished: [Float]
        let cuda: [CUDA]
    }

    static let references = Result { try SDPipelineTests.References.load("noise-sources.json", as: References.self) }

    @Test func drawsNumPysNumbers() throws {
        let sequences = try Self.references.get().numpy
        #expect(sequences.count >= 20)
        for sequence in sequences {
            var (wide, narrow) = (NumPyGenerator(seed: sequence.seed), NumPyGenerator(seed: sequence.seed))
            for call in sequence.calls {
                let expected = try call.map { try #require(Double($0)) }
                expectEqual(wide.standardNormal(count: expected.count), expected, "seed \(sequence.seed)")
                expectEqual(narrow.randn(count: expected.count), expected.map { Float($0) }, "seed \(sequence.seed)")
            }
        }
        var generator = NumPyGenerator(seed: 0)
        #expect(generator.randn(count: -1).isEmpty)
    }

    @Test func drawsPhiloxsPublishedWords() throws {
        let vectors = try Self.references.get().philoxWords
        #expect(vectors.count == 3)
        for vector in vectors {
            let words = PhiloxGenerator.words(
                counter: (vector.counter[0], vector.counter[1], vector.counter[2], vector.counter[3]),
                key: (vector.key[0], vector.key[1]))
            #expect([words.0, words.1, words.2, words.3] == vector.words)
        }
    }

    @Test func drawsNumbersOfAGPU() throws {
        let references = try Self.references.get()
        var published = PhiloxGenerator(seed: 0)
        expectClose(
            published.randn(count: 12), references.cudaPublished, shape: [12], within: Tolerance(absolute: 2e-6), "published")
        for sequence in references.cuda {
            var generator = PhiloxGenerator(seed: try #require(UInt64(sequence.seed)))
            for call in sequence.calls {
                // In single precision, the logarithm of what is nearly 1 is less exact than in double.
                expectClose(
                    generator.randn(count: call.count), call, shape: [call.count], within: Tolerance(absolute: 2e-5),
                    "seed \(sequence.seed)")
            }
        }
        #expect(published.randn(count: 0).isEmpty && published.randn(count: -4).isEmpty)
    }
}

/// Pictures from these generators, against diffusers given the same numbers.
@Suite struct NoiseSourcePictureTests {
    struct Entry: Decodable {
        let rng: NoiseSource
        let scheduler: String
        let prompt: String
        let steps: Int
        let strength: Double?
        let guidanceScale: Double
        let seed: UInt64
        let batch: Int
        let variationSeed: UInt64?
        let variationStrength: Double?
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
        let folder = Self.fixtures.appendingPathComponent("noise-sources")
        let entries = try decoder.decode([Entry].self, from: Data(contentsOf: folder.appendingPathComponent("index.json")))
        let strip = try PNGFile.read(folder.appendingPathComponent("pictures.png"))
        let apple = try crop(PNGFile.read(Self.fixtures.appendingPathComponent("pictures/DDIMScheduler-apple.png")), column: 0)
        #expect(entries.count >= 10)
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
        for entry in entries {
            var request = GenerationRequest(
                prompt: entry.prompt, steps: entry.steps, guidanceScale: entry.guidanceScale, seed: entry.seed,
                batchCount: entry.batch, scheduler: entry.scheduler, noiseSource: entry.rng)
            if let seed = entry.variationSeed, let strength = entry.variationStrength {
                request.variation = SeedVariation(seed: seed, strength: strength)
            }
            if let strength = entry.strength { (request.initialImage, request.strength) = (apple, strength) }
            let result = try pipeline.generate(request)
            for (index, image) in result.images.enumerated() {
                let expected = try crop(strip, column: entry.column + index)
                expectClose(
                    image.pixels, expected.pixels, shape: [expected.height, expected.width, 3], within: 2,
                    "\(entry.rng) \(entry.scheduler) \(entry.prompt) picture \(index) of \(entry.batch)")
                // Each picture can be made again alone, from what it says.
                let record = result.records[index]
                #expect(record.noiseSource == (entry.rng == .torch ? nil : entry.rng))
                var alone = request
                (alone.batchCount, alone.seed) = (1, record.seed)
                alone.variation = record.variationSeed.map { SeedVariation(seed: $0, strength: record.variationStrength ?? 0) }
                #expect(try pipeline.generate(alone).images.first == image)
            }
        }
    }

    @Test func refusesWhatGeneratorsDontTake() throws {
        let pipeline = try PipelineConfiguration(modelFolder: Self.model)
        var request = GenerationRequest(prompt: "x", seed: 1 << 32, noiseSource: .numpy)
        expectError("The seed is 4294967296, expected at most 4294967295: NumPy's generator takes no larger one.") {
            _ = try pipeline.plan(for: request)
        }
        (request.seed, request.variation) = (1, SeedVariation(seed: 2, strength: 1.5))
        expectError("The variation's strength is 1.5, expected a number from 0 to 1.") { _ = try pipeline.plan(for: request) }
        request.variation = SeedVariation(seed: 2, strength: 0.5)
        request.initialLatents = try Latents([Float](repeating: 0.5, count: 4 * 256), shape: [1, 4, 16, 16])
        expectError("The request has noise to start from and a variation seed") { _ = try pipeline.plan(for: request) }
        // Without a strength, seeds follow one another as ever.
        request = GenerationRequest(prompt: "x", seed: 4, batchCount: 3, variation: SeedVariation(seed: 9, strength: 0))
        #expect(request.seeds == [4, 5, 6] && request.variationSeeds.isEmpty)
        request.variation?.strength = 0.1
        #expect(request.seeds == [4, 4, 4] && request.variationSeeds == [9, 10, 11])
    }
}
