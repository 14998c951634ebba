import Foundation
import GraphRuntime
import SDPipeline
import Synchronization

/// What makes pictures larger: the ways that need no file, and the networks of `--upscaler-dir`.
final class UpscalerStore: Sendable {
    private let folder: NetworkFolder
    private let threads: ThreadPool
    /// The one that ran last.
    private let loaded = Mutex<(url: URL, network: SuperResolutionNetwork)?>(nil)

    /// Those over pictures, by AUTOMATIC1111's names. `None` resizes by Lanczos' filter, as there.
    private static let plain: [(name: String, upscaler: SecondPass.Upscaler)] = [
        ("None", .lanczos), ("Lanczos", .lanczos), ("Nearest", .nearest),
    ]

    /// - Parameters:
    ///   - folder: nil for none.
    ///   - threads: the threads to run on.
    /// - Throws: ``PipelineError`` where it isn't a folder.
    init(folder: URL?, threads: ThreadPool) throws {
        self.folder = try NetworkFolder(folder, graphs: ["model.onnx"], content: "super-resolution networks")
        self.threads = threads
    }

    /// Those of pictures, by AUTOMATIC1111's names.
    var names: [String] { Self.plain.map(\.name) + folder.names }

    /// Those of a second pass, by the names that the command line has for them.
    var secondPassNames: [String] { LatentUpscaling.allCases.map(\.rawValue) + ["lanczos", "nearest"] + folder.names }

    /// What a name stands for in a second pass, that program's or the command line's.
    ///
    /// - Parameter field: where the name comes from, for the error.
    /// - Throws: ``APIError`` for a name that none has.
    func ofSecondPass(_ name: String, field: String) throws -> SecondPass.Upscaler {
        let lower = name.lowercased()
        let latent = LatentUpscaling.allCases.first { $0.rawValue == lower || $0.webUIName.lowercased() == lower }
        if let latent, folder.networks[name] == nil { return .latent(latent) }
        return try ofPicture(name, field: field, known: LatentUpscaling.allCases.map(\.webUIName) + names)
    }

    /// What a name stands for over pictures.
    func ofPicture(_ name: String, field: String, known: [String]? = nil) throws -> SecondPass.Upscaler {
        if let url = folder.networks[name] { return .network(url) }
        let lower = name.lowercased()
        if let plain = Self.plain.first(where: { $0.name.lowercased() == lower }) { return plain.upscaler }
        if let network = folder.names.first(where: { $0.lowercased() == lower }), let url = folder.networks[network] {
            return .network(url)
        }
        let list = (known ?? names).prefix(20).joined(separator: ", ")
        throw APIError.invalid(field, "\(field) is \"\(name.prefix(60))\", expected one of \(list).")
    }

    /// A network, loaded in the place of the one before. One at a time asks for it.
    ///
    /// - Throws: ``PipelineError`` where the file isn't such a network.
    func network(_ url: URL) throws -> SuperResolutionNetwork {
        if let known = loaded.withLock({ $0 }), known.url == url { return known.network }
        unload()
        let network = try SuperResolutionNetwork(contentsOf: url, threads: threads)
        loaded.withLock { $0 = (url, network) }
        return network
    }

    func unload() { loaded.withLock { $0 = nil } }

    /// Runs `body`, in whose errors names stand for files.
    func withoutPaths<Result>(_ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let error as PipelineError {
            var message = error.message
            for (name, url) in folder.networks.sorted(by: { $0.key.count > $1.key.count }) {
                message = message.replacing(url.appendingPathComponent("model.onnx").path, with: "\"\(name)\"")
                    .replacing(url.path, with: "\"\(name)\"")
            }
            // What is wrong with a network isn't the request's.
            throw PipelineError(message, kind: error.kind)
        }
    }
}
