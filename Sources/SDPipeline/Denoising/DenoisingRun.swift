import GraphRuntime

/// The reverse process, from noisy latents to those of pictures: one evaluation of the model after the other, when it is asked for.
///
/// A value: everything that changes in a run is in it. There is no other loop, for whichever family or task.
struct DenoisingRun: Sendable {
    /// Latents after so many evaluations, N pictures of [C, h, w] each.
    private(set) var latents: Latents
    /// Evaluations so far.
    private(set) var completed = 0
    /// Evaluations of the whole run.
    let total: Int
    /// Seconds that the denoiser took for each evaluation so far.
    private(set) var denoiserSeconds: [Double] = []
    /// Seconds that the scheduler took so far.
    private(set) var schedulerSeconds = 0.0

    private let scheduler: any Scheduler
    private var denoiser: any Denoiser
    private let constraint: KeptLatents?
    private let options: SchedulerStepOptions
    private let firstIndex: Int
    private var state: SchedulerState
    private(set) var noise: BatchNoise

    /// - Parameters:
    ///   - latents: as the scheduler starts from them at the first evaluation.
    ///   - range: the evaluations to make, of the scheduler's.
    ///   - constraint: changes the latents after every step.
    ///   - noise: what the scheduler draws from.
    init(
        _ latents: Latents, scheduler: any Scheduler, range: Range<Int>, denoiser: any Denoiser,
        constraint: KeptLatents? = nil, options: SchedulerStepOptions, noise: BatchNoise
    ) {
        self.latents = latents
        self.scheduler = scheduler
        firstIndex = range.lowerBound
        self.denoiser = denoiser
        self.constraint = constraint
        self.options = options
        self.noise = noise
        total = range.count
        state = scheduler.makeState(batchSize: latents.pictureCount)
    }

    /// The latents as the model sees them next, which have one scale throughout the run; at the scheduler's end, as they are.
    var scaledLatents: Latents {
        get throws {
            guard firstIndex + completed < scheduler.timesteps.count else { return latents }
            return latents.with(try scheduler.scaleModelInput(latents.values, at: firstIndex + completed))
        }
    }

    /// One evaluation and one step of the scheduler.
    ///
    /// - Returns: false where the run is over.
    /// - Throws: ``PipelineError`` where a graph fails or numbers stop being finite, ``SchedulerError``, `CancellationError`.
    mutating func next(observer: (any RunObserver)?) throws -> Bool {
        guard completed < total else { return false }
        let index = firstIndex + completed
        let evaluation = Evaluation(
            index: index, timestep: scheduler.timesteps[index], noiseLevel: scheduler.noiseLevels[index], ordinal: index)
        let clock = ContinuousClock()
        let begin = clock.now
        let prediction = try Section.time("U-Net step \(evaluation.index + 1)", for: observer) {
            try denoiser.predict(scaledLatents, at: evaluation, observer: observer)
        }
        let middle = clock.now
        latents = try Section.time("scheduler", for: observer) {
            latents.with(
                try scheduler.step(
                    prediction.values, at: evaluation.index, sample: latents.values, state: &state, options: options,
                    noise: { noise.normal(count: $0) }))
        }
        if let constraint { latents = try constraint.apply(to: latents, after: evaluation.index) }
        denoiserSeconds.append((middle - begin).seconds)
        schedulerSeconds += (clock.now - middle).seconds
        completed += 1
        guard latents.values.span.isFinite else {
            throw PipelineError(
                "The latents aren't finite numbers after step \(completed) of \(total), though the U-Net's predictions are: "
                    + "the guidance scale or another setting is too large for \(scheduler.name). "
                    + "What helps: a smaller guidance scale, or another scheduler.",
                kind: .notFinite(component: "scheduler"))
        }
        return true
    }
}
