/// The updates of DPM-Solver (Lu et al. 2022, arXiv:2206.00927) and DPM-Solver++ (Lu et al. 2022, arXiv:2211.01095) and of their
/// stochastic forms, written once for the multistep and the singlestep schedulers.
///
/// All of them integrate a polynomial in λ through the predictions exactly: x_t = a x_s + b_0 D_0 + b_1 D_1 + b_2 D_2 (+ c z), with
/// h = λ_t − λ_s and D_k the k-th divided differences of the predictions, scaled by h^k. Coefficients in single precision, as in
/// diffusers.
struct DPMSolverUpdate {
    enum Algorithm: String {
        /// Noise prediction.
        case dpmSolver = "dpmsolver"
        /// Data prediction.
        case dpmSolverPlus = "dpmsolver++"
        case sdeDPMSolver = "sde-dpmsolver"
        case sdeDPMSolverPlus = "sde-dpmsolver++"

        var isStochastic: Bool { self == .sdeDPMSolver || self == .sdeDPMSolverPlus }
        var quantity: SolverOutput.Quantity { self == .dpmSolver || self == .sdeDPMSolver ? .noise : .original }
    }

    /// How the second-order term is weighed: half of the first-order term's weight, or by the exact integral.
    enum Kind: String {
        case midpoint
        case heun
    }

    let algorithm: Algorithm
    let kind: Kind

    init(algorithm: Algorithm, kind: Kind) {
        self.algorithm = algorithm
        self.kind = kind
    }

    /// Reads `algorithm_type` and `solver_type`.
    /// - Throws: ``SchedulerError/contradiction(scheduler:reason:)`` where noise prediction is to end without noise.
    init(_ settings: SchedulerSettings) throws {
        algorithm = try settings.choice("algorithm_type", as: Algorithm.self)
        kind = try settings.choice("solver_type", as: Kind.self)
        if algorithm.quantity == .noise, try settings.text("final_sigmas_type") == "zero" {
            throw SchedulerError.contradiction(
                scheduler: settings.className,
                reason: "algorithm_type \(algorithm.rawValue) can't end without noise: set final_sigmas_type to sigma_min")
        }
    }

    /// Refuses a last step that doesn't change the noise level where its order divides by the change.
    /// - Throws: ``SchedulerError/contradiction(scheduler:reason:)``.
    func checkLastStep(of levels: [NoiseLevel], order: Int, scheduler: String) throws {
        guard levels.count >= 2, levels[levels.count - 1].lambda == levels[levels.count - 2].lambda else { return }
        guard order == 3 || (order == 2 && kind == .heun) else { return }
        throw SchedulerError.contradiction(
            scheduler: scheduler,
            reason: "with final_sigmas_type sigma_min the last step changes nothing and can't be of order \(order)"
                + (order == 2 ? " with solver_type heun" : "")
                + ", set lower_order_final or euler_at_final, or a lower solver_order")
    }

    static func parameters(_ algorithms: [Algorithm]) -> [SchedulerParameter] {
        [
            SchedulerParameter(
                "algorithm_type", .choice(algorithms.map(\.rawValue)), default: .text("dpmsolver++"),
                substitutes: ["deis": "dpmsolver++"]),
            SchedulerParameter(
                "solver_type", .choice(["midpoint", "heun"]), default: .text("midpoint"),
                substitutes: ["logrho": "midpoint", "bh1": "midpoint", "bh2": "midpoint"]),
        ]
    }

    /// The predictions' divided differences; later ones are left out for lower orders.
    struct Differences {
        let zeroth: [Float]
        var first: [Float]?
        var second: [Float]?
    }

    /// One update.
    /// - Parameters:
    ///   - sample: x_s.
    ///   - start: the level s.
    ///   - end: the level t.
    ///   - integratesFirst: whether the first difference has the exact integral's weight whatever `kind` says, as in third order.
    ///   - noise: z; only the stochastic forms use it.
    func apply(
        _ differences: Differences, sample: [Float], from start: NoiseLevel, to end: NoiseLevel, integratesFirst: Bool = false,
        noise: [Float]?
    ) -> [Float] {
        let h = end.lambda - start.lambda
        let weights = weights(h: h, from: start, to: end)
        var terms = [(weights.sample, sample), (weights.zeroth, differences.zeroth)]
        if let first = differences.first {
            terms.append((kind == .midpoint && !integratesFirst ? 0.5 * weights.zeroth : weights.first, first))
        }
        if let second = differences.second { terms.append((weights.second, second)) }
        if let noise { terms.append((weights.noise, noise)) }
        return weightedSum(terms)
    }

    private struct Weights {
        let sample: Float
        let zeroth: Float
        let first: Float
        let second: Float
        var noise: Float = 0
    }

    private func weights(h: Float, from start: NoiseLevel, to end: NoiseLevel) -> Weights {
        switch algorithm {
        case .dpmSolverPlus:
            let change = SingleMath.exp(-h) - 1
            return Weights(
                sample: end.sigma / start.sigma, zeroth: -(end.alpha * change), first: end.alpha * (change / h + 1),
                second: -(end.alpha * ((SingleMath.exp(-h) - 1 + h) / (h * h) - 0.5)))
        case .dpmSolver:
            let change = SingleMath.exp(h) - 1
            return Weights(
                sample: end.alpha / start.alpha, zeroth: -(end.sigma * change), first: -(end.sigma * (change / h - 1)),
                second: -(end.sigma * ((SingleMath.exp(h) - 1 - h) / (h * h) - 0.5)))
        case .sdeDPMSolverPlus:
            // The second weight as in diffusers; the integral has + 0.5.
            let change = 1 - SingleMath.exp(-2 * h)
            return Weights(
                sample: end.sigma / start.sigma * SingleMath.exp(-h), zeroth: end.alpha * change,
                first: end.alpha * (change / (-2 * h) + 1),
                second: end.alpha * ((change - 2 * h) / ((2 * h) * (2 * h)) - 0.5), noise: end.sigma * change.squareRoot())
        case .sdeDPMSolver:
            let change = SingleMath.exp(h) - 1
            return Weights(
                sample: end.alpha / start.alpha, zeroth: -2 * (end.sigma * change), first: -2 * (end.sigma * (change / h - 1)),
                second: 0, noise: end.sigma * (SingleMath.exp(2 * h) - 1).squareRoot())
        }
    }
}

/// The orders that a multistep solver takes: what its history allows, and lower ones at the end of a run.
struct MultistepOrder {
    let order: Int
    let stepCount: Int
    /// Whether the last step is one of first order.
    let endsWithFirst: Bool
    /// Whether the step before the last one is at most of second order.
    let lowersSecondLast: Bool

    /// Reads `solver_order`, `lower_order_final`, `euler_at_final` and `final_sigmas_type`. diffusers lowers the order in runs of fewer
    /// than 15 steps only, and always where the last step goes down to a noise level of 0.
    /// - Parameter hasThird: whether the solver has a third order.
    /// - Throws: ``SchedulerError/contradiction(scheduler:reason:)`` where a run would need the third order of a solver without
    ///   one.
    init(_ settings: SchedulerSettings, stepCount: Int, hasThird: Bool = true) throws {
        order = try settings.integer("solver_order")
        self.stepCount = stepCount
        lowersSecondLast = try settings.flag("lower_order_final") && stepCount < 15
        let isEuler = settings.has("euler_at_final") ? try settings.flag("euler_at_final") : false
        let endsAtZero = settings.has("final_sigmas_type") ? try settings.text("final_sigmas_type") == "zero" : false
        endsWithFirst = isEuler || lowersSecondLast || endsAtZero
        if !hasThird, (0..<stepCount).contains(where: { self.order(at: $0, stepsTaken: $0) > 2 }) {
            throw SchedulerError.contradiction(
                scheduler: settings.className,
                reason: "algorithm_type \(try settings.text("algorithm_type")) has no solver_order 3")
        }
    }

    /// The order of a step with `stepsTaken` steps of this run before it.
    func order(at index: Int, stepsTaken: Int) -> Int {
        if index == stepCount - 1, endsWithFirst { return 1 }
        if index == stepCount - 2, lowersSecondLast { return min(order, stepsTaken + 1, 2) }
        return min(order, stepsTaken + 1)
    }
}

extension DPMSolverUpdate {
    /// A multistep update (Lu et al. 2022, DPM-Solver++, algorithm 2): the polynomial goes through the predictions at the step's start and
    /// before.
    /// - Parameters:
    ///   - history: predictions, the newest last, at least `order`.
    ///   - levels: of each step and of the end.
    ///   - index: the step.
    func multistep(
        order: Int, history: [[Float]], levels: [NoiseLevel], at index: Int, sample: [Float], noise: [Float]?
    ) -> [Float] {
        let (start, end) = (levels[index], levels[index + 1])
        let recent = Array(history.suffix(order).reversed())
        var differences = Differences(zeroth: recent[0])
        let h = end.lambda - start.lambda
        if recent.count >= 2 {
            let r0 = (start.lambda - levels[index - 1].lambda) / h
            differences.first = Self.scaled(recent[0], minus: recent[1], by: 1 / r0)
            if recent.count >= 3, let newer = differences.first {
                let r1 = (levels[index - 1].lambda - levels[index - 2].lambda) / h
                let older = Self.scaled(recent[1], minus: recent[2], by: 1 / r1)
                let weight = r0 / (r0 + r1)
                differences.first = combine(newer, older) { $0 + weight * ($0 - $1) }
                differences.second = Self.scaled(newer, minus: older, by: 1 / (r0 + r1))
            }
        }
        return apply(
            differences, sample: sample, from: start, to: end, integratesFirst: recent.count >= 3, noise: noise)
    }

    static func scaled(_ first: [Float], minus second: [Float], by factor: Float) -> [Float] {
        combine(first, second) { factor * ($0 - $1) }
    }
}
