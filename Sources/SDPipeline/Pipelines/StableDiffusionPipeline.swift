import Foundation
import GraphRuntime

/// Text to picture with a Stable Diffusion model in ONNX form (Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion
/// Models", 2022), with the conventions of diffusers' `StableDiffusionPipeline`: same seed and settings, same picture.
///
/// Safe to use from several threads at once.
public final class StableDiffusionPipeline: Sendable {
    /// What the model's files say.
    public let configuration: PipelineConfiguration
    let textEncoder: TextEncoder
    let unet: UNet
    let vae: VAEDecoder
    let options: SessionOptions
    /// The SHA-256 of the model's files, read beside the first pictures.
    public let modelHash: ModelHash

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - url: a folder as optimum or diffusers export it; nil takes ``ModelFolder/defaultURL(environment:)``.
    ///   - threads: the threads to run on.
    ///   - optimize: see ``SessionOptions/optimize``.
    ///   - savesMemory: see ``SessionOptions/savesMemory``.
    ///   - precision: see ``SessionOptions/precision``.
    ///   - limits: what each graph may take of the machine.
    /// - Throws: ``PipelineError``, ``SchedulerError`` or ``TokenizerError`` with the file that is missing or malformed.
    public convenience init(
        modelFolder url: URL? = nil, threads: ThreadPool = ThreadPool(), optimize: Bool = true, savesMemory: Bool = false,
        precision: Precision = .single, limits: ResourceLimits = ResourceLimits()
    ) throws {
        try self.init(
            PipelineConfiguration(modelFolder: url), threads: threads, optimize: optimize, savesMemory: savesMemory,
            precision: precision, limits: limits)
    }

    /// Loads the graphs of a model whose configuration has been read.
    ///
    /// - Throws: ``PipelineError`` with the file that is malformed or can't be run.
    public init(
        _ configuration: PipelineConfiguration, threads: ThreadPool = ThreadPool(), optimize: Bool = true,
        savesMemory: Bool = false, precision: Precision = .single, limits: ResourceLimits = ResourceLimits()
    ) throws {
        self.configuration = configuration
        let folder = configuration.folder
        var options = SessionOptions(optimize: optimize, threads: threads, savesMemory: savesMemory, precision: precision)
        options.steadyInputs = UNet.steadyInputs
        options.limits = limits
        self.options = options
        modelHash = ModelHash(folder)
        textEncoder = try TextEncoder(Component("text_encoder", folder: folder, options: options))
        unet = try UNet(Component("unet", folder: folder, options: options), configuration: configuration.unet)
        vae = try VAEDecoder(Component("vae_decoder", folder: folder, options: options), configuration: configuration.vae)
    }

    /// Makes pictures.
    ///
    /// - Parameters:
    ///   - observer: watches every node of every graph.
    ///   - progress: called after each part; false stops the generation with ``CancellationError``.
    /// - Throws: ``PipelineError`` for a request that the model can't meet and for numbers that aren't finite, ``SchedulerError`` for
    ///   scheduler settings, `CancellationError` also where the task that this runs in is cancelled: between two nodes of a graph.
    public func generate(
        _ request: GenerationRequest, observer: (any RunObserver)? = nil, progress: (GenerationProgress) -> Bool = { _ in true }
    ) throws -> GenerationResult {
        let clock = ContinuousClock()
        let start = clock.now
        var timings = GenerationResult.Timings()
        func report(_ state: GenerationProgress) throws {
            try Task.checkCancellation()
            if !progress(state) { throw CancellationError() }
        }

        let plan = try GenerationPlan(request, configuration: configuration)
        modelHash.start()
        try report(.encodingPrompt)
        let states = try clock.seconds(into: &timings.textEncoder) { try encodePrompts(plan, observer: observer) }
        // The values of one graph make room for those of the next.
        textEncoder.component.session.releaseMemory()

        let shape = plan.latentShape
        let batches = try batches(states, plan)
        var noise = BatchNoise(request.batchSeeds, seed: request.seed, count: request.batchCount)
        var latents = try startLatents(plan, noise: &noise, observer: observer)
        var state = plan.scheduler.makeState(batchSize: request.batchCount)
        let timesteps = plan.scheduler.timesteps
        let total = timesteps.count - plan.firstIndex
        // diffusers' pipeline passes an eta of 0 where none is stated, to TCD too.
        var options = request.stepOptions
        options.eta = options.eta ?? 0
        var previews: [(evaluations: Int, images: [RGBImage])] = []
        func preview(_ evaluations: Int) throws {
            guard let interval = request.previewInterval, interval > 0 else { return }
            guard evaluations % interval == 0 || evaluations == total else { return }
            // What the model sees has the same scale at every step.
            let seen =
                evaluations < total
                ? try plan.scheduler.scaleModelInput(latents, at: plan.firstIndex + evaluations) : latents
            previews.append((evaluations, try decode(seen, shape: shape, observer: observer) { _ in }))
        }
        let live = try request.livePreview.map { try LivePicture($0, pipeline: self) }
        try report(.step(completed: 0, total: total))
        try preview(0)
        for (completed, index) in zip(1..., timesteps.indices.dropFirst(plan.firstIndex)) {
            let prediction = try clock.seconds(into: &timings.unet) {
                try Section.time("U-Net step \(index + 1)", for: observer) {
                    try predict(
                        plan.scheduler.scaleModelInput(latents, at: index), shape: shape, timestep: timesteps[index],
                        batches: batches, plan: plan, observer: observer)
                }
            }
            latents = try clock.seconds(into: &timings.scheduler) {
                try Section.time("scheduler", for: observer) {
                    try plan.scheduler.step(
                        prediction, at: index, sample: latents, state: &state, options: options,
                        noise: { noise.normal(count: $0) })
                }
            }
            guard latents.span.isFinite else { throw notFinite(plan, step: completed, of: total) }
            try report(.step(completed: completed, total: total))
            try preview(completed)
            if let live, live.isDue(completed, of: total) {
                let seen = try plan.scheduler.scaleModelInput(latents, at: index + 1)
                try report(.preview(completed: completed, total: total, images: try live.images(seen, shape: shape)))
            }
        }
        unet.component.session.releaseMemory()
        let images = try clock.seconds(into: &timings.vaeDecoder) {
            try Section.time("VAE decoder", for: observer) {
                try decode(latents, shape: shape, observer: observer, report: report)
            }
        }
        timings.total = (clock.now - start).seconds
        let records = records(plan)
        return GenerationResult(
            images: images, latents: latents, latentShape: shape, previews: previews, records: records,
            seeds: records.map(\.seed), schedulerName: plan.scheduler.name, scheduler: records.first?.scheduler ?? "",
            timesteps: Array(timesteps.dropFirst(plan.firstIndex)),
            promptTokenCount: records.first?.promptTokens ?? 0,
            negativePromptTokenCount: records.first?.negativePromptTokens ?? 0, tokenLimit: configuration.tokenLimit,
            timings: timings)
    }

    /// What a person can do where the scheduler's arithmetic left single precision.
    private func notFinite(_ plan: GenerationPlan, step: Int, of total: Int) -> PipelineError {
        PipelineError(
            "The latents aren't finite numbers after step \(step) of \(total), though the U-Net's predictions are: "
                + "the guidance scale \(plan.request.guidanceScale) is too large for \(plan.scheduler.name) with these settings. "
                + "What helps: a smaller guidance scale, or another scheduler.",
            kind: .notFinite(component: "scheduler"))
    }

    /// Noise as the scheduler starts from it; or the latents of the picture to start from, with the noise of the first step. As in diffusers
    /// these latents are draws from the encoder's distribution: one that all pictures share where they share a generator, else one each.
    private func startLatents(
        _ plan: GenerationPlan, noise: inout BatchNoise, observer: (any RunObserver)?
    ) throws -> [Float] {
        let (request, count) = (plan.request, plan.latentShape.reduce(1, *))
        guard let image = request.initialImage else {
            return (request.initialLatents ?? noise.normal(count: count)).map { $0 * plan.scheduler.initNoiseSigma }
        }
        // Loaded for this run alone: most runs don't need it.
        let encoder = try VAEEncoder(
            Component("vae_encoder", folder: configuration.folder, options: options), configuration: configuration.vae)
        let resized = try image.resized(width: plan.width, height: plan.height)
        let distribution = try encoder.distribution(
            of: PixelConversion.pixels(from: [resized]), height: plan.height, width: plan.width, observer: observer)
        let pictures = plan.latentShape[0]
        let mean = distribution.mean
        // Without a step, the most likely latents: the picture as the VAE sees it.
        guard plan.firstIndex < plan.scheduler.timesteps.count else {
            let latents = encoder.scaled(mean)
            return (0..<pictures).flatMap { _ in latents }
        }
        var drawn = (0..<pictures).flatMap { _ in mean }
        if let deviation = distribution.deviation {
            let draws = noise.normal(count: noise.isShared ? mean.count : drawn.count)
            for index in drawn.indices {
                drawn[index] += deviation[index % mean.count] * draws[index % draws.count]
            }
        }
        return try plan.scheduler.addNoise(
            to: encoder.scaled(drawn), noise: request.initialLatents ?? noise.normal(count: count), at: plan.firstIndex)
    }

    /// The states of the negative prompt and the prompt, [2, tokens, width]; of the prompt alone, [1, tokens, width], without guidance.
    private func encodePrompts(_ plan: GenerationPlan, observer: (any RunObserver)?) throws -> Tensor {
        let texts = plan.isGuided ? [plan.request.negativePrompt, plan.request.prompt] : [plan.request.prompt]
        let rows = Section.time("tokenizer", for: observer) {
            texts.map { configuration.tokenizer.encode($0, paddedTo: configuration.tokenLimit).ids }
        }
        return try Section.time("text encoder", for: observer) { try textEncoder.encode(rows, observer: observer) }
    }

    /// Rows that one run of the U-Net takes.
    private struct Batch {
        /// The picture that each row is of.
        let pictures: [Int]
        /// Rows whose predictions count; the others fill up a fixed batch.
        let count: Int
        let states: Tensor
    }

    /// All rows: for each picture the negative prompt's and the prompt's prediction, or the prompt's alone.
    private func batches(_ states: Tensor, _ plan: GenerationPlan) throws -> [Batch] {
        let perPicture = plan.isGuided ? 2 : 1
        let rowCount = plan.latentShape[0] * perPicture
        // A picture with a generator of its own is computed alone, so that not even its rounding depends on the others.
        let pictures = plan.request.batchSeeds == .consecutive ? 1 : rowsAtOnce(plan.latentShape)
        let step = unet.fixedBatch ?? min(rowCount, pictures * perPicture)
        let width = states.count / perPicture
        let values = try states.array(of: Float.self)
        // Batches of the same prompts share one tensor.
        var tensors: [[Int]: Tensor] = [:]
        return try stride(from: 0, to: rowCount, by: step).map { first in
            // An export of a fixed batch gets its last rows filled up with copies.
            let rows = (first..<first + step).map { min($0, rowCount - 1) }
            let prompts = rows.map { $0 % perPicture }
            let tensor =
                try tensors[prompts]
                ?? unet.states(
                    prompts.flatMap { values[$0 * width..<($0 + 1) * width] },
                    shape: [step] + states.shape.dimensions.dropFirst())
            tensors[prompts] = tensor
            return Batch(pictures: rows.map { $0 / perPicture }, count: min(step, rowCount - first), states: tensor)
        }
    }

    /// The guided prediction for all pictures.
    private func predict(
        _ latents: [Float], shape: [Int], timestep: Float, batches: [Batch], plan: GenerationPlan, observer: (any RunObserver)?
    ) throws -> [Float] {
        let size = shape[1] * shape[2] * shape[3]
        var predictions: [Float] = []
        for batch in batches {
            let output = try unet.predict(
                latents: batch.pictures.flatMap { latents[$0 * size..<($0 + 1) * size] },
                shape: [batch.pictures.count] + shape.dropFirst(), timestep: timestep, states: batch.states,
                guidanceScale: plan.request.guidanceScale, observer: observer)
            predictions += output.prefix(batch.count * size)
        }
        guard plan.isGuided else { return predictions }
        let scale = Float(plan.request.guidanceScale)
        return (0..<shape[0]).flatMap { picture in
            let start = picture * 2 * size
            return (start..<start + size).map { predictions[$0] + scale * (predictions[$0 + size] - predictions[$0]) }
        }
    }

    /// Pictures that one run of the U-Net takes: as many as together have the latents of one 512×512 picture, so that memory doesn't
    /// grow with the number of pictures.
    private func rowsAtOnce(_ shape: [Int]) -> Int { max(4096 / (shape[2] * shape[3]), 1) }

    func decode(
        _ latents: [Float], shape: [Int], observer: (any RunObserver)?, report: (GenerationProgress) throws -> Void
    ) throws -> [RGBImage] {
        let size = shape[1] * shape[2] * shape[3]
        let factor = configuration.spatialFactor
        return try (0..<shape[0]).map { picture in
            let pixels = try vae.decode(
                Array(latents[picture * size..<(picture + 1) * size]), height: shape[2], width: shape[3], observer: observer)
            try report(.decoding(completed: picture + 1, total: shape[0]))
            return try PixelConversion.images(from: pixels, width: shape[3] * factor, height: shape[2] * factor)[0]
        }
    }
}

extension ContinuousClock {
    /// Runs `body` and adds the seconds that it took.
    fileprivate func seconds<Result>(into total: inout Double, _ body: () throws -> Result) rethrows -> Result {
        let start = now
        defer { total += (now - start).seconds }
        return try body()
    }
}

extension Duration {
    fileprivate var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
