/// Singlestep DPM-Solver++ of second order with steps that go below the next noise level and add noise up to it. k-diffusion:
/// `sample_dpmpp_2s_ancestral`; diffusers has none.
///
/// Order 2 without its noise, two evaluations a step, one for a step to a noise level of 0; stochastic: the second evaluation of a step
/// draws noise. A run can start at even indices.
public struct DPMSolver2SAncestralScheduler: VarianceExplodingScheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "DPMSolver2SAncestralScheduler", shortName: "dpm++2s-a",
        aliases: [.init("dpm++ 2s ancestral")],
        parameters: SchedulerParameter.kDiffusion, stepOptions: ["s_noise"], order: 2, evaluationsPerStep: 2,
        isStochastic: true,
        takesSigmas: true,
        paper: "Lu et al. 2022, DPM-Solver++ (arXiv:2211.01095), alg. 1; noise by Song et al. 2020 (arXiv:2011.13456), eq. 47; "
            + "k-diffusion's sample_dpmpp_2s_ancestral")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let evaluationSigmas: [Float]
    public let initNoiseSigma: Float
    /// The noise level of each step and of the end.
    private let levels: [Float]
    /// One for each step.
    private let parts: [AncestralStep]
    private let prediction: PredictionType

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        prediction = try PredictionType(settings)
        let plan = try SigmaPlan(settings, schedule: NoiseSchedule(settings), request: request)
        levels = plan.storedSigmas
        parts = try AncestralStep.steps(levels, scheduler: settings.className)
        var timesteps: [Float] = []
        var sigmas: [Float] = []
        for (index, part) in parts.enumerated() {
            timesteps.append(Float(plan.timesteps[index]))
            sigmas.append(levels[index])
            guard part.down > 0 else { continue }
            let midpoint = Midpoint.geometricMean(levels[index], part.down)
            timesteps.append(plan.timestep(of: midpoint))
            sigmas.append(midpoint)
        }
        self.timesteps = timesteps
        evaluationSigmas = sigmas
        initNoiseSigma = plan.initNoiseSigma
    }

    public var sigmas: [Float] { evaluationSigmas + levels.suffix(1) }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let (from, to, part) = (levels[index / 2], levels[index / 2 + 1], parts[index / 2])
        let original = prediction.original(from: modelOutput, sample: sample, sigma: evaluationSigmas[index])
        let isFirst = index.isMultiple(of: 2)
        let start = isFirst ? sample : try heldSample(state)
        state.stepsTaken += 1
        guard part.down > 0 else {
            return combine(sample, original) { $0 + (($0 - $1) / from) * -from }
        }
        state.heldSample = isFirst ? sample : nil
        // The first-order update of DPM-Solver++ in t = −ln σ, to the midpoint and then to the end.
        let h = SingleMath.log(from) - SingleMath.log(part.down)
        let (ratio, weight) =
            isFirst
            ? (evaluationSigmas[index + 1] / from, SingleMath.expm1(-h * 0.5)) : (part.down / from, SingleMath.expm1(-h))
        let lowered = combine(start, original) { ratio * $0 - weight * $1 }
        guard !isFirst, to > 0 else { return lowered }
        let deviation = part.up
        let scale = Float(options.noiseScale)
        return combine(lowered, try draw(sample.count, from: noise)) { $0 + $1 * scale * deviation }
    }
}
