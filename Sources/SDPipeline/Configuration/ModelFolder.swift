import Foundation

/// A pipeline's folder as optimum or diffusers export it: `model_index.json`, and for each component a folder with its graph and
/// its configuration.
public struct ModelFolder: Sendable {
    /// The folder.
    public let url: URL
    /// The diffusers pipeline class that `model_index.json` names, such as `StableDiffusionPipeline`.
    public let pipelineClass: String
    /// What `model_index.json` says.
    let index: ConfigurationFile

    /// - Throws: ``PipelineError`` where the folder or its `model_index.json` is missing or malformed.
    public init(_ url: URL) throws {
        let index = url.appendingPathComponent("model_index.json")
        guard FileManager.default.fileExists(atPath: index.path) else { throw UnusableModel.error(url) }
        self.url = url
        self.index = try ConfigurationFile(contentsOf: index)
        pipelineClass = try self.index.optionalString("_class_name") ?? "StableDiffusionPipeline"
    }

    /// The graph of a component.
    ///
    /// - Throws: ``PipelineError`` where it is missing.
    public func graph(of component: String) throws(PipelineError) -> URL {
        let file = url.appendingPathComponent(component).appendingPathComponent("model.onnx")
        guard FileManager.default.fileExists(atPath: file.path) else {
            throw UnusableModel.missingGraph(of: component, in: url)
        }
        return file
    }

    /// Whether the model has a component: `model_index.json` may say that it has none, and older ones don't list all.
    func has(_ component: String) -> Bool {
        if index.has(component), !index.namesComponent(component) { return false }
        return (try? graph(of: component)) != nil
    }

    /// The configuration of a component: the first of `folders` that has a `config.json`; nil where none has, as with exports of
    /// diffusers' own script, whose graphs alone say what there is to know.
    func configuration(of folders: String...) throws(PipelineError) -> ConfigurationFile? {
        for folder in folders {
            let file = url.appendingPathComponent(folder).appendingPathComponent("config.json")
            if FileManager.default.fileExists(atPath: file.path) { return try ConfigurationFile(contentsOf: file) }
        }
        return nil
    }

    /// The folder of a tokenizer.
    ///
    /// - Parameter name: its folder's name; models with two text encoders have a `tokenizer_2`.
    /// - Throws: ``PipelineError`` where it is missing.
    public func tokenizer(_ name: String = "tokenizer") throws(PipelineError) -> URL {
        let folder = url.appendingPathComponent(name)
        guard FileManager.default.fileExists(atPath: folder.path) else {
            throw PipelineError("\(url.path) has no folder \(name).", kind: .missingFile)
        }
        return folder
    }

    /// - Throws: ``PipelineError`` where it is missing.
    func schedulerConfiguration() throws(PipelineError) -> URL {
        let file = url.appendingPathComponent("scheduler/scheduler_config.json")
        guard FileManager.default.fileExists(atPath: file.path) else {
            throw PipelineError("\(url.path) has no scheduler/scheduler_config.json.", kind: .missingFile)
        }
        return file
    }

    /// The model's scheduler settings. Those of Stable Diffusion 1.x and 2.x are changed as diffusers does on loading, for models
    /// saved before these settings existed.
    ///
    /// - Throws: ``PipelineError`` where the file is missing, ``SchedulerError`` where it is malformed.
    public func schedulerSettings() throws -> SchedulerConfiguration {
        let configuration = try SchedulerConfiguration(contentsOf: schedulerConfiguration())
        let family = try? ModelFamily.of(self)
        return family?.adjustsSchedulerSettings == true ? configuration.adjustedForStableDiffusion() : configuration
    }

    /// Where the model lies that runs when none is named: `SD_ONNX_MODEL`, or the embedded one, `Models/emoji`, looked up from the
    /// program's place upwards (a build inside of the checkout) and in `../share/sd-onnx/` (an installation).
    ///
    /// - Throws: ``PipelineError`` where there is none.
    public static func defaultURL(environment: [String: String] = ProcessInfo.processInfo.environment) throws -> URL {
        if let given = environment["SD_ONNX_MODEL"], !given.isEmpty {
            let path = HomeFolder.expanding(given, environment: environment)
            guard FileManager.default.fileExists(atPath: path) else {
                throw PipelineError("SD_ONNX_MODEL names the model folder \(path), which doesn't exist.", kind: .missingFile)
            }
            return URL(fileURLWithPath: path)
        }
        let program = Bundle.main.executableURL?.resolvingSymlinksInPath() ?? URL(fileURLWithPath: CommandLine.arguments[0])
        var folder = program.deletingLastPathComponent()
        var candidates = [folder.appendingPathComponent("../share/sd-onnx/Models/emoji").standardizedFileURL]
        while folder.path != "/" {
            candidates.append(folder.appendingPathComponent("Models/emoji"))
            folder.deleteLastPathComponent()
        }
        let found = candidates.first {
            FileManager.default.fileExists(atPath: $0.appendingPathComponent("model_index.json").path)
        }
        guard let found else {
            throw PipelineError(
                "The embedded model isn't beside the program: name a model folder, or set SD_ONNX_MODEL to one.",
                kind: .missingFile)
        }
        return found
    }
}
