import Foundation

/// A folder of adapters, whose files tags of prompts name: by the file's name without its ending, by its path in the folder, or by the
/// name that its trainer wrote into it (`ss_output_name`).
public struct LoRAFolder: Sendable {
    /// The folder.
    public let url: URL
    /// All `.safetensors` files in it and the folders below, by their paths.
    public let files: [URL]
    /// More are no collection.
    private static let mostFiles = 100_000

    /// - Throws: ``PipelineError`` where it isn't a folder.
    public init(_ url: URL) throws {
        guard FileStatus(url.path)?.kind == .folder else {
            throw PipelineError("\(url.path) isn't a folder, expected one with LoRAs.", kind: .missingFile)
        }
        self.url = url
        var found: [URL] = []
        for case let path as String in FileManager.default.enumerator(atPath: url.path) ?? .init() {
            guard path.lowercased().hasSuffix(".safetensors") else { continue }
            found.append(url.appendingPathComponent(path))
            if found.count >= Self.mostFiles { break }
        }
        files = found.sorted { $0.path < $1.path }
    }

    /// The path of a file in the folder, without its ending: what tells it from all others.
    public func path(of file: URL) -> String {
        let root = url.standardizedFileURL.path + "/"
        let full = file.deletingPathExtension().standardizedFileURL.path
        return full.hasPrefix(root) ? String(full.dropFirst(root.count)) : full
    }

    /// The texts that a trainer wrote into a file, of which the head alone is read; none where it can't be.
    public static func metadata(of file: URL) -> [String: String] { (try? SafetensorsFile.metadata(of: file)) ?? [:] }

    /// The file of an adapter.
    ///
    /// - Throws: ``PipelineError`` where there is none, or more than one.
    public func file(named name: String) throws -> URL {
        func stem(_ file: URL) -> String { file.deletingPathExtension().lastPathComponent }
        var matches = files.filter { path(of: $0) == name }
        if matches.isEmpty { matches = files.filter { stem($0) == name } }
        if matches.isEmpty {
            matches = files.filter { Self.metadata(of: $0)["ss_output_name"] == name }
        }
        guard let file = matches.first else {
            // Files of one name are told apart by their paths.
            let names = files.map(stem)
            let known = zip(files, names).prefix(10)
                .map { file, name in names.count { $0 == name } > 1 ? path(of: file) : name }.joined(separator: ", ")
            throw PipelineError(
                "The prompt names the LoRA \"\(name.prefix(80))\", which isn't in \(url.path)\(known.isEmpty ? "" : ": there are \(known)\(files.count > 10 ? ", …" : "")").",
                kind: .invalidRequest)
        }
        guard matches.count == 1 else {
            throw PipelineError(
                "The prompt names the LoRA \"\(name.prefix(80))\", and \(url.path) has \(matches.count) of that name: \(matches.prefix(3).map(path(of:)).joined(separator: ", "))\(matches.count > 3 ? ", …" : ""). A path tells them apart.",
                kind: .invalidRequest)
        }
        return file
    }
}
