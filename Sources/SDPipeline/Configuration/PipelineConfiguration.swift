import Foundation

/// What the files of a text-to-picture model say, read without loading a graph: enough to check a request before the seconds that a
/// large model's graphs take to load.
public struct PipelineConfiguration: Sendable {
    /// The model's folder.
    public let folder: ModelFolder
    /// The tokenizers, one for each text encoder.
    let tokenizers: [PromptTokenizer]
    /// Whose token ids it gives.
    public let tokenizerConvention: TokenizerConvention
    /// The model's own scheduler settings.
    public let scheduler: SchedulerConfiguration
    /// The widths and heights of pictures.
    public let sizes: PictureSizes
    let family: ModelFamily
    let unet: UNetConfiguration
    let vae: VAEConfiguration

    /// Reads a model folder's configuration and tokenizer, and checks that its graphs are there.
    ///
    /// - Parameters:
    ///   - url: a folder as optimum or diffusers export it; nil takes ``ModelFolder/defaultURL(environment:)``.
    ///   - convention: whose token ids a prompt becomes.
    /// - Throws: ``PipelineError``, ``SchedulerError`` or ``TokenizerError`` with the file that is missing or malformed.
    public init(modelFolder url: URL? = nil, tokenizer convention: TokenizerConvention = .transformers5) throws {
        folder = try ModelFolder(try url ?? ModelFolder.defaultURL())
        family = try ModelFamily.of(folder)
        for component in family.textEncoders.map(\.folder) + ["unet", "vae_decoder"] { _ = try folder.graph(of: component) }
        unet = try UNetConfiguration(folder)
        vae = try VAEConfiguration(folder)
        scheduler = try folder.schedulerSettings()
        tokenizerConvention = convention
        tokenizers = try family.textEncoders.map { [folder] in try PromptTokenizer($0, in: folder, convention: convention) }
        guard unet.inputChannels == vae.latentChannels else {
            throw PipelineError(
                "\(folder.url.path): the U-Net takes \(unet.inputChannels) channels and the VAE makes \(vae.latentChannels), "
                    + "as models for another task than text to picture do.")
        }
        // What one graph leaves open, the other may fix.
        let (unetSize, vaeSize) = (folder.fixedSize(of: "unet"), folder.fixedSize(of: "vae_decoder"))
        let factor = vae.spatialFactor
        sizes = PictureSizes(
            multiple: unet.latentMultiple * factor, trainedSize: (unet.sampleSize ?? 64) * factor,
            fixedWidth: (unetSize.width ?? vaeSize.width).map { $0 * factor },
            fixedHeight: (unetSize.height ?? vaeSize.height).map { $0 * factor })
    }

    /// The tokenizer of the first text encoder.
    public var tokenizer: CLIPTokenizer { tokenizers[0].tokenizer }

    /// Tokens that every text encoder takes for a prompt, start and end included.
    public var tokenLimit: Int { tokenizers.map(\.limit).min() ?? 0 }

    /// Pixels per latent along each side.
    public var spatialFactor: Int { vae.spatialFactor }

    /// Channels of the latents.
    public var latentChannels: Int { vae.latentChannels }

    /// Checks a request, and completes it with what the model's files say.
    ///
    /// - Parameters:
    ///   - request: what to make.
    ///   - start: the size of a picture to start from that isn't decoded so far, in the place of the request's; before the plan is run,
    ///     ``GenerationPlan/setInitialImage(_:file:)`` gives the picture.
    /// - Throws: ``PipelineError`` for what the model can't do, ``SchedulerError`` for the scheduler's settings.
    public func plan(
        for request: GenerationRequest, startingFrom start: (width: Int, height: Int)? = nil
    ) throws -> GenerationPlan {
        try GenerationPlan(request, configuration: self, start: start)
    }
}
