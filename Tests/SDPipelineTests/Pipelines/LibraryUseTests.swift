import Foundation
import GraphRuntime
import SDPipeline
import Synchronization
import Testing

/// The pipeline as an app uses it.
@Suite struct LibraryUseTests {
    static let model = RepositoryRoot.url.appendingPathComponent("Models/emoji")

    /// A cancelled task ends a run of minutes long before its end.
    @Test func endsWhenItsTaskIsCancelled() async throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
        let request = GenerationRequest(prompt: "a fox", steps: 200, batchCount: 4)
        let hasBegun = DispatchSemaphore(value: 0)
        let isCancelled = DispatchSemaphore(value: 0)
        let steps = Mutex(0)
        let task = Task.detached {
            try pipeline.generate(request) { progress in
                guard case .step = progress else { return true }
                if steps.withLock({
                    $0 += 1
                    return $0
                }) == 1 {
                    hasBegun.signal()
                    isCancelled.wait()
                }
                return true
            }
        }
        // Not from a task: runs of other tests may have all of Swift's threads.
        Thread.detachNewThread {
            hasBegun.wait()
            task.cancel()
            isCancelled.signal()
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(steps.withLock { $0 } == 1)
        // What was loaded serves the next run.
        #expect(try pipeline.generate(GenerationRequest(prompt: "a fox", steps: 1)).images.count == 1)
    }

    /// Cancelled before it begins, it ends in the first graph.
    @Test func endsInTheFirstGraph() async throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
        let parts = Mutex(0)
        let task = Task.detached {
            while !Task.isCancelled { await Task.yield() }
            return try pipeline.generate(GenerationRequest(prompt: "a fox", steps: 5)) { _ in
                parts.withLock { $0 += 1 }
                return true
            }
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(parts.withLock { $0 } == 0)
    }

    /// Errors are sentences for people, and cases for programs.
    @Test func errorsHaveKinds() throws {
        let configuration = try PipelineConfiguration(modelFolder: Self.model)
        let requests: [(GenerationRequest, PipelineError.Kind)] = [
            (GenerationRequest(prompt: "x", width: 70), .invalidRequest),
            (GenerationRequest(prompt: "x", batchCount: 0), .invalidRequest),
            (GenerationRequest(prompt: "x", guidanceScale: .nan), .invalidRequest),
            (GenerationRequest(prompt: "x", width: 16384, height: 16384, batchCount: 4096), .outOfMemory),
            (GenerationRequest(prompt: "x", initialLatents: try Latents([.nan], shape: [1, 1, 1, 1])), .invalidRequest),
        ]
        for (request, kind) in requests {
            let error = #expect(throws: PipelineError.self) { try configuration.plan(for: request) }
            #expect(error?.kind == kind && error?.localizedDescription == error?.message)
        }
        let missing = #expect(throws: PipelineError.self) { try PipelineConfiguration(modelFolder: URL(filePath: "/nowhere")) }
        #expect(missing?.kind == .missingFile)
        let errors: [any LocalizedError] = [
            SchedulerError.invalidSchedule(scheduler: "x", reason: "y"), ImageError.unreadable(path: "x"),
            TokenizerError.unreadable(path: "x", reason: "y"),
        ]
        for error in errors { #expect(error.errorDescription == "\(error)" && error.localizedDescription == "\(error)") }
        let array = #expect(throws: NPYError.self) { try NPYArray(contentsOf: URL(filePath: "/nowhere/a.npy")) }
        #expect(array?.kind == .unreadable && array?.localizedDescription == array?.description)
    }
}
