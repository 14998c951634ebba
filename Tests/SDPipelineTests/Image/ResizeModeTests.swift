import Foundation
import SDPipeline
import TestSupport
import Testing

@Suite struct ResizeModeTests {
    /// Byte for byte, pictures and masks.
    @Test func resizesAsDiffusersDoes() throws {
        let references = try MaskReferences.load().resized
        #expect(references.count == 25)
        for reference in references {
            let mode = try #require(ResizeMode(rawValue: reference.mode))
            let image = try RGBImage(width: reference.width, height: reference.height, pixels: reference.pixels.bytes)
            let (width, height) = (reference.to[0], reference.to[1])
            let result = try image.resized(width: width, height: height, mode: mode)
            #expect(result.width == width && result.height == height)
            #expect(result.pixels == reference.resized.bytes, "\(mode), \(image.width)x\(image.height) to \(width)x\(height)")
            let mask = try PictureMask(width: image.width, height: image.height, values: reference.gray.bytes)
            #expect(
                try mask.resized(width: width, height: height, mode: mode).values == reference.grayResized.bytes,
                "\(mode), \(image.width)x\(image.height) to \(width)x\(height)")
        }
    }

    /// Sizes that aren't even, where diffusers leaves a black row or column, and proportions that leave less than a pixel.
    @Test func leavesNothingBlack() throws {
        for (width, height) in [(1, 1), (100, 1), (1, 100), (7, 5), (5, 7), (64, 63)] {
            let image = try RGBImage(width: width, height: height, pixels: [UInt8](repeating: 200, count: 3 * width * height))
            for (toWidth, toHeight) in [(33, 33), (9, 2), (2, 9), (1, 1), (65, 64)] {
                for mode in ResizeMode.allCases {
                    let result = try image.resized(width: toWidth, height: toHeight, mode: mode)
                    #expect(result.width == toWidth && result.height == toHeight)
                    #expect(result.pixels.allSatisfy { $0 == 200 }, "\(mode), \(width)x\(height) to \(toWidth)x\(toHeight)")
                }
            }
        }
    }

    @Test func refusesEmptySizes() throws {
        let image = try RGBImage(width: 1, height: 1, pixels: [1, 2, 3])
        for mode in ResizeMode.allCases {
            for (width, height) in [(0, 1), (1, 0), (-1, 1)] {
                expectError("a picture can't become \(width)x\(height).") {
                    try image.resized(width: width, height: height, mode: mode)
                }
            }
        }
    }
}
