/// Denoising diffusion implicit models (Song et al. 2021). diffusers: `DDIMScheduler`.
///
/// A step is equation 12 with σ_t(η) of equation 16: deterministic with η = 0, DDPM's noise with η = 1.
/// Order 1, one evaluation a step; stochastic only with η > 0.
public struct DDIMScheduler: Scheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "DDIMScheduler", shortName: "ddim",
        parameters: SchedulerParameter.noiseSchedule(schedules: SchedulerParameter.betaSchedules)
            + [
                .setAlphaToOne(default: true),
                .predictionType([.epsilon, .sample, .vPrediction]),
                .rescaleBetasZeroSNR,
            ] + SchedulerParameter.clipping(default: true) + SchedulerParameter.thresholding
            + SchedulerParameter.timestepSpacing(default: .leading),
        stepOptions: ["eta", "use_clipped_model_output"], order: 1, isStochastic: false,
        paper: "Song, Meng, Ermon 2021, Denoising Diffusion Implicit Models (arXiv:2010.02502), eq. 12 and 16")

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let noiseLevels: [NoiseLevel]
    /// The betas of the training timesteps, and what follows from them.
    public let noiseSchedule: NoiseSchedule
    private let wholeTimesteps: [Int]
    /// Training timesteps between two steps.
    private let stride: Int
    /// ᾱ before the first timestep.
    private let finalAlphaCumprod: Float
    private let prediction: PredictionType
    private let limit: OriginalSampleLimit

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        noiseSchedule = try NoiseSchedule(settings)
        prediction = try PredictionType(settings)
        limit = try OriginalSampleLimit(settings)
        let count = try request.stepCount(trainTimesteps: noiseSchedule.count, scheduler: settings.className)
        stride = noiseSchedule.count / count
        finalAlphaCumprod = try settings.flag("set_alpha_to_one") ? 1 : noiseSchedule.alphasCumprod[0]
        wholeTimesteps = try TimestepSpacing.wholeTimesteps(settings, trainTimesteps: noiseSchedule.count, count: count)
        timesteps = wholeTimesteps.map { Float($0) }
        noiseLevels = try noiseSchedule.levels(at: wholeTimesteps, predicting: prediction, for: settings.className)
    }

    public func drawsNoise(with options: SchedulerStepOptions) -> Bool { (options.eta ?? 0) > 0 }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        try checkStep(index: index, modelOutput: modelOutput, sample: sample)
        let timestep = wholeTimesteps[index]
        let nextTimestep = timestep - stride
        let alpha = try noiseSchedule.alphaCumprod(at: timestep, for: name)
        let nextAlpha =
            nextTimestep >= 0 ? try noiseSchedule.alphaCumprod(at: nextTimestep, for: name) : finalAlphaCumprod

        let level = noiseLevels[index]
        var original = prediction.original(from: modelOutput, sample: sample, level: level)
        var epsilon = prediction.noise(from: modelOutput, sample: sample, level: level)
        original = limit.apply(original, batchSize: state.batchSize)
        if options.useClippedModelOutput {
            epsilon = PredictionType.sample.noise(from: original, sample: sample, level: level)
        }
        // Equation 16.
        let variance = ((1 - nextAlpha) / (1 - alpha)) * (1 - alpha / nextAlpha)
        let eta = options.eta ?? 0
        let sigma = Float(eta) * variance.squareRoot()
        // Equation 12.
        let direction = (1 - nextAlpha - sigma * sigma).squareRoot()
        let rootNextAlpha = nextAlpha.squareRoot()
        var result = combine(original, epsilon) { rootNextAlpha * $0 + direction * $1 }
        if eta > 0 {
            result = combine(result, try draw(sample.count, from: noise)) { $0 + sigma * $1 }
        }
        state.stepsTaken += 1
        return result
    }

    public func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        return try noiseSchedule.addNoise(to: original, noise: noise, timestep: wholeTimesteps[index], for: name)
    }
}
