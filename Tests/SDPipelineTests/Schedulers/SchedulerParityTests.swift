import Foundation
import SDPipeline
import TestSupport
import Testing

/// Every case of Tests/References/schedulers.py against diffusers.
@Suite struct SchedulerParityTests {
    private static let sigmaTolerance = 1e-6
    private static let sampleTolerance = 1e-5

    @Test func everyStepMatchesDiffusers() throws {
        let references = try SchedulerReferences()
        var worst: [String: (sigma: Double, sample: Double)] = [:]
        for (item, expected) in references.cases {
            guard let scheduler = try? make(item) else { continue }
            var record = worst[item.class] ?? (0, 0)
            expectEqual(scheduler.timesteps, expected.timesteps, "\(item.label)")
            expectClose(
                scheduler.sigmas, expected.sigmas, within: Tolerance(relative: Self.sigmaTolerance), "sigmas, \(item.label)")
            for (found, wanted) in zip(scheduler.sigmas, expected.sigmas) {
                record.sigma = max(record.sigma, relativeDifference(found, wanted))
            }
            #expect(relativeDifference(scheduler.initNoiseSigma, expected.initNoiseSigma) <= Self.sigmaTolerance)

            let samples = try run(scheduler, item, references)
            #expect(samples.count == expected.samples.count, "\(item.label)")
            for (index, (found, wanted)) in zip(samples, expected.samples).enumerated() {
                record.sample = max(record.sample, largestDifference(found, wanted))
                expectClose(
                    found, wanted, within: Tolerance(ofLargest: Self.sampleTolerance), "step \(index), \(item.label)")
            }
            if !expected.noisy.isEmpty {
                let noisy = try scheduler.addNoise(
                    to: references.start, noise: references.draws[0], at: scheduler.timesteps.count / 2)
                expectClose(
                    noisy, expected.noisy, within: Tolerance(ofLargest: Self.sampleTolerance), "add_noise, \(item.label)")
            }
            worst[item.class] = record
        }
        for (name, record) in worst.sorted(by: { $0.key < $1.key }) {
            print(
                "\(name): largest relative difference from diffusers:",
                "sigmas \(record.sigma), samples \(record.sample)")
        }
    }

    /// Align Your Steps and Laplace, which are lists in diffusers and k-diffusion.
    @Test func namedSchedulesAreTheLists() throws {
        struct Named: Decodable {
            let aysTimesteps: [Float]
            let ays: [String: [Float]]
            let laplace: [String: [Float]]
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let named = try decoder.decode(
            Named.self, from: Data(contentsOf: SchedulerReferences.folder.appending(path: "named.json")))
        let configuration = SchedulerConfiguration(
            className: nil,
            values: ["beta_start": .number(0.00085), "beta_end": .number(0.012), "beta_schedule": .text("scaled_linear")])
        for (schedule, lists) in [(NamedSchedule.ays, named.ays), (.laplace, named.laplace)] {
            #expect(lists.count == 4)
            for (count, expected) in lists {
                let request = TimestepRequest.named(schedule, steps: try #require(Int(count)))
                let scheduler = try SchedulerRegistry.standard.make("euler", configuration: configuration, request: request)
                #expect(scheduler.sigmas.count == expected.count + 1 && scheduler.sigmas.last == 0)
                expectClose(
                    Array(scheduler.sigmas.dropLast()), expected, within: Tolerance(relative: Self.sigmaTolerance),
                    "\(schedule) \(count)")
            }
        }
        let listed = try SchedulerRegistry.standard.make(
            "ddpm", configuration: configuration, request: .named(.ays, steps: 10))
        expectEqual(listed.timesteps, named.aysTimesteps)
        let multistep = try SchedulerRegistry.standard.make(
            "dpm++2m", configuration: configuration, request: .named(.ays, steps: 10))
        expectClose(multistep.timesteps, named.aysTimesteps, within: Tolerance(absolute: 1))
    }

    @Test func aRunCanBeRepeatedAndContinuedFromAnyStep() throws {
        let references = try SchedulerReferences()
        for (item, _) in references.cases where item.steps == 5 || item.timesteps != nil {
            guard let scheduler = try? make(item) else { continue }
            let first = try run(scheduler, item, references)
            #expect(try run(scheduler, item, references) == first, "\(item.label)")
            for pause in scheduler.timesteps.indices {
                #expect(try run(scheduler, item, references, pausingAt: pause) == first, "\(pause), \(item.label)")
            }
        }
    }

    @Test func drawsAsMuchNoiseAsDiffusers() throws {
        let references = try SchedulerReferences()
        for (item, _) in references.cases {
            guard let scheduler = try? make(item) else { continue }
            var count = 0
            _ = try run(scheduler, item, references) { count += 1 }
            #expect(count == item.drawCount, "\(item.label)")
        }
    }

    private func make(_ item: SchedulerReferences.Case) throws -> any Scheduler {
        let configuration = SchedulerConfiguration(className: item.class, values: item.config)
        let scheduler: any Scheduler
        do {
            scheduler = try SchedulerRegistry.standard.make(configuration: configuration, request: item.request)
        } catch {
            Issue.record("\(error) \(item.label)")
            throw error
        }
        try item.stepOptions.check(for: type(of: scheduler).descriptor)
        return scheduler
    }

    private func run(
        _ scheduler: any Scheduler, _ item: SchedulerReferences.Case, _ references: SchedulerReferences,
        pausingAt pause: Int? = nil, onDraw: () -> Void = {}
    ) throws -> [[Float]] {
        var state = scheduler.makeState(batchSize: 2)
        var sample = references.start.map { $0 * scheduler.initNoiseSigma }
        var drawn = 0
        var samples: [[Float]] = []
        for index in scheduler.timesteps.indices.dropFirst(item.begin ?? 0) {
            let input = try scheduler.scaleModelInput(sample, at: index)
            let output = SchedulerReferences.model(
                input, timestep: scheduler.timesteps[index], varianceType: item.config["variance_type"])
            if index == pause {
                // A step from a copy of the state leaves the run as it was.
                var copy = state
                _ = try scheduler.step(
                    output, at: index, sample: sample, state: &copy, options: item.stepOptions
                ) { [Float](repeating: 1, count: $0) }
            }
            sample = try scheduler.step(
                output, at: index, sample: sample, state: &state, options: item.stepOptions
            ) { _ in
                onDraw()
                defer { drawn += 1 }
                return references.draws[drawn]
            }
            samples.append(sample)
        }
        return samples
    }

    private func relativeDifference(_ found: Float, _ wanted: Float) -> Double {
        found == wanted ? 0 : Double((found - wanted).magnitude) / Double(wanted.magnitude)
    }

    /// The largest difference of two arrays, relative to the largest value; infinite where one isn't a number.
    private func largestDifference(_ found: [Float], _ wanted: [Float]) -> Double {
        let scale = Double(wanted.map(\.magnitude).max() ?? 0)
        guard found.count == wanted.count else { return .infinity }
        return zip(found, wanted).reduce(0) { largest, pair in
            if pair.0 == pair.1 { return largest }
            let difference = Double((pair.0 - pair.1).magnitude) / scale
            return difference.isNaN ? .infinity : max(largest, difference)
        }
    }
}
