import Foundation
import ONNXLoader

/// What a folder has of a CLIP model, in the layouts of optimum (one graph), transformers.js and others (two graphs), and of open_clip's towers.
struct CLIPFiles: Sendable {
    enum Graphs: Sendable {
        /// Both towers, and what compares them.
        case one(URL)
        case two(text: URL, image: URL)
    }

    let folder: URL
    let graphs: Graphs
    let tokenizer: URL
    let preprocessing: CLIPPreprocessing
    /// Tokens that the text tower takes, where a file says so.
    let tokenLimit: Int?

    private static let textGraphs = [
        "text_model.onnx", "textual.onnx", "text.onnx", "text_encoder.onnx", "text_model/model.onnx", "textual/model.onnx",
        "text_encoder/model.onnx", "text/model.onnx",
    ]
    private static let imageGraphs = [
        "vision_model.onnx", "visual.onnx", "image.onnx", "image_encoder.onnx", "vision_model/model.onnx", "visual/model.onnx",
        "image_encoder/model.onnx", "image/model.onnx", "vision.onnx",
    ]
    private static let wholeGraphs = ["model.onnx", "clip.onnx", "model/model.onnx"]

    /// - Throws: ``PipelineError`` where the folder isn't that of a CLIP model.
    init(_ folder: URL) throws {
        self.folder = folder
        func existing(_ names: [String]) -> URL? {
            names.map { folder.appendingPathComponent($0) }.first { FileManager.default.fileExists(atPath: $0.path) }
        }
        /// transformers.js has graphs in a folder of their own.
        func graph(_ names: [String]) -> URL? { existing(names + names.map { "onnx/\($0)" }) }
        if let text = graph(Self.textGraphs), let image = graph(Self.imageGraphs) {
            graphs = .two(text: text, image: image)
        } else if let whole = graph(Self.wholeGraphs) {
            graphs = .one(whole)
        } else {
            throw PipelineError(
                "\(folder.path) has no graph of CLIP: expected model.onnx with both towers, or text_model.onnx and vision_model.onnx.",
                kind: .missingFile)
        }
        let places = ["", "tokenizer/", "textual/", "text_model/", "text_encoder/", "text/"]
        guard let vocabulary = existing(places.flatMap { ["\($0)vocab.json", "\($0)tokenizer.json"] }) else {
            throw PipelineError(
                "\(folder.path) has no tokenizer: expected vocab.json and merges.txt, or tokenizer.json.", kind: .missingFile)
        }
        tokenizer = vocabulary.deletingLastPathComponent()
        if let file = existing(["", "feature_extractor/", "vision_model/", "visual/"].map { "\($0)preprocessor_config.json" }) {
            preprocessing = try CLIPPreprocessing(ConfigurationFile(contentsOf: file))
        } else if let file = existing(["open_clip_config.json", "visual/preprocess_cfg.json", "preprocess_cfg.json"]) {
            preprocessing = try CLIPPreprocessing(openCLIP: file)
        } else {
            throw PipelineError(
                "\(folder.path) has no preprocessor_config.json (or open_clip_config.json), which says how the model takes pictures.",
                kind: .missingFile)
        }
        tokenLimit =
            ["config.json", "text_model/config.json", "open_clip_config.json"].lazy.compactMap {
                Self.tokenLimit(folder.appendingPathComponent($0))
            }.first
    }

    /// What a configuration of transformers or open_clip says of the text tower; nil for nothing.
    private static func tokenLimit(_ file: URL) -> Int? {
        guard let bytes = try? BoundedFile.read(file, limit: 1 << 22),
            let json = JSONValue(parsing: String(decoding: bytes, as: UTF8.self))
        else { return nil }
        let stated =
            json["text_config"]?["max_position_embeddings"] ?? json["max_position_embeddings"]
            ?? (json["model_cfg"] ?? json)["text_cfg"]?["context_length"]
        guard let limit = stated?.whole, (3...65536).contains(limit) else { return nil }
        return Int(limit)
    }
}
