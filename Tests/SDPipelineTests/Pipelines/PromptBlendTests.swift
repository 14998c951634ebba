import Foundation
import SDPipeline
import TestSupport
import Testing

/// Prompts that are mixed, against diffusers with mixed embeddings (Tests/References/interpolation.py).
@Suite struct PromptBlendTests {
    struct Entry: Decodable {
        let scheduler: String
        let prompt: String
        let other: String
        let share: Double
        let negativePrompt: String?
        let steps: Int
        let guidanceScale: Double
        let seed: UInt64
        let column: Int
    }

    static let model = RepositoryRoot.url.appendingPathComponent("Models/emoji")

    @Test func samePicturesAsDiffusers() throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let folder = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/interpolation")
        let entries = try decoder.decode([Entry].self, from: Data(contentsOf: folder.appendingPathComponent("index.json")))
        let strip = try PNGFile.read(folder.appendingPathComponent("pictures.png"))
        #expect(entries.count >= 4)
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
        for entry in entries {
            let request = GenerationRequest(
                prompt: entry.prompt, negativePrompt: entry.negativePrompt, steps: entry.steps,
                guidanceScale: entry.guidanceScale,
                seed: entry.seed, scheduler: entry.scheduler, promptBlend: PromptBlend(prompt: entry.other, share: entry.share))
            let image = try #require(try pipeline.generate(request).images.first)
            let expected = (0..<64).flatMap { row -> ArraySlice<UInt8> in
                let start = (row * strip.width + 64 * entry.column) * 3
                return strip.pixels[start..<start + 64 * 3]
            }
            expectClose(image.pixels, expected, shape: [64, 64, 3], within: 2, "\(entry.prompt) and \(entry.other)")
        }
    }

    /// At its ends a mixture is one of both prompts alone; of prompts of other lengths, too.
    @Test func endsAreThePromptsAlone() throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: Self.model)
        func image(_ prompt: String, _ blend: PromptBlend? = nil) throws -> RGBImage {
            var request = GenerationRequest(prompt: prompt, steps: 4, guidanceScale: 3, seed: 1, promptBlend: blend)
            request.promptSyntax = .a1111
            return try #require(try pipeline.generate(request).images.first)
        }
        #expect(try image("a fox", PromptBlend(prompt: "an owl", share: 0)) == image("a fox"))
        #expect(try image("a fox", PromptBlend(prompt: "an owl", share: 1)) == image("an owl"))
        let long = String(repeating: "a red fox and an owl, ", count: 30)
        _ = try image("a fox", PromptBlend(prompt: long, share: 0.5))
    }

    @Test func refusesWhatCantBeMixed() throws {
        let configuration = try PipelineConfiguration(modelFolder: Self.model)
        for (prompt, other) in [("a AND b", "c"), ("a", "[a|b]"), ("[a:b:0.5]", "c"), ("a", "b :1.5 AND c")] {
            expectError("Prompts that are mixed are one text each") {
                _ = try configuration.plan(
                    for: GenerationRequest(prompt: prompt, promptBlend: PromptBlend(prompt: other, share: 0.5)))
            }
        }
        expectError("The share of the other prompt is 1.5, expected a number from 0 to 1.") {
            _ = try configuration.plan(for: GenerationRequest(prompt: "a", promptBlend: PromptBlend(prompt: "b", share: 1.5)))
        }
    }
}
