import GraphRuntime

/// Gives a U-Net that was made for inpainting what it takes beside the latents: the mask and the latents of the masked picture, as further
/// channels (Rombach et al. 2022, section 4.5; diffusers' `StableDiffusionInpaintPipeline`).
struct InpaintingDenoiser: Denoiser {
    var denoiser: any Denoiser
    /// [N, 1 + C, h, w].
    let channels: Latents

    mutating func predict(
        _ latents: Latents, at evaluation: Evaluation, observer: (any RunObserver)?
    ) throws -> Latents {
        try denoiser.predict(Latents.joined(latents, channels), at: evaluation, observer: observer)
    }
}
