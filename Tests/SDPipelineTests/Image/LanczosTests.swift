import SDPipeline
import TestSupport
import Testing

@Suite struct LanczosTests {
    /// Byte for byte what Pillow makes (Tests/References/images.py).
    @Test func resizesAsPillowDoes() throws {
        let references = try ImageReferences.load().resized
        #expect(references.count >= 9)
        for reference in references {
            let image = try RGBImage(width: reference.width, height: reference.height, pixels: reference.pixels.bytes)
            let result = try image.resized(width: reference.to[0], height: reference.to[1])
            expectEqual(
                result.pixels, reference.resized.bytes, shape: [reference.to[1], reference.to[0], 3],
                "\(reference.width)x\(reference.height) to \(reference.to)")
        }
    }

    @Test func refusesEmptySizes() throws {
        let image = try RGBImage(width: 1, height: 1, pixels: [1, 2, 3])
        for (width, height) in [(0, 1), (1, 0), (-1, 1)] {
            expectError("a picture can't become \(width)x\(height)") { try image.resized(width: width, height: height) }
        }
    }
}
