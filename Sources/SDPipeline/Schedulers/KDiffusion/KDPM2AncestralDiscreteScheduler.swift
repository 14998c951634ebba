/// The midpoint method of `KDPM2DiscreteScheduler` with steps that go below the next noise level and add noise up to it. diffusers:
/// `KDPM2AncestralDiscreteScheduler`.
///
/// Order 2 without its noise, two evaluations a step, one for the last; stochastic: the second evaluation of a step draws noise. A run can
/// start at even indices.
public struct KDPM2AncestralDiscreteScheduler: VarianceExplodingScheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "KDPM2AncestralDiscreteScheduler", shortName: "dpm2-a",
        aliases: [.init("dpm2 ancestral"), .init("dpm 2 ancestral"), .init("kdpm2 ancestral"), .init("kdpm2 a")],
        parameters: SchedulerParameter.latentNoiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [.predictionType([.epsilon, .vPrediction])]
            + SchedulerParameter.sigmaMethods + SchedulerParameter.timestepSpacing(default: .linspace),
        order: 2, evaluationsPerStep: 2, isStochastic: true, takesSigmas: true,
        paper: "Karras, Aittala, Aila, Laine 2022 (arXiv:2206.00364), alg. 2 with the midpoint of DPM-Solver-2: Lu et al. 2022 "
            + "(arXiv:2206.00927), alg. 1; noise by Song et al. 2020 (arXiv:2011.13456), eq. 47")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    public let evaluationSigmas: [Float]
    public let initNoiseSigma: Float
    /// One for each step but the last.
    private let parts: [AncestralStep]
    private let prediction: PredictionType

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        prediction = try PredictionType(settings)
        let plan = try SigmaPlan(settings, schedule: NoiseSchedule(settings), request: request, roundsKarras: true)
        try plan.checkEndsAtZero(scheduler: settings.className)
        let levels = plan.sigmas.map { Float($0) }
        parts = try AncestralStep.steps(levels, scheduler: settings.className)
        let midpoints = zip(levels, parts).map { Midpoint.geometricMean($1.down, $0) }
        guard midpoints.allSatisfy({ $0 > 0 }) else { throw AncestralStep.tooLong(settings.className) }
        (timesteps, evaluationSigmas, sigmas, initNoiseSigma) = plan.stored(midpoints: midpoints)
    }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let level = evaluationSigmas[index]
        let original = prediction.original(from: modelOutput, sample: sample, sigma: level)
        let slope = combine(sample, original) { ($0 - $1) / level }
        if index.isMultiple(of: 2) {
            let hasMidpoint = index + 1 < timesteps.count
            let difference = (hasMidpoint ? evaluationSigmas[index + 1] : 0) - level
            state.heldSample = hasMidpoint ? sample : nil
            state.stepsTaken += 1
            return combine(sample, slope) { $0 + $1 * difference }
        }
        let start = try heldSample(state)
        let part = parts[index / 2]
        let difference = part.down - sigmas[index - 1]
        let drawn = try draw(sample.count, from: noise)
        state.heldSample = nil
        state.stepsTaken += 1
        let lowered = combine(start, slope) { $0 + $1 * difference }
        return combine(lowered, drawn) { $0 + $1 * part.up }
    }
}
