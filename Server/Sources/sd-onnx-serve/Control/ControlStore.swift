import Foundation
import SDPipeline

/// The ControlNets of `--control-dir`.
struct ControlStore: Sendable {
    private let folder: NetworkFolder

    /// - Parameter folder: nil for none.
    /// - Throws: ``PipelineError`` where it isn't a folder.
    init(folder: URL?) throws {
        self.folder = try NetworkFolder(folder, graphs: ["model.onnx", "controlnet/model.onnx"], content: "ControlNets")
    }

    /// By their names.
    var networks: [String: URL] { folder.networks }
    var names: [String] { folder.names }

    /// - Parameter field: where the name comes from, for the error.
    /// - Throws: ``APIError`` for a name that none has.
    func network(_ name: String, field: String) throws -> URL {
        if let url = networks[name] { return url }
        let known = names.prefix(10).map { "\"\($0)\"" }.joined(separator: ", ")
        let list = networks.isEmpty ? "the server has none" : "there \(networks.count == 1 ? "is" : "are") \(known)"
        throw APIError.invalid(field, "\(field) names the ControlNet \"\(name.prefix(80))\", and \(list).")
    }
}
