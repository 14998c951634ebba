/// A kind of Stable Diffusion model: which parts its pipeline combines. Each kind is a file of this folder.
struct ModelFamily: Sendable {
    /// What messages call it.
    let name: String
    /// diffusers' classes that have it in `model_index.json`; what precedes them in a name (ORT, Onnx) doesn't matter.
    let pipelineClasses: [String]
    /// What tells it from other families of the same classes.
    var isOf: @Sendable (ModelFolder) -> Bool = { _ in true }
    /// The graphs that encode prompts, in the order in which the U-Net has their states.
    let textEncoders: [TextEncoderPart]
    /// What the U-Net takes besides the prompts' states.
    var addedConditions: (any AddedConditions)?
    /// The guidance scale where none is asked for, of models that weren't distilled to need none.
    var guidanceScale = 7.5
    /// The share of the steps that is taken over a picture where none is asked for.
    var strength = 0.8
    /// What its VAE's latents are multiplied by, where no file says it.
    var scalingFactor = 0.18215
    /// Whether it makes pictures of pictures alone.
    var needsPicture = false
    /// Whether a run over a picture takes all of its steps, from a lower noise level on, where others leave out the first steps.
    var keepsStepsOverPictures = false
    /// The schedulers that suit it, where the model's own doesn't say.
    var schedulerKind: ModelKind?
    /// Whether old scheduler settings are changed as diffusers does on loading.
    var adjustsSchedulerSettings = false

    /// A text encoder of a model, and its tokenizer.
    struct TextEncoderPart: Sendable {
        /// The folder of its graph.
        let folder: String
        /// The folder of its tokenizer.
        let tokenizer: String
        /// Which of its states the U-Net attends to.
        var states = TextEncoder.States.last
    }

    /// All that are known; of those with the same classes, the first that fits is taken.
    static let all: [ModelFamily] = [
        .stableDiffusion, .latentConsistency, .stableDiffusionXLRefiner, .stableDiffusionXL,
    ]

    /// The family of a model folder.
    ///
    /// - Throws: ``PipelineError`` with what was found and what is known.
    static func of(_ folder: ModelFolder) throws(PipelineError) -> ModelFamily {
        let family = all.first { family in
            family.pipelineClasses.contains(where: folder.pipelineClass.hasSuffix) && family.isOf(folder)
        }
        guard let family else { throw UnknownFamily.error(folder) }
        return family
    }
}
