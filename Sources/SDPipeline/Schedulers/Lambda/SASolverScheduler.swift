/// SA-Solver: a stochastic Adams predictor and corrector (Xue et al. 2023). diffusers: `SASolverScheduler`.
///
/// Order 1 to 4 of each, one evaluation a step; stochastic: τ is 1 for timesteps from 200 to 800 and 0 elsewhere, as diffusers' default; a
/// `tau_func` of its own would be Python code. Every step draws noise. `SchedulerState` holds predictions, the sample and the noise of the
/// last step, which the corrector goes out from again.
public struct SASolverScheduler: VariancePreservingSolver {
    public static let descriptor = SchedulerDescriptor(
        className: "SASolverScheduler", shortName: "sa-solver",
        parameters: SchedulerParameter.noiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [
                .solverOrder("predictor_order", largest: 4), .solverOrder("corrector_order", largest: 4),
                .predictionType([.epsilon, .sample, .vPrediction, .flowPrediction]),
                SchedulerParameter("tau_func", .nothing, default: .absent, isOptional: true),
                SchedulerParameter(
                    "algorithm_type", .choice(["data_prediction", "noise_prediction"]), default: .text("data_prediction")),
                .flag("lower_order_final", default: true), .lambdaMinClipped, .varianceType,
            ] + SchedulerParameter.thresholding + SchedulerParameter.sigmaMethods + SchedulerParameter.flowSigmas
            + SchedulerParameter.timestepSpacing(default: .linspace),
        order: 2, isStochastic: true, takesSigmas: true,
        paper: "Xue et al. 2023, SA-Solver (arXiv:2309.05019), alg. 1, eq. 14 to 18")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    public let levels: [NoiseLevel]
    private let schedule: NoiseSchedule
    private let predictorOrder: Int
    private let correctorOrder: Int
    private let lowersFinal: Bool
    private let output: SolverOutput

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        let isOriginal = try settings.text("algorithm_type") == "data_prediction"
        output = try SolverOutput(settings, quantity: isOriginal ? .original : .noise)
        predictorOrder = try settings.integer("predictor_order")
        correctorOrder = try settings.integer("corrector_order")
        lowersFinal = try settings.flag("lower_order_final")
        schedule = try NoiseSchedule(settings)
        let plan = try SolverPlan(settings, schedule: schedule, request: request, end: .last)
        timesteps = plan.timesteps.map { Float($0) }
        sigmas = plan.sigmas
        levels = plan.levels
    }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        let predicted = try output.predicted(
            modelOutput, sampleCount: sample.count, batchSize: state.batchSize, scheduler: name)
        try checkStep(index: index, modelOutput: predicted, sample: sample)
        let converted = output.converted(predicted, sample: sample, level: levels[index], batchSize: state.batchSize)
        var sample = sample
        if index > 0, let held = state.heldSample, let heldNoise = state.heldNoise {
            let remaining = lowersFinal ? timesteps.count - (index - 1) + 1 : correctorOrder
            let order = min(correctorOrder, remaining, min(state.stepsTaken - 1, historyLength) + 2)
            sample = update(
                held, predictions: state.modelOutputs + [converted], newest: index, order: order, noise: heldNoise,
                from: index - 1)
        }
        state.remember(converted, count: historyLength)
        let drawn = try draw(sample.count, from: noise)
        let remaining = lowersFinal ? timesteps.count - index : predictorOrder
        let order = min(predictorOrder, remaining, min(state.stepsTaken, historyLength) + 1)
        state.heldSample = sample
        state.heldNoise = drawn
        state.stepsTaken += 1
        return update(
            sample, predictions: state.modelOutputs, newest: index, order: order, noise: drawn, from: index)
    }

    public func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        return try schedule.addNoise(to: original, noise: noise, timestep: Int(timesteps[index]), for: name)
    }

    private var historyLength: Int { max(predictorOrder, correctorOrder - 1) }

    /// The step from `index` to the next level with the polynomial through `order` predictions.
    /// - Parameters:
    ///   - predictions: the newest last.
    ///   - newest: the step that the newest was made for: `index` for the predictor, the one after for the corrector.
    private func update(
        _ sample: [Float], predictions: [[Float]], newest: Int, order: Int, noise: [Float], from index: Int
    ) -> [Float] {
        let (start, end) = (levels[index], levels[index + 1])
        let order = min(order, predictions.count, newest + 1)
        let (from, to) = (start.lambda, end.lambda)
        let h = to - from
        let tau: Float = (200...800).contains(timesteps[index]) ? 1 : 0
        let isOriginal = output.quantity == .original
        let nodes = (0..<order).map { levels[newest - $0].lambda }
        var weights = Self.lagrange(nodes).map { polynomial in
            polynomial.enumerated().reduce(Float(0)) { sum, term in
                let power = order - 1 - term.offset
                let integral =
                    isOriginal
                    ? Self.positiveIntegral(power, from: from, to: to, tau: tau)
                    : Self.negativeIntegral(power, from: from, to: to)
                return sum + term.element * integral
            }
        }
        if isOriginal, order == 2 {
            let width = 1 + tau * tau
            let exact = (h * width - 1 + SingleMath.exp(width * -h)) / (width * width)
            let growth = SingleMath.exp(width * to)
            let correction =
                newest == index
                ? growth * (h * h / 2 - exact) / (from - levels[index - 1].lambda) : growth * (h / 2 - exact / h)
            weights[0] += correction
            weights[1] -= correction
        }
        let width = 1 + tau * tau
        let factor = isOriginal ? width * end.sigma * SingleMath.exp(-tau * tau * to) : -width * end.alpha
        let gradient = weightedSum(
            zip(weights, predictions.reversed()).map { (weight: factor * $0, values: $1) })
        let kept = isOriginal ? SingleMath.exp(-tau * tau * h) * (end.sigma / start.sigma) : end.alpha / start.alpha
        let spread =
            isOriginal
            ? end.sigma * (1 - SingleMath.exp(-2 * tau * tau * h)).squareRoot()
            : tau * end.sigma * (SingleMath.exp(2 * h) - 1).squareRoot()
        return weightedSum((kept, sample), (1, gradient), (spread, noise))
    }

    /// The coefficients, highest power first, of the polynomials that are 1 at one node and 0 at the others.
    private static func lagrange(_ nodes: [Float]) -> [[Float]] {
        nodes.indices.map { index in
            let others = nodes.indices.filter { $0 != index }.map { nodes[$0] }
            let denominator = others.reduce(Float(1)) { $0 * (nodes[index] - $1) }
            let product = others.reduce([Float(1)]) { polynomial, root in
                let shifted = polynomial + [0]
                let scaled = [0] + polynomial.map { -root * $0 }
                return zip(shifted, scaled).map { $0 + $1 }
            }
            return product.map { $0 / denominator }
        }
    }

    /// ∫ e^{−λ} λ^k dλ.
    private static func negativeIntegral(_ power: Int, from: Float, to: Float) -> Float {
        SingleMath.exp(-to)
            * (polynomial(power, from, alternates: false) * SingleMath.exp(to - from) - polynomial(power, to, alternates: false))
    }

    /// ∫ e^{(1+τ²)λ} λ^k dλ.
    private static func positiveIntegral(_ power: Int, from: Float, to: Float, tau: Float) -> Float {
        let width = 1 + tau * tau
        let (start, end) = (width * from, width * to)
        let difference =
            polynomial(power, end, alternates: true) - polynomial(power, start, alternates: true)
            * SingleMath.exp(-(end - start))
        return SingleMath.exp(end) * difference / (0...power).reduce(Float(1)) { product, _ in product * width }
    }

    /// Σ_j (±1)^j k!/(k−j)! x^{k−j}: what integration by parts leaves of x^k e^{∓x}.
    private static func polynomial(_ power: Int, _ x: Float, alternates: Bool) -> Float {
        var factor: Float = 1
        var sum: Float = 0
        for lowered in 0...power {
            let exponent = power - lowered
            sum += factor * (0..<exponent).reduce(Float(1)) { product, _ in product * x }
            factor *= Float(exponent) * (alternates ? -1 : 1)
        }
        return sum
    }
}
