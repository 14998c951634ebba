import Foundation

/// The timesteps and noise levels of a run for the solvers in λ = ln(alpha / sigma): DPM-Solver, DEIS, UniPC and SA-Solver.
///
/// Their timesteps are indices of the training timesteps, of which the last step's end at 0 is left out. `use_karras_sigmas` and its
/// relatives place noise levels over the whole range of training. Double precision, as in diffusers, until the result is stored.
struct SolverPlan {
    let timesteps: [Int]
    /// The noise level σ/α of each step and of the end, or σ of a straight path with `use_flow_sigmas`.
    let sigmas: [Float]
    let isFlow: Bool

    /// What the last step goes down to where the noise levels aren't those of the timesteps.
    enum End {
        /// The first training timestep's level.
        case training
        /// The level of the last step again, so that this step changes nothing.
        case last
    }

    /// - Parameters:
    ///   - settings: the scheduler's; keys that it doesn't have count as their defaults.
    ///   - end: which level `final_sigmas_type` `sigma_min` means; schedulers without that key end there always.
    ///   - roundsCosine: whether the timesteps of Karras' levels are rounded with the cosine schedule too, instead of cut.
    init(
        _ settings: SchedulerSettings, schedule: NoiseSchedule, request: TimestepRequest, end: End, roundsCosine: Bool = true
    ) throws {
        func isSet(_ key: String) throws -> Bool { settings.has(key) ? try settings.flag(key) : false }
        let scheduler = settings.className
        let trainSigmas = schedule.sigmas
        guard trainSigmas.allSatisfy(\.isFinite) else {
            throw SchedulerError.contradiction(
                scheduler: scheduler, reason: "the betas leave no signal at the last timestep, so its noise level is infinite")
        }
        let method = try SigmaSchedule(settings)
        let usesLambdas = try method == .timesteps && isSet("use_lu_lambdas")
        isFlow = try method == .timesteps && !usesLambdas && isSet("use_flow_sigmas")
        let isSpread = method != .timesteps || usesLambdas || isFlow
        let logSigmas = trainSigmas.map { SingleMath.log($0) }
        func indices(of levels: [Double], rounded: Bool) -> [Int] {
            levels.map { level in
                let timestep = SigmaSchedule.timestep(of: level, logSigmas: logSigmas, isSingle: false)
                return Int(timestep.rounded(rounded ? .toNearestOrEven : .towardZero))
            }
        }
        let endsAtZero = settings.has("final_sigmas_type") ? try settings.text("final_sigmas_type") == "zero" : false
        let request = try request.resolved(logSigmas: logSigmas, scheduler: scheduler)
        if case .sigmas(let given) = request {
            guard !isFlow else {
                throw SchedulerError.invalidSchedule(
                    scheduler: scheduler, reason: "a list of sigmas can't be used with use_flow_sigmas")
            }
            let single = try TimestepRequest.checkedSigmas(given, trainTimesteps: schedule.count, scheduler: scheduler)
            let levels = Array(single.dropLast())
            try Self.checkDescends(levels, scheduler: scheduler)
            // 0 is what the settings end with: solvers without that end go to the first training timestep's level.
            let last = single[levels.count] > 0 || endsAtZero ? single[levels.count] : Double(trainSigmas[0])
            timesteps = indices(of: levels, rounded: true)
            sigmas = (levels + [last]).map { Float($0) }
            return
        }
        let whole: [Int]
        if case .timesteps(let list) = request {
            guard !isSpread else {
                throw SchedulerError.invalidSchedule(
                    scheduler: scheduler, reason: "a list of timesteps can't be used where the noise levels are set")
            }
            whole = try TimestepRequest.checkedWhole(list, trainTimesteps: schedule.count, scheduler: scheduler)
        } else {
            whole = try Self.spaced(settings, schedule: schedule, request: request)
        }
        let count = isSpread ? try request.stepCount(trainTimesteps: schedule.count, scheduler: scheduler) : whole.count
        guard !isSpread || schedule.count > 1, let smallest = trainSigmas.first, let largest = trainSigmas.last else {
            throw SchedulerError.contradiction(
                scheduler: scheduler, reason: "a schedule of noise levels needs at least 2 training timesteps")
        }

        let roundsKarras = try roundsCosine || settings.text("beta_schedule") != "squaredcos_cap_v2"
        var levels: [Double]
        if isFlow {
            let shift = try settings.number("flow_shift")
            let signal = TimestepSpacing.linspace(1, 1 / Double(schedule.count), count: count + 1)
            levels = signal.dropFirst().reversed().map { shift * (1 - $0) / (1 + (shift - 1) * (1 - $0)) }
            timesteps = levels.map { Int($0 * Double(schedule.count)) }
        } else if usesLambdas {
            // Lu et al. 2022, section 3.4: evenly spaced λ.
            levels = TimestepSpacing.linspace(Double(logSigmas[schedule.count - 1]), Double(logSigmas[0]), count: count)
                .map { exp($0) }
            timesteps = indices(of: levels, rounded: roundsKarras)
        } else if method != .timesteps {
            levels = method.levels(largest: Double(largest), smallest: Double(smallest), count: count)
            timesteps = indices(of: levels, rounded: method == .karras && roundsKarras)
        } else {
            levels = whole.map { SigmaSchedule.interpolate(trainSigmas, at: Double($0)) }
            timesteps = whole
        }
        try Self.checkDescends(levels, scheduler: scheduler)
        let last = isSpread && end == .last ? levels[levels.count - 1] : Double(smallest)
        sigmas = (levels + [endsAtZero ? 0 : last]).map { Float($0) }
    }

    private static func checkDescends(_ levels: [Double], scheduler: String) throws {
        guard zip(levels, levels.dropFirst()).allSatisfy({ $0 > $1 }) else {
            throw SchedulerError.invalidSchedule(
                scheduler: scheduler,
                reason: "\(levels.count) steps are too many: some of them would have the same timestep")
        }
    }

    /// Signal and noise of each step and of the end.
    var levels: [NoiseLevel] { sigmas.map { isFlow ? NoiseLevel(flow: $0) : NoiseLevel(ratio: $0) } }

    private static func spaced(
        _ settings: SchedulerSettings, schedule: NoiseSchedule, request: TimestepRequest
    ) throws -> [Int] {
        let scheduler = settings.className
        let count = try request.stepCount(trainTimesteps: schedule.count, scheduler: scheduler)
        let used = try schedule.count - clippedCount(settings, schedule)
        guard used >= 1 else {
            throw SchedulerError.contradiction(
                scheduler: scheduler, reason: "lambda_min_clipped leaves no training timestep")
        }
        let spacing =
            settings.has("timestep_spacing") ? try settings.choice("timestep_spacing", as: TimestepSpacing.self) : .linspace
        let result: [Int]
        switch spacing {
        case .linspace:
            let values = TimestepSpacing.linspace(0, Double(used - 1), count: count + 1)
            result = values.dropFirst().reversed().map { Int($0.rounded(.toNearestOrEven)) }
        case .leading:
            let ratio = used / (count + 1)
            let offset = try settings.integer("steps_offset")
            result = (1...count).reversed().map { $0 * ratio + offset }
        case .trailing:
            result = TimestepSpacing.trailing(from: used, trainTimesteps: schedule.count, count: count)
        }
        if let wrong = result.first(where: { !(0..<schedule.count).contains($0) }) {
            throw SchedulerError.invalidSchedule(
                scheduler: scheduler,
                reason: "\(count) steps with these settings reach timestep \(wrong), "
                    + "but the model was trained on timesteps 0 to \(schedule.count - 1)")
        }
        return result
    }

    /// How many of the noisiest training timesteps `lambda_min_clipped` leaves out.
    private static func clippedCount(_ settings: SchedulerSettings, _ schedule: NoiseSchedule) throws -> Int {
        guard settings.has("lambda_min_clipped") else { return 0 }
        let limit = Float(try settings.number("lambda_min_clipped"))
        return schedule.alphasCumprod.count { NoiseLevel(alphaCumprod: $0).lambda < limit }
    }
}
