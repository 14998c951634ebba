/// Heun's method along straight paths, for models trained by flow matching. diffusers: `FlowMatchHeunDiscreteScheduler`.
///
/// Order 2, two evaluations a step, one for the last; stochastic only with churn. A run can start at even indices.
public struct FlowMatchHeunDiscreteScheduler: Scheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "FlowMatchHeunDiscreteScheduler", shortName: "flow-heun", aliases: [.init("flow match heun")],
        parameters: FlowSchedule.parameters, stepOptions: ["s_churn", "s_tmin", "s_tmax", "s_noise"], order: 2,
        evaluationsPerStep: 2, isStochastic: false,
        modelKind: .flow,
        paper:
            "Lipman et al. 2022, Flow Matching for Generative Modeling (arXiv:2210.02747), with Karras et al. 2022 (arXiv:2206.00364), "
            + "alg. 2")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        let flow = try FlowSchedule(settings)
        let count = try request.stepCount(trainTimesteps: flow.trainTimesteps, scheduler: settings.className)
        let levels = flow.levels(count: count).map { Float($0) }
        let doubled = levels.prefix(1) + levels.dropFirst().flatMap { [$0, $0] }
        sigmas = doubled + [0]
        timesteps = doubled.map { $0 * Float(flow.trainTimesteps) }
    }

    public var noiseLevels: [NoiseLevel] { sigmas.dropLast().map { NoiseLevel(flow: $0) } }

    public func drawsNoise(with options: SchedulerStepOptions) -> Bool { options.churn > 0 }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let isFirst = index.isMultiple(of: 2)
        let held = isFirst ? nil : try heldSample(state)
        let sigma = sigmas[isFirst ? index : index - 1]
        let churn = Churn(options: options, stepCount: sigmas.count - 1)
        let (raisedSample, raised) = try churn.raised(sample, sigma: sigma) { try draw(sample.count, from: noise) }
        let level = sigmas[index]
        let denoised = combine(raisedSample, modelOutput) { $0 - $1 * level }
        let divisor = isFirst ? raised : level
        let slope = combine(raisedSample, denoised) { ($0 - $1) / divisor }
        state.stepsTaken += 1
        if isFirst {
            let difference = sigmas[index + 1] - raised
            if index + 1 < timesteps.count {
                state.heldSample = raisedSample
                state.modelOutputs = [slope]
                state.heldDifference = difference
            }
            return combine(raisedSample, slope) { $0 + $1 * difference }
        }
        let difference = state.heldDifference ?? level - sigma
        let mean = combine(state.modelOutputs.last ?? slope, slope) { 0.5 * ($0 + $1) }
        state.heldSample = nil
        state.heldDifference = nil
        state.modelOutputs = []
        return combine(held ?? sample, mean) { $0 + $1 * difference }
    }

    public func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float] {
        try FlowSchedule.addNoise(to: original, noise: noise, at: index, of: self)
    }
}
