/// What ``GenerationRequest/isFast`` stands for: the settings that came nearest to the picture in full for the time that they take
/// (docs/performance.md, "Quality over time").
struct FastSettings: Equatable {
    let stepCaching: StepCaching
    let guidanceInterval: GuidanceInterval?

    /// - Parameter options: of the run's steps.
    /// - Throws: ``PipelineError`` that names a scheduler for which nothing was found that pays.
    init(for scheduler: any Scheduler, options: SchedulerStepOptions) throws {
        let descriptor = type(of: scheduler).descriptor
        guard descriptor.modelKind != .consistency, descriptor.modelKind != .inversion, descriptor.evaluationsPerStep <= 1
        else {
            throw PipelineError(
                "Fast settings don't suit the scheduler \(descriptor.shortName), "
                    + (descriptor.evaluationsPerStep > 1
                        ? "which evaluates the model \(descriptor.evaluationsPerStep) times a step"
                        : descriptor.modelKind == .inversion
                            ? "which makes no pictures" : "which is made for so few steps that none can be left out")
                    + ": expected one such as dpm++2m, euler or euler-a.", kind: .invalidRequest)
        }
        if !scheduler.drawsNoise(with: options) {
            // Guidance in a part of the run would begin the forecasts anew, which costs about what it saves.
            guidanceInterval = nil
            stepCaching =
                Self.isSteady(scheduler) && scheduler.timesteps.count >= Self.fewestForDeep
                ? .forecast(threshold: 0.2, deep: StepCaching.Deep(interval: 2, branch: 2)) : .forecast(threshold: 0.1)
        } else {
            // Kynkäänniemi et al. 2024 begin guidance of SDXL at a noise level near 5.4, which is a fifth of a usual schedule.
            (stepCaching, guidanceInterval) = (.deep(interval: 3, branch: 2), GuidanceInterval(start: 0.2, end: 1))
        }
    }

    /// Steps from which on deep features of one step are near enough to those of the next. With fewer, they differ more.
    private static let fewestForDeep = 16

    /// Whether a small change of one prediction stays small: where a step uses at most two of them, as predictions of the picture. Solvers that extrapolate from
    /// more, or extrapolate noise, or correct a step by the next prediction, make it larger from step to step, and what deep features of
    /// another step change is such a change.
    private static func isSteady(_ scheduler: any Scheduler) -> Bool {
        guard type(of: scheduler).descriptor.order <= 2, !(scheduler is UniPCMultistepScheduler) else { return false }
        let values = scheduler.settings.values
        if case .integer(let order)? = values["solver_order"], order > 2 { return false }
        if case .text(let algorithm)? = values["algorithm_type"], algorithm != "dpmsolver++" { return false }
        return true
    }
}

extension GenerationRequest {
    /// Takes the settings that ``isFast`` stands for.
    ///
    /// - Throws: ``PipelineError`` where they don't suit the scheduler, or the request states others.
    mutating func takeFastSettings(for scheduler: any Scheduler) throws {
        guard isFast else { return }
        guard stepCaching == nil, guidanceInterval == nil else {
            throw PipelineError(
                "The request is to be fast, which decides how steps are cached and where guidance counts, and it states one of them itself: "
                    + "expected either.", kind: .invalidRequest)
        }
        let settings = try FastSettings(for: scheduler, options: stepOptions)
        (stepCaching, guidanceInterval) = (settings.stepCaching, settings.guidanceInterval)
    }
}
