import Foundation
import GraphRuntime
import ONNXLoader

/// A request, checked and completed with what the model's files say: everything that can be known without loading a graph.
///
/// Made once, then run: ``StableDiffusionPipeline/generate(_:observer:progress:)-(GenerationPlan,_,_)``.
public struct GenerationPlan: Sendable {
    /// What was asked for.
    public private(set) var request: GenerationRequest
    /// Of the pictures, in pixels.
    public let width: Int
    /// Of the pictures, in pixels.
    public let height: Int
    /// [batchCount, C, h, w].
    public let latentShape: [Int]
    /// The scheduler, with the settings of the model and of the request.
    public let scheduler: any Scheduler
    /// The scheduler's evaluation that the run begins with; their number where none is left (a strength of 0).
    public let firstIndex: Int
    /// The scheduler's evaluation that the run ends before: their number, or where a refiner begins.
    public let endIndex: Int
    /// How much more the prompt counts than the negative one: the request's, or the model's own.
    public let guidanceScale: Double
    /// With a picture to start from, the share of the steps that is taken.
    public let strength: Double
    /// Whether the negative prompt takes part: with a guidance scale above 1 of models that don't take it as an input, and where `AND`
    /// combines prompts.
    public let isGuided: Bool
    /// How the prompts are read, ``PromptSyntax/a1111`` or ``PromptSyntax/plain``.
    public var promptSyntax: PromptSyntax { program.syntax }
    /// Steps of the run, those of a refiner included, that editing and alternation of prompts count in.
    public let stepCount: Int
    /// What a refiner does after the model, or the second pass at a larger size: none or one, since a value can't hold one of its own kind
    /// otherwise.
    private let followers: [GenerationPlan]
    /// What makes the latents of the pass before into those that this one starts from; nil for a first pass, and for a refiner's.
    let enlargement: SecondPass?
    let configuration: PipelineConfiguration
    /// How much each of the configuration's adapters counts: what it counts by itself, and what tags of the prompt say.
    public let adapterWeights: [AdapterWeight]
    let program: PromptProgram
    /// Steps of the run before this plan's, where it is a refiner's.
    private let stepsBefore: Int
    /// The size of the picture to start from.
    private let pictureSize: (width: Int, height: Int)?
    /// The same, with the room around it that is painted.
    let start: (width: Int, height: Int)?

    init(
        _ request: GenerationRequest, configuration: PipelineConfiguration, start: (width: Int, height: Int)? = nil
    ) throws {
        var request = request
        self.configuration = configuration
        let sizes = configuration.sizes
        let start = start ?? request.initialImage.map { ($0.width, $0.height) }
        let painted = try Self.paintedSize(request, start: start)
        (self.start, pictureSize) = (painted, start)
        enlargement = nil
        try request.secondPass?.check(request, configuration)
        // A part of the picture is made at the size that the model was trained at.
        let seen = request.controls.first.map { ($0.image.width, $0.image.height) }
        let size = request.inpainting?.padding == nil ? painted ?? seen : nil
        width = request.width ?? size.map { sizes.nearestWidth(to: $0.width) } ?? sizes.defaultWidth
        height = request.height ?? size.map { sizes.nearestHeight(to: $0.height) } ?? sizes.defaultHeight
        try sizes.check(width: width)
        try sizes.check(height: height)
        guard (1...4096).contains(request.batchCount) else {
            throw PipelineError("The batch count is \(request.batchCount), expected 1 to 4096.", kind: .invalidRequest)
        }
        guidanceScale = request.guidanceScale ?? configuration.defaultGuidanceScale
        guard Float(guidanceScale).isFinite else {
            throw PipelineError(
                "The guidance scale is \(guidanceScale), expected a number that single precision holds.",
                kind: .invalidRequest)
        }
        strength = request.strength ?? (configuration.isInpaintingModel ? 1 : configuration.family.strength)
        let factor = configuration.spatialFactor
        latentShape = [request.batchCount, configuration.latentChannels, height / factor, width / factor]
        try Self.checkMemory(latentShape, pixels: width * height)
        if let given = request.initialLatents { try Self.check(given, shape: latentShape) }
        try Self.check(request.pictureSizes)
        try Self.checkSeeds(request)
        try Self.checkTask(request, configuration, hasPicture: start != nil)
        (scheduler, firstIndex) = try Self.begin(request, configuration, strength: strength, hasPicture: start != nil)
        try request.takeFastSettings(for: scheduler)
        self.request = request
        try request.stepOptions.check(for: type(of: scheduler).descriptor)
        try request.stepCaching?.check(for: scheduler, options: request.stepOptions)
        stepsBefore = 0
        let (prompt, weights) = try configuration.adapters.read(request)
        adapterWeights = weights
        if let refiner = configuration.refiner {
            // Tags are for the model.
            var request = request
            request.prompt = prompt
            let cutoff = try Refinement.cutoff(request, scheduler: scheduler)
            endIndex = firstIndex + Refinement.stepsBefore(cutoff, scheduler.timesteps.dropFirst(firstIndex))
            let refinement = try GenerationPlan(
                refining: request, with: refiner, width: width, height: height,
                stepsBefore: Self.steps(request, scheduler, evaluations: endIndex - firstIndex))
            followers = [refinement]
            stepCount = refinement.stepCount
            guard endIndex > firstIndex else {
                throw PipelineError(
                    "The refiner's start leaves none of the steps to the model: a later one, or more steps, are needed.",
                    kind: .invalidRequest)
            }
        } else {
            guard request.refinerStart == nil else {
                throw PipelineError("The request says where a refiner starts, and there is no refiner.", kind: .invalidRequest)
            }
            endIndex = scheduler.timesteps.count
            stepCount = Self.steps(request, scheduler, evaluations: endIndex - firstIndex)
            let (size, steps) = ((width, height), stepCount)
            let trained = (try? scheduler.settings.integer("num_train_timesteps")) ?? 1000
            followers =
                try request.secondPass.map { pass in
                    [
                        try GenerationPlan(
                            pass, after: request, size: size, steps: steps, of: trained, configuration: configuration)
                    ]
                } ?? []
        }
        program = try Self.program(request, prompt: prompt, configuration, steps: stepCount)
        isGuided = Self.isGuided(guidanceScale, configuration) || program.isComposed
    }

    /// The prompts, with what the text encoders get at every step.
    private static func program(
        _ request: GenerationRequest, prompt: String, _ configuration: PipelineConfiguration, steps: Int, after earlier: Int = 0
    ) throws -> PromptProgram {
        if let clipSkip = request.clipSkip {
            guard clipSkip >= 1 else {
                throw PipelineError("The clip skip is \(clipSkip), expected 1 or more.", kind: .invalidRequest)
            }
            for part in configuration.family.textEncoders {
                let file = try configuration.folder.configuration(of: part.folder)
                guard let layers = try file?.optionalInt("num_hidden_layers", in: 1...65536), clipSkip > layers else {
                    continue
                }
                throw TextEncoderLayers.tooMany(clipSkip - 1, layers: layers, title: "text encoder")
            }
        }
        // Of two prompts that are mixed, syntax in either decides how both are read.
        var syntax = request.promptSyntax
        if let blend = request.promptBlend {
            syntax = syntax.resolved(prompt: blend.prompt + "\n" + prompt, negativePrompt: request.negativePrompt ?? "")
        }
        var program = try PromptProgram(
            prompt: prompt, negativePrompt: request.negativePrompt ?? "", syntax: syntax, steps: steps,
            after: earlier, tokenizers: configuration.tokenizers)
        if let blend = request.promptBlend {
            // Its tags have no effect: adapters count what the first prompt says.
            let hasTags = !configuration.loras.isEmpty && request.promptSyntax != .plain
            let text = hasTags ? try LoRATag.taken(from: blend.prompt).prompt : blend.prompt
            try program.mix(
                PromptBlend(prompt: text, share: blend.share), steps: steps, tokenizers: configuration.tokenizers)
        }
        return program
    }

    /// A model that takes the scale as an input was distilled to need one run only.
    private static func isGuided(_ scale: Double, _ configuration: PipelineConfiguration) -> Bool {
        scale > 1 && configuration.unet.guidanceEmbeddingWidth == nil
    }

    /// Steps that so many evaluations make: schedulers may take two for each, or one more in all.
    private static func steps(_ request: GenerationRequest, _ scheduler: any Scheduler, evaluations: Int) -> Int {
        let each = max(type(of: scheduler).descriptor.evaluationsPerStep, 1)
        return min((evaluations + each - 1) / each, stepsAsked(request))
    }

    private static func stepsAsked(_ request: GenerationRequest) -> Int {
        switch request.timestepRequest ?? .steps(request.steps) {
        case .steps(let count), .named(_, let count): count
        case .timesteps(let list): list.count
        case .sigmas(let list): list.count - 1
        }
    }

    /// For an evaluation, the texts of the negative prompt, if it takes part, and of the prompts that `AND` combines, by their places in
    /// the program.
    func texts(at evaluation: Int) -> [Int] {
        let each = max(type(of: scheduler).descriptor.evaluationsPerStep, 1)
        let step = min(stepsBefore + (evaluation - firstIndex) / each + 1, max(stepCount, 1))
        return ((takesNegative(at: evaluation) ? [program.negative] : []) + program.positives).map { $0.text(at: step) }
    }

    /// The evaluation that the run's shares count from: a refiner goes on with the schedule that the model began.
    private var beginning: Int { stepsBefore > 0 ? 0 : firstIndex }

    /// Whether guidance counts at an evaluation.
    private func isInGuidanceInterval(_ evaluation: Int) -> Bool {
        guard let interval = request.guidanceInterval else { return true }
        return interval.contains(evaluation - beginning, of: scheduler.timesteps.count - beginning)
    }

    /// The first evaluation of this plan that a share of the run's comes before.
    func firstIndex(afterShare share: Double) -> Int {
        let count = scheduler.timesteps.count - beginning
        return max(firstIndex, beginning + ((0..<count).first { Double($0) / Double(count) >= share } ?? count))
    }

    private func takesNegative(at evaluation: Int) -> Bool {
        isGuided && (program.isComposed || isInGuidanceInterval(evaluation))
    }

    /// How much each prompt moves the prediction at an evaluation away from the negative one's; none where that takes no part.
    func promptScales(at evaluation: Int) -> [Double] {
        guard takesNegative(at: evaluation) else { return [] }
        let counts = Self.isGuided(guidanceScale, configuration) && isInGuidanceInterval(evaluation)
        let scale = counts ? guidanceScale : 1
        return program.positives.map { $0.weight == 1 ? scale : $0.weight * scale }
    }

    /// The texts of an evaluation, and how much they count.
    struct Guidance: Hashable {
        let texts: [Int]
        let scales: [Double]
    }

    func guidance(at evaluation: Int) -> Guidance {
        Guidance(texts: texts(at: evaluation), scales: promptScales(at: evaluation))
    }

    /// Evaluations before which the texts, what they count or the ControlNets that take part change.
    var changesOfConditions: Set<Int> {
        let total = scheduler.timesteps.count - firstIndex
        func controls(_ evaluation: Int) -> [Bool] {
            request.controls.map { $0.takesPart(inEvaluation: evaluation - firstIndex, of: total) }
        }
        let later = (firstIndex..<max(endIndex, firstIndex)).dropFirst()
        return Set(later.filter { guidance(at: $0) != guidance(at: $0 - 1) || controls($0) != controls($0 - 1) })
    }

    /// Tokens of the prompt, start and end included, before it was cut; of its longest text, where it changes over the steps.
    var promptTokenCount: Int { program.tokenCount(isNegative: false) }

    /// Those of the negative prompt.
    var negativePromptTokenCount: Int { program.tokenCount(isNegative: true) }

    /// Whether a part of the picture is repainted.
    private static func hasMask(_ request: GenerationRequest) -> Bool {
        request.inpainting != nil || request.outpainting != nil
    }

    /// Refuses tasks that the model isn't made for, and those that need files that it hasn't.
    private static func checkTask(
        _ request: GenerationRequest, _ configuration: PipelineConfiguration, hasPicture: Bool
    ) throws {
        let path = configuration.folder.url.path
        guard hasMask(request) || !configuration.isInpaintingModel else {
            throw PipelineError(
                "\(path) is a model for inpainting, whose U-Net takes a mask and a masked picture "
                    + "(\(configuration.unet.inputChannels) channels): the request has no mask.", kind: .invalidRequest)
        }
        guard hasPicture || !configuration.family.needsPicture else {
            throw PipelineError(
                "\(path) is a \(configuration.family.name), which works on a picture: the request has none to start from.",
                kind: .invalidRequest)
        }
        _ = try VAETiles(request.vaeTiling, vae: configuration.vae)
        try request.freeU?.check()
        try request.stepCaching?.check()
        try request.guidanceInterval?.check()
        try ControlPlan.check(request, configuration)
        if request.checksSafety { _ = try SafetyChecker.Files(configuration.folder) }
        if case .decoder(let url)? = request.livePreview?.method { _ = try PreviewDecoder(url, for: configuration.vae) }
        if hasPicture { _ = try configuration.vaeFolder.requireEncoder() }
    }

    /// The scheduler, and its evaluation that the run begins with.
    private static func begin(
        _ request: GenerationRequest, _ configuration: PipelineConfiguration, strength: Double, hasPicture: Bool
    ) throws -> (scheduler: any Scheduler, firstIndex: Int) {
        guard strength >= 0, strength <= 1 else {
            throw PipelineError("The strength is \(strength), expected a number from 0 to 1.", kind: .invalidRequest)
        }
        let whole = try scheduler(for: request, configuration)
        guard hasPicture else { return (whole, 0) }
        if !hasMask(request), strength > 0, strength < 1, configuration.family.keepsStepsOverPictures,
            let timesteps = try ConsistencyTimesteps.timesteps(of: whole, strength: strength, request: request)
        {
            var request = request
            request.timestepRequest = .timesteps(timesteps)
            return (try scheduler(for: request, configuration), 0)
        }
        return (whole, try firstIndex(request, strength: strength, scheduler: whole))
    }

    /// The size of the picture to start from with the room around it; checks its mask.
    private static func paintedSize(
        _ request: GenerationRequest, start: (width: Int, height: Int)?
    ) throws -> (width: Int, height: Int)? {
        guard let start else {
            let what = request.inpainting != nil ? "a mask" : request.outpainting != nil ? "room around a picture" : nil
            guard let what else { return nil }
            throw PipelineError("The request has \(what), and no picture to start from.", kind: .invalidRequest)
        }
        if let inpainting = request.inpainting {
            guard (0...PictureMask.largestBlur).contains(inpainting.blur) else {
                throw PipelineError(
                    "The mask's blur is \(inpainting.blur) pixels, expected 0 to \(Int(PictureMask.largestBlur)).",
                    kind: .invalidRequest)
            }
            if let padding = inpainting.padding, !(0...PictureMask.largestPadding).contains(padding) {
                throw PipelineError(
                    "The padding around the mask is \(padding) pixels, expected 0 to \(PictureMask.largestPadding).",
                    kind: .invalidRequest)
            }
            let mask = inpainting.invertsMask ? try inpainting.mask.inverted() : inpainting.mask
            if request.outpainting == nil || !mask.isEmpty { try mask.check(width: start.width, height: start.height) }
        }
        guard let room = request.outpainting else { return start }
        return (start.width + room.left + room.right, start.height + room.top + room.bottom)
    }

    /// What a refiner does with a model's latents.
    private init(
        refining request: GenerationRequest, with configuration: PipelineConfiguration, width: Int, height: Int,
        stepsBefore: Int
    ) throws {
        var request = request
        (request.initialImage, request.initialLatents, request.inpainting, request.outpainting) = (nil, nil, nil, nil)
        (request.controls, request.freeU) = ([], nil)
        enlargement = nil
        self.request = request
        self.configuration = configuration
        (self.width, self.height, start, pictureSize) = (width, height, nil, nil)
        try configuration.sizes.check(width: width)
        try configuration.sizes.check(height: height)
        let factor = configuration.spatialFactor
        latentShape = [request.batchCount, configuration.latentChannels, height / factor, width / factor]
        guidanceScale = request.guidanceScale ?? configuration.defaultGuidanceScale
        strength = 1
        scheduler = try Self.scheduler(for: request, configuration)
        try request.stepOptions.check(for: type(of: scheduler).descriptor)
        try request.stepCaching?.check(for: scheduler, options: request.stepOptions)
        firstIndex = Refinement.firstIndex(try Refinement.cutoff(request, scheduler: scheduler), scheduler)
        endIndex = scheduler.timesteps.count
        guard firstIndex < endIndex else {
            throw PipelineError(
                "The refiner's start leaves none of the steps to it: an earlier one, or more steps, are needed.",
                kind: .invalidRequest)
        }
        try scheduler.checkStart(at: firstIndex)
        followers = []
        self.stepsBefore = stepsBefore
        stepCount = stepsBefore + Self.steps(request, scheduler, evaluations: endIndex - firstIndex)
        program = try Self.program(request, prompt: request.prompt, configuration, steps: stepCount)
        adapterWeights = []
        isGuided = Self.isGuided(guidanceScale, configuration) || program.isComposed
    }

    /// The second pass at a larger size.
    ///
    /// - Parameters:
    ///   - size: of the first pass.
    ///   - steps: of the first pass.
    ///   - trained: timesteps of the model.
    private init(
        _ pass: SecondPass, after first: GenerationRequest, size: (width: Int, height: Int), steps: Int, of trained: Int,
        configuration: PipelineConfiguration
    ) throws {
        var request = first
        (request.initialLatents, request.secondPass) = (nil, nil)
        request.scheduler = pass.scheduler ?? request.scheduler
        request.negativePrompt = pass.negativePrompt ?? request.negativePrompt
        request.guidanceScale = pass.guidanceScale ?? request.guidanceScale
        if let prompt = pass.prompt { (request.prompt, request.promptBlend) = (prompt, nil) }
        let (prompt, weights) = try configuration.adapters.read(request)
        self.configuration = configuration
        (width, height) = pass.size(width: size.width, height: size.height, multiple: configuration.sizes.multiple)
        (start, pictureSize, enlargement) = (nil, nil, pass)
        try configuration.sizes.check(width: width)
        try configuration.sizes.check(height: height)
        let factor = configuration.spatialFactor
        latentShape = [request.batchCount, configuration.latentChannels, height / factor, width / factor]
        try Self.checkMemory(latentShape, pixels: width * height)
        guidanceScale = request.guidanceScale ?? configuration.defaultGuidanceScale
        guard Float(guidanceScale).isFinite else {
            throw PipelineError(
                "The guidance scale of the second pass is \(guidanceScale), expected a number that single precision holds.",
                kind: .invalidRequest)
        }
        let keepsSteps = configuration.family.keepsStepsOverPictures
        let (timesteps, share) = try pass.schedule(
            request, steps: Self.stepsAsked(request), of: trained, keepsSteps: keepsSteps)
        request.timestepRequest = timesteps
        if case .steps(let count) = timesteps { request.steps = count }
        (scheduler, firstIndex) = try Self.begin(request, configuration, strength: share, hasPicture: true)
        try request.stepCaching?.check(for: scheduler, options: request.stepOptions)
        strength = pass.strength
        self.request = request
        endIndex = scheduler.timesteps.count
        (followers, stepsBefore, adapterWeights) = ([], 0, weights)
        stepCount = Self.steps(request, scheduler, evaluations: endIndex - firstIndex)
        program = try Self.program(request, prompt: prompt, configuration, steps: max(stepCount, 1), after: steps)
        isGuided = Self.isGuided(guidanceScale, configuration) || program.isComposed
    }

    /// What a refiner does after the model, or the second pass at a larger size; nil for none.
    var follower: GenerationPlan? { followers.first }

    /// The size of what is made in the end, in pixels: that of the second pass, if there is one.
    public var finalSize: (width: Int, height: Int) {
        follower.map { ($0.width, $0.height) } ?? (width, height)
    }

    /// Steps of the whole run, those of a refiner or of the second pass included.
    public var totalStepCount: Int { stepCount + (follower.map { $0.enlargement == nil ? 0 : $0.stepCount } ?? 0) }

    /// Gives the picture to start from.
    ///
    /// - Parameters:
    ///   - image: of the size that the plan was made with; it is resized to ``width`` and ``height``.
    ///   - file: where it comes from, see ``GenerationRequest/inputFiles``.
    /// - Throws: ``PipelineError`` for a picture of another size.
    public mutating func setInitialImage(_ image: RGBImage, file: InputFiles.File? = nil) throws {
        guard let pictureSize, pictureSize == (image.width, image.height) else {
            throw PipelineError(
                "The picture to start from has \(image.width)×\(image.height) pixels, and the plan was made for "
                    + (pictureSize.map { "one of \($0.width)×\($0.height)." } ?? "none."), kind: .invalidRequest)
        }
        request.initialImage = image
        request.inputFiles.initialImage = file
    }

    /// Whether a model can run it as it is: the picture that it was made for may be missing, and another model's plan says other things.
    ///
    /// - Throws: ``PipelineError`` that says which of the two.
    func check(for model: PipelineConfiguration) throws {
        guard pictureSize == nil || request.initialImage != nil else {
            throw PipelineError("The plan was made for a picture to start from, which it wasn't given.", kind: .invalidRequest)
        }
        let places = [configuration, model].map { [$0.folder.url, $0.vaeFolder.url, $0.refiner?.folder.url] }
        guard places[0] == places[1] else {
            throw PipelineError(
                "The plan was made for the model \(configuration.folder.url.path), its VAE and its refiner, and not for "
                    + "\(model.folder.url.path) with its own.", kind: .invalidRequest)
        }
        let names = [configuration, model].map { $0.loras.map(\.name) }
        guard names[0] == names[1] else {
            throw PipelineError(
                "The plan was made for the LoRAs \(names[0].joined(separator: ", ")), and the model has \(names[1].joined(separator: ", ")): expected the same.",
                kind: .invalidRequest)
        }
    }

    /// Gives the noise to start from.
    ///
    /// - Parameters:
    ///   - latents: the noise, of the shape ``latentShape``.
    ///   - file: where it comes from, see ``GenerationRequest/inputFiles``.
    /// - Throws: ``PipelineError`` where it hasn't the shape ``latentShape``, or isn't finite.
    public mutating func setInitialLatents(_ latents: Latents, file: InputFiles.File? = nil) throws {
        try Self.check(latents, shape: latentShape)
        request.initialLatents = latents
        request.inputFiles.initialLatents = file
    }

    private static func firstIndex(
        _ request: GenerationRequest, strength: Double, scheduler: any Scheduler
    ) throws -> Int {
        // No step at all: the picture through the VAE.
        if strength == 0 { return scheduler.timesteps.count }
        let steps = stepsAsked(request)
        let index = scheduler.firstIndex(strength: strength, steps: steps)
        guard index < scheduler.timesteps.count else {
            throw PipelineError(
                "A strength of \(strength) leaves none of \(steps) steps: more of either is needed.",
                kind: .invalidRequest)
        }
        try scheduler.checkStart(at: index)
        return index
    }

    /// Refuses what can't be held even without the networks' own values: latents in single precision, several times, the pictures, and
    /// the pixels of one in single precision.
    private static func checkMemory(_ shape: [Int], pixels: Int) throws {
        let needed = 32 * shape.reduce(1.0) { $0 * Double($1) } + (3 * Double(shape[0]) + 24) * Double(pixels)
        let memory = Double(AvailableMemory.total)
        guard needed <= memory, let bytes = Int(exactly: needed.rounded()) else {
            throw PipelineError(
                String(
                    format: "Pictures of this number and size take more than %.0f GB, and there are %.0f GB of memory.",
                    needed / 1e9, memory / 1e9), kind: .outOfMemory)
        }
        do { try LargeArray.ask(bytes: bytes) } catch {
            throw PipelineError(
                "Pictures of this number and size take more than \(bytes) bytes, and the system doesn't give as many.",
                kind: .outOfMemory)
        }
    }

    private static func check(_ sizes: ConditionedSizes) throws {
        let given = [sizes.original, sizes.target].compactMap { $0 }
        let most = 1 << 20
        guard given.allSatisfy({ (1...most).contains($0.width) && (1...most).contains($0.height) }),
            (0...most).contains(sizes.crop.x), (0...most).contains(sizes.crop.y)
        else {
            throw PipelineError(
                "The sizes that the model is told are \(given.map { "\($0.width)×\($0.height)" }.joined(separator: " and ")) with a crop at "
                    + "\(sizes.crop.x),\(sizes.crop.y), expected 1 to \(most) pixels, and a crop at 0 or more.",
                kind: .invalidRequest)
        }
        guard sizes.aestheticScore.isFinite, sizes.negativeAestheticScore.isFinite else {
            throw PipelineError(
                "The aesthetic scores are \(sizes.aestheticScore) and \(sizes.negativeAestheticScore), expected numbers.",
                kind: .invalidRequest)
        }
    }

    private static func checkSeeds(_ request: GenerationRequest) throws {
        let largest = request.noiseSource.largestSeed
        if let seed = (request.seeds + request.variationSeeds).first(where: { $0 > largest }) {
            throw PipelineError(
                "The seed is \(seed), expected at most \(largest): NumPy's generator takes no larger one.",
                kind: .invalidRequest)
        }
        guard let variation = request.variation else { return }
        guard (0...1).contains(variation.strength) else {
            throw PipelineError(
                "The variation's strength is \(variation.strength), expected a number from 0 to 1.", kind: .invalidRequest)
        }
        guard request.initialLatents == nil else {
            throw PipelineError(
                "The request has noise to start from and a variation seed, which would be mixed into the noise of a seed: give one.",
                kind: .invalidRequest)
        }
    }

    private static func check(_ latents: Latents, shape: [Int]) throws {
        guard latents.shape == shape else {
            throw PipelineError(
                "The initial latents have the shape \(latents.shape), expected \(shape).", kind: .invalidRequest)
        }
        if let other = latents.values.first(where: { !$0.isFinite }) {
            throw PipelineError("The initial latents have the value \(other), expected finite numbers.", kind: .invalidRequest)
        }
    }

    private static func scheduler(
        for request: GenerationRequest, _ configuration: PipelineConfiguration
    ) throws -> any Scheduler {
        let registry = SchedulerRegistry.standard
        let isOwn = request.scheduler.map(SchedulerRegistry.isAutomatic) ?? true
        if isOwn, let own = configuration.scheduler.className, (try? registry.find(own)) == nil {
            throw PipelineError(
                "\(try configuration.folder.schedulerConfiguration().path) names the scheduler \"\(own)\", which isn't supported; "
                    + "choose one of \(registry.descriptors.map(\.shortName).joined(separator: ", ")).")
        }
        do {
            return try registry.make(
                request.scheduler, configuration: configuration.scheduler,
                request: request.timestepRequest ?? .steps(request.steps),
                overrides: request.schedulerOverrides)
        } catch let error as SchedulerError {
            guard case .invalidValue(_, let key, _, _) = error, request.schedulerOverrides[key] == nil else { throw error }
            throw PipelineError("\(try configuration.folder.schedulerConfiguration().path): \(error)")
        }
    }
}
