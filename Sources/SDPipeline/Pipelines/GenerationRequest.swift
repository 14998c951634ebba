/// What to make pictures of, and how.
public struct GenerationRequest: Sendable {
    /// What the picture shows. Tokens beyond the text encoder's limit are cut.
    public var prompt: String
    /// What to keep away from; used where the guidance scale is above 1.
    public var negativePrompt: String
    /// Pixels; nil takes the nearest to ``initialImage``'s width that the model makes, or what it was trained at. See
    /// ``PipelineConfiguration/sizes``.
    public var width: Int?
    /// Pixels; nil as for ``width``.
    public var height: Int?
    /// Steps of the scheduler, 1 to the training timesteps (1000 for most models).
    public var steps: Int
    /// How much more the prompt counts than the negative one: w in ε = ε_negative + w (ε_prompt − ε_negative) (Ho and Salimans,
    /// "Classifier-Free Diffusion Guidance", 2022, in the form of Imagen). 1 and below switch the negative prompt off.
    public var guidanceScale: Double
    /// The seed of the start noise, as for `torch.Generator("cpu").manual_seed`.
    public var seed: UInt64
    /// Pictures at once, 1 to 4096.
    public var batchCount: Int
    /// Whether each picture has a generator of its own.
    public var batchSeeds: BatchSeeds
    /// A scheduler's diffusers class, short name or alias; nil takes the model's own.
    public var scheduler: String?
    /// Settings of the scheduler over those of the model, by diffusers' names.
    public var schedulerOverrides: [String: SchedulerValue]
    /// The timesteps or noise levels in the place of `steps`; nil takes `steps`.
    public var timestepRequest: TimestepRequest?
    /// Options of each step (eta, churn).
    public var stepOptions: SchedulerStepOptions
    /// A picture to start from: its latents get the noise of the step that the run begins with (Meng et al. 2022, SDEdit). Where its size
    /// isn't the one that is made, it is resized by Lanczos' filter. Needs the model's `vae_encoder`.
    public var initialImage: RGBImage?
    /// With `initialImage`, the share of the steps to take, 0 to 1: the last ones. With 0 the picture passes the VAE alone.
    public var strength: Double
    /// Standard normal noise to start from instead of the seed's, [batchCount, C, h, w] row-major; nil draws it.
    public var initialLatents: [Float]?
    /// The files that ``initialImage`` and ``initialLatents`` come from, for what pictures say about themselves.
    public var inputFiles: InputFiles
    /// Decode the latents before the first step, after every so many steps and after the last; nil decodes the last alone.
    public var previewInterval: Int?
    /// Report the picture in the making while it is made; nil reports none.
    public var livePreview: LivePreview?

    /// A request, which is checked when it is run; each parameter is the property of its name.
    public init(
        prompt: String, negativePrompt: String = "", width: Int? = nil, height: Int? = nil, steps: Int = 20,
        guidanceScale: Double = 7.5, seed: UInt64 = 0, batchCount: Int = 1, batchSeeds: BatchSeeds = .consecutive,
        scheduler: String? = nil, schedulerOverrides: [String: SchedulerValue] = [:], timestepRequest: TimestepRequest? = nil,
        stepOptions: SchedulerStepOptions = SchedulerStepOptions(), initialImage: RGBImage? = nil, strength: Double = 0.8,
        initialLatents: [Float]? = nil, inputFiles: InputFiles = InputFiles(), previewInterval: Int? = nil,
        livePreview: LivePreview? = nil
    ) {
        self.prompt = prompt
        self.negativePrompt = negativePrompt
        self.width = width
        self.height = height
        self.steps = steps
        self.guidanceScale = guidanceScale
        self.seed = seed
        self.batchCount = batchCount
        self.batchSeeds = batchSeeds
        self.scheduler = scheduler
        self.schedulerOverrides = schedulerOverrides
        self.timestepRequest = timestepRequest
        self.stepOptions = stepOptions
        self.initialImage = initialImage
        self.strength = strength
        self.initialLatents = initialLatents
        self.inputFiles = inputFiles
        self.previewInterval = previewInterval
        self.livePreview = livePreview
    }
}

/// How often, and how, the picture in the making is shown: ``GenerationProgress/preview(completed:total:images:)``.
public struct LivePreview: Sendable, Equatable {
    /// How latents become a preview.
    public enum Method: String, Sendable, CaseIterable {
        /// Through the VAE decoder, as the picture at the end.
        case vae
        /// By a linear map of the latents' channels to colours, which is fitted to the VAE decoder before the first step: coarse, and
        /// some thousand times as fast.
        case linear
    }

    /// Every so many evaluations of the U-Net, 1 or more; the last is left out, since the picture follows.
    public var interval: Int
    /// How the picture is made.
    public var method: Method

    /// A preview each `interval` evaluations of the U-Net.
    public init(interval: Int, method: Method) {
        self.interval = interval
        self.method = method
    }
}

/// How far a generation is.
public enum GenerationProgress: Sendable {
    /// The text encoder is about to run.
    case encodingPrompt
    /// The U-Net and the scheduler have finished `completed` of `total` steps.
    case step(completed: Int, total: Int)
    /// The pictures after `completed` of `total` steps, where ``GenerationRequest/livePreview`` asks for them.
    case preview(completed: Int, total: Int, images: [RGBImage])
    /// The VAE has finished `completed` of `total` pictures.
    case decoding(completed: Int, total: Int)
}

/// The pictures of a request and what they were made from.
public struct GenerationResult: Sendable {
    /// The pictures, as many as were asked for.
    public var images: [RGBImage]
    /// The latents after the last step, [batchCount, C, h, w] row-major, before the VAE's scaling factor.
    public var latents: [Float]
    /// The extents of ``latents``: [batchCount, C, h, w].
    public var latentShape: [Int]
    /// Pictures on the way, where `previewInterval` asked for them; each has the number of evaluations before it.
    public var previews: [(evaluations: Int, images: [RGBImage])] = []
    /// What each picture was made with, as many as ``images``.
    public var records: [GenerationRecord]
    /// The seed of each picture's generator; one and the same for all where they share it.
    public var seeds: [UInt64]
    /// The diffusers class of the scheduler that ran.
    public var schedulerName: String
    /// The name by which the registry finds it, with its variant, such as `dpm++2m karras`.
    public var scheduler: String
    /// The timesteps at which the U-Net was evaluated, in order.
    public var timesteps: [Float]
    /// Tokens of the prompt, start and end included, before it was cut to what the text encoder takes.
    public var promptTokenCount: Int
    /// Of the negative prompt.
    public var negativePromptTokenCount: Int
    /// What the text encoder takes.
    public var tokenLimit: Int
    /// How long the parts took.
    public var timings: Timings

    /// Seconds that the parts took.
    public struct Timings: Sendable, Codable {
        /// The text encoder, for all prompts.
        public var textEncoder = 0.0
        /// The U-Net, over all steps.
        public var unet = 0.0
        /// The scheduler, over all steps.
        public var scheduler = 0.0
        /// The VAE decoder, for all pictures.
        public var vaeDecoder = 0.0
        /// From the request to the last picture.
        public var total = 0.0
    }
}
