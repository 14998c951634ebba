import Foundation
import GraphRuntime

/// A second pass over the pictures of a run, at a larger size: AUTOMATIC1111's "hires fix". The first pass decides on the composition, at the
/// size that the model was trained at; what it made is enlarged, gets noise, and is denoised again.
public struct SecondPass: Sendable, Equatable {
    /// What makes the pictures of the first pass larger.
    public enum Upscaler: Sendable, Equatable {
        /// The latents become larger.
        case latent(LatentUpscaling)
        /// The pictures become larger by Lanczos' filter, and latents again. Needs the model's `vae_encoder`.
        case lanczos
        /// Each pixel of the pictures becomes several, by ``RGBImage/resizedToNearest(width:height:)``, and latents again. Needs the model's
        /// `vae_encoder`.
        case nearest
        /// The pictures become larger by a super-resolution network (``SuperResolutionNetwork``, with values of 0 to 1), and latents again.
        /// Needs the model's `vae_encoder`.
        case network(URL)
    }

    /// How many times wider and higher the pictures become, 1 to ``largestScale``; sizes are rounded down to what the model takes. Without
    /// effect where ``width`` or ``height`` is stated.
    public var scale: Double
    /// Pixels in a row that the pictures become; nil takes what keeps the proportions where ``height`` is stated. Where both are, the pictures
    /// become as large as they cover the size, of which the middle is kept. Rounded down to what the model takes.
    public var width: Int?
    /// Rows that the pictures become; nil as for ``width``.
    public var height: Int?
    /// How much of the schedule the second pass takes, 0 to 1: how much may change. With 0 what was enlarged is the result.
    public var strength: Double
    /// Steps that the second pass takes, as many as this whatever the strength; nil takes those of the first pass.
    public var steps: Int?
    /// What makes the pictures larger.
    public var upscaler: Upscaler
    /// In what parts a network sees a picture.
    public var tiling: PictureTiling
    /// The scheduler of the second pass, as ``GenerationRequest/scheduler``; nil takes that of the first.
    public var scheduler: String?
    /// What the second pass shows, tags of adapters included; nil takes the prompt of the first.
    public var prompt: String?
    /// What the second pass keeps away from; nil takes the negative prompt of the first.
    public var negativePrompt: String?
    /// The guidance scale of the second pass; nil takes that of the first.
    public var guidanceScale: Double?

    /// The largest ``scale``.
    public static let largestScale = 16.0

    /// A second pass, which is checked when it is used.
    public init(
        scale: Double = 2, strength: Double = 0.7, steps: Int? = nil, upscaler: Upscaler = .latent(.bilinear),
        tiling: PictureTiling = PictureTiling()
    ) {
        self.scale = scale
        self.strength = strength
        self.steps = steps
        self.upscaler = upscaler
        self.tiling = tiling
    }

    /// The size that pictures of a size become: fractions are left out, and what is beyond a multiple of what the model takes.
    func size(width: Int, height: Int, multiple: Int) -> (width: Int, height: Int) {
        func rounded(_ extent: Int) -> Int { extent / multiple * multiple }
        switch (self.width, self.height) {
        case (nil, nil): return (rounded(Int(Double(width) * scale)), rounded(Int(Double(height) * scale)))
        case (let wide?, nil): return (rounded(wide), rounded(wide * height / width))
        case (nil, let high?): return (rounded(high * width / height), rounded(high))
        case (let wide?, let high?): return (rounded(wide), rounded(high))
        }
    }

    /// The smallest size of a picture's proportions that covers another one, both in multiples of a factor.
    static func covering(
        width: Int, height: Int, from first: (width: Int, height: Int), factor: Int
    ) -> (width: Int, height: Int) {
        let (byWidth, byHeight) = (width * first.height / first.width, height * first.width / first.height)
        let cover = first.width * height < width * first.height ? (width, byWidth) : (byHeight, height)
        return (max(cover.0 / factor * factor, width), max(cover.1 / factor * factor, height))
    }

    /// - Throws: ``PipelineError`` for what can't be.
    func check(_ request: GenerationRequest, _ configuration: PipelineConfiguration) throws {
        func refuse(_ sentence: String) -> PipelineError { PipelineError(sentence, kind: .invalidRequest) }
        guard (1...Self.largestScale).contains(scale) else {
            throw refuse("The second pass enlarges by \(scale), expected a number from 1 to \(Int(Self.largestScale)).")
        }
        guard (0...1).contains(strength) else {
            throw refuse("The second pass has a strength of \(strength), expected a number from 0 to 1.")
        }
        if let steps, steps < 1 { throw refuse("The second pass has \(steps) steps, expected 1 or more.") }
        for extent in [width, height] {
            if let extent, !(1...PictureSizes.largest).contains(extent) {
                throw refuse(
                    "The second pass makes pictures of \(extent) pixels, expected 1 to \(PictureSizes.largest) along each side."
                )
            }
        }
        guard request.initialImage == nil, request.inpainting == nil, request.outpainting == nil else {
            throw refuse(
                "A second pass at a larger size is for pictures from a prompt alone, and the request starts from a picture.")
        }
        guard configuration.refiner == nil else {
            throw refuse("The request has a second pass at a larger size and a refiner, which don't go together.")
        }
        switch upscaler {
        case .latent: break
        case .lanczos, .nearest: _ = try configuration.vaeFolder.requireEncoder()
        case .network(let url):
            _ = try SuperResolutionNetwork.graph(url)
            _ = try configuration.vaeFolder.requireEncoder()
        }
    }

    /// The schedule of the second pass, and how much of it is taken.
    ///
    /// As AUTOMATIC1111's web interface, it divides the schedule so that a share of `strength` has as many steps as were asked for.
    ///
    /// - Parameters:
    ///   - first: steps of the first pass.
    ///   - trained: timesteps of the model.
    ///   - keepsSteps: whether the model's family takes all steps over pictures, whatever the strength.
    func schedule(
        _ request: GenerationRequest, steps first: Int, of trained: Int, keepsSteps: Bool
    ) throws -> (request: TimestepRequest, strength: Double) {
        let taken = steps ?? first
        var count = taken
        if strength > 0, !keepsSteps {
            let exact = Double(taken) / min(strength, 0.999)
            guard exact < Double(trained + 1) else {
                throw PipelineError(
                    "The second pass takes \(taken) steps at a strength of \(strength), which divides the schedule into more than the "
                        + "\(trained) that the model was trained with: fewer steps, or a larger strength, are needed.",
                    kind: .invalidRequest)
            }
            count = Int(exact)
        }
        // Between this number of steps and one more, so that no rounding takes one away.
        let share = keepsSteps || strength == 0 ? strength : min((Double(taken) + 0.5) / Double(count), 1)
        switch request.timestepRequest ?? .steps(first) {
        case .steps: return (.steps(count), share)
        case .named(let schedule, _): return (.named(schedule, steps: count), share)
        case .timesteps, .sigmas:
            guard steps == nil else {
                throw PipelineError(
                    "The request lists its noise levels, which hold for both passes, and states the steps of the second one: give one.",
                    kind: .invalidRequest)
            }
            return (request.timestepRequest ?? .steps(first), strength)
        }
    }
}

extension SecondPass {
    /// A picture of the first pass at another size.
    fileprivate func enlarged(
        _ image: RGBImage, width: Int, height: Int, pipeline: StableDiffusionPipeline, observer: (any RunObserver)?
    ) throws -> RGBImage {
        switch upscaler {
        case .latent, .lanczos: try image.resized(width: width, height: height)
        case .nearest: try image.resizedToNearest(width: width, height: height)
        case .network(let url):
            try pipeline.superResolutionNetwork(url).enlarged(
                image, width: width, height: height, tiling: tiling, observer: observer)
        }
    }
}

/// What the second pass starts from.
struct EnlargedLatents {
    let latents: Latents
    let noise: BatchNoise

    /// The latents of the first pass at the plan's size, with the noise of its first step: of generators of the same seeds, which begin anew, as
    /// if the second pass were a run of its own over the enlarged pictures.
    ///
    /// - Parameter plan: of the second pass.
    init(
        _ first: Latents, _ pass: SecondPass, plan: GenerationPlan, pipeline: StableDiffusionPipeline,
        observer: (any RunObserver)?
    ) throws {
        let shape = plan.latentShape
        var source = BatchNoise(plan.request)
        let isPlanned = plan.firstIndex < plan.scheduler.timesteps.count
        let codec = pipeline.codec.tiled(plan.request.vaeTiling)
        let factor = codec.spatialFactor
        let cover =
            pass.width == nil || pass.height == nil
            ? (plan.width, plan.height)
            : SecondPass.covering(
                width: plan.width, height: plan.height, from: (first.width * factor, first.height * factor), factor: factor)
        let (wide, high) = (cover.0 / factor, cover.1 / factor)
        var larger: Latents
        if case .latent(let upscaling) = pass.upscaler {
            larger = try upscaling.resized(first, width: wide, height: high)
        } else {
            let images = try codec.decode(first, observer: observer).map {
                try pass.enlarged($0, width: cover.0, height: cover.1, pipeline: pipeline, observer: observer)
            }
            let draws = PictureLatents(
                codec: codec, shape: [shape[0], shape[1], high, wide], takesMean: !isPlanned || source.isWebUI,
                observer: observer)
            larger = try draws.latents(of: images, &source)
        }
        larger = larger.cropped(width: shape[3], height: shape[2])
        if isPlanned {
            let noise = source.start(shape: shape)
            latents = larger.with(try plan.scheduler.addNoise(to: larger.values, noise: noise, at: plan.firstIndex))
        } else {
            latents = larger
        }
        noise = source
    }
}
