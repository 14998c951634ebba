import Foundation
import SDPipeline
import Testing

@Suite struct OutputNamesTests {
    @Test(arguments: [
        ("out_sample", "out_sample"), ("x/y:0", "x_y_0"), ("größe.日本-1", "größe.日本-1"), ("", "_"), (".", "_"), ("..", "_."),
        (".ssh", "_ssh"), ("-rf", "_rf"), ("../", "_._"), ("../\u{301}x", "_._\u{301}x"), ("a/\u{338}../b", "a_\u{338}.._b"),
        ("a\u{0}b\nc\u{1B}[31m\u{7F}\u{9F}", "a_b_c__31m__"), ("a\u{202E}b\u{200B}c\u{2028}d\u{FEFF}e", "a_b_c_d_e"),
        ("a\\b c\u{A0}d", "a_b_c_d"),
        ("／∕⁄", "___"), ("👩\u{200D}🚀", "___"),
    ])
    func namesThatCantBeFiles(name: String, file: String) {
        #expect(OutputNames.fileNames(for: [name]) == [file])
    }

    /// On file systems that don't tell case or normalisation forms apart as on those that do.
    @Test func namesThatCollide() {
        #expect(OutputNames.fileNames(for: ["x/y", "x:y", "x_y", "x_y_2"]) == ["x_y", "x_y_2", "x_y_3", "x_y_2_2"])
        #expect(OutputNames.fileNames(for: ["a", "A", "a"]) == ["a", "A_2", "a_3"])
        #expect(OutputNames.fileNames(for: ["Straße", "STRASSE"]) == ["Straße", "STRASSE_2"])
        let forms = OutputNames.fileNames(for: ["\u{E9}", "e\u{301}", "E\u{301}"])
        #expect(forms.map { Array($0.utf8).suffix(2) } == [[0xC3, 0xA9], [0x5F, 0x32], [0x5F, 0x33]])
    }

    @Test func namesThatAreTooLong() {
        for scalar in ["n", "é", "日", "𝒳", "e\u{301}"] {
            let long = String(repeating: scalar, count: 5000)
            let files = OutputNames.fileNames(for: [long, long + "x"])
            for file in files {
                #expect(file.utf8.count + 4 <= 255 && file.utf8.count > 190)
                #expect(String(validating: Array(file.utf8), as: UTF8.self) == file)
            }
            #expect(Set(files).count == 2)
        }
        // One letter with marks without end is one Character.
        #expect(OutputNames.fileNames(for: ["e" + String(repeating: "\u{301}", count: 5000)])[0].utf8.count <= 200)
    }

    /// A hundred thousand names of one file take no time that grows with their square.
    @Test(.timeLimit(.minutes(20))) func manyNamesThatCollide() {
        let files = OutputNames.fileNames(for: (0..<100_000).map { $0 % 2 == 0 ? "x/y" : "x_y_\($0)" })
        #expect(Set(files).count == 100_000)
    }
}
