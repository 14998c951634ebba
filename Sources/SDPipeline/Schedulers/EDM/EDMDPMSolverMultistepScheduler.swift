/// DPM-Solver++ as a multistep method for models with the preconditioning of EDM. diffusers: `EDMDPMSolverMultistepScheduler`.
///
/// Order 1 or 2 (with `solver_order` 3 too, as in `DPMSolverMultistepScheduler`), one evaluation a step; stochastic with `algorithm_type`
/// `sde-dpmsolver++`, which has no third order here, as in diffusers.
public struct EDMDPMSolverMultistepScheduler: Scheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "EDMDPMSolverMultistepScheduler", shortName: "edm-dpm++2m",
        aliases: [.init("edm dpm solver multistep"), .init("edm dpm++")],
        parameters: EDMPreconditioning.parameters
            + [.solverOrder(), .flag("lower_order_final", default: true), .flag("euler_at_final", default: false)]
            + DPMSolverUpdate.parameters([.dpmSolverPlus, .sdeDPMSolverPlus]) + SchedulerParameter.thresholding,
        order: 2, isStochastic: false,
        modelKind: .edm,
        paper: "Lu et al. 2022, DPM-Solver++ (arXiv:2211.01095), alg. 2, with Karras et al. 2022 (arXiv:2206.00364), table 1")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    private let levels: [NoiseLevel]
    private let preconditioning: EDMPreconditioning
    private let update: DPMSolverUpdate
    private let orders: MultistepOrder
    private let limit: OriginalSampleLimit

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        preconditioning = try EDMPreconditioning(settings)
        update = try DPMSolverUpdate(settings)
        limit = try OriginalSampleLimit(settings)
        let count = try request.stepCount(
            trainTimesteps: settings.integer("num_train_timesteps"), scheduler: settings.className)
        let values = try EDMPreconditioning.sigmas(settings, count: count, isDouble: false)
        timesteps = values.map { EDMPreconditioning.timestep(of: $0) }
        let endsAtZero = try settings.text("final_sigmas_type") == "zero"
        sigmas = values + [endsAtZero ? 0 : Float(try settings.number("sigma_min"))]
        levels = sigmas.map { NoiseLevel(alpha: 1, sigma: $0) }
        orders = try MultistepOrder(
            settings, stepCount: count, hasThird: update.algorithm != .sdeDPMSolverPlus)
        try update.checkLastStep(
            of: levels, order: orders.order(at: count - 1, stepsTaken: count - 1), scheduler: settings.className)
    }

    public var noiseLevels: [NoiseLevel] { levels.dropLast() }
    public var initNoiseSigma: Float { preconditioning.initNoiseSigma }

    public func scaleModelInput(_ sample: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        return preconditioning.input(sample, sigma: sigmas[index])
    }

    public func drawsNoise(with options: SchedulerStepOptions) -> Bool { update.algorithm.isStochastic }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let original = preconditioning.original(from: modelOutput, sample: sample, sigma: sigmas[index])
        state.remember(limit.apply(original, batchSize: state.batchSize), count: orders.order)
        let drawn = update.algorithm.isStochastic ? try draw(sample.count, from: noise) : nil
        let order = min(orders.order(at: index, stepsTaken: state.stepsTaken), state.modelOutputs.count)
        state.stepsTaken += 1
        return update.multistep(
            order: order, history: state.modelOutputs, levels: levels, at: index, sample: sample, noise: drawn)
    }

    public func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        try checkSameSize(original, noise)
        let sigma = sigmas[index]
        return combine(original, noise) { $0 + $1 * sigma }
    }
}
