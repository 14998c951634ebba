import Foundation
import SDPipeline
import Testing

@Suite struct PictureSourceTests {
    private static func file(_ text: String, count: Int = 64) -> [UInt8] {
        Array(text.utf8) + [UInt8](repeating: 0, count: max(count - text.utf8.count, 0))
    }

    private static func media(_ main: String, _ compatible: [String] = []) -> [UInt8] {
        [0, 0, 0, UInt8(16 + 4 * compatible.count)] + Array("ftyp\(main)\0\0\0\0\(compatible.joined())".utf8)
    }

    /// Other formats by their name.
    @Test(arguments: [
        (file("GIF89a"), "a GIF picture"), (file("RIFF\u{1}\0\0\0WEBPVP8 "), "a WebP picture"), (file("BM"), "a bitmap (BMP)"),
        ([0x49, 0x49, 0x2A, 0, 8, 0, 0, 0], "a TIFF picture"), ([0x4D, 0x4D, 0, 0x2A], "a TIFF picture"),
        (media("heic", ["mif1", "heic"]), "a HEIC picture"), (media("mif1", ["mif1", "heic"]), "a HEIC picture"),
        (media("avif", ["mif1"]), "an AVIF picture"), (media("mif1", ["avif", "mif1"]), "an AVIF picture"),
        (media("mif1"), "a HEIF picture"), (media("isom"), "a video, or another ISO media file"),
        ([0xFF, 0x0A, 0x41], "a JPEG XL picture"), ([0, 0, 0, 12] + file("JXL \r\n"), "a JPEG XL picture"),
        ([0, 0, 0, 12] + file("jP  \r\n"), "a JPEG 2000 picture"), (file("P6\n2 2\n"), "a portable map (PBM, PGM, PPM or PAM)"),
        (file("%PDF-1.7"), "a PDF document"), (file("<svg xmlns"), "an SVG drawing"), ([], "empty"),
    ]) func namesOtherFormats(bytes: [UInt8], name: String) {
        let error = #expect(throws: ImageError.self) { try PictureSource(bytes, path: "a") }
        #expect(error == .foreign(path: "a", found: name))
        #expect(error?.description == "a is \(name), expected a PNG or JPEG picture.")
    }

    @Test func saysWhatAPlaceholderIs() {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"
        let error = #expect(throws: ImageError.self) { try PictureSource(Array(pointer.utf8), path: "a.png") }
        #expect(error?.description.hasPrefix("a.png is a Git LFS pointer") == true)
        #expect(error?.description.contains("git lfs pull") == true)
    }

    @Test func refusesOtherBytes() {
        for bytes: [UInt8] in [[1], [0xFF], [0, 0, 0, 24, 0x66, 0x74, 0x79, 0x70], Array("P6".utf8), Array("x".utf8)] {
            let error = #expect(throws: ImageError.self) { try PictureSource(bytes, path: "a") }
            #expect(error == .foreign(path: "a", found: nil))
        }
    }

    /// The content decides, whatever the name says.
    @Test func readsFiles() throws {
        let folder = try TemporaryFolder()
        let jpeg = try #require(JPEGReferences.load().pictures["turned-6"])
        let png = try #require(ImageReferences.load().images["palette"])
        let (first, second) = (folder.url.appending(path: "a.png"), folder.url.appending(path: "b.jpg"))
        try Data(jpeg.file.bytes).write(to: first)
        try Data(png.file.bytes).write(to: second)
        let (one, two) = (try PictureSource(contentsOf: first), try PictureSource(contentsOf: second))
        #expect(one.format == .jpeg && two.format == .png)
        #expect(one.bytes == jpeg.file.bytes && one.path == first.path)
        #expect(try one.decoded().pixels == jpeg.rgb.bytes && two.decoded().pixels == png.white.bytes)
        let missing = #expect(throws: ImageError.self) { try PictureSource(contentsOf: URL(filePath: "/nowhere/a.jpg")) }
        #expect(missing?.description == "The picture /nowhere/a.jpg can't be read: No such file or directory.")
        let inner = #expect(throws: ImageError.self) { try PictureSource(contentsOf: folder.url) }
        #expect(inner?.description.hasSuffix("can't be read: it is a folder, expected a file.") == true)
    }
}
