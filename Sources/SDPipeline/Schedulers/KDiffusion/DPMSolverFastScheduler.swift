/// Singlestep DPM-Solver with a given number of evaluations: groups of third order, of equal length in ln σ, and a lower order for what is
/// left. k-diffusion: `sample_dpm_fast`; diffusers has none.
///
/// One evaluation a step; deterministic. It goes over the noise levels of training, from the largest down to the smallest, and not to 0. A run
/// can start anywhere: what is left of a group is then a group of lower order.
public struct DPMSolverFastScheduler: VarianceExplodingScheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "DPMSolverFastScheduler", shortName: "dpm-fast",
        parameters: SchedulerParameter.latentNoiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [.predictionType([.epsilon, .sample, .vPrediction])],
        order: 3, isStochastic: false,
        paper: "Lu et al. 2022, DPM-Solver (arXiv:2206.00927), alg. 1 and 2 and section 3.4; k-diffusion's sample_dpm_fast")

    /// Where in its group an evaluation is.
    private struct Place {
        /// Evaluations of the group from this one on.
        let left: Int
        /// t = −ln σ of the group's end.
        let end: Float
    }

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let evaluationSigmas: [Float]
    public let initNoiseSigma: Float
    /// t = −ln σ of each evaluation.
    private let times: [Float]
    private let places: [Place]
    private let prediction: PredictionType

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        prediction = try PredictionType(settings)
        let schedule = try NoiseSchedule(settings)
        let count = try request.stepCount(trainTimesteps: schedule.count, scheduler: settings.className)
        let trained = schedule.sigmas
        guard trained.count > 1, trained.allSatisfy(\.isFinite), let smallest = trained.first, let largest = trained.last else {
            throw SchedulerError.contradiction(
                scheduler: settings.className,
                reason: "it needs at least 2 training timesteps, and signal at the last of them")
        }
        let groups = count / 3 + 1
        let orders =
            count.isMultiple(of: 3)
            ? [Int](repeating: 3, count: groups - 2) + [2, 1] : [Int](repeating: 3, count: groups - 1) + [count % 3]
        let bounds = NoiseSchedule.linspace(-SingleMath.log(largest), -SingleMath.log(smallest), count: groups + 1)
        var times: [Float] = []
        var places: [Place] = []
        for (order, (start, end)) in zip(orders, zip(bounds, bounds.dropFirst())) {
            for number in 0..<order {
                times.append(start + Float(number) / Float(order) * (end - start))
                places.append(Place(left: order - number, end: end))
            }
        }
        self.times = times
        self.places = places
        evaluationSigmas = times.map { SingleMath.exp(-$0) }
        let logSigmas = trained.map { SingleMath.log($0) }
        timesteps = evaluationSigmas.map { SigmaSchedule.timestep(of: $0, logSigmas: logSigmas) }
        initNoiseSigma = largest
    }

    public var sigmas: [Float] { evaluationSigmas + places.suffix(1).map { SingleMath.exp(-$0.end) } }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let sigma = evaluationSigmas[index]
        let original = prediction.original(from: modelOutput, sample: sample, sigma: sigma)
        let slope = combine(sample, original) { ($0 - $1) / sigma }
        state.stepsTaken += 1
        let taken = state.modelOutputs.count
        if taken == 0 { state.heldSample = sample }
        let start = try heldSample(state)
        state.modelOutputs.append(slope)
        let slopes = state.modelOutputs
        if places[index].left == 1 {
            state.heldSample = nil
            state.modelOutputs = []
        }
        return lowered(start, slopes: slopes, order: taken + places[index].left, at: index)
    }

    /// The group's start brought down to the next evaluation, or to the group's end.
    /// - Parameters:
    ///   - slopes: the predicted noise at the group's evaluations so far.
    ///   - order: the number of evaluations in the group.
    private func lowered(_ start: [Float], slopes: [[Float]], order: Int, at index: Int) -> [Float] {
        let from = times[index - slopes.count + 1]
        let isLast = places[index].left == 1
        let to = isLast ? places[index].end : times[index + 1]
        let h = to - from
        let sigma = SingleMath.exp(-to)
        let growth = SingleMath.expm1(h)
        let weight = sigma * growth
        let first = combine(start, slopes[0]) { $0 - weight * $1 }
        guard slopes.count > 1, let slope = slopes.last else { return first }
        // The share of the group's length at which the last slope was taken, and that of this update.
        let share = Float(slopes.count - 1) / Float(order)
        let correction: Float
        if order == 2 {
            correction = weight / (2 * share)
        } else {
            let end = isLast ? 1 : Float(slopes.count) / Float(order)
            correction = sigma * (end / share) * (growth / h - 1)
        }
        let difference = combine(slope, slopes[0]) { $0 - $1 }
        return combine(first, difference) { $0 - correction * $1 }
    }
}
