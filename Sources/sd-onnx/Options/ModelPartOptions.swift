import ArgumentParser
import Foundation
import SDPipeline

/// Which other models take part.
struct ModelPartOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Another VAE in the place of the model's own: a folder with vae_decoder/model.onnx (and vae_encoder/model.onnx for pictures), or with the decoder as model.onnx.",
            valueName: "DIR"), transform: OptionValues.path)
    var vae: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("An SDXL refiner, which takes the last steps.", valueName: "DIR"), transform: OptionValues.path)
    var refiner: String?

    @Option(
        parsing: .unconditional,
        help: "With --refiner, where on the noise schedule it takes over, between 0 and 1. (default: 0.8)",
        transform: OptionValues.share)
    var refinerStart: Double?

    @OptionGroup var learned: EmbeddingOptions

    @OptionGroup var adapters: LoRAOptions

    func validate() throws {
        if refinerStart != nil, refiner == nil { throw ValidationError("--refiner-start needs a refiner: --refiner.") }
        if let refinerStart, refinerStart == 0 || refinerStart == 1 {
            throw ValidationError("--refiner-start is \(refinerStart), expected a number between 0 and 1.")
        }
    }

    /// The configuration of a model with these parts.
    ///
    /// - Parameter prompts: whose tags name adapters.
    func configuration(_ model: ModelOptions, _ tokenizer: TokenizerOptions, prompts: [String]) throws -> PipelineConfiguration
    {
        try PipelineConfiguration(
            modelFolder: model.url, tokenizer: tokenizer.convention, vae: vae.map { URL(fileURLWithPath: $0) },
            refiner: refiner.map { URL(fileURLWithPath: $0) }, embeddings: learned.embeddings(),
            loras: adapters.loras(prompts: prompts), takesLoRAs: adapters.loraDir != nil)
    }
}

/// Words that were learned.
struct EmbeddingOptions: ParsableArguments {
    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "A textual inversion embedding, and what stands for it in prompts; may be given several times.",
            valueName: "NAME=FILE.safetensors"), transform: OptionValues.namedEmbedding)
    var embedding: [NamedFile] = []

    func embeddings() throws -> [TextualInversion] {
        try embedding.map { try TextualInversion(name: $0.name, contentsOf: URL(fileURLWithPath: $0.path)) }
    }
}
