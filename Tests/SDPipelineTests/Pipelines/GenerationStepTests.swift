import Foundation
import GraphRuntime
import SDPipeline
import Testing

/// A run as an asynchronous sequence of its steps.
@Suite struct GenerationStepTests {
    static let model = RepositoryRoot.url.appendingPathComponent("Models/emoji")

    /// The sequence has the start, every evaluation and the pictures, which are those of the call that makes them at once.
    @Test func givesTheSamePictures() async throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
        let request = GenerationRequest(prompt: "a fox", steps: 3, seed: 5, batchCount: 2, scheduler: "euler a")
        let expected = try pipeline.generate(request)
        var steps: [GenerationStep] = []
        for try await step in pipeline.steps(request) { steps.append(step) }
        #expect(steps.map(\.completed) == [0, 1, 2, 3, 3] && steps.allSatisfy { $0.total == 3 })
        #expect(steps.allSatisfy { $0.latents.shape == [2, 4, 16, 16] })
        let last = try #require(steps.last)
        #expect(steps.dropLast().allSatisfy { $0.result == nil } && last.result?.images == expected.images)
        #expect(last.result?.records.map(\.seed) == [5, 6] && last.latents == expected.latents)
        #expect(try pipeline.preview(of: last) == expected.images)
        #expect(try pipeline.preview(of: steps[1]) != expected.images)
    }

    /// Cancelling the task that asks ends a step within its graph.
    @Test func endsWithItsTask() async throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
        let request = GenerationRequest(prompt: "a fox", width: 256, height: 256, steps: 500, batchCount: 8)
        let started = DispatchSemaphore(value: 0)
        let task = Task {
            for try await step in pipeline.steps(request) where step.completed == 1 { started.signal() }
        }
        // Not from a task: runs of other tests may have all of Swift's threads.
        Thread.detachNewThread {
            started.wait()
            task.cancel()
        }
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    /// Leaving the loop ends the run: nothing keeps its pipeline.
    @Test func endsWithItsLoop() async throws {
        weak var kept: StableDiffusionPipeline?
        do {
            let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
            kept = pipeline
            let request = GenerationRequest(prompt: "a fox", width: 256, height: 256, steps: 500, batchCount: 8)
            for try await step in pipeline.steps(request) where step.completed == 1 { break }
        }
        let deadline = ContinuousClock.now + .seconds(300)
        while kept != nil, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(20)) }
        #expect(kept == nil)
    }

    /// A request that the model can't meet is an error of the first step, and the last of the sequence.
    @Test func endsWithAnError() async throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
        var iterator = pipeline.steps(GenerationRequest(prompt: "a fox", width: 70)).makeAsyncIterator()
        let error = await #expect(throws: PipelineError.self) { _ = try await iterator.next() }
        #expect(error?.kind == .invalidRequest)
        #expect(try await iterator.next() == nil)
    }
}
