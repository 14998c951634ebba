/// What the VAE's `config.json` says; where there is none, what the graph shows, and the scaling of Stable Diffusion.
struct VAEConfiguration: Sendable {
    /// Channels of the latents.
    let latentChannels: Int
    /// What the latents were multiplied by for diffusion (`scaling_factor`; Rombach et al. 2022, section 4.3.2).
    let scalingFactor: Double
    /// What was subtracted before (`shift_factor`), 0 for most.
    let shiftFactor: Double
    /// For each channel what is subtracted, and what is divided by, before the scaling (`latents_mean`, `latents_std`); nil for most.
    let normalization: (mean: [Double], deviation: [Double])?
    /// Pixels per latent along each side: 2 for each level but the first.
    let spatialFactor: Int
    /// Pixels along each side of the pictures that it was trained with (`sample_size`); 512 where nothing is said.
    let sampleSize: Int
    /// Whether a file states ``scalingFactor``.
    let statesScalingFactor: Bool

    /// - Parameter unstatedScalingFactor: ``scalingFactor`` where no file states it.
    init(_ folder: VAEFolder, unstatedScalingFactor: Double) throws {
        guard let file = folder.configuration else {
            let graph = try GraphSizes(folder.decoder)
            latentChannels = graph.inputChannels ?? 4
            (scalingFactor, shiftFactor, normalization, statesScalingFactor) = (unstatedScalingFactor, 0, nil, false)
            spatialFactor = graph.scalingFactor
            sampleSize = 512
            return
        }
        latentChannels = try file.optionalInt("latent_channels", in: 1...1024) ?? 4
        sampleSize = try file.optionalSize("sample_size", in: 1...65536)?.height ?? 512
        let isTiny = try file.optionalString("_class_name") == "AutoencoderTiny"
        let stated = try file.optionalDouble("scaling_factor")
        scalingFactor = stated ?? (isTiny ? 1 : unstatedScalingFactor)
        statesScalingFactor = stated != nil || isTiny
        // AutoencoderTiny's shift is of another meaning, which its exports have inside.
        shiftFactor = isTiny ? 0 : try file.optionalDouble("shift_factor") ?? 0
        let mean = try file.optionalDoubles("latents_mean", count: latentChannels)
        let deviation = try file.optionalDoubles("latents_std", count: latentChannels)
        normalization = if let mean, let deviation { (mean, deviation) } else { nil }
        let levels =
            try file.optionalCount("block_out_channels", atMost: 12)
            ?? file.optionalCount("decoder_block_out_channels", atMost: 12) ?? 4
        spatialFactor = 1 << (levels - 1)
        guard Float(scalingFactor).isNormal, Float(shiftFactor).isFinite,
            normalization?.deviation.allSatisfy({ Float($0).isNormal }) ?? true
        else {
            throw PipelineError(
                "\(file.url.path): scaling_factor is \(scalingFactor) and shift_factor \(shiftFactor), expected a number other than 0 and a number, "
                    + "and no 0 in latents_std.", kind: .malformedFile)
        }
    }
}

extension VAEConfiguration {
    /// An encoder's latents as diffusion uses them; the arithmetic of diffusers, in single precision.
    func scaled(_ latents: Latents) -> Latents {
        let (shift, scale) = (Float(shiftFactor), Float(scalingFactor))
        guard let normalization else { return latents.with(latents.values.map { ($0 - shift) * scale }) }
        return mapByChannel(latents) { value, channel in
            (value - Float(normalization.mean[channel])) * scale / Float(normalization.deviation[channel])
        }
    }

    /// Latents of diffusion as a decoder takes them.
    func unscaled(_ latents: Latents) -> Latents {
        let (shift, scale) = (Float(shiftFactor), Float(scalingFactor))
        guard let normalization else { return latents.with(latents.values.map { $0 / scale + shift }) }
        return mapByChannel(latents) { value, channel in
            value * Float(normalization.deviation[channel]) / scale + Float(normalization.mean[channel])
        }
    }

    private func mapByChannel(_ latents: Latents, _ body: (Float, Int) -> Float) -> Latents {
        let area = latents.height * latents.width
        return latents.with(latents.values.enumerated().map { body($1, $0 / area % latents.channels) })
    }
}
