import Foundation
import GraphRuntime
import ONNXLoader
import Ops
import SDPipeline
import Testing

/// What README.md shows is compiled and run here.
@Suite struct ReadmeTests {
    private func makeFox(_ modelFolder: String) throws {
        // README begins
        let pipeline = try StableDiffusionPipeline(modelFolder: URL(filePath: modelFolder))
        let request = GenerationRequest(prompt: "a fox", steps: 20, guidanceScale: 5, seed: 42, batchCount: 2)
        let result = try pipeline.generate(request) { progress in
            if case .step(let completed, let total) = progress { print("\(completed) of \(total)") }
            return true  // false stops it
        }
        for (number, image) in result.images.enumerated() {
            try PNGFile.write(image, to: URL(filePath: "fox-\(number).png"))
        }
        // README ends
    }

    @Test func runsAGraph() throws {
        let modelFile = Program.fixtures.appendingPathComponent("names.onnx").path
        // README begins
        let session = try Session(
            graph: ONNXModel(contentsOf: URL(filePath: modelFile)).graph, library: StandardOperators.library)
        let a = try Tensor([1, -2, 3, 0.5, 4, -8] as [Float], shape: Shape([2, 3]))
        let b = try Tensor([2, 0.25, -1] as [Float])
        let outputs = try session.run(["a": a, "b": b])
        // README ends
        let expected = try NPYArray(contentsOf: Program.fixtures.appendingPathComponent("names-output-0.npy"))
        #expect(try outputs["s"]?.array(of: Float.self) == expected.floats())
    }

    @Test func showsThisCode() throws {
        let source = try String(contentsOfFile: #filePath, encoding: .utf8).split(
            separator: "\n", omittingEmptySubsequences: false)
        let readme = try String(contentsOf: Program.root.appendingPathComponent("README.md"), encoding: .utf8)
        let starts = source.indices.filter { source[$0].hasSuffix("// README begins") }
        let ends = source.indices.filter { source[$0].hasSuffix("// README ends") }
        #expect(starts.count == 2 && ends.count == 2)
        for (start, end) in zip(starts, ends) {
            let code = source[(start + 1)..<end].map { $0.dropFirst(8) }.joined(separator: "\n")
            #expect(readme.contains("\n\(code)\n```"), "\(code)")
        }
    }

    @Test func makesPictures() throws {
        let folder = try TemporaryFolder()
        // The code writes to the working folder, which belongs to all tests.
        let names = (0..<2).map { URL(filePath: "fox-\($0).png") }
        defer { for name in names { try? FileManager.default.removeItem(at: name) } }
        try makeFox(Program.emoji.path)
        let outcome = try Program.run(
            ["generate", "a fox", "--cfg-scale", "5", "--seed", "42", "-b", "2", "-o", "fox-%d.png"], in: folder)
        #expect(outcome.code == 0)
        for (number, name) in names.enumerated() {
            #expect(try PNGFile.read(name) == PNGFile.read(folder["fox-\(number + 1).png"]))
        }
    }

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
