import Foundation
import GraphRuntime
import Metrics
import SDPipeline
import Synchronization

/// The models that there are, of which one at a time is loaded.
final class ModelStore: Sendable {
    struct Settings: Sendable {
        var threads: Int
        var savesMemory: Bool
        var precision: Precision
        var weights: WeightFormat
        var panelCache: PanelCache?
        var limits: ResourceLimits
        /// Is told what a person may want to know of a model that was loaded: a sentence.
        var report: @Sendable (String) -> Void
    }

    /// A model with LoRAs.
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

    /// Loads a model, in the place of another, and gives it LoRAs. One at a time asks for it.
    ///
    /// Requests with the same LoRAs have weights of their own. Others give the graphs that are loaded other LoRAs, from the model's own weights,
    /// so that what was asked for before changes nothing, not even the last bits.
    func load(_ model: ServedModel, adapters names: [String] = []) throws -> Loaded {
        let generation = adapters.generation
        let before = state.withLock { $0.loaded }.flatMap { $0.name == model.name ? $0 : nil }
        if let before, before.adapters == names, names.isEmpty || before.generation == generation { return before }
        let loras = try adapters.loras(names)
        let pipeline = try before?.pipeline ?? load(model)
        let loaded = try adapters.withoutPaths {
            let adapted = loras.isEmpty && before == nil ? pipeline : try pipeline.with(loras: loras)
            return Loaded(
                name: model.name, adapters: names, generation: generation, configuration: adapted.configuration,
                pipeline: adapted)
        }
        state.withLock { $0.loaded = loaded }
        return loaded
    }

    private func load(_ model: ServedModel) throws -> StableDiffusionPipeline {
        // What the last one took makes room.
        unload()
        defer { Counter(label: "sd_onnx_model_loads_total").increment() }
        let pipeline = try StableDiffusionPipeline(
            adapters.isOpen ? try model.configurationForLoRAs : model.configuration, threads: threads,
            savesMemory: settings.savesMemory, precision: settings.precision, weights: settings.weights,
            panelCache: settings.panelCache, limits: settings.limits)
        for notice in pipeline.modelNotices { settings.report("\(notice)") }
        return pipeline
    }

    func unload() { state.withLock { $0.loaded = nil } }
}
