import Foundation
import GraphRuntime
import Synchronization

/// A model's variational autoencoder: pictures to the latents that diffusion works on, and back.
///
/// Safe to use from several threads at once.
public final class LatentCodec: Sendable {
    let configuration: VAEConfiguration
    let decoder: VAEDecoder
    private let folder: VAEFolder
    private let options: SessionOptions
    private let tiling: VAETiling
    private let loadedEncoder: LoadedEncoder

    /// Loaded when it is needed first, since most runs don't need it.
    private final class LoadedEncoder: Sendable {
        let encoder = Mutex<VAEEncoder?>(nil)
    }

    /// Loads the decoder; the encoder, `vae_encoder/model.onnx`, is loaded by the first picture.
    ///
    /// - Parameters:
    ///   - folder: a model's folder.
    ///   - threads: the threads to run on.
    ///   - savesMemory: see ``/GraphRuntime/SessionOptions/savesMemory``.
    ///   - panelCache: see ``/GraphRuntime/SessionOptions/panelCache``.
    ///   - limits: what each graph may take of the machine.
    /// - Throws: ``PipelineError`` with the file that is missing or malformed.
    public convenience init(
        _ folder: ModelFolder, threads: ThreadPool = ThreadPool(), savesMemory: Bool = false, panelCache: PanelCache? = nil,
        limits: ResourceLimits = ResourceLimits()
    ) throws {
        var options = SessionOptions(threads: threads, savesMemory: savesMemory, panelCache: panelCache)
        options.limits = limits
        let files = try VAEFolder(of: folder)
        let family = (try? ModelFamily.of(folder)) ?? .stableDiffusion
        try self.init(
            files, configuration: VAEConfiguration(files, unstatedScalingFactor: family.scalingFactor), options: options)
    }

    init(_ folder: VAEFolder, configuration: VAEConfiguration, options: SessionOptions) throws {
        self.folder = folder
        self.configuration = configuration
        self.options = options
        (tiling, loadedEncoder) = (.automatic, LoadedEncoder())
        decoder = try VAEDecoder(Component("vae_decoder", file: folder.decoder, options: options), configuration: configuration)
    }

    private init(_ other: LatentCodec, tiling: VAETiling) {
        (configuration, decoder, folder, options) = (other.configuration, other.decoder, other.folder, other.options)
        (loadedEncoder, self.tiling) = (other.loadedEncoder, tiling)
    }

    /// The same autoencoder, whose graphs both share, with other tiles; they are automatic where nothing is said.
    public func tiled(_ tiling: VAETiling) -> LatentCodec { LatentCodec(self, tiling: tiling) }

    /// Pixels per latent along each side.
    public var spatialFactor: Int { configuration.spatialFactor }

    /// The most likely latents of a picture, [1, C, h, w].
    ///
    /// - Throws: ``PipelineError`` for tiles of a size that isn't possible, where width or height isn't a multiple of ``spatialFactor``, or
    ///   the encoder can't be run.
    public func encode(_ image: RGBImage) throws -> Latents { scaled(try distribution(of: image, observer: nil).mean) }

    /// The picture of latents of one picture.
    ///
    /// - Throws: ``PipelineError`` for tiles of a size that isn't possible, and where the decoder can't run.
    public func decode(_ latents: Latents) throws -> RGBImage { try decode(latents, observer: nil)[0] }

    /// The pictures of latents, one after the other, so that memory doesn't grow with their number.
    ///
    /// - Parameter report: called with the number of pictures after each.
    func decode(_ latents: Latents, observer: (any RunObserver)?, report: (Int) throws -> Void = { _ in }) throws -> [RGBImage]
    {
        let tiles = try decoderTiles(for: latents)
        return try (0..<latents.pictureCount).map { index in
            let picture = latents.picture(index)
            var lastShape: [Int]?
            let pixels =
                try tiles.map { tiles in
                    try tiles.decode(picture) { tile in
                        // A tile's values make room for those of the next size.
                        if tile.shape != lastShape { decoder.component.session.releaseMemory() }
                        lastShape = tile.shape
                        return try decoder.pixels(of: tile, observer: observer)
                    }
                } ?? decoder.pixels(of: picture, observer: observer)
            try report(index + 1)
            return try PixelConversion.images(
                from: pixels, width: latents.width * spatialFactor, height: latents.height * spatialFactor)[0]
        }
    }

    /// The distribution of a picture's latents, before the scaling factor.
    private func distribution(of image: RGBImage, observer: (any RunObserver)?) throws -> VAEEncoder.Distribution {
        try distribution(
            ofPixels: PixelConversion.pixels(from: [image]), width: image.width, height: image.height, observer: observer)
    }

    /// The distribution of the latents of pixels [3, height, width], before the scaling factor.
    func distribution(
        ofPixels pixels: [Float], width: Int, height: Int, observer: (any RunObserver)?
    ) throws -> VAEEncoder.Distribution {
        guard width % spatialFactor == 0, height % spatialFactor == 0 else {
            throw PipelineError(
                "The picture has \(width)×\(height) pixels, the model's VAE takes multiples of \(spatialFactor).",
                kind: .invalidRequest)
        }
        let encoder = try encoder()
        // The values of one graph make room for those of the next.
        defer { encoder.component.session.releaseMemory() }
        guard let tiles = try encoderTiles(width: width, height: height) else {
            return encoder.distribution(
                try encoder.moments(of: pixels, height: height, width: width, observer: observer), height: height, width: width)
        }
        let moments = try tiles.encode(pixels, height: height, width: width) {
            try encoder.moments(of: $0, height: $1, width: $2, observer: observer)
        }
        return encoder.distribution(moments, height: height, width: width)
    }

    /// The tiles that latents are decoded in; nil for none.
    func decoderTiles(for latents: Latents) throws -> VAETiles? {
        try tiles(height: latents.height, width: latents.width, decoder.component, decoder.input) { height, width in
            let shape = [1, latents.channels, height, width]
            return try decoder.inputs(Latents(checked: Array(repeating: 0, count: shape.reduce(1, *)), shape: shape))
        }
    }

    /// The tiles that pixels of this size are encoded in; nil for none.
    func encoderTiles(width: Int, height: Int) throws -> VAETiles? {
        guard try mayDivide(height: height, width: width) else { return nil }
        let (encoder, factor) = (try encoder(), spatialFactor)
        return try tiles(height: height / factor, width: width / factor, encoder.component, encoder.input) { height, width in
            let pixels = [Float](repeating: 0, count: 3 * height * factor * width * factor)
            return try encoder.inputs(pixels, height: height * factor, width: width * factor)
        }
    }

    /// Whether pictures of this size may take more than one tile.
    private func mayDivide(height: Int, width: Int) throws -> Bool {
        try VAETiles(tiling, vae: configuration)?.divide(height: height / spatialFactor, width: width / spatialFactor) ?? false
    }

    /// - Parameters:
    ///   - height: in latents, as width.
    ///   - inputs: something of the size that the graph would take for so many latents.
    private func tiles(
        height: Int, width: Int, _ component: Component, _ input: InputDeclaration,
        _ inputs: (_ height: Int, _ width: Int) throws -> [String: Tensor]
    ) throws -> VAETiles? {
        guard var tiles = try VAETiles(tiling, vae: configuration),
            tiling == .automatic || tiles.divide(height: height, width: width)
        else { return nil }
        guard !input.hasFixedSize else {
            if tiling == .automatic { return nil }
            throw PipelineError(
                "\(component.file.path) takes one size alone, and can't work in tiles.", kind: .unsupportedModel)
        }
        guard tiling == .automatic else { return tiles }
        if component.fits(try inputs(height, width), bytes: memoryForValues) { return nil }
        while let smaller = tiles.halved,
            !component.fits(try inputs(min(tiles.side, height), min(tiles.side, width)), bytes: memoryForValues)
        {
            tiles = smaller
        }
        return tiles.divide(height: height, width: width) ? tiles : nil
    }

    /// Bytes that a graph's values may take before the VAE works in tiles. A quarter of the memory is left to weights and to others.
    private var memoryForValues: Int {
        let memory = options.limits.runBytes ?? AvailableMemory.total / 4 * 3
        return options.savesMemory ? min(memory, VAETiling.savedMemory) : memory
    }

    /// Whether the encoder gives a distribution that latents are drawn from, rather than latents.
    var drawsLatents: Bool { get throws { try encoder().givesDistribution } }

    /// An encoder's latents as diffusion uses them.
    func scaled(_ latents: Latents) -> Latents { configuration.scaled(latents) }

    private func encoder() throws -> VAEEncoder {
        if let loaded = loadedEncoder.encoder.withLock({ $0 }) { return loaded }
        let encoder = try VAEEncoder(
            Component("vae_encoder", file: folder.requireEncoder(), options: options), configuration: configuration)
        if !options.savesMemory { loadedEncoder.encoder.withLock { $0 = encoder } }
        return encoder
    }
}
