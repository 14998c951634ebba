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

    /// A model with the LoRAs that it was loaded with.
    struct Loaded: Sendable {
        let name: String
        /// In the order of their names; how much each counts is each request's.
        let adapters: [String]
        /// When they were read, see ``AdapterStore/generation``.
        let generation: Int
        let configuration: PipelineConfiguration
        let pipeline: StableDiffusionPipeline
    }

    let models: [ServedModel]
    let adapters: AdapterStore
    private let settings: Settings
    let threads: ThreadPool
    private let state: Mutex<State>

    private struct State {
        /// The one of requests that name none.
        var chosen: Int
        var loaded: Loaded?
        var clipSkip: Int?
    }

    /// - Throws: ``PipelineError`` for a folder that holds no model that can be run.
    init(folders: [URL], adapters: AdapterStore, settings: Settings) throws {
        var models: [ServedModel] = []
        for folder in folders {
            let configuration = try PipelineConfiguration(modelFolder: folder)
            let name = configuration.folder.url.standardizedFileURL.resolvingSymlinksInPath().lastPathComponent
            let same = models.count { $0.name == name || $0.name.hasPrefix(name + "-") }
            models.append(ServedModel(name: same == 0 ? name : "\(name)-\(same + 1)", configuration: configuration))
        }
        self.models = models
        self.adapters = adapters
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

    /// Loads a model with LoRAs, in the place of another. One at a time asks for it.
    ///
    /// Requests with the same LoRAs share the graphs and their plans, each with weights of its own. Those with others have the model loaded
    /// anew, with these alone, so that what was asked for before changes nothing, not even the last bits.
    func load(_ model: ServedModel, adapters names: [String] = []) throws -> Loaded {
        let generation = adapters.generation
        if let before = state.withLock({ $0.loaded }), before.name == model.name, before.adapters == names,
            names.isEmpty || before.generation == generation
        {
            return before
        }
        let loras = try adapters.loras(names)
        // What the last one took makes room.
        unload()
        let loaded = try adapters.withoutPaths {
            let configuration = loras.isEmpty ? model.configuration : try model.configuration(with: loras)
            return Loaded(
                name: model.name, adapters: names, generation: generation, configuration: configuration,
                pipeline: try StableDiffusionPipeline(
                    configuration, threads: threads, savesMemory: settings.savesMemory, precision: settings.precision,
                    limits: settings.limits))
        }
        state.withLock { $0.loaded = loaded }
        return loaded
    }

    func unload() { state.withLock { $0.loaded = nil } }
}
