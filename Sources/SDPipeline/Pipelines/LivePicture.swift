/// Makes the pictures that ``LivePreview`` asks for.
struct LivePicture {
    private let request: LivePreview
    private let pipeline: StableDiffusionPipeline
    private let projection: LatentProjection?

    init(_ request: LivePreview, pipeline: StableDiffusionPipeline) throws {
        self.request = request
        self.pipeline = pipeline
        let vae = pipeline.vae
        projection =
            request.method == .vae
            ? nil
            : try LatentProjection(
                channels: vae.configuration.latentChannels, spatialFactor: vae.configuration.spatialFactor
            ) { latents, side in
                // Where the decoder's own scaling is undone, the map's inputs are the latents of diffusion.
                try vae.decode(latents, height: side, width: side, observer: nil)
            }
        // The values of one graph make room for those of the next.
        vae.component.session.releaseMemory()
    }

    func isDue(_ completed: Int, of total: Int) -> Bool { completed % max(request.interval, 1) == 0 && completed < total }

    /// - Parameter latents: [pictures, C, h, w] as the U-Net sees them.
    func images(_ latents: [Float], shape: [Int]) throws -> [RGBImage] {
        guard let projection else { return try pipeline.decode(latents, shape: shape, observer: nil) { _ in } }
        let size = shape[1] * shape[2] * shape[3]
        let factor = pipeline.vae.configuration.spatialFactor
        return try (0..<shape[0]).map { picture in
            let pixels = projection.pixels(
                of: Array(latents[picture * size..<(picture + 1) * size]), height: shape[2], width: shape[3])
            return try PixelConversion.images(from: pixels, width: shape[3] * factor, height: shape[2] * factor)[0]
        }
    }
}
