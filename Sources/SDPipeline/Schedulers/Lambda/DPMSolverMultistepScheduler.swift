/// DPM-Solver and DPM-Solver++ as multistep methods of order 1 to 3, and their stochastic forms. diffusers:
/// `DPMSolverMultistepScheduler`.
///
/// The update of third order has the weight of half of its second difference, as in diffusers and the authors' code, and so order 2.
///
/// One evaluation a step; the predictions are in `SchedulerState.modelOutputs`. Stochastic with `algorithm_type` `sde-dpmsolver` and
/// `sde-dpmsolver++`. `sde-dpmsolver` of third order, which diffusers doesn't have either, is refused.
public struct DPMSolverMultistepScheduler: VariancePreservingSolver {
    public static let descriptor = SchedulerDescriptor(
        className: "DPMSolverMultistepScheduler", shortName: "dpm++2m",
        aliases: [
            .init("dpm++"), .init("dpm solver++"), .init("dpm solver multistep"),
            .init("dpm++ 2m sde", overrides: ["algorithm_type": .text("sde-dpmsolver++")]),
            .init(
                "dpm++ 2m sde heun",
                overrides: ["algorithm_type": .text("sde-dpmsolver++"), "solver_type": .text("heun")]),
            .init("dpm++ 3m", overrides: ["solver_order": .integer(3)]),
            .init(
                "dpm solver", overrides: ["algorithm_type": .text("dpmsolver"), "final_sigmas_type": .text("sigma_min")]),
        ],
        parameters: SchedulerParameter.noiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [.solverOrder(), .predictionType([.epsilon, .sample, .vPrediction, .flowPrediction])]
            + DPMSolverUpdate.parameters([.dpmSolver, .dpmSolverPlus, .sdeDPMSolver, .sdeDPMSolverPlus])
            + [
                .flag("lower_order_final", default: true), .flag("euler_at_final", default: false), .finalSigmas,
                SchedulerParameter("use_lu_lambdas", .flag, default: .flag(false), isOptional: true), .lambdaMinClipped,
                .varianceType, .rescaleBetasZeroSNR,
            ] + SchedulerParameter.thresholding + SchedulerParameter.sigmaMethods + SchedulerParameter.flowSigmas
            + SchedulerParameter.dynamicShifting + SchedulerParameter.timestepSpacing(default: .linspace),
        order: 2, isStochastic: false, takesTimesteps: true, takesSigmas: true,
        paper:
            "Lu et al. 2022, DPM-Solver (arXiv:2206.00927), eq. 3.7, and DPM-Solver++ (arXiv:2211.01095), alg. 2 and eq. 14-18")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    public let levels: [NoiseLevel]
    private let update: DPMSolverUpdate
    private let orders: MultistepOrder
    private let output: SolverOutput

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        update = try DPMSolverUpdate(settings)
        output = try SolverOutput(settings, quantity: update.algorithm.quantity)
        let plan = try SolverPlan(
            settings, schedule: NoiseSchedule(settings, keepsSignal: true), request: request, end: .training,
            roundsCosine: false)
        timesteps = plan.timesteps.map { Float($0) }
        sigmas = plan.sigmas
        levels = plan.levels
        orders = try MultistepOrder(
            settings, stepCount: timesteps.count, hasThird: update.algorithm != .sdeDPMSolver)
        let last = timesteps.count - 1
        try update.checkLastStep(of: levels, order: orders.order(at: last, stepsTaken: last), scheduler: settings.className)
    }

    public func drawsNoise(with options: SchedulerStepOptions) -> Bool { update.algorithm.isStochastic }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        let predicted = try output.predicted(
            modelOutput, sampleCount: sample.count, batchSize: state.batchSize, scheduler: name)
        try checkStep(index: index, modelOutput: predicted, sample: sample)
        state.remember(
            output.converted(predicted, sample: sample, level: levels[index], batchSize: state.batchSize), count: orders.order)
        let drawn = update.algorithm.isStochastic ? try draw(sample.count, from: noise) : nil
        let order = min(orders.order(at: index, stepsTaken: state.stepsTaken), state.modelOutputs.count)
        state.stepsTaken += 1
        return update.multistep(
            order: order, history: state.modelOutputs, levels: levels, at: index, sample: sample, noise: drawn)
    }
}
