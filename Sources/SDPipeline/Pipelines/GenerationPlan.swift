import Foundation

/// A request, checked and completed with what the model says.
struct GenerationPlan {
    let request: GenerationRequest
    let width: Int
    let height: Int
    let scheduler: any Scheduler
    /// The scheduler's evaluation that the run begins with.
    let firstIndex: Int
    /// Whether the negative prompt takes part.
    let isGuided: Bool
    /// [batchCount, C, h, w].
    let latentShape: [Int]

    init(_ request: GenerationRequest, configuration: PipelineConfiguration) throws {
        self.request = request
        width = try Self.size(request.width ?? request.initialImage?.width, name: "width", configuration)
        height = try Self.size(request.height ?? request.initialImage?.height, name: "height", configuration)
        guard (1...4096).contains(request.batchCount) else {
            throw PipelineError("The batch count is \(request.batchCount), expected 1 to 4096.")
        }
        guard Float(request.guidanceScale).isFinite else {
            throw PipelineError(
                "The guidance scale is \(request.guidanceScale), expected a number that single precision holds.")
        }
        let factor = configuration.spatialFactor
        latentShape = [request.batchCount, configuration.latentChannels, height / factor, width / factor]
        try Self.checkMemory(latentShape, pixels: request.batchCount * width * height)
        try Self.checkInitialLatents(request, shape: latentShape)
        scheduler = try Self.scheduler(for: request, configuration)
        try request.stepOptions.check(for: type(of: scheduler).descriptor)
        firstIndex = try Self.firstIndex(request, scheduler: scheduler)
        if let image = request.initialImage {
            guard (image.width, image.height) == (width, height) else {
                throw PipelineError(
                    "The picture to start from has \(image.width)×\(image.height) pixels, expected \(width)×\(height) as asked for."
                )
            }
            _ = try configuration.folder.graph(of: "vae_encoder")
        }
        // A model that takes the scale as an input was distilled to need one run only.
        isGuided = request.guidanceScale > 1 && configuration.unet.guidanceEmbeddingWidth == nil
    }

    private static func firstIndex(_ request: GenerationRequest, scheduler: any Scheduler) throws -> Int {
        guard request.initialImage != nil else { return 0 }
        guard request.strength > 0, request.strength <= 1 else {
            throw PipelineError("The strength is \(request.strength), expected a number above 0 and up to 1.")
        }
        let steps: Int
        switch request.timestepRequest ?? .steps(request.steps) {
        case .steps(let count), .named(_, let count): steps = count
        case .timesteps(let list): steps = list.count
        case .sigmas(let list): steps = list.count - 1
        }
        let index = scheduler.firstIndex(strength: request.strength, steps: steps)
        guard index < scheduler.timesteps.count else {
            throw PipelineError("A strength of \(request.strength) leaves none of \(steps) steps: more of either is needed.")
        }
        try scheduler.checkStart(at: index)
        return index
    }

    private static func size(_ wanted: Int?, name: String, _ configuration: PipelineConfiguration) throws -> Int {
        let factor = configuration.spatialFactor
        let size = wanted ?? configuration.defaultSize
        let largest = PipelineConfiguration.largestSize
        guard size >= factor, size <= largest else {
            throw PipelineError("The \(name) is \(size), expected \(factor) to \(largest) pixels.")
        }
        guard size % factor == 0 else {
            let lower = size / factor * factor
            throw PipelineError(
                "The \(name) is \(size), expected a multiple of \(factor), such as \(lower) or \(lower + factor).")
        }
        return size
    }

    /// Refuses what can't be held even without the networks' own values: latents in single precision, twice, and the pictures.
    private static func checkMemory(_ shape: [Int], pixels: Int) throws {
        let needed = 8 * shape.reduce(1.0) { $0 * Double($1) } + 3 * Double(pixels)
        let memory = Double(ProcessInfo.processInfo.physicalMemory)
        guard needed <= memory else {
            throw PipelineError(
                String(
                    format: "Pictures of this number and size take more than %.0f GB, and the machine has %.0f GB of memory.",
                    needed / 1e9, memory / 1e9))
        }
    }

    private static func checkInitialLatents(_ request: GenerationRequest, shape: [Int]) throws {
        guard let given = request.initialLatents else { return }
        let count = shape.reduce(1, *)
        guard given.count == count else {
            throw PipelineError("The initial latents have \(given.count) values, expected \(count) for shape \(shape).")
        }
        if let other = given.first(where: { !$0.isFinite }) {
            throw PipelineError("The initial latents have the value \(other), expected finite numbers.")
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
