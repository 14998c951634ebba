import Foundation
import SDPipeline
import TestSupport
import Testing

@Suite struct MaskContentTests {
    /// As the same blurs laid over each other by Pillow.
    @Test func fillsWithTheColoursAround() throws {
        let references = try MaskReferences.load().filled
        #expect(references.count == 3)
        for reference in references {
            let image = try RGBImage(width: reference.width, height: reference.height, pixels: reference.pixels.bytes)
            let mask = try PictureMask(width: reference.width, height: reference.height, values: reference.mask.bytes)
            let filled = try image.filling(mask)
            #expect(filled.pixels == reference.filled.bytes, "\(reference.width)x\(reference.height)")
            for position in mask.values.indices where mask.values[position] == 0 {
                #expect(filled.pixels[3 * position..<3 * position + 3] == image.pixels[3 * position..<3 * position + 3])
            }
        }
    }

    @Test func outpaints() throws {
        let references = try MaskReferences.load().outpainted
        #expect(references.count == 4)
        for reference in references {
            let image = try RGBImage(width: reference.width, height: reference.height, pixels: reference.pixels.bytes)
            let mask = try PictureMask(width: reference.width, height: reference.height, values: reference.mask.bytes)
            let sides = reference.sides
            let room = try Outpainting(left: sides[0], top: sides[1], right: sides[2], bottom: sides[3])
            #expect(room.width(of: image) == reference.result.width && room.height(of: image) == reference.result.height)
            #expect(try room.enlarged(image) == reference.result.image(), "\(sides)")
            #expect(try room.mask(for: image).values == reference.new.bytes)
            #expect(try room.mask(for: image, over: mask).values == reference.both.bytes)
        }
    }

    @Test func refusesOtherRooms() throws {
        for sides in [[0, 0, 0, 0], [-1, 0, 0, 0], [0, 16385, 0, 0], [1, 1, .max, 1], [.min, 0, 0, 0]] {
            let error = #expect(throws: PipelineError.self) {
                try Outpainting(left: sides[0], top: sides[1], right: sides[2], bottom: sides[3])
            }
            #expect(error?.message.contains("expected 0 to 16384 each, and one of them above 0.") == true)
        }
        let image = try RGBImage(width: 1, height: 1, pixels: [1, 2, 3])
        let mask = try boxMask(width: 2, height: 1, 0, 0, 1, 1)
        let room = try Outpainting(left: 1, top: 0, right: 0, bottom: 0)
        expectError("The mask has 2x1 pixels, expected 1x1, those of its picture.") { try room.mask(for: image, over: mask) }
    }
}
