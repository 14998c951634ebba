import Foundation
import SDPipeline
import TestSupport
import Testing

/// A mask with a refiner. diffusers has no judge for it: its refiners start from a picture whose known part has no noise, or another's.
@Suite struct RefinedMaskTests {
    /// What isn't repainted has the latents of the picture, whatever the prompt and whoever takes the last steps.
    @Test(arguments: [("sdxl", 0.7), ("sdxl", 0.9), ("sdxl-inpaint", 0.9), ("sdxl-inpaint", 1)])
    func refinersKeepWhatIsNotMasked(
        name: String, strength: Double
    ) throws {
        let root = FamilyParityTests.root
        let pipeline = try StableDiffusionPipeline(
            PipelineConfiguration(
                modelFolder: root.appendingPathComponent("\(name)/model"),
                refiner: root.appendingPathComponent("sdxl-refiner/model")))
        let size = 128
        let picture = try RGBImage(
            width: size, height: size, pixels: (0..<3 * size * size).map { UInt8(truncatingIfNeeded: $0 / 7 * 13) })
        let mask = try PictureMask(
            width: size, height: size, values: (0..<size * size).map { $0 % size < size / 2 && $0 / size < size / 2 ? 255 : 0 })
        let latents = try ["a fox", "an owl"].map { prompt in
            var request = GenerationRequest(prompt: prompt, width: size, height: size, steps: 8, guidanceScale: 5, seed: 3)
            (request.initialImage, request.strength, request.refinerStart) = (picture, strength, 0.6)
            request.inpainting = Inpainting(mask: mask)
            return try pipeline.generate(request).latents
        }
        let side = latents[0].shape[3]
        var (kept, changed) = (0, 0)
        for (position, pair) in zip(latents[0].values, latents[1].values).enumerated() {
            let (row, column) = (position / side % side, position % side)
            if row >= side / 2 || column >= side / 2 {
                #expect(pair.0 == pair.1, "\(position)")
                kept += 1
            } else if pair.0 != pair.1 {
                changed += 1
            }
        }
        #expect(kept > 0 && changed > kept / 8)
    }
}
