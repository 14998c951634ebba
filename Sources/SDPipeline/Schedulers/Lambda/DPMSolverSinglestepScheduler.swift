/// DPM-Solver and DPM-Solver++ as singlestep methods of order 1 to 3. diffusers: `DPMSolverSinglestepScheduler`.
///
/// A step of order k takes k evaluations at k of the run's timesteps: orders 1, 2, …, k follow each other, and each starts from the sample
/// at which the group began, in `SchedulerState.heldSample`. Stochastic with `algorithm_type` `sde-dpmsolver++`.
public struct DPMSolverSinglestepScheduler: VariancePreservingSolver {
    public static let descriptor = SchedulerDescriptor(
        className: "DPMSolverSinglestepScheduler", shortName: "dpm++2s",
        aliases: [
            .init("dpm solver singlestep"), .init("dpm++ 3s", overrides: ["solver_order": .integer(3)]),
        ],
        parameters: SchedulerParameter.noiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [.solverOrder(), .predictionType([.epsilon, .sample, .vPrediction, .flowPrediction])]
            + DPMSolverUpdate.parameters([.dpmSolver, .dpmSolverPlus, .sdeDPMSolverPlus])
            + [.flag("lower_order_final", default: false), .finalSigmas, .lambdaMinClipped, .varianceType]
            + SchedulerParameter.thresholding + SchedulerParameter.sigmaMethods + SchedulerParameter.flowSigmas
            + SchedulerParameter.dynamicShifting,
        order: 2, isStochastic: false, takesTimesteps: true, takesSigmas: true,
        paper: "Lu et al. 2022, DPM-Solver (arXiv:2206.00927), alg. 1, 4 and 5, and DPM-Solver++ (arXiv:2211.01095), alg. 1")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    public let levels: [NoiseLevel]
    private let update: DPMSolverUpdate
    private let orders: [Int]
    private let output: SolverOutput

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        update = try DPMSolverUpdate(settings)
        output = try SolverOutput(settings, quantity: update.algorithm.quantity)
        let plan = try SolverPlan(settings, schedule: NoiseSchedule(settings), request: request, end: .training)
        timesteps = plan.timesteps.map { Float($0) }
        sigmas = plan.sigmas
        levels = plan.levels
        let endsAtZero = try settings.text("final_sigmas_type") == "zero"
        let order = try settings.integer("solver_order")
        let count = timesteps.count
        let lowersFinal = try settings.flag("lower_order_final") || !count.isMultiple(of: order) || endsAtZero
        orders = Self.orders(order: order, count: count, lowersFinal: lowersFinal, endsWithFirst: endsAtZero)
    }

    /// The order of each evaluation: whole groups of 1, 2, …, `order`, and lower orders for what is left at the end.
    private static func orders(order: Int, count: Int, lowersFinal: Bool, endsWithFirst: Bool) -> [Int] {
        var result = (0..<count).map { $0 % order + 1 }
        // Without a rest the last group is broken up, so that the run ends with a low order.
        if lowersFinal, count.isMultiple(of: order) { result[count - 1] = 1 }
        if endsWithFirst { result[count - 1] = 1 }
        return result
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
            output.converted(predicted, sample: sample, level: levels[index], batchSize: state.batchSize), count: 3)
        let drawn = update.algorithm.isStochastic ? try draw(sample.count, from: noise) : nil
        // A run that starts in the middle of a group begins one of its own.
        let order = min(orders[index], state.modelOutputs.count)
        if order == 1 { state.heldSample = sample }
        state.stepsTaken += 1
        return updated(
            order: order, history: state.modelOutputs, at: index, sample: state.heldSample ?? sample, noise: drawn)
    }

    /// The polynomial goes through the group's predictions, from the group's start to the end of this evaluation's interval.
    private func updated(
        order: Int, history: [[Float]], at index: Int, sample: [Float], noise: [Float]?
    ) -> [Float] {
        let group = Array(history.suffix(order))
        let start = levels[index - order + 1]
        let end = levels[index + 1]
        let h = end.lambda - start.lambda
        var differences = DPMSolverUpdate.Differences(zeroth: group[0])
        func position(_ offset: Int) -> Float { (levels[index - offset].lambda - start.lambda) / h }
        if order == 2 {
            differences.first = DPMSolverUpdate.scaled(group[1], minus: group[0], by: 1 / position(0))
        } else if order == 3 {
            let (r0, r1) = (position(0), position(1))
            let near = DPMSolverUpdate.scaled(group[1], minus: group[0], by: 1 / r1)
            let far = DPMSolverUpdate.scaled(group[2], minus: group[0], by: 1 / r0)
            if update.kind == .midpoint {
                differences.first = far
            } else {
                differences.first = combine(near, far) { (r0 * $0 - r1 * $1) / (r0 - r1) }
                differences.second = combine(far, near) { 2 * ($0 - $1) / (r0 - r1) }
            }
        }
        return update.apply(
            differences, sample: sample, from: start, to: end, integratesFirst: order == 3, noise: noise)
    }
}
