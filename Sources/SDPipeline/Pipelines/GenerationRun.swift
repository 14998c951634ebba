import GraphRuntime

/// One run of a pipeline, from the plan to the pictures: encoding, steps, decoding, each when it is asked for.
struct GenerationRun: Sendable {
    let plan: GenerationPlan
    private let pipeline: StableDiffusionPipeline
    private let start = ContinuousClock.now
    private var timings = GenerationResult.Timings()
    private(set) var denoising: DenoisingRun

    /// Encodes the prompts and makes the latents to start from.
    init(_ plan: GenerationPlan, pipeline: StableDiffusionPipeline, observer: (any RunObserver)?) throws {
        self.plan = plan
        self.pipeline = pipeline
        pipeline.modelHash.start()
        let clock = ContinuousClock()
        let prompts = plan.isGuided ? [plan.negativePrompt, plan.prompt] : [plan.prompt]
        let states = try clock.seconds(into: &timings.textEncoder) {
            try pipeline.promptEncoder.encode(prompts, observer: observer)
        }
        let request = plan.request
        let denoiser = try GuidedUNet(
            pipeline.unet, conditionings: states.map { pipeline.conditioning(of: $0, plan) },
            guidanceScale: request.guidanceScale, latentShape: plan.latentShape,
            computesPicturesAlone: request.batchSeeds == .consecutive)
        var noise = BatchNoise(request.batchSeeds, seed: request.seed, count: request.batchCount)
        let latents = try StartLatents(plan: plan, codec: pipeline.codec, observer: observer).make(&noise)
        // diffusers' pipeline passes an eta of 0 where none is stated, to TCD too.
        var options = request.stepOptions
        options.eta = options.eta ?? 0
        denoising = DenoisingRun(
            latents, scheduler: plan.scheduler, from: plan.firstIndex, denoiser: denoiser, options: options, noise: noise)
    }

    /// One step; false where there is none left.
    mutating func next(observer: (any RunObserver)? = nil) throws -> Bool { try denoising.next(observer: observer) }

    /// The pictures of the last step's latents.
    ///
    /// - Parameters:
    ///   - previews: pictures on the way, for the result.
    ///   - report: called with the number of pictures after each.
    mutating func finish(
        previews: [(evaluations: Int, images: [RGBImage])] = [], observer: (any RunObserver)? = nil,
        report: (Int) throws -> Void = { _ in }
    ) throws -> GenerationResult {
        pipeline.unet.component.session.releaseMemory()
        let (latents, codec) = (denoising.latents, pipeline.codec)
        let images = try ContinuousClock().seconds(into: &timings.vaeDecoder) {
            try Section.time("VAE decoder", for: observer) { try codec.decode(latents, observer: observer, report: report) }
        }
        timings.unet = denoising.denoiserSeconds
        timings.scheduler = denoising.schedulerSeconds
        timings.total = (ContinuousClock.now - start).seconds
        let records = pipeline.records(plan)
        return GenerationResult(
            images: images, latents: latents, previews: previews, records: records, seeds: records.map(\.seed),
            schedulerName: plan.scheduler.name, scheduler: records.first?.scheduler ?? "",
            timesteps: Array(plan.scheduler.timesteps.dropFirst(plan.firstIndex)), promptTokenCount: plan.prompt.count,
            negativePromptTokenCount: plan.negativePrompt.count, tokenLimit: plan.configuration.tokenLimit, timings: timings)
    }
}
