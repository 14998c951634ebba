import GraphRuntime
import ONNXLoader

/// The decoder of the variational autoencoder: latents to pictures.
struct VAEDecoder: Sendable {
    let component: Component
    let configuration: VAEConfiguration
    let input: InputDeclaration

    init(_ component: Component, configuration: VAEConfiguration) throws {
        self.component = component
        self.configuration = configuration
        input = try component.input(["latent_sample", "latent", "z"], position: 0)
    }

    /// What the graph takes for the latents of one picture.
    func inputs(_ latents: Latents) throws -> [String: Tensor] {
        let rows = input.fixedBatch ?? 1
        let scaled = configuration.unscaled(latents).values
        return [
            input.name: try input.tensor(
                rows: Array(repeating: scaled[...], count: rows), shape: [rows] + latents.shape.dropFirst())
        ]
    }

    /// Pixels of one picture, [3, H, W] in about -1...1.
    ///
    /// - Parameter latents: of one picture, as diffusion has them.
    func pixels(of latents: Latents, observer: (any RunObserver)?) throws -> [Float] {
        let rows = input.fixedBatch ?? 1
        let shape = [rows] + latents.shape.dropFirst()
        let picture = try component.output(["sample", "images"], of: inputs(latents), observer: observer)
        let factor = configuration.spatialFactor
        let expected = [rows, 3, latents.height * factor, latents.width * factor]
        guard picture.shape.dimensions == expected else {
            throw PipelineError(
                "The VAE decoder answers \(picture.shape) to latents of shape \(shape), expected \(expected): "
                    + "its configuration says a factor of \(factor).")
        }
        try LargeArray.ask(bytes: 4 * picture.count)
        let pixels = try picture.array(of: Float.self)
        return rows == 1 ? pixels : Array(pixels.prefix(picture.count / rows))
    }
}
