import Foundation
import GraphRuntime
import ONNXLoader

/// The network that some models have for telling pictures that not everybody wants to see, by the likeness of CLIP's embeddings (Rando et al. 2022,
/// "Red-Teaming the Stable Diffusion Safety Filter", describes it; diffusers' `StableDiffusionSafetyChecker`).
struct SafetyChecker: Sendable {
    /// What a model's folder has of it: nothing is loaded.
    struct Files: Sendable {
        let graph: URL
        let preprocessing: CLIPPreprocessing

        /// - Throws: ``PipelineError`` where there is no safety checker, or its files are malformed.
        init(_ folder: ModelFolder) throws {
            guard folder.has("safety_checker") else {
                throw PipelineError(
                    "\(folder.url.path) has no safety checker (safety_checker/model.onnx), so that its pictures can't be checked.",
                    kind: .missingFile)
            }
            graph = try folder.graph(of: "safety_checker")
            let file = folder.url.appendingPathComponent("feature_extractor/preprocessor_config.json")
            guard FileManager.default.fileExists(atPath: file.path) else {
                throw PipelineError(
                    "\(folder.url.path) has a safety checker, and no feature_extractor/preprocessor_config.json, which says how it takes "
                        + "pictures.", kind: .missingFile)
            }
            preprocessing = try CLIPPreprocessing(ConfigurationFile(contentsOf: file))
        }
    }

    private let component: Component
    private let preprocessing: CLIPPreprocessing
    /// What CLIP sees of the picture, [N, 3, h, w].
    private let clipInput: InputDeclaration
    /// The picture, [N, H, W, 3] in 0...1, which diffusers' exports blacken; others do without.
    private let pictures: InputDeclaration?
    private let flagOutput: String

    /// - Throws: ``PipelineError`` for a graph that isn't a safety checker's.
    init(_ files: Files, options: SessionOptions) throws {
        component = try Component("safety_checker", file: files.graph, options: options)
        preprocessing = files.preprocessing
        clipInput = try component.input(["clip_input", "pixel_values"], position: 0)
        pictures = component.optionalInput(["images", "image"])
        let known = [clipInput.name, pictures?.name]
        let (inputs, outputs) = (component.session.inputs.map(\.name), component.session.outputs.map(\.name))
        // By its name, or as the only one of truth values.
        let flags = component.session.outputs.filter {
            if case .tensor(.bool, _)? = $0.type { true } else { false }
        }
        guard inputs.allSatisfy({ known.contains($0) }),
            let output = outputs.first(where: { ["has_nsfw_concepts", "has_nsfw_concept"].contains($0) })
                ?? (flags.count == 1 ? flags[0].name : nil)
        else {
            throw PipelineError(
                "\(files.graph.path) takes \(inputs) and answers \(outputs), expected a safety checker's clip_input and images, and "
                    + "out_images and has_nsfw_concepts.", kind: .unsupportedModel)
        }
        flagOutput = output
    }

    /// Whether a picture is flagged.
    ///
    /// - Throws: ``PipelineError`` where the graph can't be run.
    func flags(_ image: RGBImage, observer: (any RunObserver)?) throws -> Bool {
        let rows = clipInput.fixedBatch ?? 1
        let clip = try preprocessing.values(of: image)
        var inputs = [
            clipInput.name: try clipInput.tensor(
                rows: Array(repeating: clip.values[...], count: rows), shape: [rows] + clip.shape)
        ]
        if let pictures { inputs[pictures.name] = try tensor(of: image, for: pictures) }
        guard let answer = try component.run(inputs, observer: observer)[flagOutput], answer.count > 0 else {
            throw PipelineError("The safety checker answers nothing.", kind: .failedRun)
        }
        switch answer.dtype {
        case .bool: return try answer.array(of: Bool.self)[0]
        case .int64: return try answer.array(of: Int64.self)[0] != 0
        case .int32: return try answer.array(of: Int32.self)[0] != 0
        default:
            throw PipelineError(
                "The safety checker's output \(flagOutput) is \(answer.dtype), expected truth values.", kind: .unsupportedModel)
        }
    }

    /// Pixels last, as diffusers' exports take them, or first where the declaration says so.
    private func tensor(of image: RGBImage, for input: InputDeclaration) throws -> Tensor {
        let rows = input.fixedBatch ?? 1
        let isChannelsFirst =
            if let dimensions = input.dimensions, dimensions.count == 4, case .fixed(3) = dimensions[1] { true } else { false }
        let bytes = image.pixels
        try LargeArray.ask(bytes: 4 * rows * bytes.count)
        let values =
            isChannelsFirst
            ? (0..<3).flatMap { channel in stride(from: channel, to: bytes.count, by: 3).map { Float(bytes[$0]) / 255 } }
            : bytes.map { Float($0) / 255 }
        let shape = isChannelsFirst ? [3, image.height, image.width] : [image.height, image.width, 3]
        return try input.tensor(rows: Array(repeating: values[...], count: rows), shape: [rows] + shape)
    }
}

extension RGBImage {
    /// A black picture of the same size.
    var blackened: RGBImage {
        get throws { try RGBImage(width: width, height: height, pixels: Array(repeating: 0, count: pixels.count)) }
    }
}

extension StableDiffusionPipeline {
    /// The model's safety checker, loaded when it is needed first.
    ///
    /// - Throws: ``PipelineError`` where there is none, or it can't be used.
    func safetyChecker() throws -> SafetyChecker {
        if let loaded = loadedSafetyChecker.withLock({ $0 }) { return loaded }
        let checker = try SafetyChecker(SafetyChecker.Files(configuration.folder), options: options)
        if !options.savesMemory { loadedSafetyChecker.withLock { $0 = checker } }
        return checker
    }
}
