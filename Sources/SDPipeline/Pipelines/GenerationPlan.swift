import Foundation

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
    /// Whether the negative prompt takes part.
    public let isGuided: Bool
    let configuration: PipelineConfiguration
    let prompt: PromptTokens
    let negativePrompt: PromptTokens
    /// The size of the picture to start from.
    let start: (width: Int, height: Int)?

    init(
        _ request: GenerationRequest, configuration: PipelineConfiguration, start: (width: Int, height: Int)? = nil
    ) throws {
        self.request = request
        self.configuration = configuration
        let sizes = configuration.sizes
        let start = start ?? request.initialImage.map { ($0.width, $0.height) }
        self.start = start
        width = request.width ?? start.map { sizes.nearestWidth(to: $0.width) } ?? sizes.defaultWidth
        height = request.height ?? start.map { sizes.nearestHeight(to: $0.height) } ?? sizes.defaultHeight
        try sizes.check(width: width)
        try sizes.check(height: height)
        guard (1...4096).contains(request.batchCount) else {
            throw PipelineError("The batch count is \(request.batchCount), expected 1 to 4096.", kind: .invalidRequest)
        }
        guard Float(request.guidanceScale).isFinite else {
            throw PipelineError(
                "The guidance scale is \(request.guidanceScale), expected a number that single precision holds.",
                kind: .invalidRequest)
        }
        let factor = configuration.spatialFactor
        latentShape = [request.batchCount, configuration.latentChannels, height / factor, width / factor]
        try Self.checkMemory(latentShape, pixels: width * height)
        if let given = request.initialLatents { try Self.check(given, shape: latentShape) }
        scheduler = try Self.scheduler(for: request, configuration)
        try request.stepOptions.check(for: type(of: scheduler).descriptor)
        firstIndex = start == nil ? 0 : try Self.firstIndex(request, scheduler: scheduler)
        if start != nil { _ = try configuration.folder.graph(of: "vae_encoder") }
        // A model that takes the scale as an input was distilled to need one run only.
        isGuided = request.guidanceScale > 1 && configuration.unet.guidanceEmbeddingWidth == nil
        prompt = configuration.tokenizers.encode(request.prompt)
        negativePrompt = configuration.tokenizers.encode(request.negativePrompt)
    }

    /// Gives the picture to start from, whose size the plan was made with.
    ///
    /// - Parameters:
    ///   - image: of any size: it is resized to ``width`` and ``height``.
    ///   - file: where it comes from, see ``GenerationRequest/inputFiles``.
    public mutating func setInitialImage(_ image: RGBImage, file: InputFiles.File? = nil) {
        request.initialImage = image
        request.inputFiles.initialImage = file
    }

    /// Gives the noise to start from.
    ///
    /// - Parameter file: where it comes from, see ``GenerationRequest/inputFiles``.
    /// - Throws: ``PipelineError`` where it hasn't the shape ``latentShape``, or isn't finite.
    public mutating func setInitialLatents(_ latents: Latents, file: InputFiles.File? = nil) throws {
        try Self.check(latents, shape: latentShape)
        request.initialLatents = latents
        request.inputFiles.initialLatents = file
    }

    private static func firstIndex(_ request: GenerationRequest, scheduler: any Scheduler) throws -> Int {
        guard request.strength >= 0, request.strength <= 1 else {
            throw PipelineError("The strength is \(request.strength), expected a number from 0 to 1.", kind: .invalidRequest)
        }
        // No step at all: the picture through the VAE.
        if request.strength == 0 { return scheduler.timesteps.count }
        let steps: Int
        switch request.timestepRequest ?? .steps(request.steps) {
        case .steps(let count), .named(_, let count): steps = count
        case .timesteps(let list): steps = list.count
        case .sigmas(let list): steps = list.count - 1
        }
        let index = scheduler.firstIndex(strength: request.strength, steps: steps)
        guard index < scheduler.timesteps.count else {
            throw PipelineError(
                "A strength of \(request.strength) leaves none of \(steps) steps: more of either is needed.",
                kind: .invalidRequest)
        }
        try scheduler.checkStart(at: index)
        return index
    }

    /// Refuses what can't be held even without the networks' own values: latents in single precision, several times, the pictures, and
    /// the pixels of one in single precision.
    private static func checkMemory(_ shape: [Int], pixels: Int) throws {
        let needed = 32 * shape.reduce(1.0) { $0 * Double($1) } + (3 * Double(shape[0]) + 24) * Double(pixels)
        let memory = Double(ProcessInfo.processInfo.physicalMemory)
        guard needed <= memory, let bytes = Int(exactly: needed.rounded()) else {
            throw PipelineError(
                String(
                    format: "Pictures of this number and size take more than %.0f GB, and the machine has %.0f GB of memory.",
                    needed / 1e9, memory / 1e9), kind: .outOfMemory)
        }
        do { try LargeArray.ask(bytes: bytes) } catch {
            throw PipelineError(
                "Pictures of this number and size take more than \(bytes) bytes, and the system doesn't give as many.",
                kind: .outOfMemory)
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
