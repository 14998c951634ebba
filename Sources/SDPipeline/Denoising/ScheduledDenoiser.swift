import GraphRuntime

/// Predicts with another denoiser from step to step, where prompts or their guidance change over them.
struct ScheduledDenoiser: Denoiser {
    /// One or more.
    var denoisers: [GuidedUNet]
    /// Which of them each evaluation takes, from ``firstIndex`` on.
    let choices: [Int]
    /// The run's first evaluation.
    let firstIndex: Int

    mutating func predict(
        _ latents: Latents, at evaluation: Evaluation, observer: (any RunObserver)?
    ) throws -> Latents {
        try denoisers[choices[evaluation.index - firstIndex]].predict(latents, at: evaluation, observer: observer)
    }
}
