import Foundation
import SDPipeline
import Testing

/// Deterministic solvers on normally distributed data, whose solution is known in closed form: these tests owe nothing to another program.
///
/// A solver has its order on a grid that is even in its own variable, with a full history, and before the step that goes down to no noise:
///
/// - Multistep methods get exact samples for the first two fifths of the steps, since the steps of lower order that fill their history
///   would be the largest error of all. They end after four fifths, before `lower_order_final` sets in.
/// - Errors are the largest at tenths of the way, since at a single place terms of several orders may cancel for some number of steps.
/// - Noise levels have evenly spread logarithms for solvers in λ and even ones for PNDM and IPNDM, whose weights know nothing of distances.
/// - The data's deviation lies in the middle of the noise levels, so that ten steps resolve where the solution bends.
@Suite struct SchedulerAnalysisTests {
    struct Solver: Sendable, CustomTestStringConvertible {
        let name: String
        let order: Double
        var overrides: [String: SchedulerValue] = [:]
        /// Whether the first two fifths of the steps start from the exact solution.
        var hasExactHistory = false
        var ratios = GaussianData.ratios
        /// Errors below this, in deviations, are those of single precision.
        var rounding = 4e-6

        var testDescription: String { "\(name) \(order) \(overrides.filter { $0.key != "trained_betas" })" }

        /// Tenths of the way at which the error is measured: where singlestep solvers have finished a group of steps for every count.
        var tenths: [Int] {
            switch name {
            case "dpm++3s": [3, 6, 9]
            case "dpm-fast": [3, 6]
            case "dpm++2s": [2, 4, 6, 8]
            default: hasExactHistory ? [5, 6, 7, 8] : Array(1...8)
            }
        }
    }

    private static let counts = [10, 20, 40, 80]
    private static let trainTimesteps = 6400
    /// For solvers with even steps in σ/α, of which ten are to resolve the bend too.
    private static let evenRatios = 0.06...2.1
    private static let even: [String: SchedulerValue] = ["timestep_spacing": .text("trailing")]
    private static let spread: [String: SchedulerValue] = ["use_exponential_sigmas": .flag(true)]
    private static let edm: [String: SchedulerValue] = [
        "sigma_schedule": .text("exponential"), "sigma_min": .number(GaussianData.ratios.lowerBound),
        "sigma_max": .number(GaussianData.ratios.upperBound),
    ]

    /// The last step of evenly spread logarithms changes nothing, which only first order can do.
    private static let eulerAtFinal: [String: SchedulerValue] = ["euler_at_final": .flag(true)]

    private static func with(_ base: [String: SchedulerValue], _ more: [String: SchedulerValue]) -> [String: SchedulerValue] {
        base.merging(more) { $1 }
    }

    /// DPM-Solver in its kinds. The multistep form of order 3 has order 2: see `thirdOrderMultistepHasHalfItsSecondDifference`.
    private static let dpmSolvers: [Solver] = ["dpmsolver", "dpmsolver++"].flatMap { algorithm in
        ["midpoint", "heun"].flatMap { kind in
            (1...3).flatMap { order in
                let overrides: [String: SchedulerValue] = with(
                    spread,
                    [
                        "algorithm_type": .text(algorithm), "solver_type": .text(kind), "solver_order": .integer(order),
                        "final_sigmas_type": .text("sigma_min"),
                    ])
                return [
                    Solver(
                        name: "dpm++2m", order: Double(min(order, 2)), overrides: with(overrides, eulerAtFinal),
                        hasExactHistory: true),
                    Solver(name: order == 3 ? "dpm++3s" : "dpm++2s", order: Double(order), overrides: overrides),
                ]
            }
        }
    }

    private static let uniPC: [Solver] = ["bh1", "bh2"].flatMap { kind in
        [true, false].flatMap { predictsOriginal in
            (1...3).map { order in
                Solver(
                    name: "unipc", order: Double(order),
                    overrides: with(
                        spread,
                        [
                            "solver_type": .text(kind), "solver_order": .integer(order), "predict_x0": .flag(predictsOriginal),
                            "final_sigmas_type": .text("sigma_min"),
                        ]), hasExactHistory: true)
            }
        }
    }

    private static let others = [
        Solver(name: "ddim", order: 1, overrides: even),
        Solver(name: "ddim-inverse", order: 1, overrides: even, ratios: evenRatios),
        Solver(name: "euler", order: 1, overrides: spread), Solver(name: "heun", order: 2, overrides: spread),
        Solver(name: "dpm2", order: 2, overrides: spread),
        Solver(name: "dpm-fast", order: 3), Solver(name: "dpm++2m-v2", order: 2, overrides: spread, hasExactHistory: true),
        Solver(name: "lms", order: 4, overrides: spread, hasExactHistory: true),
        Solver(name: "pndm", order: 4, overrides: even, ratios: evenRatios),
        Solver(name: "plms", order: 4, overrides: even, hasExactHistory: true, ratios: evenRatios),
        Solver(name: "ipndm", order: 4, hasExactHistory: true, ratios: evenRatios),
        Solver(name: "deis", order: 1, overrides: with(spread, ["solver_order": .integer(1)])),
        Solver(name: "deis", order: 2, overrides: spread, hasExactHistory: true),
        // Over so wide a range that 80 steps are long enough: its coefficients are rounded by 10⁻⁷ / h², h the step's length in ln (σ/α).
        Solver(
            name: "deis", order: 3, overrides: with(spread, ["solver_order": .integer(3)]), hasExactHistory: true,
            ratios: 0.6 * exp(-6)...0.6 * exp(6)),
        Solver(name: "edm-euler", order: 1, overrides: edm),
        Solver(name: "edm-dpm++2m", order: 1, overrides: with(edm, ["solver_order": .integer(1)])),
        Solver(name: "edm-dpm++2m", order: 2, overrides: edm, hasExactHistory: true),
        Solver(name: "edm-dpm++2m", order: 2, overrides: with(edm, ["solver_order": .integer(3)]), hasExactHistory: true),
        Solver(name: "flow-euler", order: 1), Solver(name: "flow-heun", order: 2),
    ]

    static let solvers = others + dpmSolvers + uniPC

    /// The error at a fixed place falls with the number of steps as the solver's order says.
    @Test(arguments: solvers) func convergesAtItsOrder(solver: Solver) throws {
        let errors = try Self.counts.map { try error(of: solver, steps: $0) }
        let slope = fitted(errors, above: solver.rounding)
        print("\(solver.testDescription): order \(slope), errors \(errors)")
        #expect(slope >= solver.order - 0.3, "errors \(errors)")
        #expect((errors.last ?? 1) < 0.05)
    }

    /// With its own noise levels IPNDM has order 1: the first step starts without signal, α = 0, and so keeps nothing of the original that
    /// it predicts; α of the second step, which it should have, falls with the length of a step.
    @Test func firstStepOfIPNDMLosesTheOriginal() throws {
        let errors = try Self.counts.map { steps in
            let scheduler = try SchedulerRegistry.standard.make(
                "ipndm", configuration: SchedulerConfiguration(className: nil), request: .steps(steps))
            let gaussian = GaussianData(scheduler)
            var state = scheduler.makeState()
            let start = [Float(gaussian.sampleLevel(at: 0).exact(2))]
            let found = try scheduler.step(gaussian.output(for: start, at: 0), at: 0, sample: start, state: &state) { _ in [] }
            let second = gaussian.sampleLevel(at: 1)
            #expect(abs(Double(found[0]) - second.sigma * 2) < 1e-6)
            return abs(Double(found[0]) - second.exact(2))
        }
        let slope = order(of: errors, over: Self.counts)
        print("ipndm's first step: order \(slope), errors \(errors)")
        #expect(abs(slope - 1) < 0.2)
    }

    /// PNDM's and IPNDM's weights are those of even steps in σ/α. On others, such as a model's own timesteps, the order is 2.
    @Test(arguments: ["pndm", "plms"]) func linearMultistepNeedsEvenNoiseLevels(name: String) throws {
        var values = SchedulerConfiguration(className: nil)
        values.set("num_train_timesteps", to: .integer(Self.trainTimesteps))
        values.set("beta_start", to: .number(0.00085 * 1000 / Double(Self.trainTimesteps)))
        values.set("beta_end", to: .number(0.012 * 1000 / Double(Self.trainTimesteps)))
        let solver = Solver(name: name, order: 2, overrides: Self.even, hasExactHistory: name == "plms")
        // The bend of the solution takes more steps here, where few of them fall.
        let counts = [40, 80, 160, 320]
        let errors = try counts.map { try error(of: solver, steps: $0, configuration: values) }
        let slope = order(of: errors, over: counts)
        print("\(name) on scaled betas: order \(slope), errors \(errors)")
        #expect(slope >= 1.7 && slope < 3)
    }

    /// The multistep update of order 3 in the authors' code and diffusers weighs its second difference by half of the integral
    /// of the polynomial through the predictions: ½ ∫ s² where ∫ s² belongs, for s² D_2 with D_2 the divided difference, not the
    /// derivative. What remains is of third order in a step, so the method has order 2; with the other half it has order 3.
    @Test(arguments: ["dpmsolver", "dpmsolver++"]) func thirdOrderMultistepHasHalfItsSecondDifference(algorithm: String) throws
    {
        let solver = Solver(
            name: "dpm++2m", order: 3,
            overrides: Self.with(
                Self.spread,
                [
                    "algorithm_type": .text(algorithm), "solver_order": .integer(3), "final_sigmas_type": .text("sigma_min"),
                    "euler_at_final": .flag(true),
                ]), hasExactHistory: true)
        let errors = try Self.counts.map { steps in
            try error(of: solver, steps: steps) { scheduler, index, predictions in
                let levels = (index - 2...index + 1).map { scheduler.noiseLevels[$0] }
                let lambdas = levels.map { log(Double($0.alpha) / Double($0.sigma)) }
                let h = lambdas[3] - lambdas[2]
                // Divided differences in s = (λ − λ_s) / h.
                let newer = (predictions[2] - predictions[1]) / ((lambdas[2] - lambdas[1]) / h)
                let older = (predictions[1] - predictions[0]) / ((lambdas[1] - lambdas[0]) / h)
                let second = (newer - older) / ((lambdas[2] - lambdas[0]) / h)
                return algorithm == "dpmsolver"
                    ? -Double(levels[3].sigma) * ((exp(h) - 1 - h) / (h * h) - 0.5) * second
                    : -Double(levels[3].alpha) * ((exp(-h) - 1 + h) / (h * h) - 0.5) * second
            }
        }
        let slope = fitted(errors, above: solver.rounding)
        print("\(algorithm) multistep of order 3 with the whole second difference: order \(slope), errors \(errors)")
        #expect(slope >= 2.7, "errors \(errors)")
    }

    private func fitted(_ errors: [Double], above rounding: Double) -> Double {
        let points = zip(Self.counts, errors).filter { $0.1 > rounding }
        return points.count >= 2 ? order(of: points.map(\.1), over: points.map(\.0)) : .infinity
    }

    /// What is added to a step, from the scheduler, the step's index and the last three predictions, the newest last.
    typealias Correction = (any Scheduler, Int, [Double]) -> Double

    /// The largest difference from the exact solution in deviations.
    private func error(
        of solver: Solver, steps: Int, configuration: SchedulerConfiguration? = nil, correction: Correction? = nil
    ) throws -> Double {
        let scheduler = try make(solver, steps: steps, configuration: configuration)
        let gaussian = GaussianData(scheduler)
        let start = index(after: solver.hasExactHistory ? steps * 2 / 5 : 0, of: solver.name, scheduler)
        let places = solver.tenths.map { index(after: $0 * steps / 10, of: solver.name, scheduler) }
        var state = scheduler.makeState()
        let units: [Double] = [-1.5, -0.3, 0.8, 2]
        var sample: [Float] = []
        var history: [[Double]] = []
        var largest = 0.0
        for index in 0...(places.last ?? 0) {
            if places.contains(index) {
                let level = gaussian.sampleLevel(at: index)
                let errors = zip(sample, units).map { abs(Double($0) - level.exact($1)) / level.variance.squareRoot() }
                largest = max(largest, errors.max() ?? .infinity)
            }
            if index <= start { sample = units.map { Float(gaussian.sampleLevel(at: index).exact($0)) } }
            let output = try gaussian.output(for: sample, at: index)
            let before = sample
            sample = try scheduler.step(output, at: index, sample: sample, state: &state) { _ in [] }
            guard let correction, let kept = solver.overrides["algorithm_type"] else { continue }
            let level = gaussian.modelLevel(at: index)
            history.append(
                zip(before, output).map {
                    kept == .text("dpmsolver") ? Double($1) : (Double($0) - level.sigma * Double($1)) / level.alpha
                })
            guard index >= start, history.count >= 3 else { continue }
            sample = sample.indices.map { position in
                Float(Double(sample[position]) + correction(scheduler, index, history.suffix(3).map { $0[position] }))
            }
        }
        return largest
    }

    /// A scheduler with `steps` intervals between its noise levels. Where both ends of the range are levels that takes one step more, and
    /// the last one, to no noise, isn't looked at.
    private func make(_ solver: Solver, steps: Int, configuration: SchedulerConfiguration?) throws -> any Scheduler {
        var overrides = solver.overrides
        if solver.name == "ipndm" {
            let ratios = (0...steps).map { step in
                let share = Double(step) / Double(steps)
                return solver.ratios.upperBound + (solver.ratios.lowerBound - solver.ratios.upperBound) * share
            }
            overrides["trained_betas"] = .numbers(ratios.map { $0 / (1 + $0 * $0).squareRoot() })
        }
        let hasBothEnds = overrides["timestep_spacing"] == nil && solver.name != "ipndm"
        return try SchedulerRegistry.standard.make(
            solver.name,
            configuration: configuration
                ?? GaussianData.configuration(trainTimesteps: Self.trainTimesteps, ratios: solver.ratios),
            request: .steps(hasBothEnds ? steps + 1 : steps), overrides: overrides)
    }

    /// The evaluation that follows so many steps.
    private func index(after steps: Int, of name: String, _ scheduler: any Scheduler) -> Int {
        switch name {
        // Four evaluations for each of three Runge-Kutta steps.
        case "pndm": steps <= 3 ? 4 * steps : steps + 9
        // The first step has two evaluations.
        case "plms": steps == 0 ? 0 : steps + 1
        default: steps * type(of: scheduler).descriptor.evaluationsPerStep
        }
    }
}
