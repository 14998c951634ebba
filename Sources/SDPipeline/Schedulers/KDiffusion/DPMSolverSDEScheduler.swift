/// DPM-Solver++ for the stochastic equation, of second order with two evaluations a step (k-diffusion's `sample_dpmpp_sde`). diffusers:
/// `DPMSolverSDEScheduler`.
///
/// Stochastic. The noise of a step's two halves are increments of one Brownian path over σ, and the whole step has the sum of
/// both: this scheduler draws the two increments one after the other. diffusers takes them from torchsde's `BrownianInterval`, whose
/// random numbers come from a tree of seeds of its own, for which no generator of torch gives the same. So with given increments a run
/// is the same as diffusers', step by step; with a seed it has the same distribution and another picture. A run can start at even
/// indices.
public struct DPMSolverSDEScheduler: VarianceExplodingScheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "DPMSolverSDEScheduler", shortName: "dpm++sde", aliases: [.init("dpm solver sde")],
        parameters: SchedulerParameter.latentNoiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [
                .predictionType([.epsilon, .vPrediction]),
                SchedulerParameter("noise_sampler_seed", .integer(0...Int.max), default: .absent, isOptional: true),
            ]
            + SchedulerParameter.sigmaMethods + SchedulerParameter.timestepSpacing(default: .linspace),
        stepOptions: ["s_noise"], order: 2, evaluationsPerStep: 2, isStochastic: true, takesSigmas: true,
        paper:
            "Lu et al. 2022, DPM-Solver++ (arXiv:2211.01095), alg. 1 with the noise of Karras et al. 2022 (arXiv:2206.00364); "
            + "k-diffusion's sample_dpmpp_sde")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    public let evaluationSigmas: [Float]
    public let initNoiseSigma: Float
    private let prediction: PredictionType

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        prediction = try PredictionType(settings)
        let plan = try SigmaPlan(settings, schedule: NoiseSchedule(settings), request: request, storesSingle: false)
        try plan.checkEndsAtZero(scheduler: settings.className)
        try plan.checkDescends(scheduler: settings.className)
        let levels = plan.sigmas.map { Float($0) }
        let midTimesteps = zip(plan.sigmas, plan.sigmas.dropFirst()).map { plan.timestep(ofMeanBetween: $0, and: $1) }
        timesteps = Midpoint.interleaved(plan.timesteps.map { Float($0) }, midTimesteps)
        let midpoints = zip(levels, levels.dropFirst()).map { SingleMath.exp(-Self.middle($0, $1)) }
        evaluationSigmas = Midpoint.interleaved(levels, midpoints)
        sigmas = Self.doubled(levels) + [0]
        initNoiseSigma = plan.initNoiseSigma
    }

    /// The mean of t = −ln σ.
    private static func middle(_ sigma: Float, _ next: Float) -> Float {
        let (start, end) = (-SingleMath.log(sigma), -SingleMath.log(next))
        return start + (end - start) * 0.5
    }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let isFirst = index.isMultiple(of: 2)
        let sigma = sigmas[isFirst ? index : index - 1]
        let original = prediction.original(from: modelOutput, sample: sample, sigma: evaluationSigmas[index])
        guard index + 1 < timesteps.count || !isFirst else {
            let difference = sigmas[index + 1] - sigma
            state.stepsTaken += 1
            return combine(sample, original) { $0 + (($0 - $1) / sigma) * difference }
        }
        let start = isFirst ? sample : try heldSample(state)
        let time = -SingleMath.log(sigma)
        let middle = evaluationSigmas[isFirst ? index + 1 : index]
        let from = SingleMath.exp(-time)
        let to = isFirst ? middle : SingleMath.exp(SingleMath.log(sigmas[index]))
        let wanted = (to * to * (from * from - to * to) / (from * from)).squareRoot()
        let up = min(to, wanted)
        let down = (to * to - up * up).squareRoot()
        let lowered = -SingleMath.log(down)
        let kept = SingleMath.exp(-lowered) / from
        let added = SingleMath.expm1(time - lowered)
        let increment = try brownianIncrement(
            from: from, over: middle, to: to, isFirst: isFirst, count: sample.count, state: &state, noise: noise)
        state.heldSample = isFirst ? sample : nil
        state.stepsTaken += 1
        let scale = Float(options.noiseScale)
        let result = combine(start, original) { kept * $0 - added * $1 }
        return combine(result, increment) { $0 + ($1 * scale) * up }
    }

    /// The path's increment from the step's start, divided by the root of its length. The second half's is the sum of the first half's
    /// and a new one.
    private func brownianIncrement(
        from: Float, over middle: Float, to: Float, isFirst: Bool, count: Int, state: inout SchedulerState,
        noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        let drawn = try draw(count, from: noise)
        if isFirst {
            state.heldNoise = drawn
            return drawn
        }
        guard let first = state.heldNoise else { return drawn }
        state.heldNoise = nil
        let whole = (from - to).squareRoot()
        let firstWeight = (from - middle).squareRoot() / whole
        let secondWeight = (middle - to).squareRoot() / whole
        return combine(first, drawn) { firstWeight * $0 + secondWeight * $1 }
    }
}
