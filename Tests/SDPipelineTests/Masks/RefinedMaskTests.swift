import Foundation
import SDPipeline
import TestSupport
import Testing

/// A mask with a refiner. diffusers has no judge for it: its refiners start from a picture whose known part has no noise, or another's.
@Suite struct RefinedMaskTests {
    private static let root = FamilyParityTests.root
    private static let size = 128

    private static func latents(_ name: String, isRefined: Bool, strength: Double, prompt: String) throws -> Latents {
        let model = root.appendingPathComponent("\(name)/model")
        let refiner = root.appendingPathComponent("sdxl-refiner/model")
        let pipeline = try StableDiffusionPipeline(
            isRefined ? PipelineConfiguration(modelFolder: model, refiner: refiner) : PipelineConfiguration(modelFolder: model))
        let pixels = (0..<3 * size * size).map { UInt8(truncatingIfNeeded: $0 / 7 * 13) }
        let values = (0..<size * size).map { $0 % size < size / 2 && $0 / size < size / 2 ? UInt8(255) : 0 }
        var request = GenerationRequest(prompt: prompt, width: size, height: size, steps: 8, guidanceScale: 5, seed: 3)
        request.initialImage = try RGBImage(width: size, height: size, pixels: pixels)
        request.inpainting = Inpainting(mask: try PictureMask(width: size, height: size, values: values))
        request.strength = strength
        if isRefined { request.refinerStart = 0.6 }
        return try pipeline.generate(request).latents
    }

    /// Places that aren't repainted and have other values, and places that are and have others.
    private static func differences(_ one: Latents, _ other: Latents) -> (kept: Int, repainted: Int) {
        let side = one.shape[3]
        var result = (kept: 0, repainted: 0)
        for (position, pair) in zip(one.values, other.values).enumerated() where pair.0 != pair.1 {
            let isKept = position / side % side >= side / 2 || position % side >= side / 2
            if isKept { result.kept += 1 } else { result.repainted += 1 }
        }
        return result
    }

    /// What isn't repainted has the latents of the picture, whatever the prompt and whoever takes the last steps: those that a run without a
    /// refiner keeps, or behind a model made for inpainting those of the picture as the autoencoder sees it.
    @Test(arguments: [("sdxl", 0.7), ("sdxl", 0.9), ("sdxl-inpaint", 1)]) func refinersKeepWhatIsNotMasked(
        name: String, strength: Double
    ) throws {
        let refined = try ["a fox", "an owl"].map {
            try Self.latents(name, isRefined: true, strength: strength, prompt: $0)
        }
        let picture = try Self.latents(
            name, isRefined: false, strength: name == "sdxl" ? strength : 0, prompt: "a fox")
        let byPrompt = Self.differences(refined[0], refined[1])
        #expect(byPrompt.kept == 0 && byPrompt.repainted > 100)
        let byPicture = Self.differences(refined[0], picture)
        #expect(byPicture.kept == 0 && byPicture.repainted > 100)
    }
}
