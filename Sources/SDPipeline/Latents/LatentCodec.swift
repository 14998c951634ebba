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
    /// Loaded when it is needed first, since most runs don't need it.
    private let loadedEncoder = Mutex<VAEEncoder?>(nil)

    /// Loads the decoder; the encoder, `vae_encoder/model.onnx`, is loaded by the first picture.
    ///
    /// - Parameters:
    ///   - folder: a model's folder.
    ///   - threads: the threads to run on.
    ///   - savesMemory: see ``SessionOptions/savesMemory``.
    ///   - limits: what each graph may take of the machine.
    /// - Throws: ``PipelineError`` with the file that is missing or malformed.
    public convenience init(
        _ folder: ModelFolder, threads: ThreadPool = ThreadPool(), savesMemory: Bool = false,
        limits: ResourceLimits = ResourceLimits()
    ) throws {
        var options = SessionOptions(threads: threads, savesMemory: savesMemory)
        options.limits = limits
        let files = try VAEFolder(of: folder)
        try self.init(files, configuration: VAEConfiguration(files), options: options)
    }

    init(_ folder: VAEFolder, configuration: VAEConfiguration, options: SessionOptions) throws {
        self.folder = folder
        self.configuration = configuration
        self.options = options
        decoder = try VAEDecoder(Component("vae_decoder", file: folder.decoder, options: options), configuration: configuration)
    }

    /// Pixels per latent along each side.
    public var spatialFactor: Int { configuration.spatialFactor }

    /// The most likely latents of a picture, [1, C, h, w].
    ///
    /// - Throws: ``PipelineError`` where width or height isn't a multiple of ``spatialFactor``, or the encoder can't be run.
    public func encode(_ image: RGBImage) throws -> Latents { scaled(try distribution(of: image, observer: nil).mean) }

    /// The picture of latents of one picture.
    ///
    /// - Throws: ``PipelineError`` where the decoder can't run.
    public func decode(_ latents: Latents) throws -> RGBImage { try decode(latents, observer: nil)[0] }

    /// The pictures of latents, one after the other, so that memory doesn't grow with their number.
    ///
    /// - Parameter report: called with the number of pictures after each.
    func decode(_ latents: Latents, observer: (any RunObserver)?, report: (Int) throws -> Void = { _ in }) throws -> [RGBImage]
    {
        try (0..<latents.pictureCount).map { index in
            let pixels = try decoder.pixels(of: latents.picture(index), observer: observer)
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
        return try encoder.distribution(of: pixels, height: height, width: width, observer: observer)
    }

    /// Whether the encoder gives a distribution that latents are drawn from, rather than latents.
    var drawsLatents: Bool { get throws { try encoder().givesDistribution } }

    /// An encoder's latents as diffusion uses them.
    func scaled(_ latents: Latents) -> Latents { configuration.scaled(latents) }

    private func encoder() throws -> VAEEncoder {
        if let loaded = loadedEncoder.withLock({ $0 }) { return loaded }
        let encoder = try VAEEncoder(
            Component("vae_encoder", file: folder.requireEncoder(), options: options), configuration: configuration)
        if !options.savesMemory { loadedEncoder.withLock { $0 = encoder } }
        return encoder
    }
}
