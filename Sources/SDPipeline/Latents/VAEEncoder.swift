import Foundation
import GraphRuntime

/// The encoder of the variational autoencoder: pictures to latents.
struct VAEEncoder: Sendable {
    let component: Component
    let configuration: VAEConfiguration
    let input: InputDeclaration

    /// The normal distribution of a picture's latents, before the scaling factor.
    struct Distribution {
        /// [1, C, h, w].
        let mean: Latents
        /// The standard deviation of each value; nil of exports that end with a sample, which they give as the mean.
        let deviation: [Float]?
    }

    init(_ component: Component, configuration: VAEConfiguration) throws {
        self.component = component
        self.configuration = configuration
        input = try component.input(["sample", "images"], position: 0)
    }

    /// Whether the output is a distribution's, as far as the file says: exports of diffusers' own script and of older tools answer a draw.
    var givesDistribution: Bool {
        guard case .tensor(_, let dimensions?)? = component.session.outputs.first?.type, dimensions.count == 4,
            case .fixed(let channels) = dimensions[1]
        else { return component.session.outputs.first?.name == "latent_parameters" }
        return channels == 2 * configuration.latentChannels
    }

    /// What the graph takes for pixels [3, height, width].
    func inputs(_ pixels: [Float], height: Int, width: Int) throws -> [String: Tensor] {
        let rows = input.fixedBatch ?? 1
        return [
            input.name: try input.tensor(
                rows: Array(repeating: pixels[...], count: rows), shape: [rows, 3, height, width])
        ]
    }

    /// What the graph answers: mean and logarithm of the variance, [2 C, h, w], or latents, [C, h, w].
    ///
    /// - Parameter pixels: [3, height, width] in −1...1, of multiples of the spatial factor.
    func moments(of pixels: [Float], height: Int, width: Int, observer: (any RunObserver)?) throws -> [Float] {
        let rows = input.fixedBatch ?? 1
        let shape = [rows, 3, height, width]
        let moments = try component.output(
            ["latent_parameters", "latent_sample", "latent_dist"], of: inputs(pixels, height: height, width: width),
            observer: observer)
        let factor = configuration.spatialFactor
        let channels = configuration.latentChannels
        let found = moments.shape.dimensions
        guard found.count == 4, [channels, 2 * channels].contains(found[1]),
            [found[0], found[2], found[3]] == [rows, height / factor, width / factor]
        else {
            throw PipelineError(
                "The VAE encoder answers \(moments.shape) to a picture of shape \(shape), expected "
                    + "\([rows, 2 * channels, height / factor, width / factor]).")
        }
        return Array(try moments.array(of: Float.self).prefix(moments.count / rows))
    }

    /// The distribution that the answer for a picture of so many pixels stands for.
    func distribution(_ moments: [Float], height: Int, width: Int) -> Distribution {
        let (factor, channels) = (configuration.spatialFactor, configuration.latentChannels)
        let size = channels * (height / factor) * (width / factor)
        let mean = Latents(checked: Array(moments.prefix(size)), shape: [1, channels, height / factor, width / factor])
        guard moments.count == 2 * size else { return Distribution(mean: mean, deviation: nil) }
        // diffusers' DiagonalGaussianDistribution keeps the logarithm of the variance from −30 to 20.
        return Distribution(mean: mean, deviation: moments[size...].map { expf(0.5 * min(max($0, -30), 20)) })
    }
}
