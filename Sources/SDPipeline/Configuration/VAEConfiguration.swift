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
