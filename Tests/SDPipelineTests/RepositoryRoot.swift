import Foundation

/// The checkout that the tests were built from.
enum RepositoryRoot {
    static let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
}

/// Where Tools/setup-test-data.sh puts what git doesn't keep.
enum TestCache {
    static let folder: URL = {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["SD_ONNX_TEST_CACHE"], !path.isEmpty { return URL(fileURLWithPath: path) }
        return FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent(".cache/sd-onnx")
    }()
}

/// What the scripts in Tests/References made.
enum References {
    /// - Parameter name: of a JSON file, whose keys may be in snake case.
    static func load<Value: Decodable>(_ name: String, as type: Value.Type = Value.self) throws -> Value {
        let file = RepositoryRoot.url.appendingPathComponent("Tests/References/\(name)")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Value.self, from: Data(contentsOf: file))
    }
}
