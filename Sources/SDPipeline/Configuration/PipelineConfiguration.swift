import Foundation
import GraphRuntime

/// What the files of a text-to-picture model say, read without loading a graph: enough to check a request before the seconds that a
/// large model's graphs take to load.
public struct PipelineConfiguration: Sendable {
    /// The model's folder.
    public let folder: ModelFolder
    /// The tokenizers, one for each text encoder.
    let tokenizers: [PromptTokenizer]
    /// Words that prompts may have besides those of the model.
    public let embeddings: [TextualInversion]
    /// The vectors of these for each text encoder, [count, width]; nil for none.
    let learnedVectors: [Tensor?]
    /// What changes the weights of the U-Net and the text encoders.
    public var loras: [LoRA] { adapters.loras }
    private(set) var adapters: AdapterSet
    /// Whose token ids it gives.
    public let tokenizerConvention: TokenizerConvention
    /// The model's own scheduler settings.
    public let scheduler: SchedulerConfiguration
    /// The widths and heights of pictures.
    public let sizes: PictureSizes
    let family: ModelFamily
    let unet: UNetConfiguration
    let vaeFolder: VAEFolder
    let vae: VAEConfiguration
    /// None or one: a value can't hold one of its own kind otherwise.
    private let refiners: [PipelineConfiguration]
    /// Whether the U-Net is told how good the picture looks, as SDXL's refiner.
    let takesAestheticScore: Bool
    /// Whether no negative prompt is zeros instead of the states of an empty text.
    let zerosEmptyNegativePrompt: Bool

    /// Reads a model folder's configuration and tokenizer, and checks that its graphs are there.
    ///
    /// - Parameters:
    ///   - url: a folder as optimum or diffusers export it; nil takes ``ModelFolder/defaultURL(environment:)``.
    ///   - convention: whose token ids a prompt becomes.
    ///   - otherVAE: the folder of another autoencoder, in the place of the model's own: with `vae_decoder/model.onnx` and perhaps
    ///     `vae_encoder/model.onnx`, or with the decoder as `model.onnx`.
    ///   - refinerURL: the folder of an SDXL refiner, which takes the last steps, see ``GenerationRequest/refinerStart``.
    ///   - embeddings: words that were learned, for the prompts.
    ///   - loras: adapters, whose names differ. Tags such as `<lora:name:0.8>` in prompts are then taken out, and change what each counts,
    ///     see ``LoRATag``; the refiner has none.
    ///   - takesLoRAs: whether a pipeline can be given LoRAs later without loading a graph again, see
    ///     ``StableDiffusionPipeline/with(loras:)``; always true where there are LoRAs.
    /// - Throws: ``PipelineError``, ``SchedulerError`` or ``TokenizerError`` with the file that is missing or malformed.
    public init(
        modelFolder url: URL? = nil, tokenizer convention: TokenizerConvention = .transformers5, vae otherVAE: URL? = nil,
        refiner refinerURL: URL? = nil, embeddings: [TextualInversion] = [], loras: [LoRA] = [],
        takesLoRAs: Bool = false
    ) throws {
        folder = try ModelFolder(try url ?? ModelFolder.defaultURL())
        family = try ModelFamily.of(folder)
        adapters = try AdapterSet(loras, family: family, folder: folder, isOpen: takesLoRAs)
        for component in family.textEncoders.map(\.folder) + ["unet"] { _ = try folder.graph(of: component) }
        unet = try UNetConfiguration(folder)
        vaeFolder = try otherVAE.map { try VAEFolder($0) } ?? VAEFolder(of: folder)
        vae = try VAEConfiguration(vaeFolder, unstatedScalingFactor: family.scalingFactor)
        scheduler = try folder.schedulerSettings()
        tokenizerConvention = convention
        (tokenizers, learnedVectors) = try Self.tokenizers(family, folder, convention, embeddings)
        self.embeddings = embeddings
        guard [vae.latentChannels, 2 * vae.latentChannels + 1].contains(unet.inputChannels) else {
            throw PipelineError(
                "\(folder.url.path): the U-Net takes \(unet.inputChannels) channels and the VAE\(otherVAE.map { " of \($0.path)" } ?? "") makes \(vae.latentChannels), expected as many, "
                    + "or \(2 * vae.latentChannels + 1) for inpainting.", kind: .unsupportedModel)
        }
        takesAestheticScore =
            try folder.index.optionalFlag("requires_aesthetics_score") ?? (family.needsPicture && family.addedConditions != nil)
        // As diffusers' StableDiffusionXLPipeline: true where nothing is said.
        zerosEmptyNegativePrompt =
            family.addedConditions == nil ? false : try folder.index.optionalFlag("force_zeros_for_empty_prompt") ?? true
        // What one graph leaves open, the other may fix.
        let unetSize = PictureSizes.fixed(in: try folder.graph(of: "unet"))
        let vaeSize = PictureSizes.fixed(in: vaeFolder.decoder)
        let factor = vae.spatialFactor
        sizes = PictureSizes(
            multiple: unet.latentMultiple * factor, trainedHeight: (unet.sampleSize?.height ?? 64) * factor,
            trainedWidth: (unet.sampleSize?.width ?? 64) * factor,
            fixedWidth: (unetSize.width ?? vaeSize.width).map { $0 * factor },
            fixedHeight: (unetSize.height ?? vaeSize.height).map { $0 * factor })
        refiners =
            try refinerURL.map { [try PipelineConfiguration(modelFolder: $0, tokenizer: convention, embeddings: embeddings)] }
            ?? []
        if let refiner { try checkRefiner(refiner) }
    }

    /// The tokenizers with the learned words, and the vectors of these for each text encoder.
    private static func tokenizers(
        _ family: ModelFamily, _ folder: ModelFolder, _ convention: TokenizerConvention, _ embeddings: [TextualInversion]
    ) throws -> ([PromptTokenizer], [Tensor?]) {
        // SDXL's refiner has the second of its text encoders alone.
        let isPair = family.textEncoders.contains { $0.folder == "text_encoder_2" }
        var vectors: [Tensor?] = []
        let tokenizers = try family.textEncoders.map { part in
            var tokenizer = try PromptTokenizer(part, in: folder, convention: convention)
            let width = try folder.configuration(of: part.folder)?.optionalInt("hidden_size", in: 1...1_000_000)
            let all = try embeddings.map { try $0.vectors(for: part.folder, isPair: isPair, width: width) }
            try tokenizer.learn(zip(embeddings, all).map { ($0.name, $1.count) })
            vectors.append(
                try all.first.map { first in
                    if let other = zip(embeddings, all).first(where: { $1.width != first.width }) {
                        throw PipelineError(
                            "The embedding \(other.0.source) has vectors of \(other.1.width) numbers, and \(embeddings[0].source) of \(first.width): "
                                + "expected as many, those of the model.", kind: .invalidRequest)
                    }
                    return try Tensor(all.flatMap(\.values), shape: Shape([all.map(\.count).reduce(0, +), first.width]))
                })
            return tokenizer
        }
        return (tokenizers, vectors)
    }

    /// The same model with other LoRAs in the place of those that it has.
    ///
    /// - Throws: ``PipelineError`` where two have one name, or a weight isn't a number.
    public func with(loras: [LoRA]) throws -> PipelineConfiguration {
        var result = self
        result.adapters = try AdapterSet(loras, family: family, folder: folder, isOpen: true)
        return result
    }

    /// Whether the autoencoder isn't the model's own.
    var hasOtherVAE: Bool { vaeFolder.url != folder.url }

    /// The model that takes the last steps; nil for none.
    public var refiner: PipelineConfiguration? { refiners.first }

    private func checkRefiner(_ refiner: PipelineConfiguration) throws {
        guard refiner.family.needsPicture else {
            throw PipelineError(
                "\(refiner.folder.url.path) is a \(refiner.family.name), expected a refiner of Stable Diffusion XL: a model with the second text "
                    + "encoder alone.", kind: .unsupportedModel)
        }
        guard takesPictureSizes, !family.needsPicture else {
            throw PipelineError(
                "\(folder.url.path) is a \(family.name), whose latents aren't those of the refiner \(refiner.folder.url.path): expected a "
                    + "Stable Diffusion XL model.", kind: .unsupportedModel)
        }
        guard refiner.vae.latentChannels == vae.latentChannels, refiner.spatialFactor == spatialFactor else {
            throw PipelineError(
                "The refiner's latents have \(refiner.vae.latentChannels) channels for \(refiner.spatialFactor)×\(refiner.spatialFactor) pixels, those of the model "
                    + "\(vae.latentChannels) for \(spatialFactor)×\(spatialFactor): expected the same.", kind: .unsupportedModel
            )
        }
    }

    /// The tokenizer of the first text encoder.
    public var tokenizer: CLIPTokenizer { tokenizers[0].tokenizer }

    /// Tokens that every text encoder takes for a prompt, start and end included.
    public var tokenLimit: Int { tokenizers.map(\.limit).min() ?? 0 }

    /// What messages call the kind of model, such as "Stable Diffusion XL model".
    public var familyName: String { family.name }

    /// The guidance scale of requests that state none: 1, which is none, of models that were distilled to need none.
    public var defaultGuidanceScale: Double { isMadeForNoGuidance ? 1 : family.guidanceScale }

    /// Whether the model was distilled to make pictures in a few steps without guidance, as far as its scheduler's settings tell: those
    /// of consistency models that don't take the scale as an input, and of Turbo and Lightning, whose timesteps end at the last one.
    var isMadeForNoGuidance: Bool {
        if unet.guidanceEmbeddingWidth != nil { return false }
        switch scheduler.className {
        case "LCMScheduler", "TCDScheduler": return true
        case "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler":
            // Models with v-prediction have trailing timesteps too, for a noise level that ends in noise alone.
            return scheduler.values["timestep_spacing"] == .text("trailing")
                && scheduler.values["prediction_type"] != .text("v_prediction")
                && scheduler.values["rescale_betas_zero_snr"] != .flag(true)
        default: return false
        }
    }

    /// Whether the U-Net is told sizes of pictures, as those of the SDXL family.
    var takesPictureSizes: Bool { family.addedConditions != nil }

    /// Whether the model, or its refiner, is told how good pictures look.
    var anyTakesAestheticScore: Bool { takesAestheticScore || refiner?.takesAestheticScore == true }

    /// Whether the model makes pictures of pictures alone, as SDXL's refiner.
    public var needsPicture: Bool { family.needsPicture }

    /// Whether the U-Net takes a mask and a masked picture beside the latents.
    public var isInpaintingModel: Bool { unet.inputChannels != vae.latentChannels }

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
