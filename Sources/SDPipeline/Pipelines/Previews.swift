import GraphRuntime
import Synchronization

/// Makes pictures in the making of latents: a consumer of the denoising loop's steps.
struct Previews {
    private let codec: LatentCodec
    private let projection: LatentProjection?

    /// - Parameters:
    ///   - options: what another decoder is loaded with.
    ///   - known: keeps the linear map of this decoder, which takes a run of it to fit.
    init(
        _ method: LivePreview.Method, codec: LatentCodec, options: SessionOptions, known: borrowing Mutex<LatentProjection?>
    ) throws {
        if case .decoder(let url) = method {
            self.codec = try PreviewDecoder(url, for: codec.configuration).codec(options)
        } else {
            self.codec = codec
        }
        if method == .linear, let fitted = known.withLock({ $0 }) {
            projection = fitted
            return
        }
        projection =
            method != .linear
            ? nil
            : try LatentProjection(channels: codec.configuration.latentChannels, spatialFactor: codec.spatialFactor) {
                latents in
                // Where the decoder's own scaling is undone, the map's inputs are the latents of diffusion.
                try codec.decoder.pixels(of: latents, observer: nil)
            }
        if let projection { known.withLock { $0 = projection } }
        // The values of one graph make room for those of the next.
        codec.decoder.component.session.releaseMemory()
    }

    /// - Parameter latents: as the U-Net sees them.
    func images(_ latents: Latents, observer: (any RunObserver)? = nil) throws -> [RGBImage] {
        guard let projection else { return try codec.decode(latents, observer: observer) }
        return try (0..<latents.pictureCount).map { index in
            try PixelConversion.images(
                from: projection.pixels(of: latents.picture(index)), width: latents.width * codec.spatialFactor,
                height: latents.height * codec.spatialFactor)[0]
        }
    }
}
