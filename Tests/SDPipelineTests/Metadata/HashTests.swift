import Foundation
import SDPipeline
import Testing

@Suite struct HashTests {
    struct Hashes: Decodable {
        let patterns: [String: String]
        let model: String
        let external: String
    }

    static let model = RepositoryRoot.url.appendingPathComponent("Models/emoji")

    private func references() throws -> Hashes { try References.load("hashes.json") }

    @Test func hashesAsHashlibDoes() throws {
        let patterns = try references().patterns
        #expect(patterns.count >= 140)
        for (length, expected) in patterns {
            let bytes = (0..<(try #require(Int(length)))).map { UInt8($0 % 251) }
            #expect(InputFiles.File(path: "a/b.png", bytes: bytes) == InputFiles.File(name: "b.png", sha256: expected))
        }
    }

    @Test func hashesAModel() throws {
        let hash = try ModelHash(ModelFolder(Self.model))
        hash.start()
        let expected = try references().model
        #expect(hash.value == expected)
        // And once it is known.
        #expect(hash.value == expected)
    }

    /// External data follow their graph in the order of their names, and what else lies in the folder doesn't count.
    @Test func hashesExternalData() throws {
        let folder = try TemporaryFolder()
        let copy = folder.url.appendingPathComponent("model")
        try FileManager.default.copyItem(
            at: RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/external"), to: copy)
        let expected = try references().external
        #expect(try ModelHash(ModelFolder(copy)).value == expected)
        try Data("more".utf8).write(to: copy.appendingPathComponent("unet/0.bin"))
        #expect(try ModelHash(ModelFolder(copy)).value == expected)
        try Data([UInt8](repeating: 1, count: 16)).write(to: copy.appendingPathComponent("unet/a.bin"))
        #expect(try ModelHash(ModelFolder(copy)).value != expected)
    }

    @Test func givesNoHashOfAMissingModel() throws {
        let folder = try TemporaryFolder()
        let manager = FileManager.default
        try manager.copyItem(
            at: Self.model.appendingPathComponent("model_index.json"), to: folder.url.appendingPathComponent("model_index.json")
        )
        let unet = folder.url.appendingPathComponent("unet")
        try manager.createDirectory(at: unet, withIntermediateDirectories: true)
        try Data("no graph".utf8).write(to: unet.appendingPathComponent("model.onnx"))
        #expect(try ModelHash(ModelFolder(folder.url)).value == nil)
    }
}
