/// Heun's method along the probability-flow equation (Karras et al. 2022, algorithm 1). diffusers:
/// `HeunDiscreteScheduler`.
///
/// Order 2, two evaluations a step: an Euler step with the slope at its start, then the step again with the mean of the slopes at both
/// ends. The last step, to a noise level of 0, has one. Deterministic. A run can start at even indices.
public struct HeunDiscreteScheduler: VarianceExplodingScheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "HeunDiscreteScheduler", shortName: "heun",
        parameters: SchedulerParameter.latentNoiseSchedule(schedules: SchedulerParameter.betaSchedules + ["exp"])
            + [.predictionType([.epsilon, .sample, .vPrediction])]
            + SchedulerParameter.sigmaMethods + SchedulerParameter.clipping(default: false)
            + SchedulerParameter.timestepSpacing(default: .linspace),
        order: 2, evaluationsPerStep: 2, isStochastic: false, takesTimesteps: true, takesSigmas: true,
        paper: "Karras, Aittala, Aila, Laine 2022, Elucidating the Design Space of Diffusion-Based Generative Models "
            + "(arXiv:2206.00364), alg. 1")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    public let initNoiseSigma: Float
    private let prediction: PredictionType
    private let limit: OriginalSampleLimit

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        prediction = try PredictionType(settings)
        limit = try OriginalSampleLimit(settings)
        let plan = try SigmaPlan(settings, schedule: NoiseSchedule(settings), request: request)
        try plan.checkEndsAtZero(scheduler: settings.className)
        timesteps = Self.doubled(plan.timesteps.map { Float($0) })
        sigmas = Self.doubled(plan.sigmas.map { Float($0) }) + [Float(plan.end)]
        initNoiseSigma = plan.initNoiseSigma
    }

    public var evaluationSigmas: [Float] { sigmas.dropLast() }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let sigma = sigmas[index]
        var original = prediction.original(from: modelOutput, sample: sample, sigma: sigma)
        original = limit.apply(original, batchSize: state.batchSize)
        let slope = combine(sample, original) { ($0 - $1) / sigma }
        state.stepsTaken += 1
        if index.isMultiple(of: 2) {
            let difference = sigmas[index + 1] - sigma
            if index + 1 < timesteps.count {
                state.heldSample = sample
                state.modelOutputs = [slope]
            }
            return combine(sample, slope) { $0 + $1 * difference }
        }
        let start = try heldSample(state)
        let difference = sigma - sigmas[index - 1]
        let mean = combine(state.modelOutputs.last ?? slope, slope) { ($0 + $1) / 2 }
        state.heldSample = nil
        state.modelOutputs = []
        return combine(start, mean) { $0 + $1 * difference }
    }
}
