import Foundation

/// The timesteps and noise levels of a run on the variance-exploding scale, as the schedulers that come from k-diffusion have them:
/// Euler, Euler ancestral, Heun, LMS, KDPM2 and DPM++ SDE.
///
/// Timesteps are spread by `timestep_spacing` and have the interpolated noise levels of training; `use_karras_sigmas` and its
/// relatives place other noise levels between the first and the last of them. Double precision, as in diffusers, until the result is
/// stored.
struct SigmaPlan {
    /// The timestep of each step.
    var timesteps: [Double]
    /// The noise level of each step, without that of the end (with `log_linear` interpolation one more, as in diffusers).
    var sigmas: [Double]
    /// What the last step goes down to.
    let end: Double
    /// The noise level that a run starts from (`init_noise_sigma`).
    let initNoiseSigma: Float
    /// Logarithms of the training timesteps' noise levels, ascending.
    let logSigmas: [Float]

    /// - Parameters:
    ///   - settings: the scheduler's; keys that it doesn't have count as their defaults.
    ///   - schedule: what the model was trained with.
    ///   - request: a number of steps, or what the descriptor allows.
    ///   - roundsKarras: whether the timesteps of Karras' levels are whole numbers.
    ///   - storesSingle: whether timesteps are rounded to single precision before their noise level is looked up.
    init(
        _ settings: SchedulerSettings, schedule: NoiseSchedule, request: TimestepRequest, roundsKarras: Bool = false,
        storesSingle: Bool = true
    ) throws {
        let scheduler = settings.className
        let trainSigmas = schedule.sigmas
        guard trainSigmas.allSatisfy(\.isFinite) else {
            throw SchedulerError.contradiction(
                scheduler: scheduler, reason: "the betas leave no signal at the last timestep, so its noise level is infinite")
        }
        logSigmas = trainSigmas.map { SingleMath.log($0) }
        let spacing = try settings.choice("timestep_spacing", as: TimestepSpacing.self)
        let method = try SigmaSchedule(settings)
        let request = try request.resolved(logSigmas: logSigmas, scheduler: scheduler)
        if case .sigmas(let given) = request {
            let single = try TimestepRequest.checkedSigmas(given, trainTimesteps: logSigmas.count, scheduler: scheduler)
            let logs = logSigmas
            timesteps = single.dropLast().map { SigmaSchedule.timestep(of: $0, logSigmas: logs, isSingle: true) }
            sigmas = single.dropLast()
            end = single[single.count - 1]
        } else {
            (timesteps, sigmas) = try Self.spread(
                settings, schedule: schedule, request: request, method: method, logSigmas: logSigmas,
                storesSingle: storesSingle)
            if method == .karras, roundsKarras { timesteps = timesteps.map { $0.rounded(.toNearestOrEven) } }
            let endsAtMinimum =
                settings.has("final_sigmas_type") ? try settings.text("final_sigmas_type") == "sigma_min" : false
            end = endsAtMinimum ? Double(trainSigmas[0]) : 0
        }
        let largest = Float((sigmas + [end]).max() ?? 0)
        initNoiseSigma = spacing == .leading ? (largest * largest + 1).squareRoot() : largest
    }

    /// The plan of a scheduler that divides by the length of a step.
    /// - Throws: ``SchedulerError``, also where two noise levels are equal.
    static func descending(_ settings: SchedulerSettings, request: TimestepRequest) throws -> SigmaPlan {
        let plan = try SigmaPlan(settings, schedule: NoiseSchedule(settings), request: request)
        try plan.checkDescends(scheduler: settings.className)
        return plan
    }

    /// The noise levels of all steps and of the end, in single precision.
    var storedSigmas: [Float] { (sigmas + [end]).map { Float($0) } }

    /// What a scheduler keeps that evaluates the model once a step, in single precision.
    var stored: (timesteps: [Float], sigmas: [Float], initNoiseSigma: Float) {
        (timesteps.map { Float($0) }, storedSigmas, initNoiseSigma)
    }

    /// What a scheduler keeps that evaluates the model between two noise levels, too, in single precision.
    ///
    /// - Parameter midpoints: the level of that evaluation for each step but the last, which has none.
    /// - Returns: the timestep and the level of each evaluation, and `sigmas`: the levels between which each is a step.
    func stored(
        midpoints: [Float]
    ) -> (timesteps: [Float], evaluationSigmas: [Float], sigmas: [Float], initNoiseSigma: Float) {
        let levels = sigmas.map { Float($0) }
        return (
            Midpoint.interleaved(timesteps.map { Float($0) }, midpoints.map { timestep(of: $0) }),
            Midpoint.interleaved(levels, midpoints), KDPM2DiscreteScheduler.doubled(levels) + [0, 0, 0], initNoiseSigma
        )
    }

    /// Refuses a list of noise levels that doesn't end with 0, for schedulers whose last step goes there.
    /// - Throws: ``SchedulerError/invalidSchedule(scheduler:reason:)``.
    func checkEndsAtZero(scheduler: String) throws {
        guard end == 0 else {
            throw SchedulerError.invalidSchedule(
                scheduler: scheduler, reason: "the list of sigmas ends with \(end), expected 0 as its last value")
        }
    }

    /// Refuses noise levels of which two are equal, for schedulers that divide by the length of a step.
    /// - Throws: ``SchedulerError/invalidSchedule(scheduler:reason:)``.
    func checkDescends(scheduler: String) throws {
        let levels = storedSigmas
        if let (level, _) = zip(levels, levels.dropFirst()).first(where: { $0 <= $1 }) {
            throw SchedulerError.invalidSchedule(
                scheduler: scheduler, reason: "two noise levels in a row are \(level), expected each to be below the one before"
            )
        }
    }

    /// The fractional timestep of a noise level in single precision.
    func timestep(of sigma: Float) -> Float {
        SigmaSchedule.timestep(of: sigma, logSigmas: logSigmas)
    }

    /// The fractional timestep of the geometric mean of two noise levels in double precision.
    func timestep(ofMeanBetween first: Double, and second: Double) -> Float {
        let mean = exp(log(first) + (log(second) - log(first)) * 0.5)
        return Float(SigmaSchedule.timestep(of: mean, logSigmas: logSigmas, isSingle: false))
    }

    private static func spread(
        _ settings: SchedulerSettings, schedule: NoiseSchedule, request: TimestepRequest, method: SigmaSchedule,
        logSigmas: [Float], storesSingle: Bool
    ) throws -> (timesteps: [Double], sigmas: [Double]) {
        let scheduler = settings.className
        var timesteps: [Double]
        if case .timesteps(let given) = request {
            guard method == .timesteps else {
                throw SchedulerError.invalidSchedule(
                    scheduler: scheduler, reason: "a list of timesteps can't be used where the noise levels are set")
            }
            timesteps = try TimestepRequest.checked(given, trainTimesteps: schedule.count, scheduler: scheduler)
        } else {
            let count = try request.stepCount(trainTimesteps: schedule.count, scheduler: scheduler)
            timesteps = try settings.choice("timestep_spacing", as: TimestepSpacing.self).timesteps(
                trainTimesteps: schedule.count, count: count, offset: try settings.integer("steps_offset"))
        }
        if storesSingle { timesteps = timesteps.map { Double(Float($0)) } }
        let count = timesteps.count
        let trainSigmas = schedule.sigmas
        var sigmas = timesteps.map { SigmaSchedule.interpolate(trainSigmas, at: $0) }
        if settings.has("interpolation_type"), try settings.text("interpolation_type") == "log_linear" {
            sigmas = NoiseSchedule.linspace(logSigmas[schedule.count - 1], logSigmas[0], count: count + 1)
                .map { Double(SingleMath.exp($0)) }
        }
        guard method != .timesteps, let first = sigmas.first, let last = sigmas.last else { return (timesteps, sigmas) }
        guard schedule.count > 1 else {
            throw SchedulerError.contradiction(
                scheduler: scheduler, reason: "a schedule of noise levels needs at least 2 training timesteps")
        }
        let largest = settings.has("sigma_max") ? try settings.optionalNumber("sigma_max") : nil
        let smallest = settings.has("sigma_min") ? try settings.optionalNumber("sigma_min") : nil
        sigmas = method.levels(largest: largest ?? first, smallest: smallest ?? last, count: count)
        return (sigmas.map { SigmaSchedule.timestep(of: $0, logSigmas: logSigmas, isSingle: false) }, sigmas)
    }
}
