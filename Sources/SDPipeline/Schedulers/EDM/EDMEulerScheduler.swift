/// Euler steps for models with the preconditioning of EDM (Karras et al. 2022, algorithm 2 without its second-order correction).
/// diffusers: `EDMEulerScheduler`.
///
/// Order 1, one evaluation a step; stochastic only with churn. Noise levels are a setting of its own: a model's betas play no part.
public struct EDMEulerScheduler: Scheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "EDMEulerScheduler", shortName: "edm-euler", parameters: EDMPreconditioning.parameters,
        stepOptions: ["s_churn", "s_tmin", "s_tmax", "s_noise"], order: 1, isStochastic: false,
        modelKind: .edm,
        paper: "Karras, Aittala, Aila, Laine 2022, Elucidating the Design Space of Diffusion-Based Generative Models "
            + "(arXiv:2206.00364), alg. 2, table 1")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    private let preconditioning: EDMPreconditioning

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        preconditioning = try EDMPreconditioning(settings)
        let count = try request.stepCount(
            trainTimesteps: settings.integer("num_train_timesteps"), scheduler: settings.className)
        let levels = try EDMPreconditioning.sigmas(settings, count: count, isDouble: true)
        timesteps = levels.map { EDMPreconditioning.timestep(of: $0) }
        let endsAtZero = try settings.text("final_sigmas_type") == "zero"
        sigmas = levels + [endsAtZero ? 0 : levels[count - 1]]
    }

    public var noiseLevels: [NoiseLevel] { sigmas.dropLast().map { NoiseLevel(alpha: 1, sigma: $0) } }
    public var initNoiseSigma: Float { preconditioning.initNoiseSigma }

    public func scaleModelInput(_ sample: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        return preconditioning.input(sample, sigma: sigmas[index])
    }

    public func drawsNoise(with options: SchedulerStepOptions) -> Bool { options.churn > 0 }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let churn = Churn(options: options, stepCount: sigmas.count - 1)
        let (sample, raised) = try churn.raised(sample, sigma: sigmas[index]) { try draw(sample.count, from: noise) }
        let original = preconditioning.original(from: modelOutput, sample: sample, sigma: raised)
        let difference = sigmas[index + 1] - raised
        state.stepsTaken += 1
        return combine(sample, original) { $0 + (($0 - $1) / raised) * difference }
    }

    public func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        try checkSameSize(original, noise)
        let sigma = sigmas[index]
        return combine(original, noise) { $0 + $1 * sigma }
    }
}
