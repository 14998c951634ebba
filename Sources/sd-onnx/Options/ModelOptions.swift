import ArgumentParser
import Foundation
import SDPipeline

/// Which pipeline folder to use.
struct ModelOptions: ParsableArguments {
    @Option(
        name: [.short, .long, .customLong("model-path"), .customLong("model-dir")], parsing: .unconditional,
        help: ArgumentHelp(
            "The model's folder, as optimum or diffusers export it. (default: SD_ONNX_MODEL, or the embedded emoji model)",
            valueName: "DIR"), transform: OptionValues.path)
    var model: String?

    /// Nil for the default model.
    var url: URL? { model.map { URL(fileURLWithPath: $0) } }

    /// The folder, with what its `model_index.json` says.
    func folder() throws -> ModelFolder { try ModelFolder(try url ?? ModelFolder.defaultURL()) }
}
