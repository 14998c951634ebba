import Foundation
import GraphRuntime
import SDPipeline
import TestSupport
import Testing

/// Pictures through the VAE in tiles, against diffusers' tiling (Tests/References/vae_tiling.py).
@Suite struct VAETilingTests {
    struct Difference: Decodable {
        /// Of 255.
        let mean: Double
        let largest: Int
    }

    static let fixtures = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/vae-tiling")
    static let model = RepositoryRoot.url.appendingPathComponent("Models/emoji")

    private static func codec(limits: ResourceLimits = ResourceLimits()) throws -> LatentCodec {
        try LatentCodec(ModelFolder(model), limits: limits)
    }

    private static func picture(_ name: String) throws -> RGBImage {
        try PNGFile.read(fixtures.appendingPathComponent("\(name).png"))
    }

    private static func latents(_ name: String) throws -> Latents {
        let array = try NPYArray(contentsOf: fixtures.appendingPathComponent("\(name).npy"))
        return try Latents(array.floats(), shape: array.shape)
    }

    private static func difference(_ first: RGBImage, _ second: RGBImage) -> (mean: Double, largest: Int) {
        let values = zip(first.pixels, second.pixels).map { abs(Int($0) - Int($1)) }
        return (Double(values.reduce(0, +)) / Double(values.count), values.max() ?? 0)
    }

    private static func largestDifference(_ first: Latents, _ second: Latents) -> Float {
        zip(first.values, second.values).map { abs($0 - $1) }.max() ?? .infinity
    }

    @Test(arguments: [64, 32]) func sameAsDiffusers(pixels: Int) throws {
        let codec = try Self.codec().tiled(.pixels(pixels))
        let expected = try Self.latents("encoded-\(pixels)")
        let encoded = try codec.encode(Self.picture("start"))
        #expect(encoded.shape == expected.shape)
        #expect(Self.largestDifference(encoded, expected) < 1e-4)
        let decoded = try codec.decode(Self.latents("encoded-whole"))
        #expect(Self.difference(decoded, try Self.picture("decoded-\(pixels)")).largest <= 1)
    }

    /// As far from the whole as diffusers' tiles are: the normalisations see a tile alone.
    @Test(arguments: [64, 32]) func differenceFromTheWhole(pixels: Int) throws {
        let file = Self.fixtures.appendingPathComponent("index.json")
        let stated = try #require(
            try JSONDecoder().decode([String: Difference].self, from: Data(contentsOf: file))["\(pixels)"])
        let codec = try Self.codec()
        let latents = try Self.latents("encoded-whole")
        let whole = try codec.tiled(.off).decode(latents)
        #expect(Self.difference(whole, try Self.picture("decoded-whole")).largest <= 1)
        let found = Self.difference(try codec.tiled(.pixels(pixels)).decode(latents), whole)
        #expect(abs(found.mean - stated.mean) < 0.05 && abs(found.largest - stated.largest) <= 2, "\(found)")
    }

    @Test func tilesOfTheTrainedSize() throws {
        let codec = try Self.codec()
        let latents = try Self.latents("encoded-whole")
        #expect(try codec.tiled(.on).decode(latents) == codec.tiled(.pixels(64)).decode(latents))
        #expect(try codec.decode(latents) == codec.tiled(.off).decode(latents))
        // One tile is the whole.
        #expect(try codec.tiled(.pixels(256)).decode(latents) == codec.tiled(.off).decode(latents))
    }

    /// Where the whole doesn't fit into the memory, tiles are chosen, and a notice says so; where nothing fits, it is an error.
    @Test func tilesWhereMemoryAsksForThem() throws {
        let latents = try Self.latents("encoded-whole")
        let limits = ResourceLimits(memory: 12 << 20)
        let codec = try Self.codec(limits: limits)
        #expect(try codec.decode(latents) == codec.tiled(.on).decode(latents))
        #expect(throws: PipelineError.self) { try codec.tiled(.off).decode(latents) }
        #expect(throws: PipelineError.self) { try Self.codec(limits: ResourceLimits(memory: 100_000)).decode(latents) }
    }

    @Test func saysThatItTiles() throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
        var request = GenerationRequest(prompt: "a fox", width: 128, height: 64, steps: 1, seed: 1)
        let whole = try pipeline.generate(request)
        #expect(whole.notices.isEmpty && whole.records[0].vaeTile == nil)
        request.vaeTiling = .on
        let tiled = try pipeline.generate(request)
        #expect(tiled.notices.isEmpty && tiled.records[0].vaeTile == 64 && tiled.latents == whole.latents)
        #expect(try tiled.images[0] == LatentCodec(ModelFolder(Self.model)).tiled(.on).decode(tiled.latents))
    }

    @Test(arguments: [0, 8, 24, 63, -16]) func refusesTilesThatCannotOverlap(pixels: Int) throws {
        var request = GenerationRequest(prompt: "a fox", steps: 1)
        request.vaeTiling = .pixels(pixels)
        let error = #expect(throws: PipelineError.self) {
            try PipelineConfiguration(modelFolder: Self.model).plan(for: request)
        }
        #expect(error?.message == "The VAE's tiles have \(pixels) pixels, expected a multiple of 16.")
    }
}
