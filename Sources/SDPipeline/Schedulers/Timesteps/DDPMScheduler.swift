import Foundation

/// Ancestral sampling of denoising diffusion probabilistic models (Ho et al. 2020, algorithm 2), with any stride over
/// the training timesteps. diffusers: `DDPMScheduler`.
///
/// The mean is that of the posterior q(x_{t−1} | x_t, x_0), equation 7, with x_0 predicted from ε; without clipping
/// this is equation 11, μ = 1/√α_t · (x_t − β_t / √(1 − ᾱ_t) · ε). No noise is added at timestep 0.
///
/// Order 1, one evaluation a step; stochastic. One difference from diffusers: `variance_type` `fixed_large_log` gives what its
/// name says, σ = exp(½ log β_t), where diffusers takes the root of the logarithm, which isn't a number.
public struct DDPMScheduler: Scheduler {
    public static let descriptor = SchedulerDescriptor(
        className: "DDPMScheduler", shortName: "ddpm",
        parameters: SchedulerParameter.noiseSchedule(
            schedules: ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"])
            + [
                SchedulerParameter(
                    "variance_type", .choice(VarianceType.allCases.map(\.rawValue)), default: .text("fixed_small"),
                    isOptional: true),
                .predictionType([.epsilon, .sample, .vPrediction]),
                .rescaleBetasZeroSNR,
            ] + SchedulerParameter.clipping(default: true) + SchedulerParameter.thresholding
            + SchedulerParameter.timestepSpacing(default: .leading),
        order: 1, isStochastic: true, takesTimesteps: true,
        paper: "Ho, Jain, Abbeel 2020, Denoising Diffusion Probabilistic Models (arXiv:2006.11239), eq. 7 and 11, alg. 2")

    enum VarianceType: String, CaseIterable {
        case fixedSmall = "fixed_small"
        case fixedSmallLog = "fixed_small_log"
        case fixedLarge = "fixed_large"
        case fixedLargeLog = "fixed_large_log"
        case learned
        case learnedRange = "learned_range"

        var isLearned: Bool { self == .learned || self == .learnedRange }
    }

    public let settings: SchedulerSettings
    public let timesteps: [Float]
    public let noiseLevels: [NoiseLevel]
    /// The betas of the training timesteps, and what follows from them.
    public let noiseSchedule: NoiseSchedule
    private let wholeTimesteps: [Int]
    private let prediction: PredictionType
    private let variance: VarianceType
    private let limit: OriginalSampleLimit

    public init(settings: SchedulerSettings, request: TimestepRequest) throws {
        self.settings = settings
        noiseSchedule = try NoiseSchedule(settings)
        prediction = try PredictionType(settings)
        variance = try settings.choice("variance_type", as: VarianceType.self)
        limit = try OriginalSampleLimit(settings)
        let scheduler = settings.className
        switch request {
        case .timesteps(let given):
            wholeTimesteps = try TimestepRequest.checkedWhole(
                given, trainTimesteps: noiseSchedule.count, scheduler: scheduler)
        default:
            let count = try request.stepCount(trainTimesteps: noiseSchedule.count, scheduler: scheduler)
            wholeTimesteps = try TimestepSpacing.wholeTimesteps(settings, trainTimesteps: noiseSchedule.count, count: count)
        }
        timesteps = wholeTimesteps.map { Float($0) }
        noiseLevels = try noiseSchedule.levels(at: wholeTimesteps, predicting: prediction, for: scheduler)
    }

    public func step(
        _ modelOutput: [Float], at index: Int, sample: [Float], state: inout SchedulerState,
        options: SchedulerStepOptions, noise: (Int) throws -> [Float]
    ) throws -> [Float] {
        let (output, predictedVariance) =
            variance.isLearned
            ? try LearnedVariance.split(
                modelOutput, sampleCount: sample.count, batchSize: state.batchSize, scheduler: name) : (modelOutput, [])
        try checkStep(index: index, modelOutput: output, sample: sample)
        let timestep = wholeTimesteps[index]
        let alphaProduct = try noiseSchedule.alphaCumprod(at: timestep, for: name)
        let nextProduct =
            index + 1 < wholeTimesteps.count
            ? try noiseSchedule.alphaCumprod(at: wholeTimesteps[index + 1], for: name) : 1
        let betaProduct = 1 - alphaProduct
        let alpha = alphaProduct / nextProduct
        let beta = 1 - alpha

        var original = prediction.original(from: output, sample: sample, level: noiseLevels[index])
        original = limit.apply(original, batchSize: state.batchSize)
        // Equation 7: the coefficients of x_0 and x_t in the posterior's mean.
        let originalCoefficient = (nextProduct.squareRoot() * beta) / betaProduct
        let sampleCoefficient = alpha.squareRoot() * (1 - nextProduct) / betaProduct
        var result = combine(original, sample) { originalCoefficient * $0 + sampleCoefficient * $1 }
        if timestep > 0 {
            let drawn = try draw(sample.count, from: noise)
            let smallVariance = max((1 - nextProduct) / betaProduct * beta, 1e-20)
            result = addingNoise(
                drawn, to: result, smallVariance: smallVariance, beta: beta, predicted: predictedVariance)
        }
        state.stepsTaken += 1
        return result
    }

    public func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        return try noiseSchedule.addNoise(to: original, noise: noise, timestep: wholeTimesteps[index], for: name)
    }

    /// Adds σ_t z. `smallVariance` is the posterior's variance β̃_t (equation 7), `beta` is β_t, the upper bound.
    private func addingNoise(
        _ drawn: [Float], to mean: [Float], smallVariance: Float, beta: Float, predicted: [Float]
    ) -> [Float] {
        let sigma: Float
        switch variance {
        case .fixedSmall: sigma = smallVariance.squareRoot()
        case .fixedSmallLog: sigma = Self.rootThroughLogarithm(smallVariance)
        case .fixedLarge: sigma = beta.squareRoot()
        case .fixedLargeLog: sigma = Self.rootThroughLogarithm(beta)
        case .learned:
            let noise = combine(predicted, drawn) { $0.squareRoot() * $1 }
            return combine(mean, noise) { $0 + $1 }
        case .learnedRange:
            // Nichol and Dhariwal 2021, equation 15, with a prediction in [−1, 1].
            let low = Float(log(Double(smallVariance)))
            let high = Float(log(Double(beta)))
            let noise = combine(predicted, drawn) { value, noise in
                let fraction = (value + 1) / 2
                return expf(0.5 * (fraction * high + (1 - fraction) * low)) * noise
            }
            return combine(mean, noise) { $0 + $1 }
        }
        return combine(mean, drawn) { $0 + sigma * $1 }
    }

    /// exp(½ log variance), each rounded to single precision.
    private static func rootThroughLogarithm(_ variance: Float) -> Float {
        Float(exp(Double(0.5 * Float(log(Double(variance))))))
    }
}
