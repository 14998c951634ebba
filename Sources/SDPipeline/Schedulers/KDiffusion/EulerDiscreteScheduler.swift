/// Euler steps along the probability-flow equation on the variance-exploding scale (Karras et al. 2022, algorithm 2
/// without its second-order correction). diffusers: `EulerDiscreteScheduler`.
///
/// Order 1, one evaluation a step; stochastic only with churn (S_churn, S_tmin, S_tmax, S_noise of algorithm 2).
public struct EulerDiscreteScheduler: VarianceExplodingScheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "EulerDiscreteScheduler", shortName: "euler",
        parameters: SchedulerParameter.noiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [
                .predictionType([.epsilon, .sample, .originalSample, .vPrediction]),
                SchedulerParameter("interpolation_type", .choice(["linear", "log_linear"]), default: .text("linear")),
                SchedulerParameter("sigma_min", .number(1e-10...1e10), default: .absent, isOptional: true),
                SchedulerParameter("sigma_max", .number(1e-10...1e10), default: .absent, isOptional: true),
                SchedulerParameter("timestep_type", .choice(["discrete", "continuous"]), default: .text("discrete")),
                .rescaleBetasZeroSNR, .finalSigmas,
            ] + SchedulerParameter.sigmaMethods + SchedulerParameter.timestepSpacing(default: .linspace),
        stepOptions: ["s_churn", "s_tmin", "s_tmax", "s_noise"], order: 1, isStochastic: false, takesTimesteps: true,
        takesSigmas: true,
        paper: "Karras, Aittala, Aila, Laine 2022, Elucidating the Design Space of Diffusion-Based Generative Models "
            + "(arXiv:2206.00364), alg. 2")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    public let initNoiseSigma: Float
    /// The betas of the training timesteps, and what follows from them.
    public let noiseSchedule: NoiseSchedule
    private let prediction: PredictionType

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        prediction = try PredictionType(settings)
        noiseSchedule = try NoiseSchedule(settings, keepsSignal: true)
        let isContinuous = try settings.text("timestep_type") == "continuous" && prediction == .vPrediction
        if isContinuous, case .timesteps = request {
            throw SchedulerError.invalidSchedule(
                scheduler: settings.className, reason: "a list of timesteps can't be used where timesteps are noise levels")
        }
        let plan = try SigmaPlan(settings, schedule: noiseSchedule, request: request)
        sigmas = plan.storedSigmas
        if isContinuous {
            // The conditioning of EDM: c_noise = ¼ ln σ (Karras et al. 2022, table 1).
            timesteps = sigmas.dropLast().map { 0.25 * SingleMath.log($0) }
        } else {
            timesteps = plan.timesteps.map { Float($0) }
        }
        initNoiseSigma = plan.initNoiseSigma
    }

    public var evaluationSigmas: [Float] { Array(sigmas.prefix(timesteps.count)) }

    public func drawsNoise(with options: SchedulerStepOptions) -> Bool { options.churn > 0 }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let sigma = sigmas[index]
        let churn = Churn(options: options, stepCount: sigmas.count - 1)
        let (sample, raised) = try churn.raised(sample, sigma: sigma) { try draw(sample.count, from: noise) }
        let original = prediction.original(from: modelOutput, sample: sample, sigma: raised, velocitySigma: sigma)
        let difference = sigmas[index + 1] - raised
        state.stepsTaken += 1
        return combine(sample, original) { $0 + (($0 - $1) / raised) * difference }
    }
}
