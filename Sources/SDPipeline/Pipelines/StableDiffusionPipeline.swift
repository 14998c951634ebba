import Foundation
import GraphRuntime
import Synchronization

/// Text to picture with a Stable Diffusion model in ONNX form (Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion
/// Models", 2022), with the conventions of diffusers' `StableDiffusionPipeline`: same seed and settings, same picture.
///
/// Safe to use from several threads at once.
public final class StableDiffusionPipeline: Sendable {
    /// What the model's files say.
    public let configuration: PipelineConfiguration
    private let promptEncoder: PromptEncoder
    /// Those of other layers, by the clip skip, loaded when they are first asked for.
    private let otherPromptEncoders: Mutex<[Int: PromptEncoder]>
    private let unets: UNets
    private let controlNets: Mutex<[ControlNetFiles: ControlNet]>
    private let superResolutionNetworks: Mutex<[URL: SuperResolutionNetwork]>
    let codec: LatentCodec
    /// The pipeline that takes the last steps.
    let refiner: StableDiffusionPipeline?
    let options: SessionOptions
    let loadedSafetyChecker: Mutex<SafetyChecker?>
    /// The linear map of live previews, fitted when it is first asked for.
    private let fittedProjection: Mutex<LatentProjection?>
    /// What of its adapters the model hasn't, and how their places were found; and that its weights take much of the memory.
    public let modelNotices: [GenerationNotice]
    /// The SHA-256 of the model's files, read beside the first pictures.
    public let modelHash: ModelHash
    /// The SHA-256 of the graphs of another autoencoder than the model's own.
    let vaeHash: ModelHash

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - url: a folder as optimum or diffusers export it; nil takes ``ModelFolder/defaultURL(environment:)``.
    ///   - threads: the threads to run on.
    ///   - optimize: see ``/GraphRuntime/SessionOptions/optimize``.
    ///   - savesMemory: see ``/GraphRuntime/SessionOptions/savesMemory``.
    ///   - precision: see ``/GraphRuntime/SessionOptions/precision``.
    ///   - limits: what each graph may take of the machine.
    ///   - halfRounding: see ``/GraphRuntime/SessionOptions/halfRounding``.
    ///   - weights: see ``/GraphRuntime/SessionOptions/weights``.
    ///   - panelCache: see ``/GraphRuntime/SessionOptions/panelCache``.
    /// - Throws: ``PipelineError``, ``SchedulerError`` or ``TokenizerError`` with the file that is missing or malformed.
    public convenience init(
        modelFolder url: URL? = nil, threads: ThreadPool = ThreadPool(), optimize: Bool = true, savesMemory: Bool = false,
        precision: Precision = .single, halfRounding: HalfRounding = .outputs, weights: WeightFormat = .stored,
        panelCache: PanelCache? = nil, limits: ResourceLimits = ResourceLimits()
    ) throws {
        try self.init(
            PipelineConfiguration(modelFolder: url), threads: threads, optimize: optimize, savesMemory: savesMemory,
            precision: precision, halfRounding: halfRounding, weights: weights, panelCache: panelCache, limits: limits)
    }

    /// Loads the graphs of a model whose configuration has been read.
    ///
    /// - Throws: ``PipelineError`` with the file that is malformed or can't be run.
    public init(
        _ configuration: PipelineConfiguration, threads: ThreadPool = ThreadPool(), optimize: Bool = true,
        savesMemory: Bool = false, precision: Precision = .single, halfRounding: HalfRounding = .outputs,
        weights: WeightFormat = .stored, panelCache: PanelCache? = nil, limits: ResourceLimits = ResourceLimits()
    ) throws {
        self.configuration = configuration
        let folder = configuration.folder
        var options = SessionOptions(
            optimize: optimize, threads: threads, savesMemory: savesMemory, precision: precision, halfRounding: halfRounding,
            weights: weights, panelCache: panelCache)
        options.steadyInputs = UNet.steadyInputs
        options.limits = limits
        self.options = options
        modelHash = ModelHash(folder)
        let vae = configuration.vaeFolder
        vaeHash = ModelHash(graphs: [vae.decoder] + (vae.encoder.map { [$0] } ?? []))
        promptEncoder = try PromptEncoder(configuration, clipSkip: nil, options: options)
        unets = try UNets(configuration, options: options)
        otherPromptEncoders = Mutex([:])
        controlNets = Mutex([:])
        superResolutionNetworks = Mutex([:])
        loadedSafetyChecker = Mutex(nil)
        fittedProjection = Mutex(nil)
        codec = try LatentCodec(configuration.vaeFolder, configuration: configuration.vae, options: options)
        refiner = try configuration.refiner.map {
            try StableDiffusionPipeline(
                $0, threads: threads, optimize: optimize, savesMemory: savesMemory, precision: precision,
                halfRounding: halfRounding, weights: weights, panelCache: panelCache, limits: limits)
        }
        modelNotices = try Self.notices(configuration, promptEncoder, unets, refiner)
    }

    /// The same model with other LoRAs, or none. Nothing is loaded again: graphs, plans and weights are shared, and the next run merges
    /// and packs the layers that differ from those of the run before.
    ///
    /// Two things are loaded once more: the U-Net and text encoders of a pipeline that was made without LoRAs and without
    /// `takesLoRAs` (see ``PipelineConfiguration/init(modelFolder:tokenizer:vae:refiner:embeddings:loras:takesLoRAs:)``), and those in which
    /// a LoRA changes what none did before: a bias, or a quantised weight.
    ///
    /// Pipelines with different LoRAs can run at once, but take turns at every evaluation, and change the weights each time: one after
    /// the other is faster.
    ///
    /// - Parameter loras: whose names differ.
    /// - Throws: ``PipelineError`` where two have one name, or one finds no place in the model. One whose shapes aren't the model's fails the
    ///   first run that it counts in.
    public func with(loras: [LoRA]) throws -> StableDiffusionPipeline {
        try StableDiffusionPipeline(self, configuration.with(loras: loras))
    }

    private init(_ other: StableDiffusionPipeline, _ configuration: PipelineConfiguration) throws {
        self.configuration = configuration
        options = other.options
        (modelHash, vaeHash, codec, refiner) = (other.modelHash, other.vaeHash, other.codec, other.refiner)
        promptEncoder = try other.promptEncoder.with(configuration, clipSkip: nil, options: options)
        // Those that don't take the adapters are loaded when they are asked for.
        let others = other.otherPromptEncoders.withLock { $0 }
        otherPromptEncoders = Mutex(
            try others.compactMapValues { encoder in
                let adapted = try encoder.encoders.compactMap { try $0.with(configuration.adapters) }
                return adapted.count == encoder.encoders.count ? PromptEncoder(adapted) : nil
            })
        unets = UNets(other.unets, with: configuration)
        modelNotices = try Self.notices(configuration, promptEncoder, unets, refiner)
        controlNets = Mutex(other.controlNets.withLock { $0 })
        superResolutionNetworks = Mutex(other.superResolutionNetworks.withLock { $0 })
        loadedSafetyChecker = Mutex(other.loadedSafetyChecker.withLock { $0 })
        fittedProjection = Mutex(other.fittedProjection.withLock { $0 })
    }

    private static func notices(
        _ configuration: PipelineConfiguration, _ encoder: PromptEncoder, _ unets: UNets, _ refiner: StableDiffusionPipeline?
    ) throws -> [GenerationNotice] {
        let unet = try unets.current()
        let adapters = try configuration.adapters.notices(
            encoder.encoders.map { ($0.component.title, $0.mix) } + [(unet.component.title, unet.mix)])
        let weights =
            try keptWeightBytes(encoder, unets) + (refiner.map { try keptWeightBytes($0.promptEncoder, $0.unets) } ?? 0)
        // The rest is for values between nodes, and for the VAE's weights.
        let isScarce = weights > AvailableMemory.total / 4 * 3
        return adapters + (isScarce ? [.memoryScarce(weights: weights, memory: AvailableMemory.total)] : [])
    }

    private static func keptWeightBytes(_ encoder: PromptEncoder, _ unets: UNets) throws -> Int {
        let unet = try unets.current().component
        return (encoder.encoders.map(\.component) + [unet]).reduce(0) { $0 + $1.session.keptWeightBytes }
    }

    /// Makes pictures.
    ///
    /// - Parameters:
    ///   - request: what to make.
    ///   - observer: watches every node of every graph.
    ///   - progress: called after each part; false stops the generation with `CancellationError`.
    /// - Throws: ``PipelineError`` for a request that the model can't meet and for numbers that aren't finite, ``SchedulerError`` for
    ///   scheduler settings, `CancellationError` also where the task that this runs in is cancelled: between two nodes of a graph.
    public func generate(
        _ request: GenerationRequest, observer: (any RunObserver)? = nil, progress: (GenerationProgress) -> Bool = { _ in true }
    ) throws -> GenerationResult {
        try generate(
            Section.time("tokenizer", for: observer) { try configuration.plan(for: request) }, observer: observer,
            progress: progress)
    }

    /// Makes the pictures of a plan that this model's ``PipelineConfiguration/plan(for:startingFrom:)`` made.
    ///
    /// Parameters and errors are those of ``generate(_:observer:progress:)-(GenerationRequest,_,_)``.
    public func generate(
        _ plan: GenerationPlan, observer: (any RunObserver)? = nil, progress: (GenerationProgress) -> Bool = { _ in true }
    ) throws -> GenerationResult {
        func report(_ state: GenerationProgress) throws {
            try Task.checkCancellation()
            if !progress(state) { throw CancellationError() }
        }
        try report(.encodingPrompt)
        var run = try GenerationRun(plan, pipeline: self, observer: observer)
        let (request, total) = (plan.request, run.total)
        let kept = try request.previewInterval.map {
            (interval: max($0, 1), previews: try Previews(.vae, codec: run.codec, options: options, known: fittedProjection))
        }
        let live = try request.livePreview.map {
            (
                interval: max($0.interval, 1),
                previews: try Previews($0.method, codec: run.codec, options: options, known: fittedProjection)
            )
        }
        var pictures: [(evaluations: Int, images: [RGBImage])] = []
        repeat {
            let completed = run.completed
            try report(.step(completed: completed, total: total))
            if let kept, completed % kept.interval == 0 || completed == total {
                pictures.append((completed, try kept.previews.images(run.scaledLatents, observer: observer)))
            }
            if let live, completed > 0, completed < total, completed % live.interval == 0 {
                let images = try live.previews.images(run.scaledLatents)
                try report(.preview(completed: completed, total: total, images: images))
            }
        } while try run.next(observer: observer)
        return try run.finish(previews: pictures, observer: observer) {
            try report(.decoding(completed: $0, total: plan.latentShape[0]))
        }
    }

    /// The U-Net with what takes part in its prediction.
    ///
    /// - Parameter region: the part of the picture that is made; nil for all of it.
    func predictor(_ plan: GenerationPlan, region: PictureRegion?) throws -> any RowPredictor {
        let (unet, controls) = (try unets.unet(plan), plan.request.controls)
        var result: any RowPredictor = unet
        if !controls.isEmpty || unet.builtIn != nil {
            let parts = try controls.map { control in
                ControlledUNet.Part(
                    network: try ControlPlan.files(control, configuration).map(controlNet),
                    pixels: try control.pixels(width: plan.width, height: plan.height, region: region), control: control)
            }
            result = try ControlledUNet(
                unet, parts: parts, width: plan.width, height: plan.height, latentChannels: configuration.latentChannels,
                firstIndex: plan.firstIndex, total: plan.scheduler.timesteps.count - plan.firstIndex)
        }
        if let freeU = plan.request.freeU { result = FreeUNet(predictor: result, factors: try Tensor(freeU.values)) }
        return result
    }

    /// A ControlNet, loaded when it is first asked for.
    private func controlNet(_ files: ControlNetFiles) throws -> ControlNet {
        if let known = controlNets.withLock({ $0[files] }) { return known }
        let made = try ControlNet(
            files, addedInputs: configuration.family.addedConditions?.inputNames ?? [],
            family: "a ControlNet of a \(configuration.family.name)", options: options)
        controlNets.withLock { $0[files] = made }
        return made
    }

    /// A network that enlarges pictures, loaded when it is first asked for.
    func superResolutionNetwork(_ url: URL) throws -> SuperResolutionNetwork {
        if let known = superResolutionNetworks.withLock({ $0[url] }) { return known }
        let made = try SuperResolutionNetwork(contentsOf: url, options: options)
        superResolutionNetworks.withLock { $0[url] = made }
        return made
    }

    /// The hash of a ControlNet that was loaded.
    func controlNetHash(_ files: ControlNetFiles) -> String? { controlNets.withLock { $0[files] }?.hash.value }

    /// Gives back the memory of values that the networks of the steps keep for the next run.
    func releaseNetworks() {
        unets.releaseMemory()
        for network in controlNets.withLock({ Array($0.values) }) { network.component.session.releaseMemory() }
    }

    /// The steps of a run, as an asynchronous sequence that computes them when they are asked for.
    public func steps(_ request: GenerationRequest) -> GenerationSteps { GenerationSteps(pipeline: self, request: request) }

    /// The pictures of a step, through the VAE decoder.
    ///
    /// - Throws: ``PipelineError`` where the decoder can't run.
    public func preview(of step: GenerationStep) throws -> [RGBImage] { try codec.decode(step.scaledLatents, observer: nil) }

    /// What the U-Net is conditioned on by each of the plan's texts; nil for those of a negative prompt that takes no part.
    func conditionings(_ plan: GenerationPlan, observer: (any RunObserver)?) throws -> [Conditioning?] {
        let program = plan.program
        let unused = plan.isGuided ? 0 : program.negativeTextCount
        let texts = Array(program.texts.dropFirst(unused)) + (program.blend.map { [$0.text] } ?? [])
        var states = try promptEncoder(clipSkip: plan.request.clipSkip).encode(
            texts, empty: configuration.tokenizers.emptyChunk, strengths: plan.adapterWeights.textStrengths, observer: observer)
        if let share = program.blend?.share, let other = states.popLast(), let own = states.popLast() {
            states.append(own.mixed(with: other, share: share))
        }
        return Array(repeating: nil, count: unused)
            + (try states.enumerated().map { index, states in
                let isNegative = unused + index < program.negativeTextCount
                let isEmpty = isNegative && plan.request.negativePrompt == nil && configuration.zerosEmptyNegativePrompt
                return try conditioning(of: isEmpty ? states.zeros : states, plan, isNegative: isNegative)
            })
    }

    private func promptEncoder(clipSkip: Int?) throws -> PromptEncoder {
        guard let clipSkip, configuration.family.textEncoders.contains(where: { $0.states.clipSkip != clipSkip }) else {
            return promptEncoder
        }
        return try otherPromptEncoders.withLock { known in
            if let encoder = known[clipSkip] { return encoder }
            let encoder = try PromptEncoder(configuration, clipSkip: clipSkip, options: options)
            known[clipSkip] = encoder
            return encoder
        }
    }

    /// A prompt's states, with what this model's U-Net takes besides.
    private func conditioning(of states: PromptStates, _ plan: GenerationPlan, isNegative: Bool) throws -> Conditioning {
        var result = Conditioning(states: states)
        if let added = configuration.family.addedConditions {
            result.added = try added.values(plan, states: states, isNegative: isNegative)
        }
        if try unets.unet(plan).takes(GuidanceEmbedding.inputName) {
            let width = configuration.unet.guidanceEmbeddingWidth ?? 256
            result.added[GuidanceEmbedding.inputName] = GuidanceEmbedding.values(scale: plan.guidanceScale, width: width)
        }
        return result
    }
}
