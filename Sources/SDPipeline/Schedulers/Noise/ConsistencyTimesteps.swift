/// The timesteps of models that were distilled from `original_inference_steps` steps of a teacher: LCM and TCD.
enum ConsistencyTimesteps {
    /// The parameters of both schedulers in diffusers.
    static let parameters: [SchedulerParameter] =
        SchedulerParameter.latentNoiseSchedule(schedules: SchedulerParameter.betaSchedules, default: "scaled_linear")
        + [
            SchedulerParameter(
                "original_inference_steps", .integer(1...SchedulerParameter.largestTrainTimesteps), default: .integer(50)),
            .setAlphaToOne(default: true), .predictionType([.epsilon, .sample, .vPrediction]),
            SchedulerParameter("timestep_scaling", .number(0...1e6), default: .number(10)), .rescaleBetasZeroSNR,
        ] + SchedulerParameter.clipping(default: false) + SchedulerParameter.thresholding
        + SchedulerParameter.timestepSpacing(default: .leading)

    /// A run's timesteps: the given ones, or as many as asked for, evenly chosen from the teacher's.
    static func timesteps(_ settings: SchedulerSettings, request: TimestepRequest) throws -> [Int] {
        let scheduler = settings.className
        let trainTimesteps = try settings.integer("num_train_timesteps")
        let original = try settings.integer("original_inference_steps")
        guard original <= trainTimesteps else {
            throw SchedulerError.contradiction(
                scheduler: scheduler,
                reason: "original_inference_steps is \(original), more than the \(trainTimesteps) training timesteps")
        }
        if case .timesteps(let given) = request {
            return try TimestepRequest.checkedWhole(given, trainTimesteps: trainTimesteps, scheduler: scheduler)
        }
        let count = try request.stepCount(trainTimesteps: trainTimesteps, scheduler: scheduler)
        guard count <= original else {
            throw SchedulerError.invalidSchedule(
                scheduler: scheduler,
                reason: "\(count) steps were asked for, expected 1 to \(original) (original_inference_steps)")
        }
        let distance = trainTimesteps / original
        return (0..<count).map { step in
            let index = Int((Double(step) * (Double(original) / Double(count))).rounded(.down))
            return (original - index) * distance - 1
        }
    }

    /// The timesteps of a run over a picture: as many as asked for, of the teacher's last `strength` of them (diffusers'
    /// `LCMScheduler.set_timesteps` with `strength`, as `LatentConsistencyModelImg2ImgPipeline` calls it).
    ///
    /// - Returns: nil for schedulers of other models, and where the request says which timesteps.
    static func timesteps(of scheduler: any Scheduler, strength: Double, request: GenerationRequest) throws -> [Double]? {
        guard type(of: scheduler).descriptor.modelKind == .consistency else { return nil }
        switch request.timestepRequest ?? .steps(request.steps) {
        case .steps(let count):
            let original = try scheduler.settings.integer("original_inference_steps")
            let distance = try scheduler.settings.integer("num_train_timesteps") / original
            let kept = Int(Double(original) * strength)
            guard count <= kept else {
                throw SchedulerError.invalidSchedule(
                    scheduler: scheduler.name,
                    reason: "\(count) steps were asked for with a strength of \(strength), expected 1 to \(kept) "
                        + "(original_inference_steps times the strength)")
            }
            return (0..<count).map { step in
                let index = Int((Double(step) * (Double(kept) / Double(count))).rounded(.down))
                return Double((kept - index) * distance - 1)
            }
        default: return nil
        }
    }
}
