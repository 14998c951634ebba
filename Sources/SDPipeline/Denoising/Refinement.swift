/// Where a refiner takes over from a model: at a share of the noise schedule, as `denoising_end` and `denoising_start` of diffusers' SDXL pipelines.
enum Refinement {
    /// The share that the model takes where none is asked for.
    static let defaultStart = 0.8

    /// The timestep below which the refiner works.
    ///
    /// - Throws: ``PipelineError`` for a share that isn't between 0 and 1.
    static func cutoff(_ request: GenerationRequest, scheduler: any Scheduler) throws -> Float {
        let start = request.refinerStart ?? defaultStart
        guard start > 0, start < 1 else {
            throw PipelineError("The refiner starts at \(start), expected a number between 0 and 1.", kind: .invalidRequest)
        }
        let count = Double(try scheduler.settings.integer("num_train_timesteps"))
        return Float((count - start * count).rounded(.toNearestOrEven))
    }

    /// The evaluations that the model takes.
    static func stepsBefore(_ cutoff: Float, _ timesteps: ArraySlice<Float>) -> Int { timesteps.count { $0 >= cutoff } }

    /// The refiner's first evaluation. Schedulers with two evaluations a step need an odd number of them, the last step having one.
    static func firstIndex(_ cutoff: Float, _ scheduler: any Scheduler) -> Int {
        var count = scheduler.timesteps.count { $0 < cutoff }
        if type(of: scheduler).descriptor.evaluationsPerStep == 2, count.isMultiple(of: 2) { count += 1 }
        return scheduler.timesteps.count - min(count, scheduler.timesteps.count)
    }
}
