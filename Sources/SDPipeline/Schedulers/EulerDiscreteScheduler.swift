import Foundation

/// Euler steps along the probability-flow equation on the variance-exploding scale (Karras et al. 2022, algorithm 2
/// without its second-order correction). diffusers: `EulerDiscreteScheduler`.
///
/// One evaluation a step; stochastic only with churn (S_churn, S_tmin, S_tmax, S_noise of algorithm 2).
public struct EulerDiscreteScheduler: Scheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "EulerDiscreteScheduler", shortName: "euler",
        aliases: [
            .init("euler discrete"),
            .init("euler karras", overrides: ["use_karras_sigmas": .flag(true)]),
            .init("euler exponential", overrides: ["use_exponential_sigmas": .flag(true)]),
            .init("euler beta", overrides: ["use_beta_sigmas": .flag(true)]),
        ],
        parameters: SchedulerParameter.noiseSchedule(schedules: ["linear", "scaled_linear", "squaredcos_cap_v2"])
            + [
                .predictionType(PredictionType.allCases),
                SchedulerParameter("interpolation_type", .choice(["linear", "log_linear"]), default: .text("linear")),
                SchedulerParameter("use_karras_sigmas", .flag, default: .flag(false), isOptional: true),
                SchedulerParameter("use_exponential_sigmas", .flag, default: .flag(false), isOptional: true),
                SchedulerParameter("use_beta_sigmas", .flag, default: .flag(false), isOptional: true),
                SchedulerParameter("sigma_min", .number(1e-10...1e10), default: .absent, isOptional: true),
                SchedulerParameter("sigma_max", .number(1e-10...1e10), default: .absent, isOptional: true),
                SchedulerParameter("timestep_type", .choice(["discrete", "continuous"]), default: .text("discrete")),
                .rescaleBetasZeroSNR,
                SchedulerParameter("final_sigmas_type", .choice(["zero", "sigma_min"]), default: .text("zero")),
            ] + SchedulerParameter.timestepSpacing(default: .linspace),
        stepOptions: ["s_churn", "s_tmin", "s_tmax", "s_noise"], order: 1, isStochastic: false,
        paper: "Karras, Aittala, Aila, Laine 2022, Elucidating the Design Space of Diffusion-Based Generative Models "
            + "(arXiv:2206.00364), alg. 2")

    /// ᾱ of the last timestep when it is rescaled to zero: the smallest half-precision number, so that σ stays finite.
    private static let smallestAlphaCumprod: Float = 0x1p-24

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    public let initNoiseSigma: Float
    public let noiseSchedule: NoiseSchedule
    private let prediction: PredictionType

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        prediction = try settings.choice("prediction_type", as: PredictionType.self)
        var schedule = try NoiseSchedule(settings)
        if try settings.flag("rescale_betas_zero_snr") {
            schedule.alphasCumprod[schedule.count - 1] = Self.smallestAlphaCumprod
        }
        noiseSchedule = schedule
        let plan = try Self.plan(settings, schedule: schedule, request: request)
        sigmas = plan.sigmas.map { Float($0) }
        let isContinuous = try settings.text("timestep_type") == "continuous"
        if isContinuous, prediction == .vPrediction {
            // The conditioning of EDM: c_noise = ¼ ln σ (Karras et al. 2022, table 1).
            timesteps = sigmas.dropLast().map { 0.25 * Float(log(Double($0))) }
        } else {
            timesteps = plan.timesteps.map { Float($0) }
        }
        let largest = sigmas.max() ?? 0
        let spacing = try settings.choice("timestep_spacing", as: TimestepSpacing.self)
        initNoiseSigma = spacing == .leading ? (largest * largest + 1).squareRoot() : largest
    }

    public func scaleModelInput(_ sample: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        let sigma = sigmas[index]
        let scale = (sigma * sigma + 1).squareRoot()
        return sample.map { $0 / scale }
    }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let sigma = sigmas[index]
        let isChurned = Float(options.churnMinimumSigma) <= sigma && sigma <= Float(options.churnMaximumSigma)
        let gamma = isChurned ? min(options.churn / Double(sigmas.count - 1), 2.0.squareRoot() - 1) : 0
        let raised = sigma * Float(gamma + 1)
        var sample = sample
        if gamma > 0 {
            let noiseScale = Float(options.churnNoise)
            let spread = (raised * raised - sigma * sigma).squareRoot()
            sample = combine(sample, try draw(sample.count, from: noise)) { $0 + ($1 * noiseScale) * spread }
        }
        let original: [Float]
        switch prediction {
        case .sample, .originalSample:
            original = modelOutput
        case .epsilon:
            original = combine(sample, modelOutput) { $0 - raised * $1 }
        case .vPrediction:
            let square = sigma * sigma + 1
            let outputCoefficient = -sigma / square.squareRoot()
            original = combine(sample, modelOutput) { $1 * outputCoefficient + $0 / square }
        }
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

    /// The timesteps of a run and its noise levels, one more than timesteps (two with `log_linear`, as in diffusers).
    private static func plan(
        _ settings: SchedulerSettings, schedule: NoiseSchedule, request: TimestepRequest
    ) throws -> (timesteps: [Double], sigmas: [Double]) {
        let scheduler = settings.className
        let trainSigmas = schedule.sigmas
        let logSigmas = trainSigmas.map { Float(log(Double($0))) }
        guard trainSigmas.allSatisfy(\.isFinite) else {
            throw SchedulerError.contradiction(
                scheduler: scheduler, reason: "the betas leave no signal at the last timestep, so its noise level is infinite")
        }
        let method = try SigmaSchedule(settings)
        if case .sigmas(let given) = request {
            return try planFromSigmas(given, logSigmas: logSigmas, scheduler: scheduler)
        }
        var timesteps: [Double]
        if case .timesteps(let given) = request {
            let isContinuous = try settings.text("timestep_type") == "continuous"
            let isVelocity = try settings.text("prediction_type") == PredictionType.vPrediction.rawValue
            guard method == .timesteps, !(isContinuous && isVelocity) else {
                throw SchedulerError.invalidSchedule(
                    scheduler: scheduler, reason: "a list of timesteps can't be used where the noise levels are set")
            }
            timesteps = try TimestepRequest.checked(given, trainTimesteps: schedule.count, scheduler: scheduler)
        } else {
            let count = try request.stepCount(trainTimesteps: schedule.count, scheduler: scheduler)
            timesteps = try settings.choice("timestep_spacing", as: TimestepSpacing.self).timesteps(
                trainTimesteps: schedule.count, count: count, offset: try settings.integer("steps_offset"))
        }
        timesteps = timesteps.map { Double(Float($0)) }
        let count = timesteps.count
        var sigmas = timesteps.map { SigmaSchedule.interpolate(trainSigmas, at: $0) }
        if try settings.text("interpolation_type") == "log_linear" {
            sigmas = NoiseSchedule.linspace(logSigmas[schedule.count - 1], logSigmas[0], count: count + 1)
                .map { exp(Double($0)) }.map { Double(Float($0)) }
        }
        if method != .timesteps, let first = sigmas.first, let last = sigmas.last {
            guard schedule.count > 1 else {
                throw SchedulerError.contradiction(
                    scheduler: scheduler, reason: "a schedule of noise levels needs at least 2 training timesteps")
            }
            sigmas = method.levels(
                largest: try settings.optionalNumber("sigma_max") ?? first,
                smallest: try settings.optionalNumber("sigma_min") ?? last, count: count)
            timesteps = sigmas.map { SigmaSchedule.timestep(of: $0, logSigmas: logSigmas, isSingle: false) }
        }
        let end = try settings.text("final_sigmas_type") == "sigma_min" ? Double(trainSigmas[0]) : 0
        return (timesteps, sigmas + [end])
    }

    private static func planFromSigmas(
        _ given: [Double], logSigmas: [Float], scheduler: String
    ) throws -> (timesteps: [Double], sigmas: [Double]) {
        let single = given.map { Double(Float($0)) }
        let areUsable = single.allSatisfy { $0.isFinite && $0 >= 0 } && single.dropLast().allSatisfy { $0 > 0 }
        guard single.count >= 2, logSigmas.count >= 2, areUsable else {
            throw SchedulerError.invalidSchedule(
                scheduler: scheduler,
                reason: "the list of sigmas must have at least two finite values above 0, of which only the last may be 0")
        }
        return (single.dropLast().map { SigmaSchedule.timestep(of: $0, logSigmas: logSigmas, isSingle: true) }, single)
    }
}
