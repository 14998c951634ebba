import SDPipeline
import TestSupport
import Testing

@Suite struct PixelConversionTests {
    @Test func roundsAsVaeImageProcessorDoes() throws {
        let reference = try ImageReferences.load().vae
        let images = try PixelConversion.images(
            from: reference.pixels.floats, width: reference.shape[3], height: reference.shape[2])
        #expect(images.count == reference.shape[0])
        expectEqual(images.flatMap(\.pixels), reference.bytes.bytes)
        try expectEqual(PixelConversion.pixels(from: images), reference.normalized.floats)
    }

    @Test func everyByteComesBack() throws {
        let image = try RGBImage(width: 256, height: 1, pixels: (0..<768).map { UInt8($0 / 3) })
        let pixels = try PixelConversion.pixels(from: [image])
        #expect(try PixelConversion.images(from: pixels, width: 256, height: 1) == [image])
    }

    /// What isn't finite becomes no colour, also in the last of many values.
    @Test(arguments: [Float.nan, .signalingNaN, .infinity, -.infinity]) func refusesWhatIsNoColour(value: Float) throws {
        for position in [0, 1, 5, 46, 47] {
            var pixels = [Float](repeating: 0.5, count: 48)
            pixels[position] = value
            #expect(throws: ImageError.notFinite(count: 1, of: 48)) {
                try PixelConversion.images(from: pixels, width: 4, height: 4)
            }
        }
        // Large values are colours all the same.
        let extremes: [Float] = [.greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude]
        #expect(try PixelConversion.images(from: extremes, width: 1, height: 1).first?.pixels == [255, 0, 128])
    }

    @Test func refusesWrongSizes() throws {
        for (width, height) in [(0, 1), (1, 0), (-1, 3), (2, 2), (Int.max, Int.max)] {
            expectError("3 values don't fill pictures of 3x\(height)x\(width)") {
                try PixelConversion.images(from: [1, 2, 3], width: width, height: height)
            }
        }
        let images = [
            try RGBImage(width: 1, height: 1, pixels: [1, 2, 3]),
            try RGBImage(width: 2, height: 1, pixels: [1, 2, 3, 4, 5, 6]),
        ]
        expectError("a batch has pictures of 1x1 and 2x1") { try PixelConversion.pixels(from: images) }
        #expect(try PixelConversion.pixels(from: []).isEmpty)
    }
}
