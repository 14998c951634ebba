import Foundation
import SDPipeline
import TestSupport
import Testing

/// Latents in other sizes, against PyTorch's `interpolate` (Tests/References/second_pass.py).
@Suite struct LatentUpscalingTests {
    @Test(arguments: LatentUpscaling.allCases) func resizesAsPyTorch(upscaling: LatentUpscaling) throws {
        let file = SecondPassTests.folder.appendingPathComponent("latents.json")
        let json = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
        let values = try #require(json["latents"] as? [Double])
        let latents = try Latents(values.map { Float($0) }, shape: #require(json["shape"] as? [Int]))
        let sizes = try #require(json["sizes"] as? [[String: Any]])
        #expect(sizes.count >= 4)
        for size in sizes {
            let (height, width) = (try #require(size["height"] as? Int), try #require(size["width"] as? Int))
            let result = try upscaling.resized(latents, width: width, height: height)
            #expect(result.shape == [1, 2, height, width])
            expectClose(
                result.values, try #require(size[upscaling.rawValue] as? [Double]), shape: result.shape,
                within: Tolerance(absolute: 1e-5), "\(height)×\(width)")
        }
        expectError("Latents can't become 0×3") { try upscaling.resized(latents, width: 0, height: 3) }
    }
}
