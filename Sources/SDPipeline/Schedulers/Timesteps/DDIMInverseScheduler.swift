/// DDIM run backwards, from a picture to the noise that it comes from (Song et al. 2021, section 4.3; Mokady et al. 2022). diffusers:
/// `DDIMInverseScheduler`.
///
/// Order 1, one evaluation a step; deterministic. Timesteps ascend: a step takes the sample to its timestep from the one below, with a
/// prediction that was made for its own.
public struct DDIMInverseScheduler: Scheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "DDIMInverseScheduler", shortName: "ddim-inverse",
        parameters: SchedulerParameter.noiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [
                .setAlphaToOne(default: true), .predictionType([.epsilon, .sample, .vPrediction]), .rescaleBetasZeroSNR,
                SchedulerParameter("timestep_spacing", .choice(["leading", "trailing"]), default: .text("leading")),
                SchedulerParameter(
                    "steps_offset",
                    .integer(-SchedulerParameter.largestTrainTimesteps...SchedulerParameter.largestTrainTimesteps),
                    default: .integer(0)),
            ] + SchedulerParameter.clipping(default: true),
        order: 1, isStochastic: false,
        modelKind: .inversion,
        paper: "Song, Meng, Ermon 2021, Denoising Diffusion Implicit Models (arXiv:2010.02502), section 4.3, eq. 14 backwards")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let noiseLevels: [NoiseLevel]
    private let schedule: NoiseSchedule
    private let wholeTimesteps: [Int]
    /// The level that each step starts from.
    private let startLevels: [NoiseLevel]
    private let prediction: PredictionType
    private let limit: OriginalSampleLimit

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        schedule = try NoiseSchedule(settings)
        prediction = try PredictionType(settings)
        limit = try OriginalSampleLimit(settings)
        let count = try request.stepCount(trainTimesteps: schedule.count, scheduler: settings.className)
        wholeTimesteps = try TimestepSpacing.wholeTimesteps(settings, trainTimesteps: schedule.count, count: count).reversed()
        timesteps = wholeTimesteps.map { Float($0) }
        let known = schedule
        let stride = known.count / count
        noiseLevels = try known.levels(at: wholeTimesteps, for: settings.className)
        let first = try settings.flag("set_alpha_to_one") ? 1 : known.alphasCumprod[0]
        startLevels = wholeTimesteps.map { timestep in
            let start = min(timestep - stride, known.count - 1)
            return NoiseLevel(alphaCumprod: start >= 0 ? known.alphasCumprod[start] : first)
        }
        try prediction.check(startLevels, scheduler: settings.className)
    }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let (start, end) = (startLevels[index], noiseLevels[index])
        var original = prediction.original(from: modelOutput, sample: sample, level: start)
        let epsilon = prediction.noise(from: modelOutput, sample: sample, level: start)
        original = limit.apply(original, batchSize: state.batchSize)
        state.stepsTaken += 1
        return weightedSum((end.alpha, original), (end.sigma, epsilon))
    }

    public func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        return try schedule.addNoise(to: original, noise: noise, timestep: wholeTimesteps[index], for: name)
    }
}
