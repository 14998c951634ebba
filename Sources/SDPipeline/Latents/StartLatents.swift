import GraphRuntime

/// What a run of the denoising loop starts from, in latents.
struct StartLatents {
    /// Those of the first step.
    let latents: Latents
    /// With a mask, what a U-Net made for inpainting takes beside them: the mask and the masked picture, [N, 1 + C, h, w].
    private(set) var channels: Latents?
    /// With a mask, what keeps the rest of the picture where a U-Net isn't made for that: this one, or a refiner's.
    private(set) var kept: KeptLatents?

    /// Noise as the scheduler starts from it; or the latents of the picture to start from, with the noise of the first step. Random numbers
    /// are drawn in the order of diffusers' pipelines: for the picture's latents, for the noise, for the masked picture's latents.
    init(
        _ plan: GenerationPlan, picture: StartPicture?, codec: LatentCodec, noise source: inout BatchNoise,
        observer: (any RunObserver)?
    ) throws {
        let (request, scheduler, shape) = (plan.request, plan.scheduler, plan.latentShape)
        let isPlanned = plan.firstIndex < scheduler.timesteps.count
        func startNoise() -> [Float] { request.initialLatents?.values ?? source.start(shape: shape) }
        func pureNoise(_ noise: [Float]) -> Latents {
            let sigma = scheduler.initNoiseSigma
            return Latents(checked: noise.map { $0 * sigma }, shape: shape)
        }
        guard let picture else {
            latents = pureNoise(startNoise())
            return
        }
        let factor = plan.configuration.spatialFactor
        let draws = PictureLatents(
            codec: codec, shape: shape[..<2] + [picture.image.height / factor, picture.image.width / factor],
            takesMean: !isPlanned || source.isWebUI, observer: observer)
        let startsFromNoise = picture.mask != nil && plan.strength == 1
        let takesChannels = plan.configuration.isInpaintingModel
        var original = startsFromNoise && takesChannels ? nil : try draws.latents(of: picture.image, &source)
        if let latents = original, latents.shape != shape {
            original = try LatentUpscaling.bilinear.resized(latents, width: shape[3], height: shape[2])
        }
        // Without a step, the most likely latents: the picture as the VAE sees it.
        guard isPlanned else {
            latents = original ?? pureNoise(startNoise())
            return
        }
        let noise = startNoise()
        let mask = try picture.mask.map { try $0.latentValues(width: shape[3], height: shape[2]) }
        if let mask, let values = original?.values, let content = request.inpainting?.content,
            content == .noise || content == .nothing
        {
            let area = mask.count
            original = Latents(
                checked: values.indices.map { mask[$0 % area] == 1 ? (content == .noise ? noise[$0] : 0) : values[$0] },
                shape: shape)
        }
        latents =
            if startsFromNoise { pureNoise(noise) } else {
                Latents(
                    checked: try scheduler.addNoise(to: original?.values ?? noise, noise: noise, at: plan.firstIndex),
                    shape: shape)
            }
        guard let mask, let pictureMask = picture.mask else { return }
        if takesChannels {
            let masked = try draws.latents(
                ofPixels: PixelConversion.pixels(from: picture.image, without: pictureMask), of: picture.image, &source)
            let masks = Latents(
                checked: (0..<shape[0]).flatMap { _ in mask }, shape: [shape[0], 1, shape[2], shape[3]])
            channels = Latents.joined(masks, masked)
            if plan.follower != nil {
                // The mean takes no random numbers, so that later ones stay those of diffusers' pipelines.
                var mean = draws
                mean.takesMean = true
                let original = try original ?? mean.latents(of: picture.image, &source)
                kept = KeptLatents(original: original, noise: noise, mask: mask, scheduler: scheduler)
            }
        } else if let original {
            // diffusers encodes the masked picture for such a U-Net too: later numbers come after those that it draws.
            try draws.skip(&source)
            kept = KeptLatents(original: original, noise: noise, mask: mask, scheduler: scheduler)
        }
    }
}

/// Latents of pictures for every picture of a batch. As in diffusers these are draws from the encoder's distribution: one that all share where
/// they share a generator, else one each.
struct PictureLatents {
    let codec: LatentCodec
    let shape: [Int]
    /// Whether the most likely latents are taken in the place of draws.
    var takesMean: Bool
    let observer: (any RunObserver)?

    func latents(of image: RGBImage, _ noise: inout BatchNoise) throws -> Latents {
        try latents(ofPixels: PixelConversion.pixels(from: [image]), of: image, &noise)
    }

    /// Latents of as many pictures as the batch has, of one size.
    func latents(of images: [RGBImage], _ noise: inout BatchNoise) throws -> Latents {
        let distributions = try images.map { image in
            try codec.distribution(
                ofPixels: PixelConversion.pixels(from: [image]), width: image.width, height: image.height, observer: observer)
        }
        var values = distributions.flatMap(\.mean.values)
        let deviations = distributions.compactMap(\.deviation)
        if deviations.count == images.count, !takesMean {
            let draws = noise.normal(count: values.count)
            for (index, deviation) in deviations.joined().enumerated() { values[index] += deviation * draws[index] }
        }
        return codec.scaled(Latents(checked: values, shape: shape))
    }

    /// - Parameter pixels: [3, height, width] of `image`, or of a part of it.
    func latents(ofPixels pixels: [Float], of image: RGBImage, _ noise: inout BatchNoise) throws -> Latents {
        let distribution = try codec.distribution(
            ofPixels: pixels, width: image.width, height: image.height, observer: observer)
        let mean = distribution.mean.values
        var values = (0..<shape[0]).flatMap { _ in mean }
        if let deviation = distribution.deviation, !takesMean {
            let draws = noise.normal(count: count(noise))
            for index in values.indices { values[index] += deviation[index % mean.count] * draws[index % draws.count] }
        }
        return codec.scaled(Latents(checked: values, shape: shape))
    }

    /// Draws what a picture's latents would take.
    func skip(_ noise: inout BatchNoise) throws {
        if try !takesMean && codec.drawsLatents { _ = noise.normal(count: count(noise)) }
    }

    private func count(_ noise: BatchNoise) -> Int { shape[1...].reduce(noise.isShared ? 1 : shape[0], *) }
}
