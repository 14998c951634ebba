import Foundation

/// Where a variational autoencoder's graphs lie: in a model's folder, or in one of their own.
struct VAEFolder: Sendable {
    /// The folder that a person named.
    let url: URL
    let decoder: URL
    /// Nil where there is none: then no picture can be started from.
    let encoder: URL?
    /// What `config.json` of the decoder, of the whole, or of the encoder says; nil where there is none.
    let configuration: ConfigurationFile?

    /// The autoencoder of a model.
    ///
    /// - Throws: ``PipelineError`` where its decoder is missing, or a file is malformed.
    init(of folder: ModelFolder) throws {
        url = folder.url
        decoder = try folder.graph(of: "vae_decoder")
        encoder = try? folder.graph(of: "vae_encoder")
        configuration = try folder.configuration(of: "vae_decoder", "vae", "vae_encoder")
    }

    /// An autoencoder's own export: a folder with `vae_decoder/model.onnx` and perhaps `vae_encoder/model.onnx`, as in a model, or one with the
    /// decoder as `model.onnx`.
    ///
    /// - Throws: ``PipelineError`` where there is no decoder, or a file is malformed.
    init(_ url: URL) throws {
        func graph(_ name: String) -> URL? {
            let file = url.appendingPathComponent(name)
            return FileStatus(file.path)?.kind == .file ? file : nil
        }
        self.url = url
        guard let found = graph("vae_decoder/model.onnx") ?? graph("decoder/model.onnx") ?? graph("model.onnx") else {
            let kind = FileStatus(url.path)?.kind
            let what =
                kind == nil
                ? "doesn't exist" : kind == .folder ? "has neither vae_decoder/model.onnx nor model.onnx" : "is no folder"
            throw PipelineError(
                "\(url.path) \(what): expected the folder of an exported VAE, with its decoder.",
                kind: kind == nil ? .missingFile : .unsupportedModel)
        }
        decoder = found
        encoder = graph("vae_encoder/model.onnx") ?? graph("encoder/model.onnx")
        let places = [
            found.deletingLastPathComponent(), url, url.appendingPathComponent("vae"), encoder?.deletingLastPathComponent(),
        ]
        let file = places.lazy.compactMap { $0?.appendingPathComponent("config.json") }.first {
            FileManager.default.fileExists(atPath: $0.path)
        }
        configuration = try file.map { file throws(PipelineError) in try ConfigurationFile(contentsOf: file) }
    }

    /// A decoder alone, with the `config.json` that lies beside it.
    ///
    /// - Throws: ``PipelineError`` where that is malformed.
    init(decoder: URL) throws {
        url = decoder
        (self.decoder, encoder) = (decoder, nil)
        let file = decoder.deletingLastPathComponent().appendingPathComponent("config.json")
        configuration =
            FileManager.default.fileExists(atPath: file.path) ? try ConfigurationFile(contentsOf: file) : nil
    }

    /// - Throws: ``PipelineError`` where there is no encoder.
    func requireEncoder() throws(PipelineError) -> URL {
        guard let encoder else {
            throw PipelineError(
                "\(url.path) has no vae_encoder/model.onnx, which pictures to start from need.", kind: .missingFile)
        }
        return encoder
    }
}
