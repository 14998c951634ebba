import Foundation
import SDPipeline
import TestSupport
import Testing

@Suite struct PictureRegionTests {
    @Test func growsAsDiffusersDoes() throws {
        let references = try MaskReferences.load().regions
        #expect(references.count == 80)
        for reference in references {
            let box = reference.box
            let mask = try boxMask(width: reference.width, height: reference.height, box[0], box[1], box[2], box[3])
            #expect(mask.bounds == PictureRegion(left: box[0], top: box[1], right: box[2], bottom: box[3]))
            let found = try mask.region(padding: reference.padding, width: reference.size[0], height: reference.size[1])
            let expected = reference.region
            #expect(
                found == PictureRegion(left: expected[0], top: expected[1], right: expected[2], bottom: expected[3]),
                "\(reference)")
        }
    }

    @Test func crops() throws {
        let image = try RGBImage(width: 3, height: 2, pixels: (0..<18).map { UInt8($0) })
        #expect(
            try image.cropped(to: PictureRegion(left: 1, top: 0, right: 3, bottom: 2)).pixels == [
                3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 16, 17,
            ])
        let mask = try PictureMask(width: 3, height: 2, values: [0, 1, 2, 3, 4, 5])
        #expect(try mask.cropped(to: PictureRegion(left: 2, top: 1, right: 3, bottom: 2)).values == [5])
        for (left, top, right, bottom) in [
            (-1, 0, 1, 1), (0, 0, 4, 1), (0, 0, 1, 3), (1, 0, 1, 1), (2, 0, 1, 1), (0, -1, 1, 1),
        ] {
            let region = PictureRegion(left: left, top: top, right: right, bottom: bottom)
            let sentence = "the region from \(left),\(top) to \(right),\(bottom) isn't in a picture of 3x2."
            expectError(sentence) { try image.cropped(to: region) }
            expectError(sentence) { try mask.cropped(to: region) }
            let whole = try PictureMask(width: 3, height: 2, values: [9, 9, 9, 9, 9, 9])
            expectError(sentence) { try image.pasting(image, mask: whole, region: region) }
        }
    }

    @Test func pastesAsDiffusersDoes() throws {
        let references = try MaskReferences.load().pasted
        #expect(references.count == 6)
        for reference in references {
            let image = try RGBImage(width: reference.width, height: reference.height, pixels: reference.pixels.bytes)
            let mask = try PictureMask(width: reference.width, height: reference.height, values: reference.mask.bytes)
            let region = reference.region.map { PictureRegion(left: $0[0], top: $0[1], right: $0[2], bottom: $0[3]) }
            let result = try image.pasting(reference.made.image(), mask: mask, region: region)
            #expect(
                result.pixels == reference.result.bytes, "\(reference.width)x\(reference.height), \(reference.region ?? [])")
            #expect(stays(image, result, mask))
        }
    }

    /// Whether every pixel outside of a mask is the same in both.
    private func stays(_ image: RGBImage, _ result: RGBImage, _ mask: PictureMask) -> Bool {
        image.pixels.indices.allSatisfy { mask.values[$0 / 3] != 0 || image.pixels[$0] == result.pixels[$0] }
    }

    /// A region that is smaller than the blurred mask leaves what is around.
    @Test func keepsWhatIsOutside() throws {
        let image = try RGBImage(width: 32, height: 32, pixels: (0..<3 * 32 * 32).map { UInt8(truncatingIfNeeded: 7 * $0) })
        let made = try RGBImage(width: 16, height: 16, pixels: [UInt8](repeating: 9, count: 3 * 16 * 16))
        let mask = try boxMask(width: 32, height: 32, 8, 8, 16, 16).blurred(radius: 5)
        let region = PictureRegion(left: 6, top: 6, right: 18, bottom: 18)
        let result = try image.pasting(made, mask: mask, region: region)
        for position in 0..<32 * 32 where !((6..<18).contains(position % 32) && (6..<18).contains(position / 32)) {
            #expect(result.pixels[3 * position..<3 * position + 3] == image.pixels[3 * position..<3 * position + 3])
        }
        #expect(result != image)
        // A mask of white alone is what was made.
        let white = try PictureMask(width: 32, height: 32, values: [UInt8](repeating: 255, count: 1024))
        #expect(try image.pasting(image, mask: white) == image)
        #expect(
            try made.pasting(image, mask: boxMask(width: 16, height: 16, 0, 0, 16, 16)) == image.resized(width: 16, height: 16))
    }
}
