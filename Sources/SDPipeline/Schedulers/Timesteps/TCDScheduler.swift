/// Trajectory consistency distillation: each step jumps to an earlier timestep and adds the noise back up to the next one (Zheng et al.
/// 2024). diffusers: `TCDScheduler`.
///
/// Order 1, one evaluation a step; stochastic but for the last step, deterministic with `eta` (the paper's γ) 0. Default 0.3.
public struct TCDScheduler: Scheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "TCDScheduler", shortName: "tcd", parameters: ConsistencyTimesteps.parameters, stepOptions: ["eta"],
        order: 1,
        isStochastic: true, takesTimesteps: true,
        modelKind: .consistency,
        paper: "Zheng et al. 2024, Trajectory Consistency Distillation (arXiv:2402.19159), alg. 4")

    private static let defaultEta = 0.3

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let noiseLevels: [NoiseLevel]
    private let schedule: NoiseSchedule
    private let wholeTimesteps: [Int]
    private let prediction: PredictionType

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        schedule = try NoiseSchedule(settings)
        prediction = try PredictionType(settings)
        wholeTimesteps = try ConsistencyTimesteps.timesteps(settings, request: request)
        timesteps = wholeTimesteps.map { Float($0) }
        noiseLevels = try schedule.levels(at: wholeTimesteps, predicting: prediction, for: settings.className)
    }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let eta = options.eta ?? Self.defaultEta
        let isLast = index + 1 == timesteps.count
        let next = isLast ? 0 : wholeTimesteps[index + 1]
        let jump = Int((Float(1 - eta) * Float(next)).rounded(.down))
        let jumpAlpha = try schedule.alphaCumprod(at: jump, for: name)
        let jumpLevel = NoiseLevel(alphaCumprod: jumpAlpha)
        let level = noiseLevels[index]
        let original = prediction.original(from: modelOutput, sample: sample, level: level)
        let epsilon = prediction.noise(from: modelOutput, sample: sample, level: level)
        let jumped = weightedSum((jumpLevel.alpha, original), (jumpLevel.sigma, epsilon))
        state.stepsTaken += 1
        guard eta > 0, !isLast else { return jumped }
        let ratio = try schedule.alphaCumprod(at: next, for: name) / jumpAlpha
        return weightedSum((ratio.squareRoot(), jumped), ((1 - ratio).squareRoot(), try draw(sample.count, from: noise)))
    }

    public func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        return try schedule.addNoise(to: original, noise: noise, timestep: wholeTimesteps[index], for: name)
    }
}
