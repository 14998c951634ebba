import Foundation
import SDPipeline
import Testing

/// Stochastic schedulers on normally distributed data with the best possible model: mean and variance of what comes out.
///
/// Every scheduler is affine in its sample and its noise where the model is, so mean and variance of a run follow without sampling: from
/// one run without noise, and one for each draw with that draw alone. They are compared before the last step, which goes down to no noise
/// and to the mean of the originals that are possible, and so to a smaller variance.
@Suite struct SchedulerDistributionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        var overrides: [String: SchedulerValue] = [:]
        var eta: Double?
        var churn = 0.0
        var trainTimesteps = 6400
        var testDescription: String { "\(name) \(overrides) \(eta.map { "eta \($0)" } ?? "")\(churn > 0 ? "churn" : "")" }

        var options: SchedulerStepOptions {
            var result = SchedulerStepOptions()
            result.eta = eta
            result.churn = churn
            return result
        }

        func scheduler(steps: Int) throws -> any Scheduler {
            try SchedulerRegistry.standard.make(
                name, configuration: GaussianData.configuration(trainTimesteps: trainTimesteps), request: .steps(steps),
                overrides: overrides)
        }
    }

    private static let spread: [String: SchedulerValue] = ["use_exponential_sigmas": .flag(true)]
    private static let even: [String: SchedulerValue] = ["timestep_spacing": .text("trailing")]
    private static let edm: [String: SchedulerValue] = [
        "sigma_schedule": .text("exponential"), "sigma_min": .number(GaussianData.ratios.lowerBound),
        "sigma_max": .number(GaussianData.ratios.upperBound),
    ]

    private static func with(_ base: [String: SchedulerValue], _ more: [String: SchedulerValue]) -> [String: SchedulerValue] {
        base.merging(more) { $1 }
    }

    /// SDE-DPM-Solver in its kinds.
    private static let solvers: [Case] = ["dpm++2m", "dpm++2s"].flatMap { name in
        ["midpoint", "heun"].flatMap { kind in
            ["sde-dpmsolver", "sde-dpmsolver++"].flatMap { algorithm in
                (1...3).compactMap { order in
                    // Noise prediction has no singlestep form and no third order; one form has a wrong constant, see below.
                    if algorithm == "sde-dpmsolver", name == "dpm++2s" || order == 3 { return nil }
                    if name == "dpm++2s", order == 3, kind == "heun" { return nil }
                    let overrides: [String: SchedulerValue] = with(
                        spread,
                        [
                            "algorithm_type": .text(algorithm), "solver_type": .text(kind), "solver_order": .integer(order),
                            "final_sigmas_type": .text("sigma_min"),
                        ])
                    // The last step changes nothing, which only first order can do.
                    return Case(
                        name: name,
                        overrides: name == "dpm++2m" ? with(overrides, ["euler_at_final": .flag(true)]) : overrides)
                }
            }
        }
    }

    static let cases: [Case] =
        [
            Case(name: "ddpm", overrides: even),
            Case(name: "ddpm", overrides: with(even, ["variance_type": .text("fixed_large")])),
            Case(name: "ddim", overrides: even, eta: 0.5), Case(name: "ddim", overrides: even, eta: 1),
            Case(name: "euler", overrides: spread, churn: 5), Case(name: "euler-a"), Case(name: "dpm2-a", overrides: spread),
            Case(name: "dpm++sde", overrides: spread),
            Case(name: "dpm++2s-a", overrides: spread), Case(name: "dpm++3m-sde", overrides: spread),
            Case(name: "restart", overrides: spread),
            Case(name: "sa-solver", overrides: spread, trainTimesteps: 1000),
            Case(
                name: "sa-solver", overrides: with(spread, ["algorithm_type": .text("noise_prediction")]), trainTimesteps: 1000),
            Case(name: "edm-euler", overrides: edm, churn: 5),
            Case(name: "edm-dpm++2m", overrides: with(edm, ["algorithm_type": .text("sde-dpmsolver++")])),
        ] + solvers

    private static let counts = [80, 160, 320, 640]
    private static let sampleCount = 20000

    /// What a method adds to or takes from mean and variance falls at least in proportion to the steps, and is in the end less than a
    /// sample of 20000 shows.
    @Test(arguments: cases) func meanAndVarianceConverge(item: Case) throws {
        let results = try Self.counts.map { try propagated(item, steps: $0) }
        let errors = results.map { abs($0.meanError) + abs($0.varianceError) }
        let slope = order(of: errors, over: Self.counts)
        print(
            "\(item.testDescription): order \(slope), variances off by \(results.map(\.varianceError)), means \(results.map(\.meanError))"
        )
        #expect(slope >= 0.7, "errors \(errors)")
        #expect(abs(results[3].varianceError) < 5 * (2 / Double(Self.sampleCount)).squareRoot())
        #expect(abs(results[3].meanError) < 5 / Double(Self.sampleCount).squareRoot())
    }

    /// A sample has the propagated mean and variance within five standard errors: draws are independent and used once.
    @Test(arguments: cases) func samplesHaveThem(item: Case) throws {
        let expected = try propagated(item, steps: 40)
        let scheduler = try item.scheduler(steps: 40)
        var generator = TorchGenerator(seed: 5)
        let units = generator.randn(count: Self.sampleCount).map { Double($0) }
        let values = try run(item, scheduler, units: units) { _ in generator.randn(count: Self.sampleCount) }.map { Double($0) }
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
        #expect(abs(mean - expected.mean) < 5 * (expected.variance / count).squareRoot())
        #expect(abs(variance / expected.variance - 1) < 5 * (2 / (count - 1)).squareRoot())
    }

    /// Schedulers of distilled models keep the distribution in any number of steps where the model is an ideal consistency function.
    @Test(arguments: [Case(name: "lcm"), Case(name: "tcd", eta: 0.3)]) func consistencyFunctionsKeepTheDistribution(item: Case)
        throws
    {
        for steps in [2, 4, 8, 50] {
            let result = try propagated(item, steps: steps)
            #expect(abs(result.varianceError) < 1e-4 && abs(result.meanError) < 1e-4, "\(steps) steps: \(result)")
        }
    }

    /// `stochastic_sampling` of flow matching replaces all noise in each step, by x' = (1 − σ') E[x_0 | x] + σ' z, and E[x_0 | x] has a
    /// smaller variance than x_0: V' = (1 − σ')² k² V + σ'², k = (1 − σ) s² / ((1 − σ)² s² + σ²). With ever more steps V settles where
    /// each step takes as much as it adds, and half of the data's variance comes out.
    @Test func stochasticFlowMatchingEndsWithHalfOfTheVariance() throws {
        let item = Case(name: "flow-euler", overrides: ["stochastic_sampling": .flag(true)])
        let square = GaussianData.deviation * GaussianData.deviation
        var shares: [Double] = []
        for steps in [10, 100, 1000] {
            let scheduler = try item.scheduler(steps: steps)
            var variance = 1.0
            for index in scheduler.timesteps.indices {
                let (sigma, next) = (Double(scheduler.sigmas[index]), Double(scheduler.sigmas[index + 1]))
                let k = (1 - sigma) * square / ((1 - sigma) * (1 - sigma) * square + sigma * sigma)
                variance = (1 - next) * (1 - next) * k * k * variance + next * next
            }
            let result = try propagated(item, steps: steps, toTheEnd: true)
            #expect(abs(result.variance / variance - 1) < 1e-4)
            #expect(abs(result.mean - GaussianData.mean) < 1e-4)
            shares.append(result.variance / square)
        }
        print("flow-euler with stochastic_sampling: shares of the variance \(shares)")
        #expect(abs(shares[2] - 0.5) < 0.02)
    }

    /// Churn of flow matching adds noise and leaves the signal as it is, where the higher level has less of it: the mean moves by as much in
    /// the whole run, however many steps share it.
    @Test func churnMovesTheMeanOfFlowMatching() throws {
        let item = Case(name: "flow-heun", churn: 1)
        let errors = try [80, 640].map { try propagated(item, steps: $0).meanError }
        print("flow-heun with churn: means off by \(errors)")
        #expect(errors[0] > 0.05 && abs(errors[1] / errors[0] - 1) < 0.2)
    }

    /// The stochastic update of third order gives its second difference the weight of the integral with −½ where +½ belongs, in diffusers and so
    /// here: −1 instead of 0 for short steps. In the multistep form these differences cancel from step to step; in the singlestep form the
    /// noise in them adds up to many times the data's variance. With the right constant it converges.
    @Test func stochasticSinglestepOfThirdOrderHasAWrongConstant() throws {
        let item = Case(
            name: "dpm++2s",
            overrides: Self.with(
                Self.spread,
                [
                    "algorithm_type": .text("sde-dpmsolver++"), "solver_type": .text("heun"), "solver_order": .integer(3),
                    "final_sigmas_type": .text("sigma_min"),
                ]))
        let plain = try Self.counts.map { try propagated(item, steps: $0).varianceError }
        let corrected = try Self.counts.map { steps in
            try propagated(item, steps: steps) { scheduler, index, predictions in
                guard index % 3 == 2 else { return nil }
                let levels = (index - 2...index + 1).map { scheduler.noiseLevels[$0] }
                let lambdas = levels.map { log(Double($0.alpha) / Double($0.sigma)) }
                let (near, far) = (lambdas[1] - lambdas[0], lambdas[2] - lambdas[0])
                let h = lambdas[3] - lambdas[0]
                return predictions[2].indices.map { position in
                    let values = predictions.map { Double($0[position]) }
                    let difference = (values[2] - values[0]) * h / far - (values[1] - values[0]) * h / near
                    return Float(Double(levels[3].alpha) * 2 * difference * h / (far - near))
                }
            }.varianceError
        }
        print("dpm++3s sde heun: variances off by \(plain), with the right constant by \(corrected)")
        #expect(plain.allSatisfy { $0 > 40 })
        #expect(order(of: corrected.map(abs), over: Self.counts) >= 0.7)
    }

    /// What is added to a step, from the scheduler, the step's index and the last three predictions of the original, the newest last.
    private typealias Correction = (any Scheduler, Int, [[Float]]) -> [Float]?

    struct Moments {
        let mean: Double
        let variance: Double
        /// In deviations of noisy data of the same level.
        let meanError: Double
        /// In variances of it.
        let varianceError: Double
    }

    /// Mean and variance before the last step, or after it.
    private func propagated(
        _ item: Case, steps: Int, toTheEnd: Bool = false, correction: Correction? = nil
    ) throws -> Moments {
        let scheduler = try item.scheduler(steps: steps)
        var drawCount = 0
        _ = try run(item, scheduler, units: [0], toTheEnd: toTheEnd) { _ in
            drawCount += 1
            return [0]
        }
        // Without noise; then with the start alone; then with each draw alone.
        let size = drawCount + 2
        var drawn = 1
        let values = try run(
            item, scheduler, units: [0, 1] + [Double](repeating: 0, count: drawCount), toTheEnd: toTheEnd,
            correction: correction
        ) {
            _ in
            drawn += 1
            return (0..<size).map { $0 == drawn ? 1 : 0 }
        }
        let mean = Double(values[0])
        let variance = values.dropFirst().reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
        let level =
            toTheEnd
            ? GaussianData.Level(alpha: 1, sigma: 0) : GaussianData(scheduler).sampleLevel(at: lastIndex(scheduler))
        return Moments(
            mean: mean, variance: variance, meanError: (mean - level.exact(0)) / level.variance.squareRoot(),
            varianceError: variance / level.variance - 1)
    }

    /// The start of the last step, or of the last whole group of a singlestep solver.
    private func lastIndex(_ scheduler: any Scheduler) -> Int {
        guard scheduler is DPMSolverSinglestepScheduler, case .integer(let group)? = scheduler.settings.values["solver_order"]
        else {
            return scheduler.timesteps.count - 1
        }
        return (scheduler.timesteps.count - 1) / group * group
    }

    private func run(
        _ item: Case, _ scheduler: any Scheduler, units: [Double], toTheEnd: Bool = false, correction: Correction? = nil,
        noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        let gaussian = GaussianData(scheduler)
        let start = gaussian.sampleLevel(at: 0)
        var state = scheduler.makeState()
        var predictions: [[Float]] = []
        var sample = units.map { Float(start.exact($0)) }
        for index in 0..<(toTheEnd ? scheduler.timesteps.count : lastIndex(scheduler)) {
            let output = try gaussian.output(for: sample, at: index)
            let level = gaussian.modelLevel(at: index)
            let (alpha, sigma) = (Float(level.alpha), Float(level.sigma))
            predictions = predictions.suffix(2) + [zip(sample, output).map { ($0 - sigma * $1) / alpha }]
            sample = try scheduler.step(output, at: index, sample: sample, state: &state, options: item.options, noise: noise)
            if let added = correction?(scheduler, index, predictions) { sample = zip(sample, added).map { $0 + $1 } }
        }
        return sample
    }
}
