import GraphRuntime

/// The decoder of the variational autoencoder: latents to pictures.
struct VAEDecoder: Sendable {
    let component: Component
    /// Channels of the latents.
    let latentChannels: Int
    /// What the latents were multiplied by for diffusion (`scaling_factor`; Rombach et al. 2022, section 4.3.2).
    let scalingFactor: Double
    /// What was subtracted before (`shift_factor`), 0 for most.
    let shiftFactor: Double
    /// Pixels per latent along each side: 2 for each level but the first.
    let spatialFactor: Int
    private let input: InputDeclaration

    init(_ component: Component, folder: ModelFolder) throws {
        self.component = component
        let configuration = try folder.configuration(of: "vae_decoder", "vae")
        latentChannels = try configuration.optionalInt("latent_channels", in: 1...1024) ?? 4
        scalingFactor = try configuration.optionalDouble("scaling_factor") ?? 0.18215
        shiftFactor = try configuration.optionalDouble("shift_factor") ?? 0
        let levels = try configuration.optionalCount("block_out_channels") ?? 4
        guard (1...16).contains(levels), scalingFactor != 0 else {
            throw PipelineError("\(configuration.url.path) has \(levels) levels and scaling factor \(scalingFactor)")
        }
        spatialFactor = 1 << (levels - 1)
        input = try component.input(["latent_sample", "latent", "z"], position: 0)
    }

    /// Pixels of one picture, [3, height, width] in about -1...1, from its latents [C, h, w].
    func decode(_ latents: [Float], height: Int, width: Int, observer: (any RunObserver)?) throws -> [Float] {
        // As diffusers: the division in single precision, by the factor rounded to it.
        let scaled = latents.map { $0 / Float(scalingFactor) + Float(shiftFactor) }
        let rows = input.fixedBatch ?? 1
        let shape = [rows, latentChannels, height, width]
        let values = (0..<rows).flatMap { _ in scaled }
        let results = try component.run([input.name: try input.tensor(values, shape: shape)], observer: observer)
        let picture = try component.output(["sample", "images"], of: results)
        guard picture.shape.dimensions == [rows, 3, height * spatialFactor, width * spatialFactor] else {
            throw PipelineError("the VAE decoder answers \(picture.shape) to latents of shape \(shape)")
        }
        return Array(try picture.array(of: Float.self).prefix(picture.count / rows))
    }
}
