/// Euler steps that go below the next noise level and add noise up to it. diffusers: `EulerAncestralDiscreteScheduler`.
///
/// Order 1, one evaluation a step; stochastic: every step draws noise, the last one too, with a deviation of 0.
public struct EulerAncestralDiscreteScheduler: VarianceExplodingScheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "EulerAncestralDiscreteScheduler", shortName: "euler-a",
        aliases: [.init("euler ancestral")],
        parameters: SchedulerParameter.noiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [.predictionType([.epsilon, .vPrediction]), .rescaleBetasZeroSNR]
            + SchedulerParameter.timestepSpacing(default: .linspace),
        order: 1, isStochastic: true, takesSigmas: true,
        paper:
            "Song et al. 2020, Score-Based Generative Modeling through Stochastic Differential Equations (arXiv:2011.13456), "
            + "eq. 47, over Euler steps of Karras et al. 2022 (arXiv:2206.00364)")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    public let initNoiseSigma: Float
    /// One for each step.
    private let parts: [AncestralStep]
    private let prediction: PredictionType

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        prediction = try PredictionType(settings)
        let schedule = try NoiseSchedule(settings, keepsSignal: true)
        (timesteps, sigmas, initNoiseSigma) = try SigmaPlan(settings, schedule: schedule, request: request).stored
        parts = try AncestralStep.steps(sigmas, scheduler: settings.className)
    }

    public var evaluationSigmas: [Float] { sigmas.dropLast() }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let sigma = sigmas[index]
        let original = prediction.original(from: modelOutput, sample: sample, sigma: sigma)
        let part = parts[index]
        let difference = part.down - sigma
        let drawn = try draw(sample.count, from: noise)
        state.stepsTaken += 1
        let lowered = combine(sample, original) { $0 + (($0 - $1) / sigma) * difference }
        return combine(lowered, drawn) { $0 + $1 * part.up }
    }
}
