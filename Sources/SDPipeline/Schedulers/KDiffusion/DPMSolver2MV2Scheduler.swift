/// DPM-Solver++ as a multistep method of second order whose correction is weighed by the ratio of the longer to the shorter of two
/// neighbouring steps, and whose prediction is weighed as over a step of their mean length. stable-diffusion.cpp: `dpm++2mv2`, from
/// discussion 8457 of AUTOMATIC1111's web UI.
///
/// One evaluation a step, deterministic. Order 2 where all steps are of one length in ln σ, as with exponential noise levels; there it is
/// `dpm++2m`.
public struct DPMSolver2MV2Scheduler: VarianceExplodingScheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "DPMSolver2MV2Scheduler", shortName: "dpm++2m-v2",
        parameters: SchedulerParameter.kDiffusion, order: 2, isStochastic: false, takesSigmas: true,
        paper: "Lu et al. 2022, DPM-Solver++ (arXiv:2211.01095), alg. 2, changed as in stable-diffusion.cpp's dpm++2mv2")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    public let initNoiseSigma: Float
    private let prediction: PredictionType

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        prediction = try PredictionType(settings)
        (timesteps, sigmas, initNoiseSigma) = try SigmaPlan.descending(settings, request: request).stored
    }

    public var evaluationSigmas: [Float] { sigmas.dropLast() }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let original = prediction.original(from: modelOutput, sample: sample, sigma: sigmas[index])
        state.remember(original, count: 2)
        state.stepsTaken += 1
        guard sigmas[index + 1] > 0 else { return original }
        let kept = sigmas[index + 1] / sigmas[index]
        let h = length(of: index)
        guard state.modelOutputs.count == 2 else {
            let weight = SingleMath.expm1(-h)
            return combine(sample, original) { kept * $0 - weight * $1 }
        }
        let before = length(of: index - 1)
        let (shorter, longer) = (min(before, h), max(before, h))
        let share = shorter / longer / 2
        let weight = SingleMath.expm1(-(longer + shorter) / 2)
        let mixed = combine(original, state.modelOutputs[0]) { (1 + share) * $0 - share * $1 }
        return combine(sample, mixed) { kept * $0 - weight * $1 }
    }

    /// A step's length in −ln σ.
    private func length(of index: Int) -> Float { SingleMath.log(sigmas[index]) - SingleMath.log(sigmas[index + 1]) }
}
