import Foundation
import GraphRuntime
import SDPipeline
import TestSupport
import Testing

/// Short runs of the whole pipeline, for the sanitizers too.
@Suite struct ConcurrentRunTests {
    /// Two runs of one pipeline at a time, which share plans, packed weights and the pool, give what each gives alone but for rounding.
    @Test func runsAtTheSameTimeKeepTheirOwn() async throws {
        let model = RepositoryRoot.url.appendingPathComponent("Models/emoji")
        let pipeline = try StableDiffusionPipeline(modelFolder: model, threads: ThreadPool(threadCount: 3))
        let requests = ([("a fox", 1), ("a red apple", 2)] as [(String, UInt64)]).map { prompt, seed in
            GenerationRequest(prompt: prompt, steps: 2, guidanceScale: 5, seed: seed)
        }
        let alone = try requests.map { try pipeline.generate($0).images }
        let together = try await withThrowingTaskGroup(of: (Int, [RGBImage]).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask { (index, try pipeline.generate(request).images) }
            }
            return try await group.reduce(into: [Int: [RGBImage]]()) { $0[$1.0] = $1.1 }
        }
        // Which of the two has the pool's threads is chance, and other tiles add in another order.
        for index in requests.indices {
            let pixels = try #require(together[index]).flatMap(\.pixels)
            expectClose(pixels, alone[index].flatMap(\.pixels), shape: [64, 64, 3], within: 1, "request \(index)")
        }
        #expect(alone[0] != alone[1])
    }
}
