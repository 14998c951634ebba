import Foundation
import Testing

import SDPipeline

@Suite struct MaskContentTests {
    /// As the same blurs laid over each other by Pillow.
    @Test func fillsWithTheColoursAround() throws {
        for reference in try MaskReferences.load().filled {
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
        for reference in try MaskReferences.load().outpainted {
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
        #expect(throws: PipelineError.self) { try room.mask(for: image, over: mask) }
    }
}
