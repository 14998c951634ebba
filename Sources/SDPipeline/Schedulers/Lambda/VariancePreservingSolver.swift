/// A scheduler whose samples are x = alpha · x_0 + sigma · ε with the levels of a `SolverPlan`, and whose model sees them as they are.
public protocol VariancePreservingSolver: Scheduler {
    /// Signal and noise of each step and of the end, one more than `timesteps`.
    var levels: [NoiseLevel] { get }
}

extension VariancePreservingSolver {
    public var noiseLevels: [NoiseLevel] { levels.dropLast() }

    public func addNoise(to original: [Float], noise: [Float], at index: Int) throws -> [Float] {
        try checkIndex(index)
        try checkSameSize(original, noise)
        let level = levels[index]
        return combine(original, noise) { level.alpha * $0 + level.sigma * $1 }
    }
}

/// A model's output as the solvers in λ use it.
struct SolverOutput {
    /// What a solver extrapolates.
    enum Quantity {
        /// x_0 (data prediction).
        case original
        /// ε (noise prediction).
        case noise
    }

    let quantity: Quantity
    let prediction: PredictionType
    let limit: OriginalSampleLimit
    /// Whether the model's output has a variance behind the prediction.
    let hasVariance: Bool

    /// - Parameter limitsNoise: whether a predicted noise keeps what it predicts of the original within the settings' limits.
    init(_ settings: SchedulerSettings, quantity: Quantity, limitsNoise: Bool = true) throws {
        self.quantity = quantity
        prediction = try PredictionType(settings)
        limit = quantity == .original || limitsNoise ? try OriginalSampleLimit(settings) : .none
        let variance = settings.has("variance_type") ? settings.values["variance_type"] : nil
        hasVariance = variance == .text("learned") || variance == .text("learned_range")
        guard quantity == .original || prediction != .flowPrediction else {
            throw SchedulerError.contradiction(
                scheduler: settings.className, reason: "prediction_type flow_prediction needs a solver of the data prediction")
        }
    }

    /// The output without a variance.
    func predicted(_ output: [Float], sampleCount: Int, batchSize: Int, scheduler: String) throws -> [Float] {
        guard hasVariance else { return output }
        return try LearnedVariance.split(output, sampleCount: sampleCount, batchSize: batchSize, scheduler: scheduler)
            .prediction
    }

    /// - Parameters:
    ///   - output: the prediction, of the sample's size.
    ///   - level: the sample's signal and noise.
    func converted(_ output: [Float], sample: [Float], level: NoiseLevel, batchSize: Int) -> [Float] {
        switch quantity {
        case .original:
            return limit.apply(prediction.original(from: output, sample: sample, level: level), batchSize: batchSize)
        case .noise:
            let noise = prediction.noise(from: output, sample: sample, level: level)
            guard limit.isThreshold else { return noise }
            var original = PredictionType.epsilon.original(from: noise, sample: sample, level: level)
            original = limit.apply(original, batchSize: batchSize)
            return PredictionType.sample.noise(from: original, sample: sample, level: level)
        }
    }
}
