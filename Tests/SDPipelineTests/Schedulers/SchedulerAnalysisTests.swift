import Foundation
import SDPipeline
import Testing

/// Tests that owe nothing to another program: for normally distributed data the best prediction at any noise level, and the solution of
/// the probability-flow equation, are known in closed form.
@Suite struct SchedulerAnalysisTests {
    /// Data N(mean, deviation²), each value on its own.
    private static let mean = 0.4
    private static let deviation = 0.6
    /// The betas of Stable Diffusion's range, so finely that whole timesteps don't matter.
    private static let configuration = SchedulerConfiguration(
        className: nil,
        values: [
            "num_train_timesteps": .integer(20000), "beta_start": .number(0.00085 / 20), "beta_end": .number(0.012 / 20),
            "clip_sample": .flag(false),
        ])

    struct Solver: Sendable, CustomTestStringConvertible {
        let name: String
        let order: Double
        var overrides: [String: SchedulerValue] = [:]
        /// Steps whose start is the exact solution: multistep methods begin with lower orders, which would hide their own.
        var exactSteps = 0
        var testDescription: String { "\(name) \(overrides)" }
    }

    private static let spread: [String: SchedulerValue] = ["use_exponential_sigmas": .flag(true)]

    private static func with(_ more: [String: SchedulerValue]) -> [String: SchedulerValue] { spread.merging(more) { $1 } }

    static let solvers = [
        Solver(name: "ddim", order: 1), Solver(name: "euler", order: 1, overrides: spread),
        Solver(name: "heun", order: 2, overrides: spread), Solver(name: "dpm2", order: 2, overrides: spread),
        Solver(name: "dpm++2m", order: 1, overrides: with(["solver_order": .integer(1)])),
        Solver(name: "dpm++2m", order: 2, overrides: spread, exactSteps: 3),
        Solver(name: "dpm++2m", order: 2, overrides: with(["solver_type": .text("heun")]), exactSteps: 3),
        Solver(name: "dpm solver", order: 2, overrides: spread, exactSteps: 3),
        Solver(name: "dpm++2s", order: 2, overrides: spread),
        Solver(name: "dpm++3s", order: 3, overrides: with(["solver_type": .text("heun")])),
        Solver(name: "deis", order: 2, overrides: spread, exactSteps: 3),
        Solver(name: "unipc", order: 2, overrides: spread),
        Solver(
            name: "unipc", order: 2, overrides: with(["solver_type": .text("bh1"), "final_sigmas_type": .text("sigma_min")])),
        Solver(name: "unipc", order: 3, overrides: with(["solver_order": .integer(3)]), exactSteps: 3),
        Solver(name: "pndm", order: 2),
        Solver(name: "edm-euler", order: 1, overrides: ["sigma_schedule": .text("exponential")]),
        Solver(name: "edm-dpm++2m", order: 2, overrides: ["sigma_schedule": .text("exponential")], exactSteps: 3),
        Solver(name: "flow-euler", order: 1), Solver(name: "flow-heun", order: 2),
    ]

    /// The error at a fixed place falls with the number of steps as the solver's order says.
    @Test(arguments: solvers) func convergesAtItsOrder(solver: Solver) throws {
        let counts = [10, 20, 40, 80]
        let errors = try counts.map { try error(of: solver, steps: $0) }
        // Single precision ends the fall.
        let points = zip(counts, errors).filter { $0.1 > 4e-6 }.map { (x: log(Double($0.0)), y: log($0.1)) }
        let slope = points.count >= 2 ? -Self.slope(points) : .infinity
        print("\(solver.testDescription): order \(slope), errors \(errors)")
        #expect(slope >= solver.order - 0.3, "errors \(errors)")
        #expect((errors.last ?? 1) < 0.05)
    }

    /// The largest difference from the exact solution after half of the steps (of schedulers on evenly spread timesteps, whose last steps
    /// don't get shorter in λ) or before the step that goes down to no noise.
    private func error(of solver: Solver, steps: Int) throws -> Double {
        let scheduler = try SchedulerRegistry.standard.make(
            solver.name, configuration: Self.configuration, request: .steps(steps), overrides: solver.overrides)
        let gaussian = Gaussian(scheduler)
        let perStep = type(of: scheduler).descriptor.evaluationsPerStep
        let isEven = solver.overrides["use_exponential_sigmas"] == nil && solver.overrides["sigma_schedule"] == nil
        var last = (isEven ? steps / 2 : steps - 1) * perStep
        // The Runge-Kutta start of PNDM: four evaluations for each of three steps.
        if solver.name == "pndm" { last += 9 }
        // Groups of singlestep solvers end at every order-th step.
        last -= last % (["dpm++2s": 2, "dpm++3s": 3][solver.name] ?? 1)
        var state = scheduler.makeState()
        let units: [Double] = [-1.5, -0.3, 0.8, 2]
        var sample = units.map { gaussian.exact($0, at: 0) }
        for index in 0..<last {
            if index < solver.exactSteps * perStep { sample = units.map { gaussian.exact($0, at: index) } }
            let output = try gaussian.output(for: sample, at: index)
            sample = try scheduler.step(output, at: index, sample: sample, state: &state) { _ in [] }
        }
        return zip(sample, units).map { abs(Double($0) - Double(gaussian.exact($1, at: last))) }.max() ?? .infinity
    }

    static let stochastic: [(name: String, overrides: [String: SchedulerValue])] = [
        ("ddpm", [:]), ("euler-a", [:]), ("dpm2-a", [:]), ("dpm++sde", [:]), ("sa-solver", [:]), ("dpm++2m sde", [:]),
        ("dpm++2m sde heun", [:]),
        ("edm-dpm++2m", ["algorithm_type": .text("sde-dpmsolver++")]),
    ]

    /// From noise to data with noise on the way: the data's mean and variance come out.
    @Test(arguments: stochastic.indices) func keepsMeanAndVariance(position: Int) throws {
        let (name, overrides) = Self.stochastic[position]
        let scheduler = try SchedulerRegistry.standard.make(
            name, configuration: Self.configuration, request: .steps(300), overrides: overrides)
        let gaussian = Gaussian(scheduler)
        var generator = TorchGenerator(seed: 5)
        let count = 20000
        var state = scheduler.makeState()
        var sample = generator.randn(count: count).map { gaussian.exact(Double($0), at: 0) }
        for index in scheduler.timesteps.indices {
            let output = try gaussian.output(for: sample, at: index)
            sample = try scheduler.step(output, at: index, sample: sample, state: &state) { generator.randn(count: $0) }
        }
        let mean = sample.reduce(0.0) { $0 + Double($1) } / Double(count)
        let variance = sample.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(count - 1)
        let wanted = Self.deviation * Self.deviation
        print("\(name) \(overrides): mean \(mean) for \(Self.mean), variance \(variance) for \(wanted)")
        // Five standard errors, and what 300 steps leave.
        #expect(abs(mean - Self.mean) < 5 * Self.deviation / Double(count).squareRoot() + 0.005)
        #expect(abs(variance / wanted - 1) < 5 * (2 / Double(count)).squareRoot() + 0.02)
    }

    /// Least squares.
    private static func slope(_ points: [(x: Double, y: Double)]) -> Double {
        let count = Double(points.count)
        let (x, y) = (points.reduce(0) { $0 + $1.x } / count, points.reduce(0) { $0 + $1.y } / count)
        return points.reduce(0) { $0 + ($1.x - x) * ($1.y - y) } / points.reduce(0) { $0 + ($1.x - x) * ($1.x - x) }
    }

    /// The ideal model of normally distributed data for one scheduler.
    private struct Gaussian {
        let scheduler: any Scheduler

        init(_ scheduler: any Scheduler) { self.scheduler = scheduler }

        private var isVarianceExploding: Bool { scheduler is any VarianceExplodingScheduler }

        /// Signal and noise of the sample itself, where the model sees it scaled.
        private func level(at index: Int) -> (alpha: Double, sigma: Double) {
            let level = scheduler.noiseLevels[index]
            let (alpha, sigma) = (Double(level.alpha), Double(level.sigma))
            return isVarianceExploding ? (1, sigma / alpha) : (alpha, sigma)
        }

        /// The probability-flow solution keeps the distance from the mean in deviations.
        func exact(_ unit: Double, at index: Int) -> Float {
            let (alpha, sigma) = level(at: index)
            let deviation =
                (alpha * alpha * SchedulerAnalysisTests.deviation * SchedulerAnalysisTests.deviation + sigma * sigma)
                .squareRoot()
            return Float(alpha * SchedulerAnalysisTests.mean + deviation * unit)
        }

        /// The model's best answer, in the form that the scheduler expects.
        func output(for sample: [Float], at index: Int) throws -> [Float] {
            let (alpha, sigma) = level(at: index)
            let data = SchedulerAnalysisTests.deviation * SchedulerAnalysisTests.deviation
            return sample.map { value in
                let distance = Double(value) - alpha * SchedulerAnalysisTests.mean
                let variance = alpha * alpha * data + sigma * sigma
                let noise = sigma * distance / variance
                let original = SchedulerAnalysisTests.mean + alpha * data * distance / variance
                if scheduler.name.hasPrefix("FlowMatch") { return Float(noise - original) }
                if scheduler.name.hasPrefix("EDM") {
                    // Karras et al. 2022, table 1, with σ_data = 0.5.
                    let square = sigma * sigma + 0.25
                    return Float((original - 0.25 / square * Double(value)) * square.squareRoot() / (sigma * 0.5))
                }
                if scheduler.name.hasPrefix("IPNDM") { return Float(alpha * noise - sigma * original) }
                return Float(noise)
            }
        }
    }
}
