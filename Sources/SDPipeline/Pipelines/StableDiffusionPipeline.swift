import Foundation
import GraphRuntime

/// Text to picture with a Stable Diffusion model in ONNX form (Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion
/// Models", 2022), with the conventions of diffusers' `StableDiffusionPipeline`: same seed and settings, same picture.
///
/// Safe to use from several threads at once.
public final class StableDiffusionPipeline: Sendable {
    public let folder: ModelFolder
    public let tokenizer: CLIPTokenizer
    /// The model's own scheduler settings.
    public let schedulerConfiguration: SchedulerConfiguration
    let textEncoder: TextEncoder
    let unet: UNet
    let vae: VAEDecoder
    /// Tokens that the text encoder takes for a prompt.
    public let tokenLimit: Int

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - url: a folder as optimum or diffusers export it; nil takes ``ModelFolder/defaultURL(environment:)``.
    ///   - threads: the threads to run on.
    ///   - optimize: see ``SessionOptions/optimize``.
    /// - Throws: ``PipelineError`` or ``TokenizerError`` with the file that is missing or malformed.
    public init(modelFolder url: URL? = nil, threads: ThreadPool = ThreadPool(), optimize: Bool = true) throws {
        folder = try ModelFolder(try url ?? ModelFolder.defaultURL())
        let supported = ["StableDiffusionPipeline", "LatentConsistencyModelPipeline"]
        guard supported.contains(where: folder.pipelineClass.hasSuffix) else {
            throw PipelineError(
                "\(folder.url.path) is a \(folder.pipelineClass); text to picture takes a \(supported.joined(separator: " or a "))")
        }
        let options = SessionOptions(optimize: optimize, threads: threads)
        tokenizer = try CLIPTokenizer(folder: folder.url.appendingPathComponent("tokenizer"))
        // As diffusers' StableDiffusionPipeline does on loading, for models saved before these settings existed.
        schedulerConfiguration = try SchedulerConfiguration(contentsOf: folder.schedulerConfiguration).adjustedForStableDiffusion()
        textEncoder = try TextEncoder(Component("text_encoder", folder: folder, options: options))
        unet = try UNet(Component("unet", folder: folder, options: options), folder: folder)
        vae = try VAEDecoder(Component("vae_decoder", folder: folder, options: options), folder: folder)
        let positions = try folder.configuration(of: "text_encoder").optionalInt("max_position_embeddings", in: 3...65536)
        tokenLimit = min(tokenizer.maximumLength ?? .max, positions ?? 77)
        guard unet.inputChannels == vae.latentChannels else {
            throw PipelineError(
                "the U-Net takes \(unet.inputChannels) channels and the VAE makes \(vae.latentChannels): a model for another task than text to picture")
        }
    }

    /// Pixels per latent along each side.
    public var spatialFactor: Int { vae.spatialFactor }

    /// Channels of the latents.
    public var latentChannels: Int { vae.latentChannels }

    /// The width and height that the model was trained at, in pixels.
    public var defaultSize: Int { (unet.sampleSize ?? 64) * spatialFactor }

    /// The largest width and height, in pixels: far above what a machine's memory takes, far below what overflows.
    public static let largestSize = 16384

    /// Makes pictures.
    ///
    /// - Parameters:
    ///   - observer: watches every node of every graph.
    ///   - progress: called after each part; false stops the generation with ``CancellationError``.
    /// - Throws: ``PipelineError`` for a request that the model can't meet, ``SchedulerError`` for scheduler settings,
    ///   ``CancellationError``.
    public func generate(
        _ request: GenerationRequest, observer: (any RunObserver)? = nil, progress: (GenerationProgress) -> Bool = { _ in true }
    ) throws -> GenerationResult {
        let clock = ContinuousClock()
        let start = clock.now
        var timings = GenerationResult.Timings()
        func report(_ state: GenerationProgress) throws { if !progress(state) { throw CancellationError() } }

        let plan = try GenerationPlan(request, pipeline: self)
        try report(.encodingPrompt)
        let states = try clock.seconds(into: &timings.textEncoder) { try encodePrompts(plan, observer: observer) }

        let shape = [request.batchCount, vae.latentChannels, plan.height / spatialFactor, plan.width / spatialFactor]
        var generator = TorchGenerator(seed: request.seed)
        let noise = try startNoise(request, shape: shape, generator: &generator)
        var latents = noise.map { $0 * plan.scheduler.initNoiseSigma }
        var state = plan.scheduler.makeState(batchSize: request.batchCount)
        let timesteps = plan.scheduler.timesteps
        try report(.step(completed: 0, total: timesteps.count))
        for index in timesteps.indices {
            let prediction = try clock.seconds(into: &timings.unet) {
                try predict(
                    plan.scheduler.scaleModelInput(latents, at: index), shape: shape, timestep: timesteps[index], states: states,
                    plan: plan, observer: observer)
            }
            latents = try clock.seconds(into: &timings.scheduler) {
                try plan.scheduler.step(
                    prediction, at: index, sample: latents, state: &state, options: request.stepOptions,
                    noise: { generator.randn(count: $0) })
            }
            try report(.step(completed: index + 1, total: timesteps.count))
        }
        let images = try clock.seconds(into: &timings.vaeDecoder) {
            try decode(latents, shape: shape, observer: observer, report: report)
        }
        timings.total = (clock.now - start).seconds
        return GenerationResult(
            images: images, latents: latents, latentShape: shape, schedulerName: plan.scheduler.name, timesteps: timesteps,
            promptTokenCount: tokenizer.encode(request.prompt).count, tokenLimit: tokenLimit, timings: timings)
    }

    /// The states of the negative prompt and the prompt, [2, tokens, width]; of the prompt alone, [1, tokens, width], without guidance.
    private func encodePrompts(_ plan: GenerationPlan, observer: (any RunObserver)?) throws -> Tensor {
        let texts = plan.isGuided ? [plan.request.negativePrompt, plan.request.prompt] : [plan.request.prompt]
        return try textEncoder.encode(texts.map { tokenizer.encode($0, paddedTo: tokenLimit).ids }, observer: observer)
    }

    private func startNoise(_ request: GenerationRequest, shape: [Int], generator: inout TorchGenerator) throws -> [Float] {
        let count = shape.reduce(1, *)
        guard let given = request.initialLatents else { return generator.randn(count: count) }
        guard given.count == count else {
            throw PipelineError("the initial latents have \(given.count) values, expected \(count) for shape \(shape)")
        }
        return given
    }

    /// The guided prediction for all pictures.
    private func predict(
        _ latents: [Float], shape: [Int], timestep: Float, states: Tensor, plan: GenerationPlan, observer: (any RunObserver)?
    ) throws -> [Float] {
        let size = shape[1] * shape[2] * shape[3]
        // Rows: for each picture the negative prompt's and the prompt's prediction, or the prompt's alone.
        let perPicture = plan.isGuided ? 2 : 1
        let rowCount = shape[0] * perPicture
        let step = unet.fixedBatch ?? min(rowCount, rowsAtOnce(shape) * perPicture)
        let width = states.count / perPicture
        let stateValues = try states.array(of: Float.self)
        var predictions: [Float] = []
        predictions.reserveCapacity(rowCount * size)
        for first in stride(from: 0, to: rowCount, by: step) {
            // An export of a fixed batch gets its last rows filled up with copies.
            let rows = (first..<first + step).map { min($0, rowCount - 1) }
            let part = rows.flatMap { latents[$0 / perPicture * size..<($0 / perPicture + 1) * size] }
            let context = rows.flatMap { stateValues[$0 % perPicture * width..<($0 % perPicture + 1) * width] }
            let output = try unet.predict(
                latents: part, shape: [step] + shape.dropFirst(), timestep: timestep,
                states: Tensor(context, shape: Shape([step] + states.shape.dimensions.dropFirst())),
                guidanceScale: plan.request.guidanceScale, observer: observer)
            predictions += output.prefix(min(step, rowCount - first) * size)
        }
        guard plan.isGuided else { return predictions }
        let scale = Float(plan.request.guidanceScale)
        return (0..<shape[0]).flatMap { picture in
            let start = picture * 2 * size
            return (start..<start + size).map { predictions[$0] + scale * (predictions[$0 + size] - predictions[$0]) }
        }
    }

    /// Pictures that one run of the U-Net takes: as many as together have the latents of one 512×512 picture, so that memory doesn't
    /// grow with the number of pictures.
    private func rowsAtOnce(_ shape: [Int]) -> Int { max(4096 / (shape[2] * shape[3]), 1) }

    private func decode(
        _ latents: [Float], shape: [Int], observer: (any RunObserver)?, report: (GenerationProgress) throws -> Void
    ) throws -> [RGBImage] {
        let size = shape[1] * shape[2] * shape[3]
        return try (0..<shape[0]).map { picture in
            let pixels = try vae.decode(
                Array(latents[picture * size..<(picture + 1) * size]), height: shape[2], width: shape[3], observer: observer)
            try report(.decoding(completed: picture + 1, total: shape[0]))
            return try PixelConversion.images(from: pixels, width: shape[3] * spatialFactor, height: shape[2] * spatialFactor)[0]
        }
    }
}

/// A request, checked and completed with what the model says.
private struct GenerationPlan {
    let request: GenerationRequest
    let width: Int
    let height: Int
    let scheduler: any Scheduler
    /// Whether the negative prompt takes part.
    let isGuided: Bool

    init(_ request: GenerationRequest, pipeline: StableDiffusionPipeline) throws {
        self.request = request
        width = try Self.size(request.width, name: "width", pipeline)
        height = try Self.size(request.height, name: "height", pipeline)
        guard (1...4096).contains(request.batchCount) else {
            throw PipelineError("the batch count is \(request.batchCount), expected 1 to 4096")
        }
        guard request.guidanceScale.isFinite else { throw PipelineError("the guidance scale is \(request.guidanceScale), expected a number") }
        scheduler = try SchedulerRegistry.standard.make(
            request.scheduler, configuration: pipeline.schedulerConfiguration, request: .steps(request.steps),
            overrides: request.schedulerOverrides)
        try request.stepOptions.check(for: type(of: scheduler).descriptor)
        // A model that takes the scale as an input was distilled to need one run only.
        isGuided = request.guidanceScale > 1 && pipeline.unet.guidanceEmbeddingWidth == nil
    }

    private static func size(_ wanted: Int?, name: String, _ pipeline: StableDiffusionPipeline) throws -> Int {
        let factor = pipeline.spatialFactor
        let size = wanted ?? pipeline.defaultSize
        let largest = StableDiffusionPipeline.largestSize
        guard size >= factor, size <= largest else {
            throw PipelineError("the \(name) is \(size), expected \(factor) to \(largest) pixels")
        }
        guard size % factor == 0 else {
            let lower = size / factor * factor
            throw PipelineError("the \(name) is \(size), expected a multiple of \(factor), such as \(lower) or \(lower + factor)")
        }
        return size
    }
}

extension ContinuousClock {
    /// Runs `body` and adds the seconds that it took.
    fileprivate func seconds<Result>(into total: inout Double, _ body: () throws -> Result) rethrows -> Result {
        let start = now
        defer { total += (now - start).seconds }
        return try body()
    }
}

extension Duration {
    fileprivate var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
