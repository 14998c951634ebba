/// Keeps what isn't masked of the picture to start from: after every step its latents, with the noise of the next one, take the place of those that
/// were made (Lugmayr et al. 2022, RePaint, without its jumps; diffusers' `StableDiffusionInpaintPipeline` for U-Nets of 4 channels).
struct KeptLatents: Sendable {
    /// The picture's, [N, C, h, w].
    let original: Latents
    /// The noise that the run started from, as many values.
    let noise: [Float]
    /// [h, w], 1 for what is repainted.
    let mask: [Float]
    var scheduler: any Scheduler

    /// The latents after evaluation `index`.
    func apply(to latents: Latents, after index: Int) throws -> Latents {
        let next = index + 1
        let kept =
            next < scheduler.timesteps.count
            ? try scheduler.addNoise(to: original.values, noise: noise, at: next) : original.values
        let area = mask.count
        return latents.with(
            latents.values.indices.map { position in
                let share = mask[position % area]
                return (1 - share) * kept[position] + share * latents.values[position]
            })
    }
}
