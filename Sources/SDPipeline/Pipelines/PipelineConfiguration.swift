import Foundation

/// What the files of a text-to-picture model say, read without loading a graph: enough to check a request before the seconds that a
/// large model's graphs take to load.
public struct PipelineConfiguration: Sendable {
    /// The pipeline classes that make pictures from text; what stands before them in a name (ORT, Onnx) doesn't matter.
    private static let supportedClasses = ["StableDiffusionPipeline", "LatentConsistencyModelPipeline"]

    /// The model's folder.
    public let folder: ModelFolder
    /// The tokenizer of the model's `tokenizer` folder.
    public let tokenizer: CLIPTokenizer
    /// Whose token ids it gives.
    public let tokenizerConvention: TokenizerConvention
    /// The model's own scheduler settings.
    public let scheduler: SchedulerConfiguration
    /// Tokens that the text encoder takes for a prompt, start and end included.
    public let tokenLimit: Int
    /// The widths and heights of pictures.
    public let sizes: PictureSizes
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
        guard Self.supportedClasses.contains(where: folder.pipelineClass.hasSuffix) else {
            throw PipelineError(
                "\(folder.url.path) is a \(folder.pipelineClass), expected a \(Self.supportedClasses.joined(separator: " or a ")): "
                    + "pictures from text need one of these; single graphs of any model run as sessions.",
                kind: .unsupportedModel)
        }
        for component in ["text_encoder", "unet", "vae_decoder"] { _ = try folder.graph(of: component) }
        unet = try UNetConfiguration(folder)
        vae = try VAEConfiguration(folder)
        scheduler = try folder.schedulerSettings()
        let positions = try folder.configuration(of: "text_encoder").optionalInt("max_position_embeddings", in: 3...65536)
        tokenizerConvention = convention
        tokenizer = try CLIPTokenizer(folder: folder.tokenizer(), convention: convention)
        tokenLimit = min(tokenizer.maximumLength ?? .max, positions ?? 77)
        guard tokenLimit >= 3 else {
            throw PipelineError("\(folder.url.path): the text encoder takes \(tokenLimit) tokens, expected 3 or more.")
        }
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

    /// Pixels per latent along each side.
    public var spatialFactor: Int { vae.spatialFactor }

    /// Channels of the latents.
    public var latentChannels: Int { vae.latentChannels }

    /// Checks everything about a request that can be known without running the model.
    ///
    /// - Parameters:
    ///   - request: what to make.
    ///   - start: the size of a picture to start from that isn't decoded so far, in the place of the request's.
    /// - Returns: the shape of its latents, [batchCount, C, h, w].
    /// - Throws: ``PipelineError`` or ``SchedulerError``.
    @discardableResult
    public func check(_ request: GenerationRequest, startingFrom start: (width: Int, height: Int)? = nil) throws -> [Int] {
        try GenerationPlan(request, configuration: self, start: start).latentShape
    }
}
