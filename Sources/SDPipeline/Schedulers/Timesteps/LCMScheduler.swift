/// Multistep sampling of latent consistency models: each step predicts the original sample and adds new noise (Luo et al. 2023).
/// diffusers: `LCMScheduler`.
///
/// Order 1, one evaluation a step, 1 to 8 steps suit such models; stochastic but for the last step.
public struct LCMScheduler: Scheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "LCMScheduler", shortName: "lcm", parameters: ConsistencyTimesteps.parameters, order: 1, isStochastic: true,
        takesTimesteps: true,
        modelKind: .consistency,
        paper:
            "Luo et al. 2023, Latent Consistency Models (arXiv:2310.04378), alg. 3, after Song et al. 2023 (arXiv:2303.01469), alg. 1"
    )

    /// Karras et al. 2022, table 1, in the boundary condition of Song et al. 2023, appendix C.
    private static let dataSigma: Float = 0.5

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let noiseLevels: [NoiseLevel]
    private let schedule: NoiseSchedule
    private let wholeTimesteps: [Int]
    private let prediction: PredictionType
    private let limit: OriginalSampleLimit
    private let scaling: Float

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        schedule = try NoiseSchedule(settings)
        prediction = try PredictionType(settings)
        limit = try OriginalSampleLimit(settings)
        scaling = Float(try settings.number("timestep_scaling"))
        wholeTimesteps = try ConsistencyTimesteps.timesteps(settings, request: request)
        timesteps = wholeTimesteps.map { Float($0) }
        noiseLevels = try schedule.levels(at: wholeTimesteps, predicting: prediction, for: settings.className)
    }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        var original = prediction.original(from: modelOutput, sample: sample, level: noiseLevels[index])
        original = limit.apply(original, batchSize: state.batchSize)
        let time = timesteps[index] * scaling
        let square = Self.dataSigma * Self.dataSigma
        let kept = square / (time * time + square)
        let predicted = time / (time * time + square).squareRoot()
        let denoised = weightedSum((predicted, original), (kept, sample))
        state.stepsTaken += 1
        guard index + 1 < timesteps.count else { return denoised }
        let next = noiseLevels[index + 1]
        return weightedSum((next.alpha, denoised), (next.sigma, try draw(sample.count, from: noise)))
    }

    public func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        return try schedule.addNoise(to: original, noise: noise, timestep: wholeTimesteps[index], for: name)
    }
}
