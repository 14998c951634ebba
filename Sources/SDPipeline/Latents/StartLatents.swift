import GraphRuntime

/// What a run of the denoising loop starts from.
struct StartLatents {
    let plan: GenerationPlan
    let codec: LatentCodec
    let observer: (any RunObserver)?

    /// Noise as the scheduler starts from it; or the latents of the picture to start from, with the noise of the first step.
    func make(_ noise: inout BatchNoise) throws -> Latents {
        let (request, shape) = (plan.request, plan.latentShape)
        func startNoise() -> [Float] { request.initialLatents?.values ?? noise.normal(count: shape.reduce(1, *)) }
        guard let image = request.initialImage else {
            let sigma = plan.scheduler.initNoiseSigma
            return Latents(checked: startNoise().map { $0 * sigma }, shape: shape)
        }
        let picture = try original(image, &noise)
        // Without a step, the most likely latents: the picture as the VAE sees it.
        guard plan.firstIndex < plan.scheduler.timesteps.count else { return picture }
        return picture.with(try plan.scheduler.addNoise(to: picture.values, noise: startNoise(), at: plan.firstIndex))
    }

    /// The picture's latents for every picture of the batch. As in diffusers these are draws from the encoder's distribution: one that
    /// all share where they share a generator, else one each.
    private func original(_ image: RGBImage, _ noise: inout BatchNoise) throws -> Latents {
        let distribution = try codec.distribution(
            of: image.resized(width: plan.width, height: plan.height), observer: observer)
        let mean = distribution.mean.values
        let pictures = plan.latentShape[0]
        var values = (0..<pictures).flatMap { _ in mean }
        if let deviation = distribution.deviation, plan.firstIndex < plan.scheduler.timesteps.count {
            let draws = noise.normal(count: noise.isShared ? mean.count : values.count)
            for index in values.indices {
                values[index] += deviation[index % mean.count] * draws[index % draws.count]
            }
        }
        return codec.scaled(Latents(checked: values, shape: plan.latentShape))
    }
}
