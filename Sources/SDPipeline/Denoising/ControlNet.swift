import Foundation
import GraphRuntime

/// A ControlNet (Zhang et al. 2023, "Adding Conditional Control to Text-to-Image Diffusion Models"): a copy of a U-Net's way down that also sees
/// a picture, whose results are added to the U-Net's skip connections and to its middle block.
struct ControlNet: Sendable {
    let component: Component
    private let inputs: NetworkInputs
    private let picture: InputDeclaration
    /// The strength as an input of the graph, which is given as 1: the results are multiplied here.
    private let scale: InputDeclaration?
    /// Names of the outputs, those for the skip connections in the order of the way down, then the middle block's.
    private let outputs: [String]
    /// Whether it was made for pictures of whose residuals only the mean counts, and so for the prompt's rows alone.
    let poolsConditions: Bool
    /// The SHA-256 of its graph.
    let hash: ModelHash

    private static let pictureNames = ["controlnet_cond", "control_image", "conditioning_image", "hint", "image"]
    private static let scaleNames = ["conditioning_scale", "controlnet_scale", "strength"]

    /// - Parameters:
    ///   - addedInputs: as of the U-Net.
    ///   - family: what messages call the model.
    /// - Throws: ``PipelineError`` for a graph that isn't a ControlNet's.
    init(_ files: ControlNetFiles, addedInputs: [String], family: String, options: SessionOptions) throws {
        let component = try Component("controlnet", file: files.graph, title: files.title, options: options)
        self.component = component
        guard let picture = component.optionalInput(Self.pictureNames) ?? Self.pictureByRank(component) else {
            throw PipelineError(
                "\(files.graph.path) takes \(component.session.inputs.map(\.name).joined(separator: ", ")), expected a ControlNet's inputs: sample, "
                    + "timestep, encoder_hidden_states and controlnet_cond.", kind: .unsupportedModel)
        }
        self.picture = picture
        scale = component.optionalInput(Self.scaleNames)
        inputs = try NetworkInputs(
            component, addedInputs: addedInputs, others: Set([picture.name, scale?.name].compactMap { $0 }), family: family)
        outputs = Self.ordered(component.session.outputs.map(\.name))
        guard outputs.count >= 2 else {
            throw PipelineError(
                "\(files.graph.path) gives \(outputs.joined(separator: ", ")), expected a ControlNet's outputs: one for each skip connection of a U-Net, "
                    + "and one for its middle block.", kind: .unsupportedModel)
        }
        hash = ModelHash(graphs: [files.graph])
        hash.start()
        poolsConditions = try files.configuration?.optionalFlag("global_pool_conditions") ?? false
    }

    /// A second input of four axes, after the latents.
    private static func pictureByRank(_ component: Component) -> InputDeclaration? {
        component.session.inputs.map(InputDeclaration.init).filter { $0.dimensions?.count == 4 && $0.name != "sample" }.last
    }

    /// The order of the file, in which the middle block's comes last; where a name says that it is the middle block's, it goes to the end.
    private static func ordered(_ names: [String]) -> [String] {
        let middles = names.filter { $0.lowercased().contains("mid") }
        guard middles.count == 1 else { return names }
        return names.filter { $0 != middles[0] } + middles
    }

    /// Residuals that it gives, the middle block's included.
    var count: Int { outputs.count }

    /// The batch that the export fixed; nil where any will do.
    var fixedBatch: Int? { inputs.fixedBatch }

    /// The channels that a residual is declared with.
    func declaredChannels(_ index: Int) -> Int? {
        let declaration = component.session.outputs.first { $0.name == outputs[index] }
        if case .tensor(_, let dimensions?)? = declaration?.type, dimensions.count == 4, case .fixed(let extent) = dimensions[1]
        {
            return extent
        }
        return nil
    }

    /// What rows are conditioned on, with the picture, by the names of the inputs.
    ///
    /// - Parameter pixels: [3, H, W] from 0 to 1.
    func tensors(of rows: [Conditioning], pixels: [Float], width: Int, height: Int) throws -> [String: Tensor] {
        var result = try inputs.tensors(of: rows)
        result[picture.name] = try picture.tensor(
            rows: Array(repeating: pixels[...], count: rows.count), shape: [rows.count, 3, height, width])
        if let scale {
            let shape = (scale.dimensions ?? []).map { dimension -> Int in
                if case .fixed(let extent) = dimension { extent } else { 1 }
            }
            result[scale.name] = try scale.tensor(Array(repeating: 1, count: shape.reduce(1, *)), shape: shape)
        }
        return result
    }

    /// The residuals for rows of noisy latents, in the order of the way down, the middle block's last: each [rows, C, h, w] float32.
    func residuals(
        _ latents: [ArraySlice<Float>], shape: [Int], timestep: Float, further: [String: Tensor],
        observer: (any RunObserver)?
    ) throws -> [Tensor] {
        let all = further.merging(try inputs.tensors(latents, shape: shape, timestep: timestep)) { $1 }
        return try component.outputs(outputs.map { [$0] }, of: all, observer: observer)
    }
}

/// Where a ControlNet's graph lies, and what lies beside it: nothing is loaded.
struct ControlNetFiles: Sendable, Hashable {
    let graph: URL
    private let configurationFile: URL?

    /// - Parameter url: the graph, a folder with it as `model.onnx`, or one with `controlnet/model.onnx`.
    /// - Throws: ``PipelineError`` where there is none.
    init(_ url: URL) throws(PipelineError) {
        func file(_ name: String) -> URL? {
            let file = url.appendingPathComponent(name)
            return FileStatus(file.path)?.kind == .file ? file : nil
        }
        switch FileStatus(url.path)?.kind {
        case .file?: graph = url
        case .folder?:
            guard let found = file("model.onnx") ?? file("controlnet/model.onnx") else {
                let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
                let weights = names.first { name in
                    [".safetensors", ".bin", ".pth", ".ckpt"].contains { name.hasSuffix($0) }
                }
                let what = weights.map { "has the weights \($0) and no graph" } ?? "has no model.onnx"
                throw PipelineError(
                    "\(url.path) \(what): expected the folder of an exported ControlNet (Tools/export-controlnet.py exports one).",
                    kind: .missingFile)
            }
            graph = found
        case nil: throw PipelineError("The ControlNet \(url.path) doesn't exist.", kind: .missingFile)
        default:
            throw PipelineError("\(url.path) is neither a file nor a folder, expected a ControlNet.", kind: .missingFile)
        }
        let beside = graph.deletingLastPathComponent().appendingPathComponent("config.json")
        configurationFile = FileStatus(beside.path)?.kind == .file ? beside : nil
    }

    /// Its name: the file's, or the folder's where the file is called `model.onnx`.
    var name: String {
        let file = graph.standardizedFileURL.resolvingSymlinksInPath()
        return file.lastPathComponent == "model.onnx"
            ? file.deletingLastPathComponent().lastPathComponent : file.deletingPathExtension().lastPathComponent
    }

    /// What messages call it.
    var title: String { "ControlNet \(name.shortened(to: 80))" }

    /// What its `config.json` says; nil where there is none, or it isn't a ControlNet's.
    var configuration: ConfigurationFile? {
        get throws {
            guard let configurationFile else { return nil }
            let file = try ConfigurationFile(contentsOf: configurationFile)
            // A graph may lie in a folder with something else's.
            let isOwn = try file.optionalString("_class_name")?.contains("ControlNet") ?? true
            return isOwn ? file : nil
        }
    }
}
