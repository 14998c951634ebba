/// The midpoint method along the probability-flow equation, with the midpoint at the geometric mean of both noise levels (DPM-Solver-2;
/// Lu et al. 2022, algorithm 1, in Karras' variables). diffusers: `KDPM2DiscreteScheduler`.
///
/// Order 2, two evaluations a step: one at its start, one at the midpoint. The last step, to a noise level of 0, has one. Deterministic. A
/// run can start at even indices.
public struct KDPM2DiscreteScheduler: VarianceExplodingScheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "KDPM2DiscreteScheduler", shortName: "dpm2", aliases: [.init("dpm 2"), .init("kdpm2")],
        parameters: SchedulerParameter.latentNoiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [.predictionType([.epsilon, .vPrediction])]
            + SchedulerParameter.sigmaMethods + SchedulerParameter.timestepSpacing(default: .linspace),
        order: 2, evaluationsPerStep: 2, isStochastic: false, takesSigmas: true,
        paper: "Karras, Aittala, Aila, Laine 2022 (arXiv:2206.00364), alg. 2 with the midpoint of DPM-Solver-2: Lu et al. 2022 "
            + "(arXiv:2206.00927), alg. 1")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    public let evaluationSigmas: [Float]
    public let initNoiseSigma: Float
    private let prediction: PredictionType

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        prediction = try PredictionType(settings)
        let plan = try SigmaPlan(settings, schedule: NoiseSchedule(settings), request: request, roundsKarras: true)
        try plan.checkEndsAtZero(scheduler: settings.className)
        let levels = plan.sigmas.map { Float($0) }
        let midpoints = zip(levels, levels.dropFirst()).map { Midpoint.geometricMean($0, $1) }
        (timesteps, evaluationSigmas, sigmas, initNoiseSigma) = plan.stored(midpoints: midpoints)
    }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let level = evaluationSigmas[index]
        let original = prediction.original(from: modelOutput, sample: sample, sigma: level)
        let isFirst = index.isMultiple(of: 2)
        let start = isFirst ? sample : try heldSample(state)
        let hasMidpoint = isFirst && index + 1 < timesteps.count
        let difference = isFirst ? (hasMidpoint ? evaluationSigmas[index + 1] : 0) - level : sigmas[index] - sigmas[index - 1]
        state.heldSample = hasMidpoint ? sample : nil
        state.stepsTaken += 1
        let slope = combine(sample, original) { ($0 - $1) / level }
        return combine(start, slope) { $0 + $1 * difference }
    }
}

/// What the schedulers share that evaluate the model between two noise levels.
enum Midpoint {
    /// √(first · second), by logarithms in single precision as diffusers computes it; 0 where one of them is.
    static func geometricMean(_ first: Float, _ second: Float) -> Float {
        let (start, end) = (SingleMath.log(second), SingleMath.log(first))
        return SingleMath.exp(end - (end - start) * 0.5)
    }

    /// The first of `values`, then by turns one of `between` and the next of `values`.
    static func interleaved(_ values: [Float], _ between: [Float]) -> [Float] {
        values.prefix(1) + zip(between, values.dropFirst()).flatMap { [$0, $1] }
    }
}
