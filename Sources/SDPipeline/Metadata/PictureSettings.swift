import Foundation

/// What is known of how a picture was made, whichever program made it: nil where nothing is said, or nothing that this program understands.
///
/// As JSON its keys are the long names of `sd-onnx generate`'s options, with `_` for `-`.
public struct PictureSettings: Sendable, Equatable, Codable {
    /// See ``GenerationRequest/prompt``, as are those that follow.
    public var prompt: String?
    /// Empty where the picture was kept away from nothing.
    public var negativePrompt: String?
    /// By which grammar the prompts are to be read.
    public var promptSyntax: PromptSyntax?
    /// Whose layer's states were taken.
    public var clipSkip: Int?
    /// Pixels in a row.
    public var width: Int?
    /// Rows.
    public var height: Int?
    /// Steps of the scheduler.
    public var steps: Int?
    /// The guidance scale.
    public var guidanceScale: Double?
    /// The seed of the picture's noise.
    public var seed: UInt64?
    /// The generator that drew it.
    public var noiseSource: NoiseSource?
    /// Another seed whose noise was mixed in.
    public var variationSeed: UInt64?
    /// How much of it.
    public var variationStrength: Double?
    /// A name that ``SchedulerRegistry/find(_:)`` knows, noise levels included.
    public var scheduler: String?
    /// Options of the scheduler's steps.
    public var eta: Double?
    /// Noise added back over the run.
    public var churn: Double?
    /// No churn below this noise level.
    public var churnMinimumSigma: Double?
    /// No churn above this noise level.
    public var churnMaximumSigma: Double?
    /// The deviation of the scheduler's noise.
    public var noiseScale: Double?
    /// The share of the steps that was taken over a picture to start from.
    public var strength: Double?
    /// How many times larger a second pass made the picture, see ``SecondPass``; nil where there was none, or its size isn't said so.
    public var hiresScale: Double?
    /// The width that was asked for in the place of a scale.
    public var hiresWidth: Int?
    /// The height that was asked for in the place of a scale.
    public var hiresHeight: Int?
    /// Its scheduler; nil for that of the first pass, as for those that follow.
    public var hiresScheduler: String?
    /// Its prompt.
    public var hiresPrompt: String?
    /// Its negative prompt.
    public var hiresNegativePrompt: String?
    /// Its guidance scale.
    public var hiresGuidanceScale: Double?
    /// How much of the schedule it took.
    public var hiresStrength: Double?
    /// Its steps; nil for those of the first pass.
    public var hiresSteps: Int?
    /// What made the picture larger, as the program calls it.
    public var hiresUpscaler: String?
    /// The model's name.
    public var model: String?
    /// The first digits of its SHA-256, or all, as the program takes them.
    public var modelHash: String?
    /// The name of another VAE.
    public var vae: String?
    /// The names of adapters, LoRA files for instance, with their weights, where they aren't said in the prompt.
    public var adapters: [Adapter]?
    /// What the file says besides, by its own keys.
    public var others: [String: String] = [:]

    /// An adapter that the model was changed by.
    public struct Adapter: Sendable, Equatable, Codable {
        /// The file's name or the adapter's.
        public var name: String
        /// How much of it.
        public var weight: Double

        /// An adapter.
        public init(name: String, weight: Double) {
            self.name = name
            self.weight = weight
        }
    }

    private enum CodingKeys: String, CodingKey {
        case prompt, width, height, steps, seed, scheduler, eta, strength, model, vae, adapters, others
        case negativePrompt = "negative_prompt"
        case promptSyntax = "prompt_syntax"
        case clipSkip = "clip_skip"
        case guidanceScale = "cfg_scale"
        case noiseSource = "rng"
        case variationSeed = "variation_seed"
        case variationStrength = "variation_strength"
        case churn = "s_churn"
        case churnMinimumSigma = "s_tmin"
        case churnMaximumSigma = "s_tmax"
        case noiseScale = "s_noise"
        case hiresScale = "hires"
        case hiresWidth = "hires_width"
        case hiresHeight = "hires_height"
        case hiresScheduler = "hires_scheduler"
        case hiresPrompt = "hires_prompt"
        case hiresNegativePrompt = "hires_negative_prompt"
        case hiresGuidanceScale = "hires_cfg_scale"
        case hiresStrength = "hires_strength"
        case hiresSteps = "hires_steps"
        case hiresUpscaler = "hires_upscaler"
        case modelHash = "model_hash"
    }

    /// Settings of which nothing is known.
    public init() {}

    /// What this program's own pictures say, as far as others can say it too.
    public init(_ record: GenerationRecord) {
        prompt = record.prompt
        negativePrompt = record.negativePrompt
        promptSyntax = record.promptSyntax.flatMap(PromptSyntax.init)
        clipSkip = record.clipSkip
        (width, height, steps) = (record.width, record.height, record.steps)
        (guidanceScale, seed) = (record.guidanceScale, record.seed)
        noiseSource = record.noiseSource ?? .torch
        (variationSeed, variationStrength) = (record.variationSeed, record.variationStrength)
        scheduler = record.scheduler
        (eta, churn, noiseScale) = (record.eta, record.churn, record.noiseScale)
        (churnMinimumSigma, churnMaximumSigma) = (record.churnMinimumSigma, record.churnMaximumSigma)
        strength = record.strength
        if let pass = record.secondPass {
            (hiresWidth, hiresHeight) = (pass.statedWidth, pass.statedHeight)
            hiresScale = pass.statedWidth ?? pass.statedHeight == nil ? pass.scale : nil
            (hiresStrength, hiresSteps, hiresUpscaler) = (pass.strength, pass.steps, pass.webUIUpscaler)
            (hiresScheduler, hiresGuidanceScale) = (pass.scheduler, pass.guidanceScale)
            (hiresPrompt, hiresNegativePrompt) = (pass.prompt, pass.negativePrompt)
        }
        (model, modelHash, vae) = (record.model, record.modelHash, record.vae)
    }

    /// Puts what is known into a request; what isn't stays as it is there. The model, another VAE and adapters are no part of a request.
    public func fill(_ request: inout GenerationRequest) {
        if let prompt { request.prompt = prompt }
        if let negativePrompt { request.negativePrompt = negativePrompt.isEmpty ? nil : negativePrompt }
        if let promptSyntax { request.promptSyntax = promptSyntax }
        if let clipSkip { request.clipSkip = clipSkip }
        if let width { request.width = width }
        if let height { request.height = height }
        if let steps { request.steps = steps }
        if let guidanceScale { request.guidanceScale = guidanceScale }
        if let seed { request.seed = seed }
        if let noiseSource { request.noiseSource = noiseSource }
        if let variationSeed, let variationStrength {
            request.variation = SeedVariation(seed: variationSeed, strength: variationStrength)
        }
        if let scheduler { request.scheduler = scheduler }
        if let eta { request.stepOptions.eta = eta }
        if let churn { request.stepOptions.churn = churn }
        if let churnMinimumSigma { request.stepOptions.churnMinimumSigma = churnMinimumSigma }
        if let churnMaximumSigma { request.stepOptions.churnMaximumSigma = churnMaximumSigma }
        if let noiseScale { request.stepOptions.noiseScale = noiseScale }
        if let strength { request.strength = strength }
        if hasSecondPass, let upscaler = hiresUpscaling {
            var pass = SecondPass(
                scale: hiresScale ?? SecondPass().scale, strength: hiresStrength ?? SecondPass().strength, steps: hiresSteps,
                upscaler: upscaler)
            (pass.width, pass.height) = (hiresWidth, hiresHeight)
            (pass.scheduler, pass.guidanceScale) = (hiresScheduler, hiresGuidanceScale)
            (pass.prompt, pass.negativePrompt) = (hiresPrompt, hiresNegativePrompt)
            request.secondPass = pass
        }
    }

    /// Whether a second pass made the picture larger.
    public var hasSecondPass: Bool { hiresScale != nil || hiresWidth != nil || hiresHeight != nil }

    /// What ``hiresUpscaler`` stands for; nil for a network, of which no file is said.
    package var hiresUpscaling: SecondPass.Upscaler? {
        switch hiresUpscaler?.lowercased() {
        case nil: return .latent(.bilinear)
        // That program resizes by Lanczos' filter what no upscaler has enlarged.
        case "lanczos", "none": return .lanczos
        case "nearest": return .nearest
        case let name?:
            return LatentUpscaling.allCases.first { $0.webUIName.lowercased() == name || $0.rawValue == name }.map {
                .latent($0)
            }
        }
    }
}

extension PictureSettings {
    /// Ranges that settings of other programs' files are believed in.
    enum Believed {
        static let pixels: ClosedRange<UInt64> = 1...16384
        static let steps: ClosedRange<UInt64> = 1...10000
        static let clipSkip: ClosedRange<UInt64> = 1...100
        static let scales = 1...SecondPass.largestScale
    }

    /// A number within limits, as the type that holds it.
    static func whole(_ value: UInt64?, in range: ClosedRange<UInt64>) -> Int? {
        guard let value, range.contains(value) else { return nil }
        return Int(exactly: value)
    }

    static func number(_ text: String?) -> Double? {
        guard let text, let value = Double(text), value.isFinite, Float(value).isFinite else { return nil }
        return value
    }

    static func share(_ value: Double?) -> Double? { value.flatMap { (0...1).contains($0) ? $0 : nil } }

    /// What a text in the form of AUTOMATIC1111's web interface says, from that program or from one of those that write the same form:
    /// its descendants, stable-diffusion.cpp, this one.
    ///
    /// What the text leaves out isn't known, but for the generator: where none is named, it was a GPU's.
    public init(_ infotext: Infotext) {
        self.init()
        var rest: [String: String] = [:]
        for pair in infotext.pairs { rest[pair.key] = pair.value }
        func take(_ key: String) -> String? { rest[key] }
        /// What was understood isn't one of the others.
        func known<Value>(_ value: Value?, _ keys: String...) -> Value? {
            if value != nil { for key in keys { rest[key] = nil } }
            return value
        }
        prompt = infotext.prompt
        negativePrompt = infotext.negativePrompt
        let version = infotext["Version"] ?? ""
        let isOurs = version.hasPrefix("sd-onnx ")
        promptSyntax = isOurs ? (infotext["Prompt syntax"] == "plain" ? .plain : nil) : .a1111
        rest["Prompt syntax"] = nil
        steps = known(Self.whole(take("Steps").flatMap(UInt64.init), in: Believed.steps), "Steps")
        guidanceScale = known(Self.number(take("CFG scale")), "CFG scale")
        seed = known(take("Seed").flatMap { UInt64($0) }, "Seed")
        if let size = take("Size")?.wholeMatch(of: /([0-9]{1,6})x([0-9]{1,6})/),
            let width = Self.whole(UInt64(size.1), in: Believed.pixels),
            let height = Self.whole(UInt64(size.2), in: Believed.pixels)
        {
            (self.width, self.height) = (width, height)
            rest["Size"] = nil
        }
        let (firstSampler, firstScheduleType) = (take("Sampler"), take("Schedule type") ?? take("Scheduler"))
        if let name = firstSampler {
            let sampler = WebUISampler(
                name: name, scheduleType: firstScheduleType ?? WebUISampler.automatic)
            scheduler =
                known(sampler.scheduler, "Sampler", "Schedule type", "Scheduler")
                // Without noise levels that aren't known, or that the sampler doesn't have.
                ?? known(WebUISampler(name: name, scheduleType: WebUISampler.automatic).scheduler, "Sampler")
        }
        let strength = known(Self.share(Self.number(take("Denoising strength"))), "Denoising strength")
        hiresScale = known(
            Self.number(take("Hires upscale")).flatMap { Believed.scales.contains($0) ? $0 : nil }, "Hires upscale")
        if let size = take("Hires resize")?.wholeMatch(of: /([0-9]{1,6})x([0-9]{1,6})/) {
            // That program writes 0 for what follows from the proportions.
            hiresWidth = Self.whole(UInt64(size.1), in: Believed.pixels)
            hiresHeight = Self.whole(UInt64(size.2), in: Believed.pixels)
            if hiresWidth != nil || hiresHeight != nil { rest["Hires resize"] = nil }
        }
        if take("Hires upscaler") == nil && hiresScale == nil && take("Hires resize") == nil && hiresWidth == nil
            && hiresHeight == nil
        {
            self.strength = strength
        } else {
            if let name = take("Hires sampler") ?? (take("Hires schedule type") == nil ? nil : firstSampler) {
                let type = take("Hires schedule type") ?? firstScheduleType ?? WebUISampler.automatic
                hiresScheduler = known(
                    WebUISampler(name: name, scheduleType: type).scheduler, "Hires sampler", "Hires schedule type")
            }
            hiresPrompt = known(take("Hires prompt"), "Hires prompt")
            hiresNegativePrompt = known(take("Hires negative prompt"), "Hires negative prompt")
            hiresGuidanceScale = known(Self.number(take("Hires CFG Scale")), "Hires CFG Scale")
            // Of a picture that was enlarged, the strength is that of the second pass.
            hiresStrength = strength
            hiresSteps = known(Self.whole(take("Hires steps").flatMap(UInt64.init), in: Believed.steps), "Hires steps")
            hiresUpscaler = known(take("Hires upscaler"), "Hires upscaler")
        }
        clipSkip = known(Self.whole(take("Clip skip").flatMap(UInt64.init), in: Believed.clipSkip), "Clip skip")
        if let seed = take("Variation seed").flatMap({ UInt64($0) }),
            let strength = Self.share(Self.number(take("Variation seed strength")))
        {
            (variationSeed, variationStrength) = (seed, strength)
            (rest["Variation seed"], rest["Variation seed strength"]) = (nil, nil)
        }
        noiseSource = known(Self.noiseSource(take("RNG"), isOurs: isOurs, version: version), "RNG")
        eta = known(Self.number(take("Eta") ?? take("Eta DDIM")), "Eta", "Eta DDIM")
        churn = known(Self.number(take("Sigma churn")), "Sigma churn")
        churnMinimumSigma = known(Self.number(take("Sigma tmin")), "Sigma tmin")
        churnMaximumSigma = known(Self.number(take("Sigma tmax")), "Sigma tmax")
        noiseScale = known(Self.number(take("Sigma noise")), "Sigma noise")
        model = known(take("Model"), "Model")
        modelHash = known(take("Model hash"), "Model hash")
        vae = known(take("VAE"), "VAE")
        others = rest
    }

    private static func noiseSource(_ name: String?, isOurs: Bool, version: String) -> NoiseSource? {
        let isCpp = version.hasPrefix("stable-diffusion.cpp")
        switch name?.lowercased() {
        case nil: return isOurs ? .torch : isCpp ? .cuda : .cudaA1111
        case "cpu": return isOurs || isCpp ? .torch : .cpuA1111
        case "gpu", "nv": return isOurs ? .cuda : .cudaA1111
        case "cuda": return .cuda
        case "numpy": return .numpy
        default: return nil
        }
    }
}
