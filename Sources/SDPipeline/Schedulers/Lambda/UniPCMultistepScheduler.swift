/// UniPC: a predictor of order p and a corrector of order p + 1 that shares its evaluations (Zhao et al. 2023). diffusers:
/// `UniPCMultistepScheduler`.
///
/// Order 1 to 6, one evaluation a step; deterministic. `SchedulerState` holds the predictions and the sample that the last step started
/// from, which the corrector goes out from again. `solver_type` is B(h): h (`bh1`) or e^h − 1 (`bh2`). Where the last step goes down to a
/// noise level of 0 diffusers' `bh1` multiplies infinity by zero; here its last step is DDIM's, as with `bh2`.
public struct UniPCMultistepScheduler: VariancePreservingSolver {
    public static let descriptor = SchedulerDescriptor(
        className: "UniPCMultistepScheduler", shortName: "unipc",
        aliases: [
            .init("uni_pc"), .init("unipc multistep"), .init("uni_pc_bh1", overrides: ["solver_type": .text("bh1")]),
            .init("uni_pc_bh2", overrides: ["solver_type": .text("bh2")]),
        ],
        parameters: SchedulerParameter.noiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [
                .solverOrder(largest: 6), .predictionType([.epsilon, .sample, .vPrediction, .flowPrediction]),
                .flag("predict_x0", default: true),
                SchedulerParameter(
                    "solver_type", .choice(["bh1", "bh2"]), default: .text("bh2"),
                    substitutes: ["midpoint": "bh2", "heun": "bh2", "logrho": "bh2"]),
                .flag("lower_order_final", default: true),
                SchedulerParameter("disable_corrector", .numbers(0...1e6), default: .numbers([])),
                SchedulerParameter("solver_p", .nothing, default: .absent, isOptional: true),
                .finalSigmas, .rescaleBetasZeroSNR,
            ] + SchedulerParameter.thresholding + SchedulerParameter.sigmaMethods + SchedulerParameter.flowSigmas
            + SchedulerParameter.dynamicShifting + SchedulerParameter.timestepSpacing(default: .linspace),
        order: 2, isStochastic: false, takesSigmas: true,
        paper: "Zhao, Bai, Rao, Zhou, Lu 2023, UniPC (arXiv:2302.04867), alg. 5 to 8, eq. 8 and 9")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let sigmas: [Float]
    public let levels: [NoiseLevel]
    private let order: Int
    private let lowersFinal: Bool
    private let uncorrectedSteps: Set<Int>
    private let usesLinearScale: Bool
    private let output: SolverOutput

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        let predictsOriginal = try settings.flag("predict_x0")
        output = try SolverOutput(settings, quantity: predictsOriginal ? .original : .noise, limitsNoise: false)
        lowersFinal = try settings.flag("lower_order_final")
        order = try settings.integer("solver_order")
        usesLinearScale = try settings.text("solver_type") == "bh1"
        uncorrectedSteps = Set((try settings.optionalNumbers("disable_corrector") ?? []).compactMap { Int(exactly: $0) })
        let plan = try SolverPlan(
            settings, schedule: NoiseSchedule(settings, keepsSignal: true), request: request, end: .last)
        timesteps = plan.timesteps.map { Float($0) }
        sigmas = plan.sigmas
        levels = plan.levels
        let keepsOrder = !lowersFinal && min(order, timesteps.count) > 1
        if sigmas.last == 0, !predictsOriginal || keepsOrder {
            throw SchedulerError.contradiction(
                scheduler: settings.className,
                reason: "\(predictsOriginal ? "lower_order_final" : "predict_x0") false can't end without noise: "
                    + "set final_sigmas_type to sigma_min")
        }
    }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let converted = output.converted(
            modelOutput, sample: sample, level: levels[index], batchSize: state.batchSize)
        var sample = sample
        if index > 0, let held = state.heldSample, !uncorrectedSteps.contains(index - 1), !state.modelOutputs.isEmpty {
            let order = stepOrder(at: index - 1, stepsTaken: state.stepsTaken - 1)
            sample = update(
                held, history: state.modelOutputs, corrector: converted, order: order, from: index - 1)
        }
        state.remember(converted, count: order)
        state.heldSample = sample
        let order = stepOrder(at: index, stepsTaken: state.stepsTaken)
        state.stepsTaken += 1
        return update(sample, history: state.modelOutputs, corrector: nil, order: order, from: index)
    }

    private func stepOrder(at index: Int, stepsTaken: Int) -> Int {
        let wanted = lowersFinal ? min(order, timesteps.count - index) : order
        return max(1, min(wanted, stepsTaken + 1))
    }

    /// The step from `index` to the next level: the predictor's, or with the prediction at its end the corrector's.
    /// - Parameter history: predictions, that of `index` last.
    private func update(
        _ sample: [Float], history: [[Float]], corrector: [Float]?, order: Int, from index: Int
    ) -> [Float] {
        let (start, end) = (levels[index], levels[index + 1])
        let h = end.lambda - start.lambda
        let isOriginal = output.quantity == .original
        let signed = isOriginal ? -h : h
        let scale = usesLinearScale ? signed : SingleMath.expm1(signed)
        let newest = history[history.count - 1]
        var positions: [Float] = []
        var differences: [[Float]] = []
        for back in 1..<max(order, 1) where history.count > back {
            let position = (levels[index - back].lambda - start.lambda) / h
            positions.append(position)
            differences.append(combine(history[history.count - 1 - back], newest) { ($0 - $1) / position })
        }
        if let corrector { differences.append(combine(corrector, newest) { $0 - $1 }) }
        let factor = isOriginal ? end.alpha : end.sigma
        let linear = isOriginal ? end.sigma / start.sigma : end.alpha / start.alpha
        let base = weightedSum((linear, sample), (-(factor * SingleMath.expm1(signed)), newest))
        guard !differences.isEmpty else { return base }
        let weights = Self.weights(
            positions: positions, step: signed, scale: scale, isCorrector: corrector != nil)
        let sum = weightedSum(Array(zip(weights, differences)).map { (weight: $0, values: $1) })
        let outer = factor * scale
        return combine(base, sum) { $0 - outer * $1 }
    }

    /// The weights ρ of the differences: those for which the step is exact for polynomials (equations 8 and 9, with φ_k of section 3.2).
    private static func weights(positions: [Float], step: Float, scale: Float, isCorrector: Bool) -> [Float] {
        let nodes = isCorrector ? positions + [1] : positions
        // A predictor of order 2 and a corrector of order 1 have the weight ½ for every step.
        if nodes.count == 1 { return [0.5] }
        var phi = SingleMath.expm1(step) / step - 1
        var factorial: Float = 1
        var rows: [[Double]] = []
        var values: [Double] = []
        for power in 0..<nodes.count {
            rows.append(nodes.map { node in (0..<power).reduce(1.0) { product, _ in product * Double(node) } })
            values.append(Double(phi * factorial / scale))
            factorial *= Float(power + 2)
            phi = phi / step - 1 / factorial
        }
        return solve(rows, values).map { Float($0) }
    }

    /// Gaussian elimination with partial pivoting.
    private static func solve(_ matrix: [[Double]], _ right: [Double]) -> [Double] {
        var rows = zip(matrix, right).map { $0 + [$1] }
        let count = rows.count
        for column in 0..<count {
            let pivot = (column..<count).max { rows[$0][column].magnitude < rows[$1][column].magnitude } ?? column
            rows.swapAt(column, pivot)
            for row in 0..<count where row != column {
                let factor = rows[row][column] / rows[column][column]
                for position in column...count { rows[row][position] -= factor * rows[column][position] }
            }
        }
        return (0..<count).map { rows[$0][count] / rows[$0][$0] }
    }
}
