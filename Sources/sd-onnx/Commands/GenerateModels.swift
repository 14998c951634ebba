import Foundation
import GraphRuntime
import SDPipeline

extension GenerateCommand {
    /// Prompts in which tags name adapters.
    var promptsWithTags: [String] { [promptText] + (hires.hiresPrompt.map { [$0] } ?? []) }
}

/// The model of several commands in a row, loaded again where one of them asks for another.
final class GenerateModels {
    /// The prompts of all commands that read tags, which name adapters.
    private let prompts: [String]
    private var configurationKey: [String]?
    private var configuration: PipelineConfiguration?
    private var pipelineKey: [String]?
    private var loaded: (pipeline: StableDiffusionPipeline, pool: ThreadPool)?
    private var loadedCLIP: (path: String, model: CLIPModel)?

    /// - Parameter others: more prompts that name adapters.
    init(_ commands: [GenerateCommand], prompts others: [String] = []) {
        prompts = commands.filter { $0.prompting.syntax.promptSyntax != .plain }.flatMap(\.promptsWithTags) + others
    }

    func configuration(for command: GenerateCommand) throws -> PipelineConfiguration {
        let (parts, embeddings) = (command.parts, command.parts.learned.embedding)
        let key =
            [command.model.model, parts.vae, parts.refiner].map { $0 ?? "" } + [command.tokenizer.convention.rawValue]
            + embeddings.flatMap { [$0.name, $0.path] } + parts.adapters.key
        if let configuration, key == configurationKey { return configuration }
        // What the last one took makes room.
        (configuration, loaded, pipelineKey) = (nil, nil, nil)
        let made = try parts.configuration(command.model, command.tokenizer, prompts: prompts)
        (configuration, configurationKey) = (made, key)
        return made
    }

    func pipeline(for command: GenerateCommand) throws -> (pipeline: StableDiffusionPipeline, pool: ThreadPool) {
        let configuration = try configuration(for: command)
        let key = ["\(command.threads)", "\(command.memory)", "\(command.numbers)"]
        if let loaded, key == pipelineKey { return loaded }
        loaded = nil
        let pool = try command.threads.makePool()
        let made = (
            pipeline: try StableDiffusionPipeline(
                configuration, threads: pool, savesMemory: command.memory.savesMemory, precision: command.numbers.precision,
                halfRounding: command.numbers.half.halfRounding, weights: command.numbers.weights,
                panelCache: try command.memory.panelCache(), limits: command.memory.limits), pool: pool
        )
        (loaded, pipelineKey) = (made, key)
        if !command.quiet { for notice in made.pipeline.modelNotices { StandardStreams.printError("\(notice)") } }
        return made
    }

    /// The model that chooses the best picture; nil where nothing is to be chosen.
    ///
    /// - Throws: what loading it throws.
    func clip(for command: GenerateCommand) throws -> CLIPModel? {
        guard command.best.bestOf != nil, let path = command.best.clip else { return nil }
        if let loadedCLIP, loadedCLIP.path == path { return loadedCLIP.model }
        let model = try CLIPModel(
            folder: URL(fileURLWithPath: path), threads: try command.threads.makePool(), limits: command.memory.limits)
        loadedCLIP = (path, model)
        return model
    }
}
