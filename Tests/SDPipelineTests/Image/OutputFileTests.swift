import Foundation
import SDPipeline
import TestSupport
import Testing

@Suite struct OutputFileTests {
    @Test(arguments: [
        ("out.png", 1, "out.png"), ("out.png", 2, "out_2.png"), ("a.b/out", 3, "a.b/out_3"), (".hidden", 2, ".hidden_2"),
        ("out-%03d.png", 7, "out-007.png"), ("out-%d.png", 12, "out-12.png"), ("%02d", 123, "123"),
        ("out-%03n.png", 7, "out-007.png"), ("%n.png", 12, "12.png"), ("100%%-%d.png", 1, "100%-1.png"),
        ("100%%.png", 1, "100%.png"), ("a/b.c/d.png", 2, "a/b.c/d_2.png"),
    ])
    func namesPictures(pattern: String, number: Int, expected: String) throws {
        #expect(try OutputPattern(pattern).path(number: number) == expected)
    }

    @Test(arguments: [
        "", "%S.png", "%N", "%03s", "%2p", "%n%n", "%", "out%", "%d-%d.png", "%03d%n", "%3d", "%-3d", "%+d", "%ld", "%x",
        "%099d", "%0d", "%.3d",
        "%99999999999999999999d", "%099999999999999999999d", "a\0b", "%1$d", "%*d", "%03",
    ])
    func refusesOtherFormats(pattern: String) {
        let error = #expect(throws: OutputPattern.PatternError.self) { try OutputPattern(pattern) }
        #expect(error?.description.contains("out-%03d.png") == true)
    }

    @Test(arguments: [
        ("%n-%s-%p.png", ["1-7-a-red-fox.png", "2-18446744073709551615-ein-bär-2-5.png", "3-7-prompt.png"]),
        ("%p.png", ["a-red-fox.png", "ein-bär-2-5.png", "prompt.png"]),
        ("%s.png", ["7.png", "18446744073709551615.png", "7_2.png"]),
        ("x.png", ["x.png", "x_2.png", "x_3.png"]), ("%%p%p", ["%pa-red-fox", "%pein-bär-2-5", "%pprompt"]),
    ]) func namesSayMore(pattern: String, expected: [String]) throws {
        let pictures = [
            OutputPattern.Picture(number: 1, seed: 7, prompt: "A (red) fox."),
            OutputPattern.Picture(number: 2, seed: .max, prompt: " ein Bär, 2.5/"),
            OutputPattern.Picture(number: 3, seed: 7, prompt: "../../.. \u{1B}[1m".replacing("1m", with: "")),
        ]
        #expect(try OutputPattern(pattern).paths(of: pictures) == expected)
        let long = OutputPattern.Picture(number: 1, prompt: String(repeating: "狐狸", count: 1000))
        #expect(try OutputPattern("%p.png").paths(of: [long])[0].utf8.count <= 255)
    }

    @Test func knowsWhetherItIsNumbered() throws {
        #expect(try OutputPattern("a-%d.png").isNumbered)
        #expect(try !OutputPattern("a-%%d.png").isNumbered)
    }

    @Test func replacesAFileAsAWhole() throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appending(path: "file")
        try AtomicFile.write([1, 2, 3], to: url)
        try AtomicFile.write([], to: url)
        #expect(try Data(contentsOf: url).isEmpty)
        try AtomicFile.write([UInt8](repeating: 9, count: 1_000_000), to: url)
        #expect(try Data(contentsOf: url).count == 1_000_000)
        #expect(try folder.content == ["file"])
    }

    @Test func leavesNothingOnFailure() throws {
        let folder = try TemporaryFolder()
        let inner = folder.url.appending(path: "folder")
        try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
        expectError("it is a folder") { try AtomicFile.write([1], to: inner) }
        expectError("there is no folder") { try AtomicFile.write([1], to: folder.url.appending(path: "no/file")) }
        expectError("File name too long") {
            try AtomicFile.write([1], to: folder.url.appending(path: String(repeating: "n", count: 300)))
        }
        #expect(try folder.content == ["folder"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: inner.path).isEmpty)
    }

    @Test func writesThroughLinksAndToDevices() throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appending(path: "file")
        let link = folder.url.appending(path: "link")
        try AtomicFile.write([1], to: file)
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: file)
        try AtomicFile.write([2, 3], to: link)
        #expect(try Data(contentsOf: file) == Data([2, 3]))
        #expect(try folder.content == ["file", "link"])
        try AtomicFile.write([1, 2, 3], to: URL(filePath: "/dev/null"))
    }
}
