import Foundation
import SDPipeline
import TestSupport
import Testing

/// Pictures to start from, and those that `noise` takes.
@Suite struct StartPictureTests {
    static let quick = ["--steps", "2", "--cfg-scale", "1", "--seed", "7", "--quiet"]

    /// A picture with an edge and a gradient.
    private func picture(width: Int, height: Int) throws -> RGBImage {
        let pixels = (0..<3 * width * height).map { index in
            let (x, y) = (index / 3 % width, index / 3 / width)
            return UInt8(clamping: index % 3 == 0 ? (x < width / 2 ? 20 : 230) : 255 * y / height)
        }
        return try RGBImage(width: width, height: height, pixels: pixels)
    }

    /// Resized by Lanczos' filter to the nearest size that the model makes, or to the one that is asked for.
    @Test(arguments: [
        (70, 70, [], 64, 64), (72, 68, [], 80, 64), (100, 30, [], 96, 32), (70, 70, ["-W", "96"], 96, 64),
        (200, 40, ["-W", "64", "-H", "64"], 64, 64), (5, 3, [], 16, 16),
    ]) func resizes(width: Int, height: Int, options: [String], madeWidth: Int, madeHeight: Int) throws {
        let folder = try TemporaryFolder()
        let image = try picture(width: width, height: height)
        try PNGFile.write(image, to: folder["start.png"])
        try PNGFile.write(image.resized(width: madeWidth, height: madeHeight), to: folder["resized.png"])
        for (start, name) in [("start", "a"), ("resized", "b")] {
            let outcome = try Program.run(
                ["generate", "a fox", "--init-img", "\(start).png", "-o", "\(name).png"] + options + Self.quick, in: folder)
            #expect(outcome.code == 0, "\(outcome.messages)")
        }
        let made = try PNGFile.read(folder["a.png"])
        #expect(made.width == madeWidth && made.height == madeHeight)
        #expect(made == (try PNGFile.read(folder["b.png"])))
    }

    /// A picture with an orientation is the same start as the picture that is seen.
    @Test func turnsPictures() throws {
        let folder = try TemporaryFolder()
        let seen = try picture(width: 64, height: 96)
        // Stored lying on its side: row y of what is stored is column y of what is seen, from below.
        let stored = try RGBImage(
            width: 96, height: 64,
            pixels: (0..<64).flatMap { y in
                (0..<96).flatMap { x -> ArraySlice<UInt8> in
                    let start = 3 * (x * 64 + (63 - y))
                    return seen.pixels[start..<start + 3]
                }
            })
        try PNGFile.write(seen, to: folder["seen.png"])
        let exif: [UInt8] =
            Array("II*\0".utf8) + [8, 0, 0, 0, 1, 0] + [0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0] + [0, 0, 0, 0]
        let file = try PNGFile.encode(stored)
        // The checksum of a chunk that changes no stored value isn't looked at.
        let chunk: [UInt8] = [0, 0, 0, UInt8(exif.count)] + Array("eXIf".utf8) + exif + [0, 0, 0, 0]
        try Data(file[..<33] + chunk + file[33...]).write(to: folder["stored.png"])
        for name in ["seen", "stored"] {
            let outcome = try Program.run(
                ["generate", "a fox", "--init-img", "\(name).png", "-o", "\(name)-fox.png"] + Self.quick, in: folder)
            #expect(outcome.code == 0, "\(outcome.messages)")
        }
        try expectEqual(PNGFile.read(folder["seen-fox.png"]).pixels, PNGFile.read(folder["stored-fox.png"]).pixels)
    }

    /// What a file is, its content says; a JPEG is the same start as the PNG of what it shows.
    @Test func startsFromJPEG() throws {
        let folder = try TemporaryFolder()
        struct References: Decodable {
            struct Picture: Decodable { let file: String }
            let pictures: [String: Picture]
        }
        let file = Program.root.appendingPathComponent("Tests/References/jpeg.json")
        let references = try JSONDecoder().decode(References.self, from: Data(contentsOf: file)).pictures
        let digits = try #require(references["size-33x40"]).file
        let bytes = digits.indices.enumerated().filter { $0.offset % 2 == 0 }.compactMap { _, index in
            UInt8(digits[index...digits.index(after: index)], radix: 16)
        }
        try Data(bytes).write(to: folder["photo.jpg"])
        try PNGFile.write(PictureSource(bytes).decoded(), to: folder["photo.png"])
        for name in ["photo.jpg", "photo.png"] {
            let outcome = try Program.run(
                ["generate", "a fox", "--init-img", name, "-o", "made-\(name).png"] + Self.quick, in: folder)
            #expect(outcome.code == 0, "\(outcome.messages)")
        }
        let made = try PNGFile.read(folder["made-photo.jpg.png"])
        #expect(made.width == 32 && made.height == 48)
        #expect(made == (try PNGFile.read(folder["made-photo.png.png"])))
        try Data(bytes.dropLast(9)).write(to: folder["cut.jpg"])
        try Data("GIF89a".utf8).write(to: folder["a.gif"])
        for command in [["generate", "x", "--init-img"], ["noise"]] {
            try expectFailure(command + ["cut.jpg"], saying: "can't be decoded as a JPEG: its data end early.", in: folder)
            try expectFailure(command + ["a.gif"], saying: "is a GIF picture, expected a PNG or JPEG picture.", in: folder)
            try expectFailure(
                command + ["photo.jpg", "--max-pixels", "1000"], saying: "has 33x40 pixels, at most 1000 are accepted",
                in: folder)
        }
    }

    /// Strength 0 is the picture through the VAE.
    @Test func takesAStrengthOfZero() throws {
        let folder = try TemporaryFolder()
        let strip = Program.root.appendingPathComponent("Tests/SDPipelineTests/Fixtures/pictures/DDIMScheduler-apple.png")
        let apple = try PNGFile.read(strip).column(0, width: 64)
        try PNGFile.write(apple, to: folder["apple.png"])
        let outcome = try Program.run(
            ["generate", "a fox", "--init-img", "apple.png", "--strength", "0", "-b", "2", "--json", "-o", "x.png"], in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        #expect(try outcome.json()["strength"] as? Double == 0)
        let made = try PNGFile.read(folder["x.png"])
        let space = try LatentCodec(ModelFolder(Program.emoji))
        try expectEqual(made.pixels, space.decode(space.encode(apple)).pixels, shape: [64, 64, 3])
        try expectEqual(made.pixels, PNGFile.read(folder["x_2.png"]).pixels, shape: [64, 64, 3])
        let error = zip(made.pixels, apple.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
        #expect(error < 10 * made.pixels.count)
    }

    /// A few bytes that stand for too many pixels are refused by their header, and so is what else is wrong with a request.
    @Test func readsTheHeaderFirst() throws {
        let folder = try TemporaryFolder()
        let small = try PNGFile.encode(picture(width: 64, height: 64))
        // Rows that the header promises and the file doesn't have would be noticed by decoding.
        func promising(_ width: Int, _ height: Int) -> [UInt8] {
            let size = [width, height].flatMap { value in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }
            return small[..<16] + size + small[24...]
        }
        try Data(promising(16384, 16384)).write(to: folder["bomb.png"])
        try Data(promising(4096, 4096)).write(to: folder["large.png"])
        try Data(promising(1024, 1024)).write(to: folder["medium.png"])
        let limit = PNGFile.defaultPixelLimit
        for command in [["generate", "x", "--init-img", "bomb.png"], ["noise", "bomb.png"]] {
            try expectFailure(command, saying: "has 16384x16384 pixels, at most \(limit) are accepted", in: folder)
        }
        for command in [["generate", "x", "--init-img", "large.png"], ["noise", "large.png"]] {
            try expectFailure(
                command + ["--max-pixels", "1000000"], saying: "has 4096x4096 pixels, at most 1000000 are accepted", in: folder)
        }
        try expectFailure(
            ["generate", "x", "--init-img", "large.png", "--steps", "2000"], saying: "expected 1 to 1000", in: folder)
        try expectFailure(
            ["generate", "x", "--init-img", "large.png", "-W", "70"], saying: "such as 64 or 80", in: folder)
        try expectFailure(["noise", "medium.png"], saying: "can't be decoded", in: folder)
        try expectFailure(
            ["generate", "x", "--init-img", "medium.png", "-W", "64", "-H", "64"], saying: "can't be decoded", in: folder)
    }

    /// A picture of a batch can be made again alone, also with an ancestral scheduler; `shared` is the draw of one generator.
    @Test func seedsOfABatch() throws {
        let folder = try TemporaryFolder()
        let options = ["--steps", "4", "--cfg-scale", "4", "--scheduler", "euler a", "--json"]
        let batch = try Program.run(["generate", "a fox", "-b", "3", "-s", "5", "-o", "x-%d.png"] + options, in: folder)
        #expect(try batch.json()["seeds"] as? [Int] == [5, 6, 7])
        let alone = try Program.run(["generate", "a fox", "-s", "7", "-o", "y.png"] + options, in: folder)
        #expect(batch.code == 0 && alone.code == 0)
        let third = try PNGFile.read(folder["x-3.png"])
        #expect(third == (try PNGFile.read(folder["y.png"])))
        let shared = try Program.run(
            ["generate", "a fox", "-b", "3", "-s", "5", "--batch-seeds", "shared", "-o", "z-%d.png"] + options, in: folder)
        #expect(try shared.json()["seeds"] as? [Int] == [5, 5, 5])
        #expect(try PNGFile.read(folder["z-3.png"]) != third)
    }
}
