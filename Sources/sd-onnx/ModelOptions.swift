import ArgumentParser
import Foundation
import SDPipeline

/// Which pipeline folder to use.
struct ModelOptions: ParsableArguments {
    @Option(
        name: [.short, .long],
        help: "The model's folder, as optimum or diffusers export it (default: SD_ONNX_MODEL, or the embedded emoji model).")
    var model: String?

    func url() throws -> URL { try model.map { URL(fileURLWithPath: $0) } ?? ModelFolder.defaultURL() }
}
