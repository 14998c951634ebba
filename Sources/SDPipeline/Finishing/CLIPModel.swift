import Foundation
import GraphRuntime
import Ops

/// A CLIP model (Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision"): texts and pictures become vectors,
/// whose cosine says how well they fit each other.
///
/// Folders are those of optimum (one graph), of transformers.js (`onnx/text_model.onnx` and `onnx/vision_model.onnx`) and of open_clip's towers
/// (`textual.onnx` and `visual.onnx`), with the tokenizer's files and `preprocessor_config.json` (of open_clip `open_clip_config.json`). Numbers
/// are those of transformers' `CLIPModel` and of open_clip's models.
public final class CLIPModel: Sendable {
    private let text: Component
    private let image: Component
    private let preprocessing: CLIPPreprocessing
    private let tokenizer: CLIPTokenizer
    private let tokenLimit: Int
    /// What cosines are multiplied by before they become shares: e to the `logit_scale` that the model learned. Nil where the files don't
    /// say it, as with two graphs; models of OpenAI and open_clip have learned 100, the most that training allows.
    public let logitScale: Double?

    private static let tokenInputs = ["input_ids", "text", "tokens"]
    private static let pixelInputs = ["pixel_values", "image", "images", "input"]
    private static let textOutputs = ["text_embeds", "text_features", "text_embedding", "embedding", "sentence_embedding"]
    private static let imageOutputs = ["image_embeds", "image_features", "image_embedding", "embedding"]

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: the model's folder.
    ///   - threads: the threads to run on.
    ///   - limits: what each graph may take of the machine.
    /// - Throws: ``PipelineError`` or ``TokenizerError`` with the file that is missing, malformed or can't be run.
    public init(folder: URL, threads: ThreadPool = ThreadPool(), limits: ResourceLimits = ResourceLimits()) throws {
        let files = try CLIPFiles(folder)
        var options = SessionOptions(threads: threads)
        options.limits = limits
        (text, image) = try Self.towers(files, options: options)
        preprocessing = files.preprocessing
        tokenizer = try CLIPTokenizer(folder: files.tokenizer)
        let ids = try text.input(Self.tokenInputs, position: 0)
        if let dimensions = ids.dimensions, dimensions.count == 2, case .fixed(let count) = dimensions[1] {
            tokenLimit = count
        } else {
            tokenLimit = min(files.tokenLimit ?? 77, tokenizer.maximumLength ?? .max)
        }
        guard (3...65536).contains(tokenLimit) else {
            throw PipelineError("The text tower takes \(tokenLimit) tokens, expected 3 to 65536.", kind: .unsupportedModel)
        }
        logitScale =
            if case .one(let file) = files.graphs {
                try Self.logitScale(
                    file, width: Self.vector(text, tokenizer.encode("", paddedTo: tokenLimit)).count, options: options)
            } else { nil }
    }

    /// Each tower by itself; of one graph the part that leads to its vectors.
    private static func towers(_ files: CLIPFiles, options: SessionOptions) throws -> (text: Component, image: Component) {
        switch files.graphs {
        case .two(let text, let image):
            return (
                try Component("text tower", file: text, options: options),
                try Component("image tower", file: image, options: options)
            )
        case .one(let file):
            func part(_ title: String, _ outputs: [String]) throws -> Component {
                try Component(title, file: file, options: options) { graph, _ in
                    let whole = graph
                    guard let part = outputs.lazy.compactMap({ whole.restricted(to: $0) }).first else {
                        throw PipelineError(
                            "\(file.path) has no value \(outputs[0]), expected a CLIP model's graph.", kind: .unsupportedModel)
                    }
                    graph = part
                }
            }
            return (try part("text tower", textOutputs), try part("image tower", imageOutputs))
        }
    }

    /// The vector of a text, of length 1. Texts beyond what the model takes are cut.
    ///
    /// - Throws: ``PipelineError`` where the graph can't be run, or answers no vector.
    public func embedding(of text: String) throws -> [Float] {
        try Self.vector(self.text, tokenizer.encode(text, paddedTo: tokenLimit))
    }

    /// The vector of a picture, of length 1.
    ///
    /// - Throws: ``PipelineError`` where the graph can't be run, or answers no vector.
    public func embedding(of picture: RGBImage) throws -> [Float] {
        let input = try image.input(Self.pixelInputs, position: 0)
        let (values, shape) = try preprocessing.values(of: picture)
        let count = try Self.rows(input, of: image)
        let tensor = try input.tensor(rows: Array(repeating: values[...], count: count), shape: [count] + shape)
        return try Self.unit(
            image.output(Self.vectors(image, Self.imageOutputs), of: [input.name: tensor], observer: nil), image.title)
    }

    /// The cosine of two vectors of length 1, -1 to 1.
    public static func cosine(_ first: [Float], _ second: [Float]) -> Double {
        zip(first, second).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    /// How much each text fits a picture, of 1 for all of them: the softmax of cosines times the scale.
    public static func shares(_ cosines: [Double], logitScale: Double) -> [Double] {
        let largest = cosines.max() ?? 0
        let weights = cosines.map { exp(($0 - largest) * logitScale) }
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }

    /// The rows that an export fixed, which all get the same.
    private static func rows(_ input: InputDeclaration, of tower: Component) throws -> Int {
        let count = input.fixedBatch ?? 1
        guard count <= 64 else {
            throw PipelineError("The \(tower.title) takes \(count) rows at once, expected 64 at most.", kind: .unsupportedModel)
        }
        return count
    }

    private static func vector(_ tower: Component, _ tokens: (ids: [Int], attentionMask: [Int])) throws -> [Float] {
        let ids = try tower.input(tokenInputs, position: 0)
        let count = try rows(ids, of: tower)
        func repeated(_ row: [Int]) -> [Int] { Array(repeating: row, count: count).flatMap { $0 } }
        let shape = [count, tokens.ids.count]
        var inputs = [ids.name: try ids.tensor(integers: repeated(tokens.ids), shape: shape)]
        if let mask = tower.optionalInput(["attention_mask"]) {
            inputs[mask.name] = try mask.tensor(integers: repeated(tokens.attentionMask), shape: shape)
        }
        return try unit(tower.output(vectors(tower, textOutputs), of: inputs, observer: nil), tower.title)
    }

    /// The names that outputs with vectors may have: the known ones, then those of the graph's outputs that have two axes.
    private static func vectors(_ tower: Component, _ names: [String]) -> [String] {
        names
            + tower.session.outputs.compactMap {
                if case .tensor(_, let dimensions?)? = $0.type, dimensions.count == 2 { $0.name } else { nil }
            }
    }

    /// The first row, divided by its length.
    private static func unit(_ tensor: Tensor, _ title: String) throws -> [Float] {
        guard tensor.shape.rank == 2, tensor.shape[0] >= 1, tensor.shape[1] >= 1 else {
            throw PipelineError(
                "The \(title) answers \(tensor.shape), expected vectors, [pictures or texts, width].", kind: .unsupportedModel)
        }
        let row = try tensor.array(of: Float.self).prefix(tensor.shape[1])
        let length = row.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
        guard length > 0 else {
            throw PipelineError("The \(title) answers a vector of zeros, which has no direction.", kind: .failedRun)
        }
        return row.map { Float(Double($0) / length) }
    }

    /// What the whole graph makes of two equal vectors, whose cosine is 1; nil where its comparison can't be told apart from its towers.
    private static func logitScale(_ file: URL, width: Int, options: SessionOptions) throws -> Double? {
        let names = ["image_embeds", "text_embeds"]
        let part = try Component("comparison", file: file, options: options) { graph, _ in
            graph = graph.restricted(to: "logits_per_image", given: names) ?? graph
        }
        guard part.session.inputs.map(\.name).sorted() == names else { return nil }
        var vector = [Float](repeating: 0, count: width)
        vector[0] = 1
        var inputs: [String: Tensor] = [:]
        for name in names { inputs[name] = try part.input([name], position: 0).tensor(vector, shape: [1, width]) }
        let scale = Double(
            try part.output(["logits_per_image"], of: inputs, observer: nil).array(of: Float.self).first ?? 0)
        return scale > 0 ? scale : nil
    }
}
