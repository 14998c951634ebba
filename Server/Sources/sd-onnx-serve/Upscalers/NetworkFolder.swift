import Foundation
import SDPipeline

/// A folder of networks that requests name. A name is looked for in the list and never becomes a path.
struct NetworkFolder: Sendable {
    /// By their names: folders with a network in them, and graphs.
    let networks: [String: URL]

    /// - Parameters:
    ///   - folder: nil for none.
    ///   - graphs: what a folder in it has to hold, one of them.
    ///   - content: what it holds, for the error.
    /// - Throws: ``PipelineError`` where it isn't a folder.
    init(_ folder: URL?, graphs: [String], content: String) throws {
        guard let folder else {
            networks = [:]
            return
        }
        let names: [String]
        do { names = try FileManager.default.contentsOfDirectory(atPath: folder.path) } catch {
            throw PipelineError("\(folder.path) isn't a folder, expected one with \(content).", kind: .missingFile)
        }
        var found: [String: URL] = [:]
        for name in names.sorted() where !name.hasPrefix(".") {
            let url = folder.appendingPathComponent(name)
            let isNetwork = graphs.contains { FileManager.default.fileExists(atPath: url.appendingPathComponent($0).path) }
            if isNetwork { found[name] = url }
            if url.pathExtension == "onnx" { found[url.deletingPathExtension().lastPathComponent] = url }
        }
        networks = found
    }

    var names: [String] { networks.keys.sorted() }
}
