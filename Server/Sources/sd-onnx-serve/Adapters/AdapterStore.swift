import Foundation
import SDPipeline
import Synchronization

/// The LoRAs of `--lora-dir`. Requests name them; a name is looked for in the list of the folder's files and never becomes a path.
final class AdapterStore: Sendable {
    /// A file that there is.
    struct Entry: Sendable {
        /// The file's name without its ending, or its path in the folder where others have the same name.
        let name: String
        /// What its trainer called it; the name where nothing is said.
        let alias: String
        /// Its path in the folder.
        let path: String
        let metadata: [String: String]
        fileprivate let url: URL
    }

    private let folder: URL?
    private let state: Mutex<State>

    private struct State {
        var entries: [Entry]
        /// Counts how often the folder was looked at.
        var generation = 0
    }

    /// - Parameter folder: nil for none.
    /// - Throws: ``PipelineError`` where it isn't a folder.
    init(folder: URL?) throws {
        self.folder = folder
        state = Mutex(State(entries: try folder.map(Self.entries) ?? []))
    }

    /// Whether there can be any.
    var isOpen: Bool { folder != nil }

    /// Those that there are, by their names.
    var entries: [Entry] { state.withLock { $0.entries } }

    /// Another number after ``refresh()``: files that were read before may have changed.
    var generation: Int { state.withLock { $0.generation } }

    /// Looks again what the folder has.
    ///
    /// - Throws: ``PipelineError`` where it isn't a folder any more.
    func refresh() throws {
        guard let folder else { return }
        let found = try Self.entries(of: folder)
        state.withLock { state in
            state.entries = found
            state.generation += 1
        }
    }

    private static func entries(of url: URL) throws -> [Entry] {
        let folder = try LoRAFolder(url)
        let stems = folder.files.map { $0.deletingPathExtension().lastPathComponent }
        let counts = Dictionary(stems.map { ($0, 1) }, uniquingKeysWith: +)
        return zip(folder.files, stems).map { file, stem in
            let metadata = LoRAFolder.metadata(of: file)
            let path = folder.path(of: file)
            let name = counts[stem] == 1 ? stem : path
            let stated = metadata["ss_output_name"].flatMap { $0.isEmpty || $0 == "None" ? nil : $0 }
            return Entry(
                name: name, alias: stated ?? name, path: "\(path).\(file.pathExtension)", metadata: metadata, url: file)
        }
    }

    private func entry(_ name: String) -> Entry? {
        let entries = entries
        if let entry = entries.first(where: { $0.name == name }) { return entry }
        if let entry = entries.first(where: { ($0.path as NSString).deletingPathExtension == name }) { return entry }
        let named = entries.filter { $0.alias == name }
        return named.count == 1 ? named[0] : nil
    }

    /// - Parameter field: where the name comes from, for the error.
    /// - Throws: ``APIError`` for a name that no LoRA has.
    func check(_ name: String, field: String) throws {
        guard entry(name) == nil else { return }
        let known = entries.prefix(10).map { "\"\($0.name)\"" }.joined(separator: ", ")
        let list =
            entries.isEmpty
            ? "the server has none" : "there \(entries.count == 1 ? "is" : "are") \(known)\(entries.count > 10 ? ", …" : "")"
        throw APIError.invalid(field, "\(field) names the LoRA \"\(name.prefix(80))\", and \(list).")
    }

    /// Reads LoRAs, which count nothing by themselves: only requests say how much.
    ///
    /// - Throws: ``APIError`` where one is gone or can't be used, without the place where it lies.
    func loras(_ names: [String]) throws -> [LoRA] {
        try names.map { name in
            guard let entry = entry(name) else {
                throw APIError(
                    .unprocessableContent, "The LoRA \"\(name.prefix(80))\" isn't there any more.", code: "invalid_request")
            }
            return try withoutPaths { try LoRA(contentsOf: entry.url, name: name, weight: 0) }
        }
    }

    /// Runs `body`, in whose errors names stand for files.
    func withoutPaths<Result>(_ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let error as PipelineError {
            var message = error.message
            for entry in entries { message = message.replacing(entry.url.path, with: "\"\(entry.name)\"") }
            // A file that can't be used is the request's to change: it named it.
            guard message != error.message else { throw error }
            throw APIError(.unprocessableContent, message, code: "invalid_request")
        }
    }
}
