import Foundation
import SDPipeline
import Testing

/// Where the tokenizer's tests find their files, and a scratch folder for hostile ones.
enum TokenizerFixtures {
    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../..").standardizedFileURL
    static let references = root.appending(path: "Tests/References")
    static let emoji = root.appending(path: "Models/emoji/tokenizer")

    static var openAI: URL {
        let environment = ProcessInfo.processInfo.environment
        if let cache = environment["SD_ONNX_TEST_CACHE"], !cache.isEmpty {
            return URL(filePath: cache).appending(path: "clip-vocabulary")
        }
        return URL(filePath: environment["HOME"] ?? "/root").appending(path: ".cache/sd-onnx/clip-vocabulary")
    }

    /// A reference file, of one convention or of both.
    static func data(_ name: String, _ convention: TokenizerConvention? = nil) throws -> Data {
        let folder = convention.map { references.appending(path: $0.rawValue) } ?? references
        return try Data(contentsOf: folder.appending(path: name))
    }

    /// Calls `body` with a new folder that holds these files, and removes it.
    static func withFolder<Result>(_ files: [String: Data], _ body: (URL) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appending(path: "tokenizer-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, data) in files {
            try data.write(to: folder.appending(path: name))
        }
        return try body(folder)
    }

    /// The embedded model's vocabulary and merges, to be combined with other configuration files.
    static func emojiFiles(adding files: [String: String] = [:]) throws -> [String: Data] {
        var all = files.mapValues { Data($0.utf8) }
        for name in ["vocab.json", "merges.txt"] {
            all[name] = try Data(contentsOf: emoji.appending(path: name))
        }
        return all
    }
}
