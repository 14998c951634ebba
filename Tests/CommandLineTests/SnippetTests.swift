import Foundation
import SDPipeline
import TestSupport
import Testing

/// The Swift code of README.md, docs and the library's reference, compiled as it is against the built library and run.
@Suite struct SnippetTests {
    /// A block of Swift code of a page.
    struct Snippet: CustomStringConvertible {
        let page: String
        let number: Int
        let code: String

        var description: String { "\(page), block \(number)" }
        var isManifest: Bool { code.hasPrefix("// swift-tools-version") }

        static func all() throws -> [Snippet] {
            let docs = try FileManager.default.contentsOfDirectory(atPath: Program.root.appendingPathComponent("docs").path)
            let modules = ["GraphRuntime", "ONNXLoader", "Ops", "SDPipeline"]
            let pages =
                ["README.md"] + docs.filter { $0.hasSuffix(".md") }.sorted().map { "docs/\($0)" }
                + modules.map { "Sources/\($0)/\($0).docc/\($0).md" }
            return try pages.flatMap(of)
        }

        static func of(_ page: String) throws -> [Snippet] {
            let text = try String(contentsOf: Program.root.appendingPathComponent(page), encoding: .utf8)
            let blocks = text.components(separatedBy: "\n```swift\n").dropFirst()
            return try blocks.enumerated().map { number, rest in
                let end = try #require(rest.range(of: "\n```"), "\(page): block \(number + 1) has no end")
                return Snippet(page: page, number: number + 1, code: rest[..<end.lowerBound] + "\n")
            }
        }
    }

    /// A folder with the files that the code names.
    private func folder() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        let files = [
            ("stable-diffusion-onnx", Program.emoji),
            ("style.safetensors", Program.emoji.appendingPathComponent("lora/night.safetensors")),
            ("model.onnx", Program.fixtures.appendingPathComponent("names.onnx")),
        ]
        for (name, source) in files {
            try FileManager.default.createSymbolicLink(at: folder[name], withDestinationURL: source)
        }
        return folder
    }

    private func compile(_ snippet: Snippet, in folder: TemporaryFolder) throws {
        try snippet.code.write(to: folder["main.swift"], atomically: true, encoding: .utf8)
        let products = try Program.url().deletingLastPathComponent()
        // The objects of which the program consists, without its own and its parser's.
        let objects = try String(
            contentsOf: products.appendingPathComponent("sd-onnx.product/Objects.LinkFileList"), encoding: .utf8
        )
        .split(separator: "\n").filter { !$0.contains("/sd_onnx.build/") && !$0.contains("/ArgumentParser") }
        try objects.joined(separator: "\n").write(to: folder["objects"], atomically: true, encoding: .utf8)
        var arguments = ["swiftc", "-O", "-swift-version", "6", "main.swift", "-o", "snippet", "@objects"]
        arguments += Program.moduleOptions(products)
        arguments += ["-lopenblas", "-lpng", "-lz", "-ljpeg", "-lprotobuf-c"]
        let outcome = try Program.run(tool: URL(fileURLWithPath: "/usr/bin/env"), arguments, in: folder)
        try #require(outcome.code == 0, "\(snippet) doesn't compile: \(outcome.messages) \(outcome.text)")
        // Warnings are no example to follow.
        #expect(!outcome.messages.contains("warning:"), "\(snippet): \(outcome.messages)")
    }

    private func run(_ snippet: Snippet, in folder: TemporaryFolder) throws -> Program.Outcome {
        try compile(snippet, in: folder)
        let outcome = try Program.run(tool: folder["snippet"], [], in: folder)
        #expect(outcome.code == 0, "\(snippet): \(outcome.messages)")
        return outcome
    }

    @Test func everyPageRuns() throws {
        let snippets = try Snippet.all().filter { $0.page != "README.md" }
        #expect(snippets.count >= 9)
        for snippet in snippets { #expect(!(try run(snippet, in: folder()).text.isEmpty), "\(snippet) prints nothing") }
    }

    /// The library makes the pictures that the program makes.
    @Test func readmeMakesPictures() throws {
        let snippets = try Snippet.of("README.md")
        try #require(snippets.map(\.isManifest) == [true, false, false])
        let folder = try folder()
        #expect(try run(snippets[1], in: folder).text.hasSuffix("20 of 20\n"))
        let outcome = try Program.run(
            ["generate", "a fox", "--cfg-scale", "5", "--seed", "42", "-b", "2", "-o", "program-%d.png"], in: folder)
        #expect(outcome.code == 0, "\(outcome.messages)")
        for number in 0..<2 {
            try expectEqual(
                PNGFile.read(folder["fox-\(number).png"]).pixels, PNGFile.read(folder["program-\(number + 1).png"]).pixels)
        }
    }

    @Test func readmeRunsAGraph() throws {
        let snippets = try Snippet.of("README.md")
        try #require(snippets.count == 3)
        let printed = try run(snippets[2], in: folder()).text
        let expected = try NPYArray(contentsOf: Program.fixtures.appendingPathComponent("names-output-0.npy"))
        #expect(printed == "\(expected.shape) \(try expected.floats())\n")
    }

    /// The manifest is read by the package manager, and what it takes from this package is there.
    @Test func readmeManifestHoldsTogether() throws {
        struct Description: Decodable {
            struct Product: Decodable { let name: String }
            struct Target: Decodable { let name: String }
            let products: [Product]
            let targets: [Target]
        }
        let manifest = try #require(try Snippet.of("README.md").first)
        let folder = try TemporaryFolder()
        try manifest.code.write(to: folder["Package.swift"], atomically: true, encoding: .utf8)
        func describe(_ package: URL) throws -> Description {
            let outcome = try Program.run(
                tool: URL(fileURLWithPath: "/usr/bin/env"),
                // A build folder of its own: that of the package under test may be locked by who runs the tests. And one for the
                // temporary files, which the package manager doesn't remove.
                [
                    "TMPDIR=\(folder.streams.path)", "swift", "package", "--package-path", package.path, "--scratch-path",
                    folder[".build"].path, "dump-package",
                ],
                in: folder)
            try #require(outcome.code == 0, "\(outcome.messages)")
            return try JSONDecoder().decode(Description.self, from: outcome.output)
        }
        #expect(try describe(folder.url).targets.map(\.name) == ["App"])
        let own = try describe(Program.root)
        let named = manifest.code.matches(of: /\.product\(name: "(\w+)", package: "sd-onnx"\)/).map { String($0.1) }
        #expect(!named.isEmpty)
        for name in named { #expect(own.products.contains { $0.name == name }, "there is no product \(name)") }
    }
}
