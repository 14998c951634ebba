import Foundation
import SDPipeline
import Testing

/// What README.md shows is so; its code is tried in ``SnippetTests``.
@Suite struct ReadmeTests {
    /// The pictures in the README are those that its command makes.
    @Test func showsItsOwnPictures() throws {
        let sheet = try PNGFile.read(Program.root.appendingPathComponent("docs/images/emoji.png"))
        let folder = try TemporaryFolder()
        let outcome = try Program.run(
            ["generate", "a fox", "-b", "4", "--seed", "1", "--cfg-scale", "5", "--steps", "25", "-o", "fox-%d.png"], in: folder
        )
        #expect(outcome.code == 0)
        let fox = try PNGFile.read(folder["fox-1.png"])
        // The second picture of the strip, at twice its size, behind 64 + 4 columns.
        var largest = 0
        for row in 0..<64 {
            for column in 0..<64 {
                for channel in 0..<3 {
                    let shown = sheet.pixels[(2 * row * sheet.width + 2 * (column + 68)) * 3 + channel]
                    largest = max(largest, abs(Int(shown) - Int(fox.pixels[(row * 64 + column) * 3 + channel])))
                }
            }
        }
        #expect(largest <= 2)
    }
}
