import GraphRuntime

/// One run of a pipeline, from the plan to the pictures: encoding, steps, decoding, each when it is asked for.
struct GenerationRun: Sendable {
    let plan: GenerationPlan
    /// Evaluations of the whole run.
    let total: Int
    private let start = ContinuousClock.now
    private var timings = GenerationResult.Timings()
    /// The pipeline whose steps are being taken: the refiner's at last, if there is one.
    private var pipeline: StableDiffusionPipeline
    /// That of the plan.
    private let model: StableDiffusionPipeline
    private var denoising: DenoisingRun
    /// Where the pictures go.
    private let place: PicturePlace?
    /// With a mask, what keeps the rest of the picture from a refiner.
    private let kept: KeptLatents?
    /// Of the pipelines before.
    private var earlierSteps = 0
    private var timesteps: [Float]
    /// Pixels along each side of the tiles that the VAE worked in; nil for none.
    private var tilePixels: Int?
    /// What is left for a refiner, or for a second pass.
    private var following: Following?

    /// A plan that begins with the latents of another one.
    private struct Following: Sendable {
        let plan: GenerationPlan
        let pipeline: StableDiffusionPipeline
    }

    /// Encodes the prompts and makes the latents to start from.
    init(_ plan: GenerationPlan, pipeline: StableDiffusionPipeline, observer: (any RunObserver)?) throws {
        try plan.check(for: pipeline.configuration)
        self.plan = plan
        self.pipeline = pipeline
        model = pipeline
        pipeline.modelHash.start()
        if let next = plan.follower, let other = next.enlargement == nil ? pipeline.refiner : pipeline {
            following = Following(plan: next, pipeline: other)
        }
        total = [plan, following?.plan].compactMap { $0 }.map { $0.endIndex - $0.firstIndex }.reduce(0, +)
        timesteps = Array(plan.scheduler.timesteps[plan.firstIndex..<plan.endIndex])
        var noise = BatchNoise(plan.request)
        let picture = try StartPicture(plan)
        place = picture?.place
        let predictor = try pipeline.predictor(plan, region: place?.region)
        var denoiser = try Self.denoiser(plan, pipeline, predictor, &timings, observer: observer)
        let codec = pipeline.codec.tiled(plan.request.vaeTiling)
        let start = try StartLatents(plan, picture: picture, codec: codec, noise: &noise, observer: observer)
        tilePixels = try picture.flatMap { try codec.encoderTiles(width: $0.image.width, height: $0.image.height)?.pixels }
        if let channels = start.channels { denoiser = InpaintingDenoiser(denoiser: denoiser, channels: channels) }
        kept = start.kept
        denoising = DenoisingRun(
            plan, start.latents, denoiser: denoiser, constraint: start.channels == nil ? kept : nil, noise: noise)
    }

    /// The autoencoder of the pipeline whose steps are being taken.
    var codec: LatentCodec { pipeline.codec.tiled(plan.request.vaeTiling) }

    /// Evaluations so far.
    var completed: Int { earlierSteps + denoising.completed }

    /// The latents after them.
    var latents: Latents { denoising.latents }

    /// See ``DenoisingRun/scaledLatents``.
    var scaledLatents: Latents { get throws { try denoising.scaledLatents } }

    /// One step; false where there is none left.
    mutating func next(observer: (any RunObserver)? = nil) throws -> Bool {
        if try denoising.next(observer: observer) { return true }
        guard let following else { return false }
        self.following = nil
        // The values of one model's graphs make room for those of the next.
        pipeline.releaseNetworks()
        let (earlier, next, other) = (denoising, following.plan, following.pipeline)
        let start = try next.enlargement.map {
            try EnlargedLatents(earlier.latents, $0, plan: next, pipeline: other, observer: observer)
        }
        let denoiser = try Self.denoiser(next, other, other.predictor(next, region: nil), &timings, observer: observer)
        add(earlier)
        earlierSteps += earlier.completed
        timesteps += next.scheduler.timesteps[next.firstIndex..<next.endIndex]
        pipeline = other
        var kept = kept
        kept?.scheduler = next.scheduler
        denoising = DenoisingRun(
            next, start?.latents ?? earlier.latents, denoiser: denoiser, constraint: kept, noise: start?.noise ?? earlier.noise)
        return try denoising.next(observer: observer)
    }

    /// The pictures of the last step's latents.
    ///
    /// - Parameters:
    ///   - previews: pictures on the way, for the result.
    ///   - report: called with the number of pictures after each.
    mutating func finish(
        previews: [(evaluations: Int, images: [RGBImage])] = [], observer: (any RunObserver)? = nil,
        report: (Int) throws -> Void = { _ in }
    ) throws -> GenerationResult {
        pipeline.releaseNetworks()
        let (latents, codec, place) = (denoising.latents, codec, place)
        tilePixels = try codec.decoderTiles(for: latents)?.pixels ?? tilePixels
        var images = try ContinuousClock().seconds(into: &timings.vaeDecoder) {
            try Section.time("VAE decoder", for: observer) {
                try codec.decode(latents, observer: observer, report: report)
            }
        }
        let flagged = try checked(&images, observer: observer)
        if let place { images = try images.map(place.pasting) }
        add(denoising)
        timings.total = (ContinuousClock.now - start).seconds
        var records = model.records(plan)
        var previews = previews
        for index in records.indices { records[index].vaeTile = tilePixels }
        for (number, isFlagged) in (flagged ?? []).enumerated() {
            records[number].isFlagged = isFlagged
            guard isFlagged else { continue }
            for index in previews.indices { previews[index].images[number] = try previews[index].images[number].blackened }
        }
        let notices =
            tilePixels.flatMap { plan.request.vaeTiling == .automatic ? [GenerationNotice.vaeTiled(pixels: $0)] : nil } ?? []
        return GenerationResult(
            images: images, flagged: flagged, latents: latents, previews: previews, records: records,
            seeds: records.map(\.seed),
            schedulerName: plan.scheduler.name, scheduler: records.first?.scheduler ?? "", timesteps: timesteps,
            promptTokenCount: plan.promptTokenCount, negativePromptTokenCount: plan.negativePromptTokenCount,
            tokenLimit: plan.configuration.tokenLimit, notices: notices, timings: timings)
    }

    /// Blackens the pictures that the safety checker flags; nil where it isn't asked.
    private func checked(_ images: inout [RGBImage], observer: (any RunObserver)?) throws -> [Bool]? {
        guard plan.request.checksSafety else { return nil }
        return try Section.time("safety checker", for: observer) {
            let checker = try model.safetyChecker()
            return try images.indices.map { index in
                let isFlagged = try checker.flags(images[index], observer: observer)
                if isFlagged { images[index] = try images[index].blackened }
                return isFlagged
            }
        }
    }

    private mutating func add(_ run: DenoisingRun) {
        timings.unetEvaluations += run.denoiserSeconds
        timings.unet = timings.unetEvaluations.reduce(0, +)
        timings.scheduler += run.schedulerSeconds
    }

    /// The U-Net of a pipeline with what its family and the task put around it.
    private static func denoiser(
        _ plan: GenerationPlan, _ pipeline: StableDiffusionPipeline, _ predictor: any RowPredictor,
        _ timings: inout GenerationResult.Timings, observer: (any RunObserver)?
    ) throws -> any Denoiser {
        let conditionings = try ContinuousClock().seconds(into: &timings.textEncoder) {
            try pipeline.conditionings(plan, observer: observer)
        }
        // Steps with the same texts, which count as much, share a denoiser.
        var (denoisers, known): ([GuidedUNet], [GenerationPlan.Guidance: Int]) = ([], [:])
        let choices = try (plan.firstIndex..<max(plan.endIndex, plan.firstIndex + 1)).map { evaluation in
            let guidance = plan.guidance(at: evaluation)
            if let index = known[guidance] { return index }
            known[guidance] = denoisers.count
            denoisers.append(
                try GuidedUNet(
                    predictor, conditionings: guidance.texts.compactMap { conditionings[$0] }, scales: guidance.scales,
                    latentShape: plan.latentShape, computesPicturesAlone: plan.request.batchSeeds == .consecutive))
            return denoisers.count - 1
        }
        if denoisers.count == 1 { return denoisers[0] }
        return ScheduledDenoiser(denoisers: denoisers, choices: choices, firstIndex: plan.firstIndex)
    }
}

extension DenoisingRun {
    /// The run of a plan.
    init(
        _ plan: GenerationPlan, _ latents: Latents, denoiser: any Denoiser, constraint: KeptLatents? = nil, noise: BatchNoise
    ) {
        // diffusers' pipeline passes an eta of 0 where none is stated, to TCD too.
        var options = plan.request.stepOptions
        options.eta = options.eta ?? 0
        var denoiser = denoiser
        if let threshold = plan.request.stepCaching?.forecastThreshold {
            denoiser = ForecastDenoiser(
                denoiser, threshold: threshold, lastIndex: plan.endIndex - 1, breaks: plan.changesOfConditions)
        }
        self.init(
            latents, scheduler: plan.scheduler, range: plan.firstIndex..<plan.endIndex, denoiser: denoiser,
            constraint: constraint, options: options, noise: noise)
    }
}
