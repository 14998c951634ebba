/// What ``GenerationRequest/isFast`` stands for: the settings that came nearest to the picture in full for the time that they take
/// (docs/performance.md, "Quality over time").
struct FastSettings: Equatable {
    let stepCaching: StepCaching
    let guidanceInterval: GuidanceInterval?

    /// - Parameter eta: of the run's steps.
    /// - Throws: ``PipelineError`` that names a scheduler for which nothing was found that pays.
    init(for scheduler: SchedulerDescriptor, eta: Double?) throws {
        guard scheduler.modelKind != .consistency, scheduler.modelKind != .inversion, scheduler.evaluationsPerStep <= 1 else {
            throw PipelineError(
                "Fast settings don't suit the scheduler \(scheduler.shortName), "
                    + (scheduler.evaluationsPerStep > 1
                        ? "which evaluates the model \(scheduler.evaluationsPerStep) times a step"
                        : scheduler.modelKind == .inversion
                            ? "which makes no pictures" : "which is made for so few steps that none can be left out")
                    + ": expected one such as dpm++2m, euler or euler-a.", kind: .invalidRequest)
        }
        let forecast = StepCaching.forecast(threshold: 0.1)
        if (try? forecast.check(for: scheduler, eta: eta)) != nil {
            // Guidance in a part of the run would begin the forecasts anew, which costs about what it saves.
            (stepCaching, guidanceInterval) = (forecast, nil)
        } else {
            // Kynkäänniemi et al. 2024 begin guidance of SDXL at a noise level near 5.4, which is a fifth of a usual schedule.
            (stepCaching, guidanceInterval) = (.deep(interval: 3, branch: 2), GuidanceInterval(start: 0.2, end: 1))
        }
    }
}

extension GenerationRequest {
    /// Takes the settings that ``isFast`` stands for.
    ///
    /// - Throws: ``PipelineError`` where they don't suit the scheduler, or the request states others.
    mutating func takeFastSettings(for scheduler: SchedulerDescriptor) throws {
        guard isFast else { return }
        guard stepCaching == nil, guidanceInterval == nil else {
            throw PipelineError(
                "The request is to be fast, which decides how steps are cached and where guidance counts, and it states one of them itself: "
                    + "expected either.", kind: .invalidRequest)
        }
        let settings = try FastSettings(for: scheduler, eta: stepOptions.eta)
        (stepCaching, guidanceInterval) = (settings.stepCaching, settings.guidanceInterval)
    }
}
