import Foundation
import SDPipeline

/// The ControlNets of `--control-dir`. Requests name them; a name is looked for in the list and never becomes a path.
struct ControlStore: Sendable {
    /// By their names: folders with a ControlNet, and graphs.
    let networks: [String: URL]

    /// - Parameter folder: nil for none.
    /// - Throws: ``PipelineError`` where it isn't a folder.
    init(folder: URL?) throws {
        guard let folder else {
            networks = [:]
            return
        }
        let names: [String]
        do { names = try FileManager.default.contentsOfDirectory(atPath: folder.path) } catch {
            throw PipelineError("\(folder.path) isn't a folder, expected one with ControlNets.", kind: .missingFile)
        }
        var found: [String: URL] = [:]
        for name in names.sorted() where !name.hasPrefix(".") {
            let url = folder.appendingPathComponent(name)
            let isNetwork = ["model.onnx", "controlnet/model.onnx"].contains { part in
                FileManager.default.fileExists(atPath: url.appendingPathComponent(part).path)
            }
            if isNetwork { found[name] = url }
            if url.pathExtension == "onnx" { found[url.deletingPathExtension().lastPathComponent] = url }
        }
        networks = found
    }

    var names: [String] { networks.keys.sorted() }

    /// - Parameter field: where the name comes from, for the error.
    /// - Throws: ``APIError`` for a name that none has.
    func network(_ name: String, field: String) throws -> URL {
        if let url = networks[name] { return url }
        let known = names.prefix(10).map { "\"\($0)\"" }.joined(separator: ", ")
        let list = networks.isEmpty ? "the server has none" : "there \(networks.count == 1 ? "is" : "are") \(known)"
        throw APIError.invalid(field, "\(field) names the ControlNet \"\(name.prefix(80))\", and \(list).")
    }
}
