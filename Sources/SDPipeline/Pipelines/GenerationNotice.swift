import Foundation
import GraphRuntime

/// Something about a request that a person may not have meant: it is met all the same. `description` is one sentence.
public enum GenerationNotice: Sendable, Equatable, CustomStringConvertible {
    /// The prompt has more tokens, without start and end, than the text encoder takes; the rest has no effect.
    case promptCut(tokens: Int, limit: Int)
    /// As `promptCut`, of the negative prompt.
    case negativePromptCut(tokens: Int, limit: Int)
    /// The guidance scale leaves the negative prompt without effect.
    case negativePromptUnused(guidanceScale: Double)
    /// The model was distilled to do without a negative prompt.
    case negativePromptUnknownToModel
    /// The scheduler is made for another kind of model.
    case schedulerUnsuited(name: String, madeFor: ModelKind)
    /// Tags of a prompt that other programs take as instructions, and that are text like all others here.
    case literalSyntax(parts: [String])
    /// An adapter has modules that the model hasn't, or tensors of no known form; the others count.
    case adapterPartlyUsed(name: String, modules: [String], total: Int, keys: [String])
    /// The graph has no names for layers that adapters change: they were told by their order and shapes.
    case layersFoundByOrder(count: Int, component: String)
    /// No guidance scale was asked for, and the model was made for none.
    case guidanceOff
    /// The model's files state no scaling factor of latents.
    case scalingFactorAssumed(Double)
    /// The model isn't told sizes and crops of pictures.
    case pictureSizesUnused
    /// Neither the model nor its refiner is told how good pictures look.
    case aestheticScoresUnused
    /// The picture to start from is resized.
    case startResized(from: String, to: String)
    /// What a request that is to be fast saves.
    case fast(stepCaching: StepCaching, guidanceInterval: GuidanceInterval?)
    /// The model's weights take about so many bytes, much of the memory that there is.
    case memoryScarce(weights: Int, memory: Int)
    /// The VAE works in tiles of so many pixels along each side, which nobody asked for, since it has to.
    case vaeTiled(pixels: Int)

    public var description: String {
        switch self {
        case .promptCut(let tokens, let limit):
            "The prompt has \(tokens) tokens; the text encoder takes \(limit), the rest is cut off (the prompt syntax a1111 takes all, in chunks)."
        case .negativePromptCut(let tokens, let limit):
            "The negative prompt has \(tokens) tokens; the text encoder takes \(limit), the rest is cut off (the prompt syntax a1111 takes all, in chunks)."
        case .negativePromptUnused(let scale):
            "The negative prompt has no effect with a guidance scale of \(scale): it takes part above 1."
        case .negativePromptUnknownToModel:
            "The negative prompt has no effect: this model takes the guidance scale as an input, and no negative prompt."
        case .schedulerUnsuited(let name, let kind):
            "The scheduler \(name) is made for \(kind.plural), which this model isn't one of by its files."
        case .literalSyntax(let parts):
            "The prompt's \(parts.map { "\"\($0)\"" }.joined(separator: ", ")) \(parts.count == 1 ? "is" : "are") taken literally: "
                + "only tags of LoRAs are known, in the prompt, and only where LoRAs are loaded."
        case .adapterPartlyUsed(let name, let modules, let total, let keys):
            [
                modules.isEmpty
                    ? nil
                    : "The LoRA \(name) changes \(total) modules, of which the model lacks \(modules.count): \(Self.list(modules)).",
                keys.isEmpty
                    ? nil
                    : "\(keys.count) of the LoRA \(name)'s tensors \(keys.count == 1 ? "has a name" : "have names") of no known form and \(keys.count == 1 ? "is" : "are") left out: \(Self.list(keys)).",
            ].compactMap { $0 }.joined(separator: " ")
        case .layersFoundByOrder(let count, let component):
            "The \(component)'s graph has no names for \(count) \(count == 1 ? "layer" : "layers") that LoRAs change: "
                + "\(count == 1 ? "it was" : "they were") told by order and shape."
        case .guidanceOff:
            "This model is made for a few steps without guidance: the guidance scale is 1 where none is asked for."
        case .scalingFactorAssumed(let factor):
            "The model's files state no scaling factor of the VAE: \(factor) is taken, as published models of this kind have it."
        case .pictureSizesUnused:
            "Sizes and crops of pictures have no effect: models of the SDXL family are told them."
        case .aestheticScoresUnused:
            "Aesthetic scores have no effect: refiners of SDXL are told them, and this model isn't one."
        case .startResized(let from, let to):
            "The picture to start from has \(from) pixels and is resized to \(to)."
        case .fast(let stepCaching, let interval):
            "Fast stands for the step cache \(stepCaching)"
                + (interval.map { " and guidance from \($0.start) to \($0.end) of the run." } ?? ".")
        case .memoryScarce(let weights, let memory):
            String(
                format:
                    "The model's weights take about %.1f GB, and there are %.1f GB of memory: the system may end the process.",
                Double(weights) / 1e9, Double(memory) / 1e9)
                + " In low-memory mode they are read as they are needed; a lower precision, or weights in fewer bits, take less."
        case .vaeTiled(let pixels):
            "The VAE works in tiles of \(pixels)×\(pixels) pixels, since the whole picture would take more memory than it may: its colours "
                + "differ a little from those of the whole."
        }
    }
}

extension GenerationNotice {
    private static func list(_ names: [String]) -> String {
        names.prefix(5).map { $0.shortened(to: 100) }.joined(separator: ", ") + (names.count > 5 ? ", …" : "")
    }
}

extension ModelKind {
    fileprivate var plural: String {
        switch self {
        case .diffusion: "models of diffusion with 20 or more steps"
        case .consistency: "consistency models (LCM, TCD)"
        case .edm: "EDM models"
        case .flow: "models of flow matching"
        case .otherLevels: "models with noise levels of its own"
        case .inversion: "turning pictures into noise, and so for no models that make pictures"
        }
    }
}

extension GenerationPlan {
    /// What a person may not have meant in the request, which can be met.
    public var notices: [GenerationNotice] {
        var result: [GenerationNotice] = []
        let limit = configuration.tokenLimit
        // By the grammar, long texts take several chunks.
        func isCut(_ count: Int) -> Bool { promptSyntax == .plain && count > limit }
        if isCut(promptTokenCount) { result.append(.promptCut(tokens: promptTokenCount - 2, limit: limit - 2)) }
        if let text = request.negativePrompt, !text.isEmpty {
            if !isGuided {
                result.append(
                    configuration.unet.guidanceEmbeddingWidth != nil
                        ? .negativePromptUnknownToModel : .negativePromptUnused(guidanceScale: guidanceScale))
            } else if isCut(negativePromptTokenCount) {
                result.append(.negativePromptCut(tokens: negativePromptTokenCount - 2, limit: limit - 2))
            }
        }
        if request.isFast, let stepCaching = request.stepCaching {
            result.append(.fast(stepCaching: stepCaching, guidanceInterval: request.guidanceInterval))
        }
        if request.guidanceScale == nil, configuration.isMadeForNoGuidance { result.append(.guidanceOff) }
        let (sizes, defaults) = (request.pictureSizes, ConditionedSizes())
        if !configuration.takesPictureSizes,
            (sizes.original, sizes.crop, sizes.target) != (defaults.original, defaults.crop, defaults.target)
        {
            result.append(.pictureSizesUnused)
        }
        if !configuration.anyTakesAestheticScore,
            (sizes.aestheticScore, sizes.negativeAestheticScore) != (defaults.aestheticScore, defaults.negativeAestheticScore)
        {
            result.append(.aestheticScoresUnused)
        }
        if !configuration.vae.statesScalingFactor { result.append(.scalingFactorAssumed(configuration.vae.scalingFactor)) }
        let descriptor = type(of: scheduler).descriptor
        if !configuration.suits(descriptor) {
            result.append(.schedulerUnsuited(name: descriptor.shortName, madeFor: descriptor.modelKind))
        }
        let literal =
            PromptSyntax.tags(
                in: configuration.loras.isEmpty || promptSyntax == .plain && request.promptSyntax == .plain
                    ? request.prompt : (try? LoRATag.taken(from: request.prompt).prompt) ?? request.prompt)
            + PromptSyntax.tags(in: request.negativePrompt ?? "")
        if !literal.isEmpty { result.append(.literalSyntax(parts: literal)) }
        if let start, start != (width, height), request.inpainting?.padding == nil {
            result.append(.startResized(from: "\(start.width)×\(start.height)", to: "\(width)×\(height)"))
        }
        return result
    }
}

extension PipelineConfiguration {
    /// The scheduler that the files name suits, and all others of its kind.
    fileprivate func suits(_ descriptor: SchedulerDescriptor) -> Bool {
        if scheduler.className == descriptor.className { return true }
        let own = scheduler.className.flatMap { try? SchedulerRegistry.standard.find($0).descriptor.modelKind }
        let distilled: ModelKind? = unet.guidanceEmbeddingWidth != nil ? .consistency : nil
        return descriptor.modelKind == distilled ?? family.schedulerKind ?? own ?? .diffusion
    }
}
