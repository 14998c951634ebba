import Foundation
import GraphRuntime
import SDPipeline
import Synchronization
import TestSupport
import Testing

/// Evaluations that are computed in part, or not at all.
@Suite struct StepCachingTests {
    private static let root = TestCache.folder.appendingPathComponent("step-caching")
    private static let emoji = RepositoryRoot.url.appendingPathComponent("Models/emoji")

    /// Against diffusers with the package DeepCache, and with guidance in a part of the steps (Tests/References/step_caching.py).
    @Test(arguments: ["sd1", "sd2", "sdxl", "sd1-half", "sd1-dynamo", "sd1-residuals"])
    func sameAsDeepCache(model: String) throws {
        let inputs = ControlParityTests.root
        let pipeline = try StableDiffusionPipeline(modelFolder: inputs.appendingPathComponent("\(model)/model"))
        let cases = try ParityCase.all(model, in: Self.root)
        #expect(cases.count { $0.caching != nil } >= 6)
        for item in cases { try item.expectSame(pipeline.generate(item.request(in: inputs)), in: Self.root) }
    }

    /// The same weights in graphs that ONNX Runtime's optimiser has rewritten (Tests/References/adapters.py).
    @Test(arguments: ["sd1", "sd2", "sdxl"], ["optimised", "packed"])
    func sameOnOptimisedGraphs(model: String, kind: String) throws {
        let inputs = ControlParityTests.root
        let pipeline = try StableDiffusionPipeline(
            modelFolder: TestCache.folder.appendingPathComponent("adapters/models/\(model)-\(kind)"))
        let cases = try ParityCase.all(model, in: Self.root).filter { $0.caching != nil }.prefix(4)
        #expect(cases.count == 4)
        for item in cases { try item.expectSame(pipeline.generate(item.request(in: inputs)), in: Self.root) }
    }

    private func pipeline(savesMemory: Bool = false, optimize: Bool = true) throws -> StableDiffusionPipeline {
        try StableDiffusionPipeline(modelFolder: Self.emoji, optimize: optimize, savesMemory: savesMemory)
    }

    /// The runs of the U-Net, whole or in part, and the nodes that they computed.
    private func runs(
        _ request: GenerationRequest, _ pipeline: StableDiffusionPipeline
    ) throws -> (result: GenerationResult, nodes: [Int]) {
        let profile = Profile()
        let result = try pipeline.generate(request, observer: profile)
        let steps = profile.sections.filter { $0.kind == .part && $0.name.hasPrefix("U-Net step") }
        let spans = profile.spans
        return (
            result,
            steps.map { step in spans.count { $0.start >= step.start && $0.start < step.end } }
        )
    }

    /// The deep part is left out where it is kept, and what was learned for one run isn't taken for another.
    @Test func computesTheDeepPartAtTimes() throws {
        let pipeline = try pipeline()
        var request = GenerationRequest(prompt: "a fox", steps: 7, seed: 3, scheduler: "ddim")
        let plain = try pipeline.generate(request).images[0]
        request.stepCaching = .deep(interval: 3)
        let (first, nodes) = try runs(request, pipeline)
        let whole = try #require(nodes.max())
        #expect(nodes.map { $0 * 3 > whole * 2 } == [true, false, false, true, false, false, true])
        // Behind the share 0.3 of 7 evaluations, which are 2.1.
        request.stepCaching = .deep(interval: 3, start: 0.3)
        #expect(try runs(request, pipeline).nodes.map { $0 * 3 > whole * 2 } == [true, true, true, true, false, false, true])
        request.stepCaching = .deep(interval: 3)
        let again = try pipeline.generate(request).images[0]
        #expect(again.pixels == first.images[0].pixels && again.pixels != plain.pixels)
        request.stepCaching = .deep(interval: 1)
        #expect(try pipeline.generate(request).images[0].pixels == plain.pixels)
    }

    /// However the graphs run, the pictures are the same.
    @Test func sameInEveryWayOfRunning() throws {
        let request = {
            var request = GenerationRequest(prompt: "a fox", steps: 5, seed: 3, scheduler: "euler")
            request.stepCaching = .deep(interval: 2, branch: 1)
            return request
        }()
        let expected = try pipeline().generate(request).images[0].pixels
        for other in [try pipeline(savesMemory: true), try pipeline(optimize: false)] {
            expectClose(try other.generate(request).images[0].pixels, expected, shape: [64, 64, 3], within: 1)
        }
    }

    /// Runs at the same time keep features of their own.
    @Test func keepsFeaturesInTheRun() throws {
        let pipeline = try pipeline()
        let requests = ["a fox", "a red apple"].map { prompt in
            var request = GenerationRequest(prompt: prompt, steps: 6, seed: 3)
            request.stepCaching = .deep(interval: 3)
            return request
        }
        let expected = try requests.map { try pipeline.generate($0).images[0].pixels }
        let results = Mutex([Int: [UInt8]]())
        DispatchQueue.concurrentPerform(iterations: 4) { index in
            let made = try? pipeline.generate(requests[index % 2]).images[0].pixels
            results.withLock { $0[index] = made }
        }
        for (index, pixels) in results.withLock({ $0 }) { #expect(pixels == expected[index % 2]) }
        #expect(results.withLock(\.count) == 4 && expected[0] != expected[1])
    }

    /// Weights that adapters change are changed in both parts.
    @Test func followsLoRAWeights() throws {
        let configuration = try PipelineConfiguration(
            modelFolder: Self.emoji, loras: [LoRA(contentsOf: Self.emoji.appendingPathComponent("lora/night.safetensors"))])
        let pipeline = try StableDiffusionPipeline(configuration)
        func pixels(weight: Double, caching: StepCaching?) throws -> [UInt8] {
            var request = GenerationRequest(prompt: "a fox", steps: 4, seed: 3)
            request.stepCaching = caching
            request.loraWeights = [AdapterWeight(name: "night", weight: weight, textWeight: weight)]
            return try pipeline.generate(request).images[0].pixels
        }
        let cached = try [1, 0, 1].map { try pixels(weight: $0, caching: .deep(interval: 2)) }
        #expect(cached[0] == cached[2] && cached[0] != cached[1])
        let plain = try self.pipeline()
        var request = GenerationRequest(prompt: "a fox", steps: 4, seed: 3)
        request.stepCaching = .deep(interval: 2)
        expectClose(cached[1], try plain.generate(request).images[0].pixels, shape: [64, 64, 3], within: 1)
    }

    /// Forecasts take the place of evaluations in between, never of the first two or the last; below the smallest threshold there are none.
    @Test(arguments: ["ddim", "dpm++2m", "euler"]) func forecastsInBetween(scheduler: String) throws {
        let pipeline = try pipeline()
        var request = GenerationRequest(prompt: "a fox", steps: 20, seed: 3, scheduler: scheduler)
        let plain = try pipeline.generate(request).images[0].pixels
        request.stepCaching = .forecast(threshold: 1e-12)
        #expect(try pipeline.generate(request).images[0].pixels == plain)
        request.stepCaching = .forecast(threshold: 1e9)
        let counts = try runs(request, pipeline).nodes.map { $0 > 0 }
        #expect(Array(counts.prefix(3)) == [true, true, true] && counts[19])
        #expect(counts.count { $0 } < 10)
        request.stepCaching = .forecast(threshold: StepCaching.standardThreshold)
        let (result, nodes) = try runs(request, pipeline)
        #expect(nodes.contains(0))
        let squares = zip(result.images[0].pixels, plain).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
        #expect(squares / Double(plain.count) < 25)
    }

    /// Of the evaluations that aren't left out, the deep part is in one of so many.
    @Test func computesTheDeepPartOfWhatIsLeft() throws {
        let pipeline = try pipeline()
        var request = GenerationRequest(prompt: "a fox", steps: 20, seed: 3, scheduler: "ddim")
        request.stepCaching = .forecast(threshold: 1e9, deep: StepCaching.Deep(interval: 2))
        let nodes = try runs(request, pipeline).nodes
        let whole = try #require(nodes.max())
        #expect(nodes.indices.filter { nodes[$0] > 0 } == [0, 1, 2, 7, 12, 17, 19])
        #expect(nodes.indices.filter { nodes[$0] * 3 > whole * 2 } == [0, 2, 12, 19])
        request.stepCaching = .forecast(threshold: 1e9, deep: StepCaching.Deep(interval: 2, start: 0.4))
        // All before the eighth, and then every other one of 12, 17 and 19.
        let later = try runs(request, pipeline).nodes
        #expect(later.indices.filter { later[$0] * 3 > whole * 2 } == [0, 1, 2, 7, 12, 19])
    }

    /// What was predicted for one prompt says nothing of the next: two evaluations, and a third that measures, begin a new line.
    @Test(arguments: [("[a fox:a red apple:10]", 1.0, nil), ("a fox", 5.0, GuidanceInterval(start: 0.5, end: 1))])
    func forecastsBeginAnew(prompt: String, scale: Double, interval: GuidanceInterval?) throws {
        let pipeline = try pipeline()
        var request = GenerationRequest(prompt: prompt, steps: 20, guidanceScale: scale, seed: 3, scheduler: "ddim")
        (request.stepCaching, request.guidanceInterval) = (.forecast(threshold: 1e9), interval)
        let computed = try runs(request, pipeline).nodes.map { $0 > 0 }
        let first = [true, true, true, false, false, false, false, true, false, false]
        #expect(computed == first + first.dropLast() + [true])
    }

    /// So it is where a ControlNet ceases to count.
    @Test func forecastsBeginAnewAfterControl() throws {
        let inputs = ControlParityTests.root
        let pipeline = try StableDiffusionPipeline(modelFolder: inputs.appendingPathComponent("sd1/model"))
        let item = try #require(try ParityCase.all("sd1", in: inputs).first { try !$0.request(in: inputs).controls.isEmpty })
        var request = try item.request(in: inputs)
        (request.steps, request.scheduler, request.stepCaching) = (20, "ddim", .forecast(threshold: 1e9))
        // Two, one that measures, then each fifth, and the last; the same from the eleventh on.
        for (end, computed) in [(1.0, [0, 1, 2, 7, 12, 17, 19]), (0.5, [0, 1, 2, 7, 10, 11, 12, 17, 19])] {
            for index in request.controls.indices { (request.controls[index].start, request.controls[index].end) = (0, end) }
            let nodes = try runs(request, pipeline).nodes
            #expect(nodes.indices.filter { nodes[$0] > 0 } == computed)
        }
    }

    /// Without guidance a step computes half as many rows.
    @Test func guidesInAPart() throws {
        let pipeline = try pipeline()
        var request = GenerationRequest(prompt: "a fox", steps: 10, guidanceScale: 5, seed: 3, scheduler: "ddim")
        let plain = try pipeline.generate(request).images[0].pixels
        request.guidanceInterval = GuidanceInterval(start: 0, end: 1)
        #expect(try pipeline.generate(request).images[0].pixels == plain)
        request.guidanceInterval = GuidanceInterval(start: 0.2, end: 0.8)
        request.stepCaching = .deep(interval: 2)
        #expect(try pipeline.generate(request).images[0].pixels != plain)
        request.guidanceScale = 1
        request.stepCaching = nil
        let unguided = try pipeline.generate(request).images[0].pixels
        request.guidanceInterval = nil
        #expect(try pipeline.generate(request).images[0].pixels == unguided)
    }

    /// What is fast is chosen by the scheduler, said in a notice and in the record, and is the picture of the settings by themselves.
    @Test(arguments: [
        "dpm++2m", "euler", "unipc", "deis", "lms", "dpm++3m", "dpm-solver", "euler-a", "dpm++2m-sde", "dpm++3m-sde",
    ])
    func choosesFastSettings(scheduler: String) throws {
        let isStochastic = ["euler-a", "dpm++2m-sde", "dpm++3m-sde"].contains(scheduler)
        let both = StepCaching.forecast(threshold: 0.2, deep: StepCaching.Deep(interval: 2, branch: 2))
        let caching =
            isStochastic
            ? StepCaching.deep(interval: 3, branch: 2)
            : ["dpm++2m", "euler"].contains(scheduler) ? both : .forecast(threshold: 0.1)
        let interval = isStochastic ? GuidanceInterval(start: 0.2, end: 1) : nil
        let pipeline = try pipeline()
        var request = GenerationRequest(prompt: "a fox", steps: 16, guidanceScale: 5, seed: 3, scheduler: scheduler)
        request.isFast = true
        let plan = try pipeline.configuration.plan(for: request)
        #expect(plan.notices.contains(.fast(stepCaching: caching, guidanceInterval: interval)))
        let fast = try pipeline.generate(request)
        #expect(fast.records[0].stepCaching == caching && fast.records[0].guidanceInterval == interval)
        request.isFast = false
        (request.stepCaching, request.guidanceInterval) = (caching, interval)
        #expect(try pipeline.generate(request).images[0].pixels == fast.images[0].pixels)
        (request.stepCaching, request.guidanceInterval, request.isFast, request.steps) = (nil, nil, true, 15)
        let few = try pipeline.configuration.plan(for: request)
        #expect(few.request.stepCaching == (isStochastic ? caching : .forecast(threshold: 0.1)))
        request.stepCaching = caching
        let error = #expect(throws: PipelineError.self) { try pipeline.configuration.plan(for: request) }
        #expect(error?.message.contains("expected either") == true)
    }

    @Test func refuses() throws {
        let configuration = try PipelineConfiguration(modelFolder: Self.emoji)
        func message(_ change: (inout GenerationRequest) -> Void) -> String {
            var request = GenerationRequest(prompt: "x")
            change(&request)
            let error = #expect(throws: PipelineError.self) { try configuration.plan(for: request) }
            return error?.message ?? ""
        }
        #expect(message { $0.stepCaching = .deep(interval: 0) }.contains("expected an interval of 1 to 1000"))
        #expect(message { $0.stepCaching = .forecast(threshold: .nan) }.contains("expected a number above 0"))
        for text in ["", "0.5", "0.8,0.1", "0.2,0.2", "-0.1,1", "0,1.1", "nan,1", "0,nan", "0.1,0.8,0.9", "a,1", "0.1;0.8"] {
            #expect(GuidanceInterval(text) == nil, "\(text)")
        }
        #expect(GuidanceInterval(" 0.1, 0.8") == GuidanceInterval(start: 0.1, end: 0.8))
        #expect(GuidanceInterval(start: 0.25, end: 1).description == "0.25,1.0")
        #expect(message { $0.guidanceInterval = GuidanceInterval(start: 0.5, end: 0.5) }.contains("the first below the second"))
        let draws = "which draws noise in its steps"
        for (scheduler, part, options) in [
            ("euler-a", draws, [:]), ("heun", "2 times a step", [:]), ("dpm++2m-sde", draws, [:]),
            ("ddim", draws, ["eta": 0.5]),
            ("euler", draws, ["s_churn": 1]),
        ] as [(String, String, [String: Double])] {
            let found = message {
                $0.scheduler = scheduler
                ($0.stepOptions.eta, $0.stepOptions.churn) = (options["eta"], options["s_churn"] ?? 0)
                $0.stepCaching = .forecast(threshold: 0.1)
            }
            #expect(
                found.contains(part) && found.contains("the scheduler \(scheduler == "dpm++2m-sde" ? "dpm++2m" : scheduler)"),
                "\(found)")
        }
        for (scheduler, part) in [("lcm", "so few steps"), ("heun", "2 times a step"), ("ddim-inverse", "makes no pictures")] {
            let found = message {
                $0.scheduler = scheduler
                $0.isFast = true
            }
            #expect(found.contains(part) && found.contains("the scheduler \(scheduler)"), "\(found)")
        }
        let pipeline = try pipeline()
        var request = GenerationRequest(prompt: "x", steps: 2)
        request.stepCaching = .deep(interval: 2, branch: 99)
        let error = #expect(throws: PipelineError.self) { try pipeline.generate(request) }
        #expect(error?.message.contains("the cache's branch is 99: expected 0 to") == true)
    }

    @Test func readsTexts() {
        let texts: [(String, StepCaching?)] = [
            ("deep:3", .deep(interval: 3)), ("deep:3:1", .deep(interval: 3, branch: 1)), ("deep:1:0", .deep(interval: 1)),
            ("deep:3:0:0.25", .deep(interval: 3, start: 0.25)), ("deep:3:2:0", .deep(interval: 3, branch: 2)),
            ("forecast", .forecast(threshold: StepCaching.standardThreshold)), ("forecast:0.2", .forecast(threshold: 0.2)),
            ("forecast:0.2+deep:2:2", .forecast(threshold: 0.2, deep: StepCaching.Deep(interval: 2, branch: 2))),
            ("deep:3+forecast", .forecast(threshold: StepCaching.standardThreshold, deep: StepCaching.Deep(interval: 3))),
            ("deep:3+deep:2", nil), ("forecast+forecast:1", nil), ("forecast+", nil), ("+deep:3", nil),
            ("forecast+deep:0", nil),
            ("deep", nil), ("deep:", nil), ("deep:0", nil), ("deep:3:-1", nil), ("deep:3:1:1", nil), ("deep:3:1:-0.1", nil),
            ("deep:3:1:nan", nil), ("deep:3:1:0.5:1", nil), ("deep:1001", nil),
            ("forecast:0", nil), ("forecast:nan", nil), ("forecast:-1", nil), ("forecast:inf", nil), ("", nil), ("none", nil),
        ]
        for (text, value) in texts { #expect(StepCaching(text) == value, "\(text)") }
        for value in texts.compactMap(\.1) { #expect(StepCaching(value.description) == value) }
    }
}
