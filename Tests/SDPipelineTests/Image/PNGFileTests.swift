import Foundation
import SDPipeline
import TestSupport
import Testing

@Suite struct PNGFileTests {
    @Test func decodesEveryKindAsPillowDoes() throws {
        let references = try ImageReferences.load()
        #expect(references.images.count >= 60)
        for (name, picture) in references.images {
            for (alpha, expected) in [(PNGFile.Alpha.dropped, picture.rgb), (.overWhite, picture.white)] {
                let image = try PNGFile.decode(picture.file.bytes, alpha: alpha)
                #expect(image.width == picture.width && image.height == picture.height, "\(name)")
                expectEqual(image.pixels, expected.bytes, shape: [picture.height, picture.width, 3], "\(name), \(alpha)")
            }
            let source = try PNGSource(picture.file.bytes)
            #expect(source.width == picture.width && source.height == picture.height, "\(name)")
            try expectEqual(
                source.decoded().pixels, picture.white.bytes, shape: [picture.height, picture.width, 3], name)
        }
    }

    /// A damaged chunk that changes no stored value costs nothing, wherever it is cut.
    @Test func ignoresDamagedOrientations() throws {
        let references = try ImageReferences.load()
        let plain = try #require(references.images["rgb8"])
        let file = try #require(references.images["turned-6"]).file.bytes
        // Signature, header chunk, and the length and type of the next.
        let start = 33 + 8
        for position in start..<start + 38 {
            for bit in 0..<8 {
                var damaged = file
                damaged[position] ^= 1 << bit
                let image = try PNGFile.decode(damaged)
                #expect([image.width, image.height].sorted() == [plain.height, plain.width].sorted())
            }
        }
    }

    @Test(arguments: [(1, 1), (1, 300), (300, 1), (64, 64), (257, 33)])
    func keepsEveryPixelOverAFile(width: Int, height: Int) throws {
        var generator = SystemRandomNumberGenerator()
        let image = try RGBImage(
            width: width, height: height,
            pixels: (0..<3 * width * height).map { _ in UInt8.random(in: 0...255, using: &generator) })
        #expect(try PNGFile.decode(PNGFile.encode(image)) == image)
        let folder = try TemporaryFolder()
        let url = folder.url.appending(path: "a.png")
        try PNGFile.write(image, to: url)
        #expect(try PNGFile.read(url) == image)
        #expect(try folder.content == ["a.png"])
    }

    @Test func laysTransparencyOverAColour() throws {
        let references = try ImageReferences.load()
        let file = try #require(references.images["rgba8"]).file.bytes
        let black = try PNGFile.decode(file, alpha: .over(red: 0, green: 0, blue: 0))
        let white = try PNGFile.decode(file)
        #expect(black.pixels.prefix(3) == [0, 0, 0] && white.pixels.prefix(3) == [255, 255, 255])
        #expect(zip(black.pixels, white.pixels).allSatisfy { $0 <= $1 })
    }

    @Test func refusesEveryCut() throws {
        let references = try ImageReferences.load()
        // Of the picture whose orientation is its last chunk, the pixels are whole before.
        for (name, picture) in references.images where name != "turned-5-behind" {
            let file = picture.file.bytes
            // The last chunk, IEND, carries nothing of the picture.
            for length in 0..<file.count - 16 {
                expectError("The file can't be decoded as a PNG: ", "\(name) cut to \(length)") {
                    try PNGFile.decode(Array(file[..<length]))
                }
            }
        }
    }

    @Test func refusesDamage() throws {
        let references = try ImageReferences.load()
        let file = try #require(references.images["rgb8"]).file.bytes
        for (position, reason) in [
            (0, "it isn't a PNG"), (16, "has 1426063367x5 pixels"), (20, "has 7x1426063365 pixels"), (24, "IHDR: CRC error"),
            (25, "IHDR: CRC error"), (29, "IHDR: CRC error"), (33 + 4, "invalid chunk type"),
            (33 + 8, "IDAT: "),
            (file.count - 14, "IDAT: CRC error"),
        ] {
            var damaged = file
            damaged[position] ^= 0x55
            expectError(reason, "byte \(position)") { try PNGFile.decode(damaged) }
        }
        for bytes in [[UInt8](), [1, 2, 3], Array("GIF89a".utf8), [UInt8](repeating: 0, count: 4096)] {
            expectError("The file can't be decoded as a PNG: it isn't a PNG.") { try PNGFile.decode(bytes) }
        }
        // No damage ends the program; what still decodes keeps its size.
        for position in file.indices {
            for bit in 0..<8 {
                var damaged = file
                damaged[position] ^= 1 << bit
                if let image = try? PNGFile.decode(damaged) { #expect([image.width, image.height].sorted() == [5, 7]) }
            }
        }
    }

    @Test func refusesHugePictures() throws {
        let image = try RGBImage(width: 64, height: 64, pixels: [UInt8](repeating: 7, count: 3 * 64 * 64))
        let file = try PNGFile.encode(image)
        let error = #expect(throws: ImageError.self) { try PNGFile.decode(file, path: "big.png", pixelLimit: 4095) }
        #expect(error?.description == "big.png has 64x64 pixels, at most 4095 are accepted.")
        // A header with 800000x800000 pixels and a right checksum.
        let header: [UInt8] = [
            0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 0, 0x0C, 0x35, 0, 0, 0x0C,
            0x35, 0, 8, 2, 0, 0, 0,
        ]
        let huge = header + crc(Array(header[12...])) + file[33...]
        #expect(
            throws: ImageError.tooLarge(path: "The file", width: 800_000, height: 800_000, limit: PNGFile.defaultPixelLimit)
        ) {
            try PNGFile.decode(huge)
        }
    }

    @Test func keepsTextEntries() throws {
        let image = try RGBImage(width: 2, height: 1, pixels: [1, 2, 3, 4, 5, 6])
        let text = [
            PNGText(key: "parameters", text: "a cat\nSteps: 20, Seed: 7, naïve"), PNGText(key: "Prompt", text: "猫 🐈"),
            PNGText(key: "empty", text: ""),
        ]
        let file = try PNGFile.encode(image, text: text)
        #expect(PNGText.entries(in: file) == text)
        #expect(try PNGFile.decode(file) == image)
        for length in file.indices { _ = PNGText.entries(in: Array(file[..<length])) }
        for key in ["", String(repeating: "k", count: 80), "schlüssel", "a\nb"] {
            expectError("a key has 1 to 79 printable ASCII characters") {
                try PNGFile.encode(image, text: [PNGText(key: key, text: "x")])
            }
        }
        expectError("a text has at most 16 MB and no zero character") {
            try PNGFile.encode(image, text: [PNGText(key: "k", text: "a\0b")])
        }
    }

    @Test func refusesWrongSizes() {
        for (width, height, count) in [(2, 2, 11), (0, 0, 0), (-1, -1, 3), (Int.max, 2, 6), (Int.max / 2, 2, 6)] {
            expectError("The sizes don't fit: ") {
                try RGBImage(width: width, height: height, pixels: [UInt8](repeating: 0, count: count))
            }
        }
        expectError("The picture /nonexistent/a.png can't be read.") { try PNGFile.read(URL(filePath: "/nonexistent/a.png")) }
    }

    private func crc(_ bytes: [UInt8]) -> [UInt8] {
        var remainder = UInt32.max
        for byte in bytes {
            remainder ^= UInt32(byte)
            for _ in 0..<8 { remainder = remainder & 1 == 1 ? remainder >> 1 ^ 0xEDB8_8320 : remainder >> 1 }
        }
        return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: ~remainder >> $0) }
    }
}
