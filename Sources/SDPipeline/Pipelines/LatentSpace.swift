import Foundation
import GraphRuntime

/// A model's variational autoencoder: pictures to the latents that diffusion works on, and back.
///
/// Safe to use from several threads at once.
public final class LatentSpace: Sendable {
    private let encoder: VAEEncoder
    private let decoder: VAEDecoder

    /// Loads the two graphs.
    ///
    /// - Parameters:
    ///   - folder: a model's folder, with `vae_encoder/model.onnx` and `vae_decoder/model.onnx`.
    ///   - threads: the threads to run on.
    ///   - savesMemory: see ``SessionOptions/savesMemory``.
    ///   - limits: what each graph may take of the machine.
    /// - Throws: ``PipelineError`` with the file that is missing or malformed.
    public init(
        _ folder: ModelFolder, threads: ThreadPool = ThreadPool(), savesMemory: Bool = false,
        limits: ResourceLimits = ResourceLimits()
    ) throws {
        var options = SessionOptions(threads: threads, savesMemory: savesMemory)
        options.limits = limits
        let configuration = try VAEConfiguration(folder)
        encoder = try VAEEncoder(Component("vae_encoder", folder: folder, options: options), configuration: configuration)
        decoder = try VAEDecoder(Component("vae_decoder", folder: folder, options: options), configuration: configuration)
    }

    /// Pixels per latent along each side.
    public var spatialFactor: Int { encoder.configuration.spatialFactor }

    /// Latents of one picture.
    public struct Latents: Sendable, Equatable {
        /// [C, height, width] row-major, times the VAE's scaling factor.
        public var values: [Float]
        /// Rows of the latents, a VAE's factor fewer than the picture's.
        public let height: Int
        /// Columns of the latents, a VAE's factor fewer than the picture's.
        public let width: Int
    }

    /// The most likely latents of a picture.
    ///
    /// - Throws: ``PipelineError`` where width or height isn't a multiple of the VAE's factor.
    public func encode(_ image: RGBImage) throws -> Latents {
        let factor = encoder.configuration.spatialFactor
        guard image.width % factor == 0, image.height % factor == 0 else {
            throw PipelineError(
                "The picture has \(image.width)×\(image.height) pixels, the model's VAE takes multiples of \(factor).",
                kind: .invalidRequest)
        }
        let mean = try encoder.distribution(
            of: PixelConversion.pixels(from: [image]), height: image.height, width: image.width, observer: nil
        ).mean
        return Latents(values: encoder.scaled(mean), height: image.height / factor, width: image.width / factor)
    }

    /// The picture of latents.
    ///
    /// - Throws: ``PipelineError`` where the decoder can't run.
    public func decode(_ latents: Latents) throws -> RGBImage {
        let factor = decoder.configuration.spatialFactor
        let pixels = try decoder.decode(latents.values, height: latents.height, width: latents.width, observer: nil)
        return try PixelConversion.images(from: pixels, width: latents.width * factor, height: latents.height * factor)[0]
    }
}
