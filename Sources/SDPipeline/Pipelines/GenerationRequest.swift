/// What to make pictures of, and how.
public struct GenerationRequest: Sendable {
    /// What the picture shows. Read by ``promptSyntax``: literally, tokens beyond the text encoder's limit are cut.
    public var prompt: String
    /// What to keep away from; used where the guidance scale is above 1. Of most models nil is the same as an empty text; models of the
    /// SDXL family have states of their own for no text.
    public var negativePrompt: String?
    /// Pixels; nil takes the nearest to ``initialImage``'s width that the model makes, without one that of the first of ``controls``, or what
    /// it was trained at. See ``PipelineConfiguration/sizes``.
    public var width: Int?
    /// Pixels; nil as for ``width``.
    public var height: Int?
    /// Steps of the scheduler, 1 to the training timesteps (1000 for most models).
    public var steps: Int
    /// How much more the prompt counts than the negative one: w in ε = ε_negative + w (ε_prompt − ε_negative) (Ho and Salimans,
    /// "Classifier-Free Diffusion Guidance", 2022, in the form of Imagen). 1 and below switch the negative prompt off; nil takes
    /// ``PipelineConfiguration/defaultGuidanceScale``.
    public var guidanceScale: Double?
    /// The seed of the start noise, as for `torch.Generator("cpu").manual_seed`.
    public var seed: UInt64
    /// Which generator draws the noise. With ``NoiseSource/numpy`` seeds are below 2³².
    public var noiseSource: NoiseSource
    /// Another seed whose noise is mixed into the noise that the run starts from; nil for none.
    public var variation: SeedVariation?
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
    /// isn't the one that is made, it is resized by Lanczos' filter, see ``resizeMode``. Needs the model's `vae_encoder`.
    public var initialImage: RGBImage?
    /// What becomes of the picture where its proportions aren't those of the size that is made.
    public var resizeMode: ResizeMode
    /// Which part of the picture is repainted; nil for all of it.
    public var inpainting: Inpainting?
    /// Room around the picture, which is painted too; nil for none.
    public var outpainting: Outpainting?
    /// With `initialImage`, the share of the steps to take, 0 to 1: the last ones. With 0 the picture passes the VAE alone; nil takes 0.8, of
    /// SDXL's refiner 0.3, of models made for inpainting 1. With a mask, 1 starts from noise alone.
    public var strength: Double?
    /// Standard normal noise to start from instead of the seed's, [batchCount, C, h, w]; nil draws it.
    public var initialLatents: Latents?
    /// With a refiner (``PipelineConfiguration/refiner``), the share of the noise schedule that the model takes before it, between 0 and 1
    /// (diffusers' `denoising_end` of the model and `denoising_start` of the refiner); nil takes 0.8.
    public var refinerStart: Double?
    /// What models of the SDXL family are told of pictures like this one.
    public var pictureSizes: ConditionedSizes
    /// Whether the VAE works on pictures in tiles.
    public var vaeTiling: VAETiling
    /// Whether the model's safety checker looks at the pictures, as in diffusers: those that it flags become black, see
    /// ``GenerationResult/flagged``. Pictures that ``livePreview`` shows on the way aren't checked.
    public var checksSafety: Bool
    /// The files that ``initialImage`` and ``initialLatents`` come from, for what pictures say about themselves.
    public var inputFiles: InputFiles
    /// Decode the latents before the first step, after every so many steps and after the last; nil decodes the last alone.
    public var previewInterval: Int?
    /// Report the picture in the making while it is made; nil reports none.
    public var livePreview: LivePreview?
    /// How the prompts are read.
    public var promptSyntax: PromptSyntax
    /// Another prompt whose states are mixed into those of ``prompt``; nil for none.
    public var promptBlend: PromptBlend?
    /// Whose layer's states of the text encoders are taken, counted from the last, as AUTOMATIC1111's web interface counts: 1 is the last layer,
    /// 2 the one before (diffusers' `clip_skip` of 1; of the SDXL family, whose states are those of 2 where nothing is said, it counts
    /// 3 for 1). Of models that take normalised states, the last normalisation follows whichever layer it is. 1 to the encoder's layers;
    /// nil takes the model's own.
    public var clipSkip: Int?
    /// ControlNets with their pictures, of which any number take part at once. A refiner works without them.
    public var controls: [Control]
    /// FreeU's factors; nil for none. A refiner works without them.
    public var freeU: FreeU?
    /// How much adapters count, by their names, in the place of what ``LoRA/weight`` and ``LoRA/textWeight`` say; tags of the prompt add to
    /// it. Other weights than those of the run before change constants of the loaded graphs, which takes a moment and leaves plans as
    /// they are.
    public var loraWeights: [AdapterWeight] = []
    /// A second pass over the pictures at a larger size; nil for none. The first pass makes pictures of ``width`` and ``height``.
    public var secondPass: SecondPass?
    /// How evaluations are made cheaper by earlier ones; nil computes each in full.
    public var stepCaching: StepCaching?
    /// The part of the run in which the negative prompt counts; nil for all of it. A refiner's evaluations count as a part of the run.
    public var guidanceInterval: GuidanceInterval?
    /// Whether the plan chooses ``stepCaching`` and ``guidanceInterval``, which are nil then: what measurement found to save most for what it
    /// costs in quality with the scheduler. The picture's record states the choice.
    public var isFast = false

    /// A request, which is checked when it is run; each parameter is the property of its name.
    public init(
        prompt: String, negativePrompt: String? = nil, width: Int? = nil, height: Int? = nil, steps: Int = 20,
        guidanceScale: Double? = nil, seed: UInt64 = 0, batchCount: Int = 1, batchSeeds: BatchSeeds = .consecutive,
        scheduler: String? = nil, schedulerOverrides: [String: SchedulerValue] = [:], timestepRequest: TimestepRequest? = nil,
        stepOptions: SchedulerStepOptions = SchedulerStepOptions(), initialImage: RGBImage? = nil,
        resizeMode: ResizeMode = .stretch, inpainting: Inpainting? = nil, outpainting: Outpainting? = nil,
        strength: Double? = nil,
        initialLatents: Latents? = nil, refinerStart: Double? = nil,
        pictureSizes: ConditionedSizes = ConditionedSizes(),
        vaeTiling: VAETiling = .automatic, checksSafety: Bool = false, inputFiles: InputFiles = InputFiles(),
        previewInterval: Int? = nil,
        livePreview: LivePreview? = nil, promptSyntax: PromptSyntax = .automatic, clipSkip: Int? = nil,
        controls: [Control] = [], freeU: FreeU? = nil,
        noiseSource: NoiseSource = .torch, variation: SeedVariation? = nil, promptBlend: PromptBlend? = nil
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
        self.resizeMode = resizeMode
        self.inpainting = inpainting
        self.outpainting = outpainting
        self.strength = strength
        self.initialLatents = initialLatents
        self.refinerStart = refinerStart
        self.pictureSizes = pictureSizes
        self.vaeTiling = vaeTiling
        self.checksSafety = checksSafety
        self.inputFiles = inputFiles
        self.previewInterval = previewInterval
        self.livePreview = livePreview
        self.promptSyntax = promptSyntax
        self.clipSkip = clipSkip
        self.controls = controls
        self.freeU = freeU
        self.noiseSource = noiseSource
        self.variation = variation
        self.promptBlend = promptBlend
    }

    /// The seed of each picture's generator: with a variation the same for all of them, whose other seeds differ.
    public var seeds: [UInt64] {
        if let variation, variation.strength != 0 { return Array(repeating: seed, count: max(batchCount, 0)) }
        return batchSeeds.seeds(first: seed, count: batchCount)
    }

    /// The other seed of each picture; none without a variation.
    public var variationSeeds: [UInt64] {
        guard let variation, variation.strength != 0 else { return [] }
        return batchSeeds.seeds(first: variation.seed, count: batchCount)
    }
}
