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

    private static func difference(_ first: RGBImage, _ second: RGBImage) throws -> (mean: Double, largest: Int) {
        try #require((first.width, first.height) == (second.width, second.height))
        let values = zip(first.pixels, second.pixels).map { abs(Int($0) - Int($1)) }
        return (Double(values.reduce(0, +)) / Double(values.count), try #require(values.max()))
    }

    @Test(arguments: [64, 32]) func sameAsDiffusers(pixels: Int) throws {
        let codec = try Self.codec().tiled(.pixels(pixels))
        let expected = try Self.latents("encoded-\(pixels)")
        let encoded = try codec.encode(Self.picture("start"))
        #expect(encoded.shape == expected.shape)
        expectClose(encoded.values, expected.values, shape: expected.shape, within: Tolerance(absolute: 1e-4))
        let decoded = try codec.decode(Self.latents("encoded-whole"))
        expectClose(decoded.pixels, try Self.picture("decoded-\(pixels)").pixels, within: 1)
    }

    /// As far from the whole as diffusers' tiles are: the normalisations see a tile alone.
    @Test(arguments: [64, 32]) func differenceFromTheWhole(pixels: Int) throws {
        let file = Self.fixtures.appendingPathComponent("index.json")
        let stated = try #require(
            try JSONDecoder().decode([String: Difference].self, from: Data(contentsOf: file))["\(pixels)"])
        let codec = try Self.codec()
        let latents = try Self.latents("encoded-whole")
        let whole = try codec.tiled(.off).decode(latents)
        expectClose(whole.pixels, try Self.picture("decoded-whole").pixels, within: 1)
        let found = try Self.difference(try codec.tiled(.pixels(pixels)).decode(latents), whole)
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
        expectError("expected at most 12582912, the limit of a run.") {
            try codec.tiled(.off).decode(latents)
        }
        expectError("loading takes more than 100000 bytes of memory, the limit of a load.") {
            try Self.codec(limits: ResourceLimits(memory: 100_000)).decode(latents)
        }
    }

    /// Tiles are halved until they fit: of a VAE that was trained at 512 pixels, those of 256.
    @Test func halvesTiles() throws {
        let folder = try TemporaryFolder()
        let model = folder.url.appendingPathComponent("model")
        try FileManager.default.copyItem(at: Self.model, to: model)
        let file = model.appendingPathComponent("vae_decoder/config.json")
        let text = try String(contentsOf: file, encoding: .utf8)
        try Data(text.replacing("\"sample_size\": 64", with: "\"sample_size\": 512").utf8).write(to: file)
        var limits = ResourceLimits()
        limits.runBytes = 40 << 20
        let codec = try LatentCodec(ModelFolder(model), limits: limits)
        let values = (0..<4 * 128 * 128).map { sin(0.37 * Float($0)) + sin(0.0021 * Float($0)) }
        let latents = try Latents(values, shape: [1, 4, 128, 128])
        expectError("expected at most 41943040, the limit of a run.") {
            try codec.tiled(.on).decode(latents)
        }
        let halved = try codec.tiled(.pixels(256)).decode(latents)
        #expect(try codec.decode(latents) == halved)
        #expect(try LatentCodec(ModelFolder(model)).decode(latents) != halved)
    }

    /// Where memory is saved, a picture whose values would take more than 1.5 GiB is decoded in tiles, whatever the machine has.
    @Test func tilesToSaveMemory() throws {
        let values = (0..<4 * 512 * 512).map { sin(0.37 * Float($0)) }
        let latents = try Latents(values, shape: [1, 4, 512, 512])
        let codec = try LatentCodec(ModelFolder(Self.model), savesMemory: true)
        #expect(try codec.decode(latents) == codec.tiled(.on).decode(latents))
    }

    @Test func saysThatItHasToTile() throws {
        var limits = ResourceLimits()
        limits.runBytes = 12 << 20
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model, limits: limits)
        let result = try pipeline.generate(GenerationRequest(prompt: "a fox", width: 256, height: 128, steps: 1, seed: 1))
        #expect(result.notices == [.vaeTiled(pixels: 64)] && result.records[0].vaeTile == 64)
        #expect(try result.images[0] == LatentCodec(ModelFolder(Self.model)).tiled(.on).decode(result.latents))
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
