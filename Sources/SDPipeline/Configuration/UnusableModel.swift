import Foundation
import ONNXLoader

/// What people name in the place of an exported pipeline's folder, and the sentence that leads from there to one.
enum UnusableModel {
    /// Endings of checkpoints that hold a whole pipeline, or one of its parts, for other programs.
    private static let checkpoints = ["safetensors", "ckpt", "pt", "pth", "bin", "gguf", "pkl"]

    /// Why there is no pipeline at `url`.
    static func error(_ url: URL) -> PipelineError {
        let path = url.path
        let kind = FileStatus(path)?.kind
        let (exists, isFolder) = (kind != nil, kind == .folder)
        if !exists, let name = hubName(url) {
            return PipelineError(
                "There is no model folder \(path): if \(name) is a model on the Hugging Face Hub, export it first, with "
                    + "\(command(name)).", kind: .missingFile)
        }
        if checkpoints.contains(url.pathExtension.lowercased()), !isFolder {
            return PipelineError(
                "\(path) is a checkpoint in one file, expected the folder of an exported pipeline: load it in Python with "
                    + "diffusers' StableDiffusionPipeline.from_single_file, save that with save_pretrained, and export the folder, with "
                    + "\(ExportCommand.pipeline("FOLDER", to: "FOLDER-onnx")).", kind: exists ? .unsupportedModel : .missingFile
            )
        }
        guard exists else { return PipelineError("There is no model folder \(path).", kind: .missingFile) }
        guard isFolder else {
            let graph = url.pathExtension.lowercased() == "onnx" ? "one graph" : "a file"
            return PipelineError(
                "\(path) is \(graph), expected a model folder with model_index.json in it.", kind: .unsupportedModel)
        }
        if hasWeights(url) {
            return PipelineError(
                "\(path) holds weights of one PyTorch model, and no model_index.json: export the pipeline that it belongs to, with "
                    + "\(ExportCommand.pipeline("MODEL", to: "FOLDER")).", kind: .unsupportedModel)
        }
        return PipelineError(
            "\(path) has no model_index.json: it isn't the folder of a Stable Diffusion pipeline.", kind: .missingFile)
    }

    /// Why a component of the pipeline at `folder` has no graph.
    static func missingGraph(of component: String, in folder: URL) -> PipelineError {
        let parts = [
            component, component.replacingOccurrences(of: "_decoder", with: "").replacingOccurrences(of: "_encoder", with: ""),
        ]
        guard parts.contains(where: { hasWeights(folder.appendingPathComponent($0)) }) else {
            return PipelineError("\(folder.path) has no \(component)/model.onnx.", kind: .missingFile)
        }
        return PipelineError(
            "\(folder.path) has no \(component)/model.onnx: it is a diffusers folder with weights of PyTorch, which has to be exported "
                + "first, with \(ExportCommand.pipeline(folder.path, to: folder.lastPathComponent + "-onnx")).",
            kind: .unsupportedModel)
    }

    private static func hasWeights(_ folder: URL) -> Bool {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.contains { name in
            checkpoints.contains { name.lowercased().hasSuffix("." + $0) } || name.hasSuffix(".safetensors.index.json")
        }
    }

    private static func command(_ name: String) -> String {
        ExportCommand.pipeline(name, to: (name.split(separator: "/").last.map(String.init) ?? name) + "-onnx")
    }

    /// `organisation/name`, as the hub names models, where the path was given so.
    private static func hubName(_ url: URL) -> String? {
        let given = url.relativePath
        let parts = given.split(separator: "/", omittingEmptySubsequences: false)
        let isName =
            parts.count == 2
            && parts.allSatisfy { part in
                !part.isEmpty && part.first != "."
                    && part.utf8.allSatisfy { byte in
                        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
                            || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || "._-".utf8.contains(byte)
                    }
            }
        return isName ? given : nil
    }
}
