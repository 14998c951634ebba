import Foundation
import SDPipeline
import TestSupport
import Testing

/// The files that Tests/References/jpeg.py made with libjpeg-turbo and Pillow.
struct JPEGReferences: Decodable {
    struct Picture: Decodable {
        let file: Hex
        /// Turned upright.
        let width: Int
        let height: Int
        let rgb: Hex
    }

    struct Refused: Decodable {
        let file: Hex
        let says: String
    }

    let pictures: [String: Picture]
    let refused: [String: Refused]

    static func load() throws -> JPEGReferences { try References.load("jpeg.json") }
}

@Suite struct JPEGTests {
    /// Byte for byte: the transform and the upsampling of libjpeg-turbo are in integers, and have been the same since version 2.1, that of
    /// Debian, up to the one that Pillow brings.
    @Test func decodesEveryKindAsPillowDoes() throws {
        let references = try JPEGReferences.load().pictures
        #expect(references.count == 87)
        for (name, picture) in references {
            let source = try PictureSource(picture.file.bytes)
            #expect(source.format == .jpeg)
            #expect(source.width == picture.width && source.height == picture.height, "\(name)")
            let image = try source.decoded()
            #expect(image.width == picture.width && image.height == picture.height, "\(name)")
            #expect(image.pixels == picture.rgb.bytes, "\(name)")
        }
    }

    @Test func refusesWithASentence() throws {
        let references = try JPEGReferences.load().refused
        #expect(references.count == 18)
        for (name, refused) in references {
            let error = #expect(throws: ImageError.self, "\(name)") {
                try PictureSource(refused.file.bytes, path: "a.jpg").decoded()
            }
            #expect(
                error?.description.hasPrefix("a.jpg can't be decoded as a JPEG: \(refused.says)") == true,
                "\(name): \(error?.description ?? "")")
        }
    }

    /// No part of a picture that was cut off is made up.
    @Test func refusesEveryCut() throws {
        let references = try JPEGReferences.load().pictures
        for name in ["pillow-rgb", "ycc-p", "cmyk-s", "gray-r", "rgb-a"] {
            let file = try #require(references[name]).file.bytes
            for length in 0..<file.count {
                // What is left of the first two bytes doesn't say yet that it is a JPEG.
                let sentence =
                    length < 2 ? "expected a PNG or JPEG picture." : "The file can't be decoded as a JPEG: its data end early."
                expectError(sentence, "\(name) cut to \(length)") { try PictureSource(Array(file[..<length])).decoded() }
            }
        }
    }

    /// A changed bit is an error, or another picture of the size that the header says.
    @Test func survivesDamage() throws {
        let references = try JPEGReferences.load().pictures
        for name in ["turned-6", "sampled-420-progressive", "ycck-r", "gray-ap"] {
            let file = try #require(references[name]).file.bytes
            for position in file.indices {
                var damaged = file
                damaged[position] ^= 1 << (position % 8)
                guard let source = try? PictureSource(damaged, pixelLimit: 1 << 18) else { continue }
                do {
                    let image = try source.decoded()
                    #expect(image.width == source.width && image.height == source.height)
                } catch {
                    #expect(error is ImageError, "\(error)")
                }
            }
        }
    }

    @Test func limitsPixelsByTheHeader() throws {
        let file = try #require(JPEGReferences.load().pictures["turned-6"]).file.bytes
        let error = #expect(throws: ImageError.self) { try PictureSource(file, path: "a.jpg", pixelLimit: 246) }
        #expect(error == .tooLarge(path: "a.jpg", width: 19, height: 13, limit: 246))
        // A header that promises 65500x65500 pixels.
        var large = file
        let frame = try #require(file.indices.dropLast().first { file[$0] == 0xFF && file[$0 + 1] == 0xC0 })
        large.replaceSubrange(frame + 5..<frame + 9, with: [0xFF, 0xDC, 0xFF, 0xDC])
        #expect(throws: ImageError.tooLarge(path: "The file", width: 65500, height: 65500, limit: PNGFile.defaultPixelLimit)) {
            try PictureSource(large)
        }
    }
}
