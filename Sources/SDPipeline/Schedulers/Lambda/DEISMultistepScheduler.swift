/// Diffusion exponential integrator sampler with polynomials in ln ρ, ρ = σ/α (Zhang and Chen 2022). diffusers: `DEISMultistepScheduler`.
///
/// One evaluation a step, order 1 to 3; deterministic; the predicted noise of earlier steps is in `SchedulerState.modelOutputs`.
public struct DEISMultistepScheduler: VariancePreservingSolver {
    public static let descriptor = SchedulerDescriptor(
        className: "DEISMultistepScheduler", shortName: "deis", aliases: [.init("deis multistep")],
        parameters: SchedulerParameter.noiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [
                .solverOrder(), .predictionType([.epsilon, .sample, .vPrediction, .flowPrediction]),
                SchedulerParameter(
                    "algorithm_type", .choice(["deis"]), default: .text("deis"),
                    substitutes: ["dpmsolver": "deis", "dpmsolver++": "deis"]),
                SchedulerParameter(
                    "solver_type", .choice(["logrho"]), default: .text("logrho"),
                    substitutes: ["midpoint": "logrho", "heun": "logrho", "bh1": "logrho", "bh2": "logrho"]),
                .flag("lower_order_final", default: true),
            ] + SchedulerParameter.thresholding + SchedulerParameter.sigmaMethods + SchedulerParameter.flowSigmas
            + SchedulerParameter.dynamicShifting + SchedulerParameter.timestepSpacing(default: .linspace),
        order: 2, isStochastic: false, takesSigmas: true,
        paper:
            "Zhang, Chen 2022, Fast Sampling of Diffusion Models with Exponential Integrator (arXiv:2204.13902), eq. 14 and 15")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    public let levels: [NoiseLevel]
    private let orders: MultistepOrder
    private let output: SolverOutput

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        output = try SolverOutput(settings, quantity: .original)
        let plan = try SolverPlan(settings, schedule: NoiseSchedule(settings), request: request, end: .last)
        timesteps = plan.timesteps.map { Float($0) }
        sigmas = plan.sigmas
        levels = plan.levels
        orders = try MultistepOrder(settings, stepCount: timesteps.count)
    }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let (start, end) = (levels[index], levels[index + 1])
        let original = output.converted(modelOutput, sample: sample, level: start, batchSize: state.batchSize)
        state.remember(PredictionType.sample.noise(from: original, sample: sample, level: start), count: orders.order)
        let order = min(orders.order(at: index, stepsTaken: state.stepsTaken), state.modelOutputs.count)
        state.stepsTaken += 1
        let newest = state.modelOutputs[state.modelOutputs.count - 1]
        if order == 1 {
            let change = end.sigma * (SingleMath.exp(end.lambda - start.lambda) - 1)
            return weightedSum((end.alpha / start.alpha, sample), (-change, newest))
        }
        let rhos = (0..<order).map { levels[index - $0].sigma / levels[index - $0].alpha }
        let rho = end.sigma / end.alpha
        var sum = sample.map { $0 / start.alpha }
        for (position, noise) in zip(0..<order, state.modelOutputs.reversed()) {
            let others = (1..<order).map { rhos[(position + $0) % order] }
            let weight =
                Self.integral(at: rho, node: rhos[position], others: others)
                - Self.integral(at: rhos[0], node: rhos[position], others: others)
            sum = combine(sum, noise) { $0 + weight * $1 }
        }
        return sum.map { end.alpha * $0 }
    }

    /// An antiderivative in ρ of the Lagrange polynomial in ln ρ that is 1 at `node` and 0 at the one or two `others`.
    private static func integral(at rho: Float, node: Float, others: [Float]) -> Float {
        let log = SingleMath.log
        if others.count == 1 {
            return rho * (-log(others[0]) + log(rho) - 1) / (log(node) - log(others[0]))
        }
        let (first, second, now) = (log(others[0]), log(others[1]), log(rho))
        let numerator = rho * (first * (second - now + 1) - second * now + second + now * now - 2 * now + 2)
        return numerator / ((log(node) - first) * (log(node) - second))
    }
}
