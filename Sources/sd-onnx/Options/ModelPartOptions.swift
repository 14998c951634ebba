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

    func validate() throws {
        if refinerStart != nil, refiner == nil { throw ValidationError("--refiner-start needs a refiner: --refiner.") }
        if let refinerStart, refinerStart == 0 || refinerStart == 1 {
            throw ValidationError("--refiner-start is \(refinerStart), expected a number between 0 and 1.")
        }
    }

    /// The configuration of a model with these parts.
    func configuration(_ model: ModelOptions, _ tokenizer: TokenizerOptions) throws -> PipelineConfiguration {
        try PipelineConfiguration(
            modelFolder: model.url, tokenizer: tokenizer.convention, vae: vae.map { URL(fileURLWithPath: $0) },
            refiner: refiner.map { URL(fileURLWithPath: $0) })
    }
}
