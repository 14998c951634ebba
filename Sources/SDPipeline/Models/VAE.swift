import Foundation
import GraphRuntime

/// The decoder of the variational autoencoder: latents to pictures.
struct VAEDecoder: Sendable {
    let component: Component
    let configuration: VAEConfiguration
    private let input: InputDeclaration

    init(_ component: Component, configuration: VAEConfiguration) throws {
        self.component = component
        self.configuration = configuration
        input = try component.input(["latent_sample", "latent", "z"], position: 0)
    }

    /// Pixels of one picture, [3, height, width] in about -1...1, from its latents [C, h, w].
    func decode(_ latents: [Float], height: Int, width: Int, observer: (any RunObserver)?) throws -> [Float] {
        // As diffusers: the division in single precision, by the factor rounded to it.
        let scalingFactor = Float(configuration.scalingFactor)
        let shiftFactor = Float(configuration.shiftFactor)
        let scaled = latents.map { $0 / scalingFactor + shiftFactor }
        let rows = input.fixedBatch ?? 1
        let shape = [rows, configuration.latentChannels, height, width]
        let values = (0..<rows).flatMap { _ in scaled }
        let picture = try component.output(
            ["sample", "images"], of: [input.name: try input.tensor(values, shape: shape)], observer: observer)
        let factor = configuration.spatialFactor
        let expected = [rows, 3, height * factor, width * factor]
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

/// What the VAE's `config.json` says.
struct VAEConfiguration: Sendable {
    /// Channels of the latents.
    let latentChannels: Int
    /// What the latents were multiplied by for diffusion (`scaling_factor`; Rombach et al. 2022, section 4.3.2).
    let scalingFactor: Double
    /// What was subtracted before (`shift_factor`), 0 for most.
    let shiftFactor: Double
    /// Pixels per latent along each side: 2 for each level but the first.
    let spatialFactor: Int

    init(_ folder: ModelFolder) throws {
        let file = try folder.configuration(of: "vae_decoder", "vae")
        latentChannels = try file.optionalInt("latent_channels", in: 1...1024) ?? 4
        scalingFactor = try file.optionalDouble("scaling_factor") ?? 0.18215
        shiftFactor = try file.optionalDouble("shift_factor") ?? 0
        spatialFactor = 1 << ((try file.optionalCount("block_out_channels", atMost: 12) ?? 4) - 1)
        guard Float(scalingFactor).isNormal, Float(shiftFactor).isFinite else {
            throw PipelineError(
                "\(file.url.path): scaling_factor is \(scalingFactor) and shift_factor \(shiftFactor), expected a number other than 0 and a number."
            )
        }
    }
}

/// The encoder of the variational autoencoder: pictures to latents.
struct VAEEncoder: Sendable {
    let component: Component
    let configuration: VAEConfiguration
    private let input: InputDeclaration

    init(_ component: Component, configuration: VAEConfiguration) throws {
        self.component = component
        self.configuration = configuration
        input = try component.input(["sample", "images"], position: 0)
    }

    /// The normal distribution of a picture's latents, before the scaling factor: its mean [C, h, w], and its deviation where the export
    /// gives one; exports that end with a sample give that as the mean.
    /// - Parameter pixels: [3, height, width] in −1...1, of multiples of the spatial factor.
    func distribution(
        of pixels: [Float], height: Int, width: Int, observer: (any RunObserver)?
    ) throws -> (mean: [Float], deviation: [Float]?) {
        let rows = input.fixedBatch ?? 1
        let shape = [rows, 3, height, width]
        let values = (0..<rows).flatMap { _ in pixels }
        let moments = try component.output(
            ["latent_parameters", "latent_sample", "latent_dist"], of: [input.name: try input.tensor(values, shape: shape)],
            observer: observer)
        let factor = configuration.spatialFactor
        let channels = configuration.latentChannels
        let size = channels * (height / factor) * (width / factor)
        let found = moments.shape.dimensions
        guard found.count == 4, [channels, 2 * channels].contains(found[1]),
            [found[0], found[2], found[3]] == [rows, height / factor, width / factor]
        else {
            throw PipelineError(
                "The VAE encoder answers \(moments.shape) to a picture of shape \(shape), expected "
                    + "\([rows, 2 * channels, height / factor, width / factor]).")
        }
        let first = Array(try moments.array(of: Float.self).prefix(moments.count / rows))
        guard found[1] == 2 * channels else { return (first, nil) }
        // diffusers' DiagonalGaussianDistribution keeps the logarithm of the variance from −30 to 20.
        let deviation = first[size...].map { expf(0.5 * min(max($0, -30), 20)) }
        return (Array(first[..<size]), deviation)
    }

    /// Latents as diffusion uses them.
    func scaled(_ latents: [Float]) -> [Float] {
        let (shift, scale) = (Float(configuration.shiftFactor), Float(configuration.scalingFactor))
        return latents.map { ($0 - shift) * scale }
    }
}
