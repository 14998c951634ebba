/// DPM-Solver++ for the stochastic equation as a multistep method of third order. k-diffusion: `sample_dpmpp_3m_sde`.
///
/// Order 3 without its noise once two predictions are remembered, one evaluation a step; stochastic: every step but one to a noise level of 0
/// draws noise. diffusers' `DPMSolverMultistepScheduler` with `sde-dpmsolver++` and `solver_order` 3 gives its second difference a weight whose
/// constant ½ has the other sign, so that it doesn't vanish for short steps.
public struct DPMSolver3MSDEScheduler: VarianceExplodingScheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "DPMSolver3MSDEScheduler", shortName: "dpm++3m-sde",
        parameters: SchedulerParameter.kDiffusion, stepOptions: ["s_noise"], order: 3, isStochastic: true, takesSigmas: true,
        paper: "Lu et al. 2022, DPM-Solver++ (arXiv:2211.01095), alg. 2 for the stochastic equation; "
            + "k-diffusion's sample_dpmpp_3m_sde")

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
        state.remember(original, count: 3)
        state.stepsTaken += 1
        let end = sigmas[index + 1]
        guard end > 0 else { return original }
        let h = length(of: index)
        // Twice the length, as the noise takes away as much of the sample again as the deterministic equation does.
        let doubled = h * 2
        let (kept, added) = (SingleMath.exp(-doubled), -SingleMath.expm1(-doubled))
        var result = combine(sample, original) { kept * $0 + added * $1 }
        let history = Array(state.modelOutputs.reversed())
        let second = SingleMath.expm1(-doubled) / doubled + 1
        if history.count == 3 {
            let (r0, r1) = (length(of: index - 1) / h, length(of: index - 2) / h)
            let newer = combine(history[0], history[1]) { ($0 - $1) / r0 }
            let older = combine(history[1], history[2]) { ($0 - $1) / r1 }
            let third = second / doubled - 0.5
            let sum = r0 + r1
            let first = combine(newer, older) { $0 + ($0 - $1) * r0 / sum }
            let difference = combine(newer, older) { ($0 - $1) / sum }
            result = combine(combine(result, first) { $0 + second * $1 }, difference) { $0 - third * $1 }
        } else if history.count == 2 {
            let ratio = length(of: index - 1) / h
            let first = combine(history[0], history[1]) { ($0 - $1) / ratio }
            result = combine(result, first) { $0 + second * $1 }
        }
        let deviation = (-SingleMath.expm1(-2 * h)).squareRoot()
        let scale = Float(options.noiseScale)
        return combine(result, try draw(sample.count, from: noise)) { $0 + $1 * end * deviation * scale }
    }

    /// A step's length in −ln σ.
    private func length(of index: Int) -> Float { SingleMath.log(sigmas[index]) - SingleMath.log(sigmas[index + 1]) }
}
