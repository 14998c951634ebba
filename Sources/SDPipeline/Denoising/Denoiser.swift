import GraphRuntime

/// Predicts from noisy latents what a scheduler needs: noise, sample or velocity.
///
/// A value, with whatever it keeps from one evaluation to the next. It sees no scheduler. What changes the prediction (a mask's channels, a refiner from a step on) is another denoiser around it.
protocol Denoiser: Sendable {
    /// - Parameters:
    ///   - latents: of all pictures, [N, C, h, w], as the scheduler scales them for the model.
    ///   - evaluation: which evaluation of the run this is.
    /// - Returns: [N, C, h, w]; twice the channels where the model predicts a variance, too.
    /// - Throws: ``PipelineError`` where a graph fails, `CancellationError` where the task is cancelled.
    mutating func predict(_ latents: Latents, at evaluation: Evaluation, observer: (any RunObserver)?) throws -> Latents
}

/// One evaluation of the model.
struct Evaluation: Sendable, Equatable {
    /// Among the scheduler's timesteps.
    let index: Int
    let timestep: Float
    /// Signal and noise of the latents.
    let noiseLevel: NoiseLevel
    /// Its place among the evaluations that are computed: the index, less those before it that were left out.
    var ordinal: Int
}
