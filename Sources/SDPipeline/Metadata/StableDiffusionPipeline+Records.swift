import Foundation
import GraphRuntime
import Ops

extension StableDiffusionPipeline {
    /// What each picture of a run was made with.
    func records(_ plan: GenerationPlan) -> [GenerationRecord] {
        let request = plan.request
        let tokens = [plan.promptTokenCount, plan.negativePromptTokenCount]
        let automatic = PromptSyntax.automatic.resolved(
            prompt: request.prompt, negativePrompt: request.negativePrompt ?? "")
        let isPlainByItself = plan.promptSyntax == .plain && automatic == .plain
        let settings = plan.scheduler.settings
        // A name that stands for noise levels beside the settings says more than any other.
        let schedule = request.scheduler.flatMap { try? SchedulerRegistry.standard.find($0).schedule }
        let canonical = SchedulerRegistry.standard.name(
            of: settings, configuration: configuration.scheduler, overrides: request.schedulerOverrides)
        let step = request.stepOptions
        let defaults = SchedulerStepOptions()
        /// What was stated, or nil for the default.
        func stated<Value: Equatable>(_ path: KeyPath<SchedulerStepOptions, Value>) -> Value? {
            step[keyPath: path] == defaults[keyPath: path] ? nil : step[keyPath: path]
        }
        var (sigmas, sigmaList, timesteps): (String?, [Double]?, [Double]?) = (nil, nil, nil)
        var steps = request.steps
        switch request.timestepRequest {
        case .steps(let count): steps = count
        case .named(let schedule, let count): (sigmas, steps) = (schedule.rawValue, count)
        case .sigmas(let list): (sigmaList, steps) = (list, list.count - 1)
        case .timesteps(let list): (timesteps, steps) = (list, list.count)
        case nil: break
        }
        let hasStart = request.initialImage != nil
        let hash = modelHash.value
        let inpainting = request.inpainting
        let sizes = request.pictureSizes
        let takesSizes = configuration.takesPictureSizes
        let defaultSizes = ConditionedSizes()
        /// What was stated, or nil for the default, and where no model asks.
        func stated<Value: Equatable>(_ path: KeyPath<ConditionedSizes, Value>, where isAsked: Bool) -> Value? {
            !isAsked || sizes[keyPath: path] == defaultSizes[keyPath: path] ? nil : sizes[keyPath: path]
        }
        let variationSeeds = request.variationSeeds
        let takesScores = configuration.anyTakesAestheticScore
        let (controls, secondPass) = (controlRecords(request), secondPassRecord(plan))
        return request.seeds.enumerated().map { index, seed in
            GenerationRecord(
                model: Self.name(configuration.folder.url),
                modelHash: hash,
                prompt: request.prompt, negativePrompt: request.negativePrompt ?? "", promptTokens: tokens[0],
                negativePromptTokens: tokens[1], tokenLimit: configuration.tokenLimit,
                isPromptCut: plan.promptSyntax == .plain
                    && max(tokens[0], plan.isGuided ? tokens[1] : 0) > configuration.tokenLimit,
                promptSyntax: isPlainByItself ? nil : plan.promptSyntax.rawValue, clipSkip: request.clipSkip,
                controls: controls, freeU: request.freeU, stepCaching: request.stepCaching,
                guidanceInterval: request.guidanceInterval,
                promptBlend: request.promptBlend,
                embeddings: configuration.embeddings.isEmpty
                    ? nil : configuration.embeddings.map { GenerationRecord.Embedding(name: $0.name, file: $0.file) },
                loras: loras(plan), width: plan.width,
                height: plan.height, steps: steps, guidanceScale: plan.guidanceScale, seed: seed,
                noiseSource: request.noiseSource == .torch ? nil : request.noiseSource,
                variationSeed: variationSeeds.isEmpty ? nil : variationSeeds[index],
                variationStrength: variationSeeds.isEmpty ? nil : request.variation?.strength,
                batchSeeds: request.batchSeeds, batchCount: request.batchCount, number: index + 1,
                scheduler: (schedule == nil ? canonical : nil) ?? request.scheduler ?? plan.scheduler.name,
                schedule: schedule?.rawValue, schedulerClass: plan.scheduler.name,
                schedulerOverrides: request.schedulerOverrides.mapValues(\.asRead),
                schedulerSettings: settings.values.mapValues(\.asRead), sigmas: sigmas,
                sigmaList: sigmaList, timesteps: timesteps, eta: step.eta, churn: stated(\.churn),
                churnMinimumSigma: stated(\.churnMinimumSigma), churnMaximumSigma: stated(\.churnMaximumSigma),
                noiseScale: stated(\.noiseScale), usesClippedModelOutput: stated(\.useClippedModelOutput),
                strength: hasStart ? plan.strength : nil,
                initialImage: hasStart ? request.inputFiles.initialImage : nil,
                resize: hasStart && request.resizeMode != .stretch ? request.resizeMode.rawValue : nil,
                mask: inpainting == nil ? nil : request.inputFiles.mask,
                maskBlur: inpainting.flatMap { $0.blur == 0 ? nil : $0.blur },
                invertsMask: inpainting?.invertsMask == true ? true : nil,
                maskContent: inpainting.flatMap { $0.content == .original ? nil : $0.content.rawValue },
                onlyMasked: inpainting?.padding,
                outpaint: request.outpainting.map { [$0.left, $0.top, $0.right, $0.bottom] },
                initialLatents: request.initialLatents == nil ? nil : request.inputFiles.initialLatents,
                vae: configuration.hasOtherVAE ? Self.name(configuration.vaeFolder.url) : nil,
                vaeHash: configuration.hasOtherVAE ? vaeHash.value : nil,
                refiner: configuration.refiner.map { Self.name($0.folder.url) }, refinerHash: refiner?.modelHash.value,
                refinerStart: configuration.refiner == nil ? nil : request.refinerStart ?? Refinement.defaultStart,
                secondPass: secondPass,
                originalSize: stated(\.original, where: takesSizes) ?? nil, crop: stated(\.crop, where: takesSizes),
                targetSize: stated(\.target, where: takesSizes) ?? nil,
                aestheticScore: stated(\.aestheticScore, where: takesScores),
                negativeAestheticScore: stated(\.negativeAestheticScore, where: takesScores),
                negativePromptIsEmptyText: takesSizes && request.negativePrompt == "" ? true : nil,
                tokenizer: configuration.tokenizerConvention.rawValue, precision: options.precision.rawValue,
                weights: options.weights == .stored ? nil : options.weights.rawValue,
                halfRounding: options.halfRounding.rawValue,
                threads: options.threads.threadCount, savesMemory: options.savesMemory,
                optimizes: options.optimize, instructionSet: InstructionSet.current.rawValue)
        }
    }
}

extension StableDiffusionPipeline {
    /// The adapters that counted; nil for none.
    private func loras(_ plan: GenerationPlan) -> [GenerationRecord.Adapter]? {
        // Of a refiner's plan there are none.
        let later = plan.follower.map(\.adapterWeights).flatMap { $0.isEmpty ? nil : $0 } ?? plan.adapterWeights
        func counts(_ weight: AdapterWeight) -> Bool { weight.weight != 0 || weight.textWeight != 0 }
        let used = zip(configuration.loras, zip(plan.adapterWeights, later)).filter { counts($1.0) || counts($1.1) }
            .map { ($0, $1.0) }
        return used.isEmpty
            ? nil
            : used.map { lora, counts in
                GenerationRecord.Adapter(
                    name: lora.name, file: lora.file, shortHash: lora.shortHash, weight: counts.weight,
                    textWeight: counts.textWeight)
            }
    }

    private static func name(_ folder: URL) -> String {
        folder.standardizedFileURL.resolvingSymlinksInPath().lastPathComponent
    }
}

extension SchedulerValue {
    /// The value as it is read back from JSON, which doesn't tell 1.0 from 1.
    fileprivate var asRead: SchedulerValue {
        switch self {
        case .number(let value):
            return Int(exactly: value).map(SchedulerValue.integer) ?? self
        case .other(let text): return .text(text)
        default: return self
        }
    }
}
