import Foundation
import GraphRuntime

/// A small decoder of a model's latents, for pictures in the making.
struct PreviewDecoder {
    private let folder: VAEFolder
    private let configuration: VAEConfiguration

    /// Reads the files, without loading the graph.
    ///
    /// - Parameters:
    ///   - url: a folder or the decoder's graph.
    ///   - vae: the model's own autoencoder.
    /// - Throws: ``PipelineError`` where there is no decoder, or it takes other latents.
    init(_ url: URL, for vae: VAEConfiguration) throws {
        folder = FileStatus(url.path)?.kind == .file ? try VAEFolder(decoder: url) : try VAEFolder(url)
        configuration = try VAEConfiguration(folder, unstatedScalingFactor: 1)
        guard configuration.latentChannels == vae.latentChannels, configuration.spatialFactor == vae.spatialFactor else {
            func text(_ vae: VAEConfiguration) -> String {
                "latents of \(vae.latentChannels) channels for \(vae.spatialFactor)×\(vae.spatialFactor) pixels"
            }
            throw PipelineError(
                "The decoder for previews, \(url.path), takes \(text(configuration)), expected the model's: \(text(vae)).",
                kind: .unsupportedModel)
        }
    }

    /// Loads the graph.
    func codec(_ options: SessionOptions) throws -> LatentCodec {
        try LatentCodec(folder, configuration: configuration, options: options)
    }
}
