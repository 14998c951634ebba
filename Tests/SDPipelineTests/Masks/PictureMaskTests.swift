import Foundation
import SDPipeline
import TestSupport
import Testing

@Suite struct PictureMaskTests {
    /// Every kind of PNG, by transparency or luminance.
    @Test func readsMasksOfEveryKind() throws {
        let references = try MaskReferences.load().masks
        #expect(references.count == 82)
        for (name, reference) in references {
            let mask = try PictureMask(PictureSource(reference.file.bytes))
            #expect(mask.width == reference.width && mask.height == reference.height, "\(name)")
            #expect(mask.values == reference.mask.bytes, "\(name)")
        }
    }

    @Test func readsJPEGByLuminance() throws {
        let file = try #require(JPEGReferences.load().pictures["turned-6"]).file.bytes
        let mask = try PictureMask(PictureSource(file))
        #expect(mask == (try PictureMask(image: PictureSource(file).decoded())))
        #expect(mask.width == 13 && mask.height == 19)
    }

    /// An opacity of 255 everywhere says nothing, and one of 128 is black.
    @Test func countsOpacity() throws {
        let image = try RGBImage(width: 4, height: 1, pixels: [0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 255])
        let colors = try PictureMask(image: image)
        #expect(colors.values == [0, 255, 76, 29])
        #expect(try PictureMask(image: image, opacity: [255, 255, 255, 255]) == colors)
        #expect(try PictureMask(image: image, opacity: [255, 129, 128, 0]).values == [255, 255, 0, 0])
        expectError("a picture of 4x1 has 1 values of opacity.") { try PictureMask(image: image, opacity: [255]) }
        expectError("a mask of 4x1 needs a value a pixel and 2 values were given.") {
            try PictureMask(image: image, opacity: [0, 0])
        }
    }

    /// Each channel of a picture alone.
    @Test func blursAsPillowDoes() throws {
        let references = try MaskReferences.load().blurred
        #expect(references.count == 5 && references.allSatisfy { $0.radii.count == 14 && $0.blurred.count == 14 })
        for reference in references {
            for channel in 0..<reference.channels {
                func plane(_ values: [UInt8]) -> [UInt8] {
                    stride(from: channel, to: values.count, by: reference.channels).map { values[$0] }
                }
                let mask = try PictureMask(
                    width: reference.width, height: reference.height, values: plane(reference.pixels.bytes))
                for (radius, blurred) in zip(reference.radii, reference.blurred) {
                    #expect(
                        try mask.blurred(radius: radius).values == plane(blurred.bytes),
                        "\(reference.width)x\(reference.height), channel \(channel), radius \(radius)")
                }
            }
        }
    }

    @Test func inverts() throws {
        let mask = try PictureMask(width: 3, height: 1, values: [0, 100, 255])
        #expect(try mask.inverted().values == [255, 155, 0])
        #expect(try mask.inverted().inverted() == mask)
    }

    @Test func preparesInpaintingAsDiffusersDoes() throws {
        let references = try MaskReferences.load().inpainting
        #expect(references.count == 3 && references.allSatisfy { $0.latentSizes.count == 3 && $0.latents.count == 3 })
        for reference in references {
            let (width, height) = (reference.width, reference.height)
            let mask = try PictureMask(width: width, height: height, values: reference.mask.bytes)
            let image = try RGBImage(width: width, height: height, pixels: reference.pixels.bytes)
            #expect(try mask.binarized().values == reference.binary.bytes.map { 255 * $0 })
            #expect(try PixelConversion.pixels(from: image, without: mask) == reference.masked.floats)
            for (size, latent) in zip(reference.latentSizes, reference.latents) {
                #expect(try mask.latentValues(width: size[1], height: size[0]) == latent.floats, "\(size)")
            }
        }
    }

    @Test func refusesWhatFitsNoPicture() throws {
        let mask = try boxMask(width: 8, height: 8, 2, 2, 4, 4)
        try mask.check(width: 8, height: 8)
        func message(_ body: () throws -> Void) -> String {
            #expect(throws: PipelineError.self, performing: body)?.message ?? ""
        }
        #expect(
            message { try mask.check(width: 16, height: 8) } == "The mask has 8x8 pixels, expected 16x8, those of its picture.")
        let black = try PictureMask(width: 2, height: 1, values: [0, 127])
        #expect(message { try black.check(width: 2, height: 1) }.hasPrefix("The mask marks nothing to repaint"))
        for radius in [-1, 1025, .nan, .infinity] {
            #expect(message { _ = try mask.blurred(radius: radius) }.hasSuffix("expected 0 to 1024."), "\(radius)")
        }
        for padding in [-1, 16385, .max, .min] {
            #expect(
                message { _ = try mask.region(padding: padding, width: 8, height: 8) }.hasSuffix("expected 0 to 16384."),
                "\(padding)")
        }
        #expect(message { _ = try mask.region(padding: 0, width: 0, height: 8) }.hasSuffix("expected at least one."))
        let empty = try PictureMask(width: 2, height: 2, values: [0, 0, 0, 0])
        #expect(empty.bounds == nil)
        #expect(message { _ = try empty.region(padding: 1, width: 8, height: 8) }.contains("marks nothing"))
        for (width, height) in [(0, 1), (1, 0), (-1, 1), (.max, 2), (2, 2)] {
            expectError("a mask of \(width)x\(height) needs a value a pixel and 1 values were given.") {
                try PictureMask(width: width, height: height, values: [0])
            }
        }
        expectError("a mask can't become 0x1.") { try mask.latentValues(width: 0, height: 1) }
        expectError("a picture can't become 1x-1.") { try mask.resized(width: 1, height: -1, mode: .fit) }
        let image = try RGBImage(width: 1, height: 1, pixels: [1, 2, 3])
        let sentence = "a picture of 1x1 has a mask of 8x8 pixels."
        expectError(sentence) { try PixelConversion.pixels(from: image, without: mask) }
        expectError(sentence) { try image.filling(mask) }
        expectError(sentence) { try image.pasting(image, mask: mask) }
    }
}
