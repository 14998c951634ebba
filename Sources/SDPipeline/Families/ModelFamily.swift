/// A kind of Stable Diffusion model: which parts its pipeline combines. Each kind is a file of this folder.
struct ModelFamily: Sendable {
    /// What messages call it.
    let name: String
    /// diffusers' classes that have it in `model_index.json`; what stands before them in a name (ORT, Onnx) doesn't matter.
    let pipelineClasses: [String]
    /// The graphs that encode prompts, in the order in which the U-Net has their states.
    let textEncoders: [TextEncoderPart]
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
    }

    /// All that are known.
    static let all: [ModelFamily] = [.stableDiffusion, .latentConsistency]

    /// The family of a model folder.
    ///
    /// - Throws: ``PipelineError`` with what was found and what is known.
    static func of(_ folder: ModelFolder) throws(PipelineError) -> ModelFamily {
        if let family = all.first(where: { $0.pipelineClasses.contains(where: folder.pipelineClass.hasSuffix) }) {
            return family
        }
        let known = all.flatMap(\.pipelineClasses).joined(separator: " or a ")
        throw PipelineError(
            "\(folder.url.path) is a \(folder.pipelineClass), expected a \(known): "
                + "pictures from text need one of these; single graphs of any model run as sessions.",
            kind: .unsupportedModel)
    }
}
