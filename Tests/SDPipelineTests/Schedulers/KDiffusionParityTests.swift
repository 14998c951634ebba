import Foundation
import SDPipeline
import TestSupport
import Testing

/// Every run of Tests/References/k_diffusion.py against k-diffusion: what the model is given at every evaluation, and the last sample.
@Suite struct KDiffusionParityTests {
    struct Run: Decodable {
        let scheduler: String
        let prediction: String
        let steps: Int
        let sigmas: [Double]?
        /// The step that the run begins with.
        let begin: Int
        let evaluations: [Float]
        let timesteps: [Float]
        let samples: [[Float]]
        let draws: Int

        var label: String { "\(scheduler) \(prediction) \(steps) steps from \(begin), \(sigmas ?? [])" }
    }

    struct References: Decodable {
        let start: [Float]
        let draws: [[Float]]
        let runs: [Run]
        let schedules: [String: [String: [Float]]]
    }

    private static let tolerance = 2e-5
    private let references: References
    private let configuration = SchedulerConfiguration(
        className: nil,
        values: ["beta_start": .number(0.00085), "beta_end": .number(0.012), "beta_schedule": .text("scaled_linear")])

    init() throws {
        let file = RepositoryRoot.url.appending(path: "Tests/References/k-diffusion.json")
        references = try JSONDecoder().decode(References.self, from: Data(contentsOf: file))
    }

    @Test func everyEvaluationMatchesKDiffusion() throws {
        #expect(references.runs.count > 100)
        var worst: [String: Double] = [:]
        for run in references.runs {
            let scheduler = try SchedulerRegistry.standard.make(
                run.scheduler, configuration: configuration,
                request: run.sigmas.map(TimestepRequest.sigmas) ?? .steps(run.steps),
                overrides: ["prediction_type": .text(run.prediction)])
            let first = run.begin * type(of: scheduler).descriptor.evaluationsPerStep
            try scheduler.checkStart(at: first)
            expectClose(
                Array(scheduler.timesteps.dropFirst(first)), run.timesteps, within: Tolerance(absolute: 0.02),
                "timesteps, \(run.label)")
            let levels = scheduler.noiseLevels.dropFirst(first).map { $0.sigma / $0.alpha }
            expectClose(levels, run.evaluations, within: Tolerance(relative: 2e-5), "noise levels, \(run.label)")
            var taken = 0
            let samples = try self.samples(of: scheduler, run, from: first) { taken += 1 }
            // Euler's ancestral form draws for the last step too, as in diffusers, and adds none of it.
            let unused = run.scheduler == "euler-a" && run.sigmas?.last == 0 ? 1 : 0
            #expect(taken == run.draws + unused, "\(run.label)")
            #expect(samples.count == run.samples.count, "\(run.label)")
            for (index, (found, wanted)) in zip(samples, run.samples).enumerated() {
                let scale = wanted.map(\.magnitude).max() ?? 1
                let difference = zip(found, wanted).map { Double(($0 - $1).magnitude / scale) }.max() ?? .infinity
                worst[run.scheduler] = max(worst[run.scheduler] ?? 0, difference)
                expectClose(
                    found, wanted, within: Tolerance(ofLargest: Self.tolerance), "sample \(index), \(run.label)")
            }
        }
        for (name, difference) in worst.sorted(by: { $0.key < $1.key }) {
            print("\(name): largest difference from k-diffusion over the largest value: \(difference)")
        }
    }

    /// The sample at every evaluation of the model, and the last.
    private func samples(
        of scheduler: any Scheduler, _ run: Run, from first: Int, onDraw: () -> Void
    ) throws -> [[Float]] {
        var state = scheduler.makeState()
        let startSigma = run.evaluations[0]
        var sample = references.start.map { $0 * startSigma }
        var samples = [sample]
        var drawn = 0
        for index in scheduler.timesteps.indices.dropFirst(first) {
            let timestep = scheduler.timesteps[index]
            let output = try scheduler.scaleModelInput(sample, at: index).map { $0 * 0.3 + timestep * 0.0005 }
            sample = try scheduler.step(output, at: index, sample: sample, state: &state) { _ in
                onDraw()
                defer { drawn += 1 }
                return references.draws[drawn]
            }
            samples.append(sample)
        }
        return samples
    }

    /// Lists of noise levels, by their names and by the settings that stand for them.
    @Test func schedulesAreTheLists() throws {
        let names = [
            "ays": "euler ays", "ays-sdxl": "euler ays-sdxl", "kl-optimal": "euler kl optimal",
            "sgm-uniform": "euler sgm uniform",
            "simple": "euler simple", "polyexponential": "euler polyexponential", "karras": "euler karras",
            "uniform": "euler uniform",
        ]
        #expect(references.schedules.keys.sorted() == names.keys.sorted())
        for (schedule, lists) in references.schedules {
            for (count, expected) in lists {
                let name = try #require(names[schedule])
                let steps = try #require(Int(count))
                let scheduler = try SchedulerRegistry.standard.make(name, configuration: configuration, request: .steps(steps))
                #expect(scheduler.sigmas.count == steps + 1 && scheduler.sigmas.last == 0)
                expectClose(
                    Array(scheduler.sigmas.prefix(expected.count)), expected, within: Tolerance(relative: 2e-5),
                    "\(name) in \(count) steps")
            }
        }
    }

    /// A run that starts in a group of `dpm-fast` takes the rest of it as a group of lower order: exactly what a run of these orders does.
    @Test func aRunOfDPMFastCanStartInAGroup() throws {
        let scheduler = try SchedulerRegistry.standard.make("dpm-fast", configuration: configuration, request: .steps(12))
        let whole = try last(of: scheduler, from: 0)
        for first in scheduler.timesteps.indices.dropFirst() {
            try scheduler.checkStart(at: first)
            let found = try last(of: scheduler, from: first)
            // The same data from the same noise, so every start leads near the same end.
            expectClose(found, whole, within: Tolerance(absolute: 0.05), "from \(first)")
        }
    }

    /// The end of a run with a model that knows the original.
    private func last(of scheduler: any Scheduler, from first: Int) throws -> [Float] {
        let original: [Float] = [0.5, -1, 0.25, 2]
        let noise: [Float] = [1, 0.3, -0.7, 0.1]
        var state = scheduler.makeState()
        var sample = try scheduler.addNoise(to: original, noise: noise, at: first)
        for index in scheduler.timesteps.indices.dropFirst(first) {
            let level = scheduler.noiseLevels[index]
            let sigma = level.sigma / level.alpha
            let output = zip(sample, original).map { ($0 - $1) / sigma }
            sample = try scheduler.step(output, at: index, sample: sample, state: &state) { _ in [] }
        }
        return sample
    }
}
