import Foundation
import GraphRuntime
import SDPipeline
import Synchronization

/// The models that there are, of which one at a time is loaded.
final class ModelStore: Sendable {
    struct Settings: Sendable {
        var threads: Int
        var savesMemory: Bool
        var precision: Precision
        var limits: ResourceLimits
    }

    let models: [ServedModel]
    private let settings: Settings
    private let threads: ThreadPool
    private let state: Mutex<State>

    private struct State {
        /// The one of requests that name none.
        var chosen: Int
        var loaded: (name: String, pipeline: StableDiffusionPipeline)?
        var clipSkip: Int?
    }

    /// - Throws: ``PipelineError`` for a folder that holds no model that can be run.
    init(folders: [URL], settings: Settings) throws {
        var models: [ServedModel] = []
        for folder in folders {
            let configuration = try PipelineConfiguration(modelFolder: folder)
            let name = configuration.folder.url.standardizedFileURL.resolvingSymlinksInPath().lastPathComponent
            let same = models.count { $0.name == name || $0.name.hasPrefix(name + "-") }
            models.append(ServedModel(name: same == 0 ? name : "\(name)-\(same + 1)", configuration: configuration))
        }
        self.models = models
        self.settings = settings
        threads = ThreadPool(threadCount: settings.threads)
        state = Mutex(State(chosen: 0))
    }

    /// The model of requests that name none.
    var chosen: ServedModel { models[state.withLock { $0.chosen }] }

    func choose(_ model: ServedModel) {
        guard let index = models.firstIndex(where: { $0 === model }) else { return }
        state.withLock { $0.chosen = index }
    }

    /// Layers of the text encoder to leave out, of requests that say nothing about it; nil for the model's own.
    var clipSkip: Int? {
        get { state.withLock { $0.clipSkip } }
        set { state.withLock { $0.clipSkip = newValue } }
    }

    /// The model of a name, or of its hash.
    func model(_ name: String) -> ServedModel? {
        let name = name.lowercased()
        return models.first { $0.name.lowercased() == name }
            ?? models.first { model in
                guard let hash = model.sha256, name.count >= 8 else { return false }
                return hash.hasPrefix(name) || name.contains(hash.prefix(10))
            }
    }

    /// The name of the model that is loaded.
    var loadedName: String? { state.withLock { $0.loaded?.name } }

    /// Loads a model, in the place of another. One at a time asks for it.
    func pipeline(for model: ServedModel) throws -> StableDiffusionPipeline {
        if let loaded = state.withLock({ $0.loaded }), loaded.name == model.name { return loaded.pipeline }
        // What the last one took makes room.
        unload()
        let pipeline = try StableDiffusionPipeline(
            model.configuration, threads: threads, savesMemory: settings.savesMemory, precision: settings.precision,
            limits: settings.limits)
        state.withLock { $0.loaded = (model.name, pipeline) }
        return pipeline
    }

    func unload() { state.withLock { $0.loaded = nil } }
}
